"""Commands that track faces."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import complain, interrupted_once, show_progress
from steadyface.errors import ConfigError, SteadyfaceError

if TYPE_CHECKING:
    from steadyface.clips import ClipSummary


def _no_option(kind: object, source: Path) -> None:
    """A lone hyphen is standard input; anything longer was meant as an option."""
    if str(source).startswith("-") and str(source) != "-":
        raise ValueError("there is no such option")


def track(
    *inputs: Annotated[Path, Parameter(negative=(), allow_leading_hyphen=True, validator=_no_option)],
    out: Path = Path("steadyface-out"),
    format: str = "npz",
    overlay: bool = True,
    style: str = "contours",
    inset: bool = False,
    stabilizer: str = "sta",
    lag: int | None = None,
    decoder: str | None = None,
    max_faces: int = 4,
    device: str = "auto",
    weights: str = "compact",
    min_face: float | None = None,
    detector: Path | None = None,
    fps: float = 25.0,
    start: float = 0.0,
    end: float | None = None,
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Find and follow the faces of videos, images, folders of images, a camera or a pipe.

    Writes OUT/NAME.npz (and other formats) and OUT/NAME.overlay.mp4 for each input; NAME is a file's name
    without suffix, a folder's name, camera0 or stdin.

    Parameters
    ----------
    inputs
        Videos, images, or folders of images (in name order, taken as one sequence); a camera's number, from
        0; or - for a video that comes through a pipe, in a format such as matroska.
    out
        Folder for the results.
    format
        One or several of npz, csv, parquet, json, pts, separated by commas.
    overlay
        Also write the video with the faces drawn in.
    style
        points, contours, mesh, or compare, which shows the raw points left and the stabilised ones right.
    inset
        Magnify a face that is small in the frame into a corner; with compare, into both halves.
    stabilizer
        sta; sta-offline, which sees the whole future; sta-paper, the paper's form; a usual filter
        (moving-average, first-order, second-order, constant-velocity, one-euro, savitzky-golay); none; or a
        .json file written by fit-stabilizer.
    lag
        How many later frames each point may depend on, with sta. Left out: none.
    decoder
        How points are read from heatmaps: argmax, quarter, fhr, fhr_symmetric, least_squares or dark.
        Left out: the one built into the network.
    max_faces
        Most faces at a time, largest first.
    device
        auto, cpu or cuda.
    weights
        A bundled model's name, or an exported .onnx file.
    min_face
        Larger side of the smallest face to be found, px of the frame; costs time where that is small. Left
        out: about a twentieth of the frame's longer side.
    detector
        A YuNet .onnx file to find faces with, or a finder exported by `steadyface export`.
    fps
        Frame rate of a folder of images.
    start
        Seconds of each input at which to begin; times stay those of the input.
    end
        Seconds of each input at which to stop. Left out: its end; a camera then runs until Ctrl-C.
    quiet
        No progress and no summary.
    json
        The summaries as JSON, one object a line.
    """
    from steadyface.clips import ClipSummary, check_names, label, track_clip
    from steadyface.detector import choose_detector
    from steadyface.drawing import Overlay, check_style
    from steadyface.landmarker import Landmarker
    from steadyface.stabilizer.choice import choose_stabilizer
    from steadyface.tracking import Tracker, TrackerConfig

    if not inputs:
        raise ConfigError("nothing to track: name at least one video, image or folder of images")
    if not fps > 0:
        raise ConfigError(f"fps must be positive, got {fps}")
    drawing = partial(Overlay, style=check_style(style), inset=inset)
    formats = [name.strip() for name in format.split(",")]
    check_names(inputs)
    choice = choose_stabilizer(stabilizer, lag)
    tracker = Tracker(
        Landmarker(weights, decoder=decoder, device=device),
        detector=choose_detector(detector, min_face=min_face, device=device),
        stabilizer=choice.causal or "none",
        config=TrackerConfig(max_faces=max_faces),
    )
    problems: list[str] = []
    with interrupted_once():
        for source in inputs:
            try:
                with show_progress(label(source), quiet) as progress:
                    summary = track_clip(
                        source,
                        out,
                        tracker,
                        formats=formats,
                        overlay=overlay,
                        drawing=drawing,
                        fps=fps,
                        start=start,
                        end=end,
                        progress=progress,
                        choice=choice,
                    )
            except ConfigError:
                raise
            except KeyboardInterrupt:
                summary = ClipSummary.failed(source, f"interrupted in {label(source)}", interrupted=True)
            except SteadyfaceError as error:
                summary = ClipSummary.failed(source, str(error))
            _print_summary(summary, quiet, json)
            problems += summary.problems
            if summary.interrupted:
                break
    for problem in problems:
        complain(problem)
    return 1 if problems else 0


def _print_summary(summary: ClipSummary, quiet: bool, json: bool) -> None:
    if json:
        print(summary.as_json(), flush=True)
    elif summary.frames and not quiet:
        print(summary, *(f"  {file}" for file in summary.files), sep="\n", flush=True)


def demo(*, out: Path = Path("steadyface-demo")) -> int:
    """Track a portrait under a known camera motion and print how far the result is from it.

    Parameters
    ----------
    out
        Folder for the clip, its tracks and its overlay.
    """
    from steadyface.demo import run_demo

    result = run_demo(out)
    print(result.summary, *(f"  {file}" for file in result.summary.files), sep="\n")
    print("\nagainst the known motion    error %   stability %   delay, frames")
    for name, value in (("raw", result.raw), ("stabilised", result.stabilised)):
        print(f"{name:<25} {value.error:9.3f} {value.stability:13.3f} {value.delay:15.2f}")
    print("(% of the inter-ocular distance; the network's constant error does not show here)")
    return 0
