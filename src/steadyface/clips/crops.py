"""Steady crops of faces or mouths as videos of a fixed size, with the map of every frame."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steadyface import markup
from steadyface.arrays import FacePoints
from steadyface.errors import ConfigError
from steadyface.files import make_folder, remove, write_arrays
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.measures import MEAN_FACE, RIGID
from steadyface.tracks import Tracks
from steadyface.video import Frames, VideoFrame, VideoWriter


@dataclass(frozen=True)
class Crop:
    """Kind of crop.

    Args:
        size: side of the picture, px.
        width: side of the square that it shows, mm on an average face.
        centre: landmarks whose mean is the middle.
    """

    size: int
    width: float
    centre: tuple[int, ...]


_LIPS = (*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"])
CROPS = {"face": Crop(256, 250.0, tuple(RIGID.tolist())), "mouth": Crop(96, 80.0, _LIPS)}
"""Kinds of crops by name."""


def check_crops(kind: str | None) -> None:
    """Refuse an unknown kind of crop.

    Raises:
        ConfigError: it is none of `CROPS`.
    """
    if kind is not None and kind not in CROPS:
        raise ConfigError.choice("kind of crop", kind, CROPS)


def crops_folder(base: Path, kind: str) -> Path:
    """Folder of a clip's crops, beside its results."""
    return base.with_name(f"{base.name}.{kind}-crops")


def crop_of(points: FacePoints, kind: str) -> Region:
    """Square that a crop shows, turned and scaled as the face is.

    Equation: the a, b ∈ ℂ that minimise Σ_i |x_i - a·X_i - b|², X the mean face, over the points that an
    opening mouth leaves in place; |a| is the scale, px per mm, and arg a the roll.

    Args:
        points: (68, 2) image px, stabilised: the crop is as steady as they are.
        kind: one of `CROPS`.
    """
    crop = CROPS[kind]
    shape = MEAN_FACE[RIGID, 0] + 1j * MEAN_FACE[RIGID, 1]
    seen = points[RIGID, 0] + 1j * points[RIGID, 1]
    shape, seen = shape - shape.mean(), seen - seen.mean()
    turn = np.vdot(shape, seen) / np.vdot(shape, shape).real
    x, y = points[list(crop.centre)].mean(axis=0)
    return Region(float(x), float(y), crop.width * abs(turn), math.atan2(turn.imag, turn.real))


class _FaceCrops:
    """Crops of one identity: a video, and then the maps of its frames."""

    def __init__(self, path: Path, kind: str, frames: Frames, begin: float) -> None:
        self._path, self._kind, self._size = path, kind, CROPS[kind].size
        sound = frames.path if frames.has_audio else None
        self._writer = VideoWriter(path, self._size, self._size, frames.fps, sound, begin)
        self._rows: list[tuple[int, float, np.ndarray, np.ndarray]] = []

    def add(self, frame: VideoFrame, points: FacePoints) -> None:
        crop, to_crop = crop_region(frame.image, crop_of(points, self._kind), self._size)
        self._writer.write(crop, frame.seconds)
        self._rows.append((frame.index, frame.seconds, to_crop.matrix, to_crop(points)))

    def close(self) -> None:
        self._writer.close()
        if not self._rows:  # the first frame could not be written
            return
        names = ("frame", "seconds", "to_crop", "points")
        columns = map(np.array, zip(*self._rows, strict=True))
        write_arrays(self._path.with_suffix(".npz"), dict(zip(names, columns, strict=True)))


def write_crops(
    frames: Frames, images: Iterable[VideoFrame], tracks: Tracks, folder: Path, kind: str
) -> Path:
    """Write `face0.mp4`, with the source's sound, and `face0.npz` for each identity.

    The `.npz` has a row for each frame of the video, in which the face is seen: `frame` and `seconds` of the
    source, `to_crop` (2, 3) from image px to crop px, and `points` (68, 2) in crop px.

    Args:
        frames: the source, read again.
        images: its frames.
        tracks: of it.
        folder: of the crops; made if it is not there.
        kind: one of `CROPS`.

    Raises:
        VideoError, DataError: a frame cannot be read, or a file not be written.
    """
    make_folder(folder)
    for earlier in folder.glob("face*"):
        remove(earlier)
    seen = tracks.without_held()
    rows: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(seen.frame.tolist()):
        rows[number].append(row)
    left = {face: int((seen.face == face).sum()) for face in seen.face_ids}
    open_crops: dict[int, _FaceCrops] = {}
    try:
        for frame in images:
            for row in rows.get(frame.index, ()):
                face = int(seen.face[row])
                if face not in open_crops:
                    path = folder / f"face{face}.mp4"
                    open_crops[face] = _FaceCrops(path, kind, frames, frame.seconds)
                open_crops[face].add(frame, seen.points[row].astype(float))
                left[face] -= 1
                if not left[face]:  # so that a crowd does not keep a hundred encoders
                    open_crops.pop(face).close()
    finally:
        for crops in open_crops.values():
            crops.close()
    return folder
