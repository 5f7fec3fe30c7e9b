"""Command that corrects points by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import announce, say
from steadyface.errors import ConfigError
from steadyface.progress import show_progress
from steadyface.video import DEFAULT_FPS
from steadyface.wording import counted

if TYPE_CHECKING:
    from steadyface.correction import Correction
    from steadyface.editor.session import Editor


@dataclass(frozen=True)
class GivenOptions:
    """Correction by hand: one point's true place, or a file of corrections.

    Args:
        frame: Number of the frame in which the point is corrected.
        face: Identity of the face.
        point: Number of the point, 0 to 67, or its name, such as right_eye_0.
        to: Its true place X Y, px of the frame.
        corrections: File of corrections, as a report's page saves it; they are added to those of the tracks.
    """

    frame: int | None = None
    face: int = 0
    point: str | None = None
    to: Annotated[tuple[float, float] | None, Parameter(negative=())] = None
    corrections: Path | None = None

    def read(self) -> list[Correction]:
        """Corrections of the file, and that of the point.

        Raises:
            ConfigError: a part of the point's is missing, there is no such point, or the file has none.
            DataError: the file is missing or of another form.
        """
        from steadyface.correction import Correction, read_corrections
        from steadyface.correction.corrections import point_number

        given = [] if self.corrections is None else read_corrections(self.corrections)
        if self.point is not None and self.frame is not None and self.to is not None:
            given.append(Correction(self.frame, self.face, point_number(self.point), *self.to))
        elif (self.point, self.frame, self.to) != (None, None, None):
            raise ConfigError("--frame, --point and --to go together: a point's true place in one frame")
        if self.corrections is not None and not given:
            raise ConfigError(f"{self.corrections} holds no correction")
        return given


@dataclass(frozen=True)
class PageOptions:
    """Page to correct in.

    Args:
        port: Port of 127.0.0.1 for the page; 0 takes a free one.
        open: Open the page in the browser.
    """

    port: int = 0
    open: bool = True

    def serve(self, editor: Editor) -> None:
        """Serve the page until Ctrl-C, and keep what was not saved."""
        from steadyface.editor.server import serve

        serve(editor, self.port, partial(announce, open=self.open))
        kept = editor.keep()
        if kept is not None:
            say(f"{kept}: corrections that were not saved, for --corrections")


def correct(
    tracks: Path,
    clip: str,
    /,
    *,
    given: Annotated[GivenOptions, Parameter(name="*")] = GivenOptions(),
    undo: bool = False,
    clear: bool = False,
    out: Path | None = None,
    fps: float = DEFAULT_FPS,
    page: Annotated[PageOptions, Parameter(name="*")] = PageOptions(),
    quiet: bool = False,
) -> int:
    """Correct a point by hand in one frame; the motion measured in the clip carries it to the others.

    Without a correction it serves a page, to this machine only, in which points of any frame can be dragged.
    A correction reaches forward and back until it fades or meets the next one of that point. The result is a
    layer of the table, `corrected_points`, beside the raw and the stabilised points, which stay as they are.

    Parameters
    ----------
    tracks
        Tracks (.npz, .csv, .parquet, .json), into which the layer is written.
    clip
        Clip that was tracked.
    undo
        Undo the last correction.
    clear
        Remove all corrections that the tracks have.
    out
        File for the result, .npz, .csv, .parquet or .json. Left out: the file of tracks.
    fps
        Frame rate of a folder of images.
    quiet
        Print no progress and no summary.
    """
    from steadyface.correction import correct_points, corrections_of
    from steadyface.editor.session import Editor
    from steadyface.tracks import Tracks
    from steadyface.tracks.formats import check_readable

    check_readable(tracks if out is None else out)
    if undo and clear:
        raise ConfigError("--undo and --clear exclude each other")
    added = given.read()
    if not (added or undo or clear):
        page.serve(Editor(tracks, clip, out, fps))
        return 0
    table = Tracks.load(tracks)
    known = [] if clear else corrections_of(table)
    if undo:
        if not known:
            raise ConfigError(f"{tracks} has no correction to undo")
        known.pop()
    with show_progress(tracks.name, quiet) as progress:
        table = correct_points(table, [*known, *added], clip, fps=fps, progress=progress)
    path = table.save(tracks if out is None else out)
    if not quiet:
        say(f"{path}: {counted(len(corrections_of(table)), 'correction')}")
    return 0
