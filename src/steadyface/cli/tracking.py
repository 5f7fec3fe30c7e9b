"""Commands that track faces."""

from __future__ import annotations

from dataclasses import fields
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
from steadyface.pipeline import TrackingOptions, build
from steadyface.progress import show_progress
from steadyface.tracks.formats import check_formats
from steadyface.video import display_name


def _no_option(kind: object, source: str) -> None:
    """Refuse an input that was meant as an option; a lone hyphen is standard input."""
    if source.startswith("-") and source != "-":
        names = [*signature(track).parameters, *(field.name for field in fields(TrackingOptions))]
        near = get_close_matches(source, [f"--{name.replace('_', '-')}" for name in names], 1, 0.75)
        hint = f"; did you mean {near[0]}?" if near else ""
        hint = f"; the file is ./{source}" if Path(source).exists() else hint
        raise CycloptsError(msg=f"there is no option {source}{hint}")


def track(
    *inputs: Annotated[str, Parameter(negative=(), allow_leading_hyphen=True, validator=_no_option)],
    out: Path = Path("steadyface-out"),
    format: str = "npz",
    all_frames: bool = True,
    overlay: bool = True,
    style: str = "contours",
    inset: bool = False,
    crops: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    options: Annotated[TrackingOptions, Parameter(name="*", group="Tracking")] = TrackingOptions(),
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Find and follow the faces of videos, images, folders of images, a camera or a pipe.

    Writes OUT/NAME.npz (and other formats), OUT/NAME.overlay.mp4 and OUT/NAME.meta.json for each input; NAME
    is a file's name without suffix, a folder's name, camera0 or stdin. Where results of another input, or of
    other options, are called so, it is NAME-2; inputs of one name get their folders' names before it.

    Parameters
    ----------
    inputs
        Videos, images, or folders of images (each a sequence, in name order); URLs (https, rtsp, file); a
        camera's number, from 0, or device; or a lone hyphen for a video that comes through a pipe, in a
        format such as matroska.
    out
        Folder for the results.
    format
        One or several of npz, csv, parquet, json, pts, openface, blinks, intervals, eaf, coco, cvat and
        aftereffects, separated by commas.
    all_frames
        In csv and parquet, write a row for each frame, also without a face.
    overlay
        Also write the video with the faces drawn in.
    style
        points, contours, mesh, or compare, which shows the raw points left and the stabilised ones right.
    inset
        Magnify a face that is small in the frame into a corner; with compare, into both halves.
    crops
        face (256 x 256 px) or mouth (96 x 96): also write OUT/NAME.face-crops/face0.mp4 and so on, upright
        and steady, with the sound, and face0.npz with the map of each frame.
    overwrite
        Take NAME also where other results have it, and remove those.
    resume
        Leave an input whose results are whole: of the same file, options and version, tracked to its end.
    quiet
        Print no progress and no summary.
    json
        Print the summaries as JSON, one object a line.
    """
    if not inputs:
        raise ConfigError("nothing to track: name at least one video, image or folder of images")
    drawing = partial(Overlay, style=check_style(style), inset=inset)
    formats = [name.strip() for name in format.split(",")]
    check_formats(formats)
    check_crops(crops)
    pipeline = build(options)
    problems: list[str] = []
    notes: list[str] = []
    with held_interrupts() as interrupts:
        for source, result in choose_names(inputs).items():
            name = display_name(source)
            if interrupts.seen:
                problems.append(f"interrupted before {name}")
                break
            try:
                with show_progress(name, quiet) as progress:
                    summary = track_clip(
                        source,
                        out,
                        pipeline,
                        name=result,
                        formats=formats,
                        all_frames=all_frames,
                        overlay=overlay,
                        drawing=drawing,
                        crops=crops,
                        overwrite=overwrite,
                        resume=resume,
                        progress=progress,
                    )
            except ConfigError:
                raise
            except KeyboardInterrupt:
                summary = ClipSummary.failed(source, f"interrupted in {name}", interrupted=True)
            except SteadyfaceError as error:
                summary = ClipSummary.failed(source, str(error))
            except Exception as error:  # noqa: BLE001  a fault at one input must not cost the others
                summary = ClipSummary.failed(source, f"{name}: {type(error).__name__}: {error}")
            _print_summary(summary, quiet, json)
            problems += summary.problems
            notes += summary.notes
            if summary.interrupted:
                break
    for line in (*notes, *problems):
        complain(line)
    return 1 if problems else 0


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
    print(result.summary, *(f"  {file}" for file in result.summary.files), sep="\n")
    print()
    print_table(
        ("against the known motion", "error %", "stability %", "delay, frames"),
        [
            (name, f"{value.error:.3f}", f"{value.stability:.3f}", f"{value.delay:.2f}")
            for name, value in (("raw", result.raw), ("stabilised", result.stabilised))
        ],
    )
    print("(% of the inter-ocular distance; the network's constant error does not show here)")
    return 0
