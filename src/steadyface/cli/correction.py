"""Command that corrects points by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import say
from steadyface.errors import ConfigError
from steadyface.progress import show_progress
from steadyface.video import DEFAULT_FPS
from steadyface.wording import counted


def correct(
    tracks: Path,
    clip: str,
    /,
    *,
    frame: int | None = None,
    face: int = 0,
    point: str | None = None,
    to: Annotated[tuple[float, float] | None, Parameter(help="Its true place X Y, px of the frame.")] = None,
    corrections: Path | None = None,
    undo: bool = False,
    clear: bool = False,
    out: Path | None = None,
    fps: float = DEFAULT_FPS,
    quiet: bool = False,
) -> int:
    """Correct a point by hand in one frame; the motion measured in the clip carries it to the others.

    A correction reaches forward and back until it fades or meets the next one of that point. The result is a
    layer of the table, `corrected_points`, beside the raw and the stabilised points, which stay as they are.

    Parameters
    ----------
    tracks
        Tracks (.npz, .csv, .parquet, .json), into which the layer is written.
    clip
        Clip that was tracked.
    frame
        Number of the frame in which the point is corrected.
    face
        Identity of the face.
    point
        Number of the point, 0 to 67, or its name, such as right_eye_0.
    corrections
        File of corrections, as a report's page saves it; they are added to those of the tracks.
    undo
        Take back the last correction.
    clear
        Take back all corrections that the tracks have.
    out
        File for the result, of any of the types that can be read again; left out: the file of tracks.
    fps
        Frame rate of a folder of images.
    quiet
        Print no progress and no summary.
    """
    from steadyface.correction import Correction, correct_points, corrections_of, read_corrections
    from steadyface.correction.corrections import merged, point_number
    from steadyface.tracks import Tracks

    table = Tracks.load(tracks)
    given = [] if corrections is None else read_corrections(corrections)
    if point is not None and frame is not None and to is not None:
        given.append(Correction(frame, face, point_number(point), *to))
    elif (point, frame, to) != (None, None, None):
        raise ConfigError("--frame, --point and --to go together: a point's true place in one frame")
    known = [] if clear else corrections_of(table)
    if undo:
        if not known:
            raise ConfigError(f"{tracks} has no correction to undo")
        known.pop()
    if not (given or undo or clear):
        raise ConfigError("nothing to correct: name --frame, --point and --to, or a file of --corrections")
    with show_progress(tracks.name, quiet) as progress:
        table = correct_points(table, [*known, *given], clip, fps=fps, progress=progress)
    path = table.save(tracks if out is None else out)
    if not quiet:
        say(f"{path}: {counted(len(merged(corrections_of(table))), 'correction')}")
    return 0
