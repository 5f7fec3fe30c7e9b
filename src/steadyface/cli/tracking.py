"""Commands that track faces."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter

from steadyface.cli.terminal import complain, print_table, say
from steadyface.clips import ClipSummary, check_crops, choose_names, track_clip
from steadyface.drawing import Overlay, check_style
from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.interrupts import held_interrupts
from steadyface.pipeline import Pipeline, TrackingOptions, build
from steadyface.progress import ReportProgress, show_progress
from steadyface.tracks.formats import check_formats
from steadyface.video import display_name


@dataclass(frozen=True)
class ResultOptions:
    """Files to write.

    Args:
        out: Folder for the results.
        format: One or several of npz, csv, parquet, json, pts, openface, blinks, intervals, eaf, coco, cvat
            and aftereffects, separated by commas.
        all_frames: In csv and parquet, write a row for each frame, also without a face.
        overlay: Also write the video with the faces drawn in.
        style: points, contours, mesh, or compare, which shows the raw points left and the stabilised ones
            right.
        inset: Magnify a face that is small in the frame into a corner; with compare, into both halves.
        crops: face (256 x 256 px) or mouth (96 x 96): also write OUT/NAME.face-crops/face0.mp4 and so on,
            upright and steady, with the sound, and face0.npz with the map of each frame.
        overwrite: Use NAME even if other results have it, and remove those.
        resume: Skip an input whose results are complete, from the same file with the same options and
            version.

    Raises:
        ConfigError: an unknown format, style or crop.
    """

    out: Path = Path("steadyface-out")
    format: str = "npz"
    all_frames: bool = True
    overlay: bool = True
    style: str = "contours"
    inset: bool = False
    crops: str | None = None
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        check_style(self.style)
        check_formats(self.formats)
        check_crops(self.crops)

    @property
    def formats(self) -> list[str]:
        """Names of the formats."""
        return [name.strip() for name in self.format.split(",")]

    def track(
        self, source: str, name: str, pipeline: Pipeline, progress: ReportProgress | None
    ) -> ClipSummary:
        """Track an input and write its results under a name; errors are those of `track_clip`."""
        return track_clip(
            source,
            self.out,
            pipeline,
            name=name,
            formats=self.formats,
            all_frames=self.all_frames,
            overlay=self.overlay,
            drawing=partial(Overlay, style=self.style, inset=self.inset),
            crops=self.crops,
            overwrite=self.overwrite,
            resume=self.resume,
            progress=progress,
        )


def _no_option(kind: object, source: str) -> None:
    """Refuse an input that was meant as an option; a lone hyphen is standard input."""
    if source.startswith("-") and source != "-":
        groups = (ResultOptions, TrackingOptions)
        names = [*signature(track).parameters, *(field.name for group in groups for field in fields(group))]
        near = get_close_matches(source, [f"--{name.replace('_', '-')}" for name in names], 1, 0.75)
        hint = f"; did you mean {near[0]}?" if near else ""
        hint = f"; the file is ./{source}" if Path(source).exists() else hint
        raise CycloptsError(msg=f"there is no option {source}{hint}")


def track(
    *inputs: Annotated[str, Parameter(negative=(), allow_leading_hyphen=True, validator=_no_option)],
    results: Annotated[ResultOptions, Parameter(name="*")] = ResultOptions(),
    options: Annotated[TrackingOptions, Parameter(name="*", group="Tracking")] = TrackingOptions(),
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Find and follow the faces of videos, images, folders of images, a camera or a pipe.

    Writes OUT/NAME.npz (and other formats), OUT/NAME.overlay.mp4 and OUT/NAME.meta.json for each input; NAME
    is a file's name without suffix, a folder's name, camera0 or stdin. If results of another input, or of
    other options, have that name, it is NAME-2; inputs of the same name get their folders' names before it.

    Parameters
    ----------
    inputs
        Videos, images, or folders of images (each a sequence, in name order); URLs (https, rtsp, file); a
        camera's number, from 0, or device; or a lone hyphen for a video that comes through a pipe, in a
        format such as matroska.
    quiet
        Print no progress and no summary.
    json
        Print the summaries as JSON, one object a line.
    """
    if not inputs:
        raise ConfigError("nothing to track: name at least one video, image or folder of images")
    pipeline = build(options)
    problems: list[str] = []
    notes: list[str] = []
    with held_interrupts() as interrupts:
        for source, result in choose_names(inputs).items():
            if interrupts.seen:
                problems.append(f"interrupted before {display_name(source)}")
                break
            summary = _track_one(source, result, results, pipeline, quiet)
            _print_summary(summary, quiet, json)
            problems += summary.problems
            notes += summary.notes
            if summary.interrupted:
                break
    for line in (*notes, *problems):
        complain(line)
    return 1 if problems else 0


def _track_one(
    source: str, result: str, results: ResultOptions, pipeline: Pipeline, quiet: bool
) -> ClipSummary:
    """Track one of several inputs: an error is its own, and goes into the summary.

    Raises:
        ConfigError: an option that would fail at every input.
    """
    name = display_name(source)
    try:
        with show_progress(name, quiet) as progress:
            return results.track(source, result, pipeline, progress)
    except ConfigError:
        raise
    except KeyboardInterrupt:
        return ClipSummary.failed(source, f"interrupted in {name}", interrupted=True)
    except SteadyfaceError as error:
        return ClipSummary.failed(source, str(error))
    except Exception as error:  # noqa: BLE001
        # Not a SteadyfaceError: a fault of ours or of a library, or memory that ran out. It must not cost the
        # other inputs of a night; its kind is named, so that it can be told from a bad file.
        return ClipSummary.failed(source, f"{name}: {type(error).__name__}: {error}")


def _print_summary(summary: ClipSummary, quiet: bool, json: bool) -> None:
    if json:
        say(summary.as_json())
    elif (summary.frames or summary.skipped) and not quiet:
        say(summary, *(f"  {file}" for file in summary.files))


def demo(*, out: Path = Path("steadyface-demo")) -> int:
    """Track a portrait under a known camera motion and print the error of the result.

    Parameters
    ----------
    out
        Folder for the clip, its tracks and its overlay.
    """
    from steadyface.demo import run_demo

    result = run_demo(out)
    say(result.summary, *(f"  {file}" for file in result.summary.files))
    say()
    print_table(
        ("against the known motion", "error %", "stability %", "delay, frames"),
        [
            (name, f"{value.error:.3f}", f"{value.stability:.3f}", f"{value.delay:z.2f}")
            for name, value in (("raw", result.raw), ("stabilised", result.stabilised))
        ],
    )
    say("(% of the inter-ocular distance; the network's constant error does not show here)")
    return 0
