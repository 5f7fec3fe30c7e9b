"""Files of overlays: the faces of a clip drawn into a video, or into a picture for each photograph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from steadyface.drawing import Overlay
from steadyface.errors import SteadyfaceError
from steadyface.files import make_folder
from steadyface.images import write_image
from steadyface.tracking import TrackedFace
from steadyface.video import Frames, VideoFrame, VideoWriter, write_behind

Drawing = Callable[[int, int], Overlay]
"""Makes the overlay of frames of a width and height, px."""

VIDEO, PICTURE, PICTURES = ".overlay.mp4", ".overlay.png", ".overlay"
"""Ends of the names: of a video, of the picture of one image, of the folder of pictures of several."""


class OverlayFile:
    """Overlay that is drawn and written in a thread of its own, frame by frame, within a `with` block.

    A frame that cannot be written ends the drawing, not the work that it shows.

    Args:
        base: path of the results without suffix.
        frames: of the clip.
        drawing: makes the pictures.
        photographs: draw each frame by itself, into `BASE.overlay.png` for a single image, and into the
            folder `BASE.overlay` for several. Else they become the video `BASE.overlay.mp4`.

    Attributes:
        path: of the file or folder.
        problem: None, or one line about why the drawing ended early.
        written: whether the block has left a file or pictures behind.
    """

    def __init__(self, base: Path, frames: Frames, drawing: Drawing, photographs: bool = False) -> None:
        several = PICTURES if frames.path.is_dir() else PICTURE
        self.path = base.with_name(f"{base.name}{several if photographs else VIDEO}")
        self.problem: str | None = None
        self.written = False
        self._earlier = _file_number(self.path)
        self._frames, self._drawing, self._photographs = frames, drawing, photographs
        self._stack, self._names = ExitStack(), set[str]()

    def __enter__(self) -> OverlayFile:
        """Open the file.

        Raises:
            VideoError, DataError: it cannot be written.
        """
        if self.path.suffix == PICTURES:
            make_folder(self.path)
        write = self._write_picture if self._photographs else self._open_video()
        self._later = self._stack.enter_context(write_behind(write))
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._stack.close()
        except SteadyfaceError as error:
            self.problem = self.problem or str(error)
        self.written = self.path.exists() and (self._photographs or _file_number(self.path) != self._earlier)

    def __call__(self, frame: VideoFrame, faces: Sequence[TrackedFace]) -> None:
        """Draw the faces of the next frame."""
        if self.problem is None:
            try:
                self._later(frame, faces)
            except SteadyfaceError as error:
                self.problem = str(error)

    def _open_video(self) -> Callable[[VideoFrame, Sequence[TrackedFace]], None]:
        frames = self._frames
        overlay = self._drawing(frames.width, frames.height)
        audio = frames.path if frames.has_audio else None
        writer = VideoWriter(self.path, *overlay.size, frames.fps, audio, frames.begin, preview=True)
        self._stack.enter_context(writer)

        def write(frame: VideoFrame, faces: Sequence[TrackedFace]) -> None:
            writer.write(overlay(frame.image, faces, frame.seconds), frame.seconds)

        return write

    def _write_picture(self, frame: VideoFrame, faces: Sequence[TrackedFace]) -> None:
        """Write a picture; two images that differ in their suffix only keep it in the picture's name."""
        path = self.path
        if frame.file:
            stem = Path(frame.file).stem
            name = frame.file if stem in self._names else stem
            self._names.add(name)
            path = path / f"{name}.png"
        width, height = frame.picture.width, frame.picture.height
        write_image(path, self._drawing(width, height)(frame.image, faces, frame.seconds))


def _file_number(path: Path) -> int | None:
    """Number that differs between a file and the one that replaces it; None without one."""
    return path.stat().st_ino if path.exists() else None
