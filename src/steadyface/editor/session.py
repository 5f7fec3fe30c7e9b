"""Corrections of a clip's tracks while a person makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steadyface import markup
from steadyface.clips import check_clip
from steadyface.correction import Correction, correct_points, corrections_of
from steadyface.correction.layer import check_complete
from steadyface.editor.pictures import Pictures
from steadyface.errors import DataError
from steadyface.files import write_text
from steadyface.tracks import Tracks
from steadyface.video import DEFAULT_FPS


class Editor:
    """Tracks of a clip, and its pictures, to be corrected.

    Args:
        path: of the tracks.
        clip: that was tracked.
        out: file for the result; None means that of the tracks.
        fps: frame rate of a folder of images.

    Attributes:
        tracks: with all corrections so far, which are in the file once `save` is called.
        pictures: of the clip's frames.

    Raises:
        ConfigError: a row lacks a point.
        DataError: the tracks cannot be read, have no rows, or are another clip's.
        VideoError: the clip cannot be read.
    """

    def __init__(
        self, path: Path, clip: str | Path, out: Path | None = None, fps: float = DEFAULT_FPS
    ) -> None:
        self.tracks = Tracks.load(path)
        if not len(self.tracks):
            raise DataError(path, "has no face to correct")
        check_complete(self.tracks.points)
        self._clip, self._out, self._fps = clip, path if out is None else out, fps
        self.pictures = Pictures(clip, self.tracks, fps)
        self._saved = corrections_of(self.tracks)
        with self.pictures.open() as frames:
            check_clip(self.tracks, frames, str(path))

    def describe(self) -> dict[str, Any]:
        """Describe the clip: its name, the numbers and times of its frames, and the names of the points."""
        timeline = self.tracks.timeline
        return {
            "name": Path(self._clip).name,
            "frames": timeline.frame.tolist(),
            "seconds": timeline.seconds.round(3).tolist(),
            "names": list(markup.LABELS),
            "corrections": [each.values() for each in corrections_of(self.tracks)],
            "saved": self.saved,
        }

    @property
    def saved(self) -> bool:
        """Whether the file has the corrections that the tracks have."""
        return self._saved == corrections_of(self.tracks)

    def faces(self, frame: int) -> list[dict[str, Any]]:
        """Faces that are seen in a frame: number, name and points (68 times x, y, px) of each."""
        tracks, rows = self.tracks, np.flatnonzero((self.tracks.frame == frame) & ~self.tracks.held)
        points = tracks.points if tracks.corrected_points is None else tracks.corrected_points
        names = tracks.names
        return [
            {
                "face": int(tracks.face[row]),
                "name": names.get(int(tracks.face[row]), ""),
                "points": points[row].round(2).tolist(),
            }
            for row in rows
        ]

    def correct(self, corrections: Sequence[Correction]) -> None:
        """Make `corrections` all that the tracks have, and carry them to the frames around.

        Raises:
            ConfigError: a face is not seen in the frame of its correction.
            DataError, VideoError: the clip cannot be read.
        """
        self.tracks = correct_points(self.tracks, corrections, self._clip, fps=self._fps)

    def save(self) -> Path:
        """Write the tracks; returns the file.

        Raises:
            DataError: it cannot be written.
        """
        path = self.tracks.save(self._out)
        self._saved = corrections_of(self.tracks)
        return path

    def keep(self) -> Path | None:
        """Write corrections that are not saved to a file beside the tracks; returns it, or None if all are.

        Raises:
            DataError: it cannot be written.
        """
        if self.saved:
            return None
        content = {"corrections": [each.values() for each in corrections_of(self.tracks)]}
        return write_text(self._out.with_suffix(".corrections.json"), json.dumps(content, indent=1))
