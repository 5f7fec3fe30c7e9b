"""Tables of tracks that the tests of formats share."""

from __future__ import annotations

import numpy as np

from steadyface.geometry import bounding_box
from steadyface.measures import MEAN_FACE
from steadyface.tracks import COLUMNS, Tracks, TracksBuilder


def make_tracks(rows: int = 2500) -> Tracks:
    """More rows than a block, two faces, a gap in the frames."""
    rng = np.random.default_rng(0)
    builder = TracksBuilder()
    for n in range(rows):
        frame = n // 2 + (7 if n > rows // 2 else 0)
        points = rng.uniform(0, 1000, (68, 2))
        builder.add(
            frame=frame,
            seconds=frame / 29.97,
            face=n % 2,
            points=points,
            raw_points=points + rng.normal(0, 1, (68, 2)),
            scores=rng.uniform(0, 1, 68),
            box=rng.uniform(0, 1000, 4),
            held=n % 11 == 5,
            carried=n % 3 == 1,
            **uncertainty(rng),
        )
    return builder.finish({"source": "clip.mp4", "fps": 29.97})


def uncertainty(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`visible`, unknown for some points, and symmetric `covariances`."""
    factor = rng.normal(size=(68, 2, 2))
    visible = np.where(rng.random(68) < 0.1, np.nan, rng.random(68))
    return {"visible": visible, "covariances": factor @ factor.swapaxes(1, 2)}


def gappy_tracks() -> Tracks:
    """Six images of two sizes in a folder; nobody is in the first, the third and the last."""
    builder = TracksBuilder()
    for frame in range(6):
        size = (640, 480) if frame < 3 else (48, 64)
        builder.add_frame(frame, frame / 25 + 0.1, size, f"image {frame}.png")
        if frame not in (0, 2, 5):
            points = MEAN_FACE[:, :2] + [32, 32]
            row = {"points": points, "raw_points": points, "scores": np.ones(68), "box": bounding_box(points)}
            builder.add(frame=frame, seconds=frame / 25 + 0.1, face=frame % 2, **row)
    return builder.finish({"size": [640, 480], "fps": 25.0})


def same(one: Tracks, other: Tracks) -> bool:
    """Equal in every value and type, also in the frames that are listed."""
    columns = all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in COLUMNS
    )
    types = all(getattr(one, name).dtype == getattr(other, name).dtype for name in COLUMNS)
    frames = zip(one.timeline.values().values(), other.timeline.values().values(), strict=True)
    return columns and types and one.meta == other.meta and all(np.array_equal(*pair) for pair in frames)


def blinking_tracks() -> Tracks:
    """A face whose eyes close at .8 s and at 2 s, and one that never blinks."""
    builder = TracksBuilder()
    for frame in range(75):
        builder.add_frame(frame, frame / 25, (640, 480))
        for face in range(2):
            points = MEAN_FACE[:, :2] + [200 + 200 * face, 200]
            if face and 18 <= frame % 30 <= 20:
                for eye in (36, 42):
                    for upper, lower in ((1, 5), (2, 4)):
                        points[[eye + upper, eye + lower], 1] = points[[eye + upper, eye + lower], 1].mean()
            row = {"points": points, "raw_points": points, "scores": np.ones(68), "box": bounding_box(points)}
            builder.add(frame=frame, seconds=frame / 25, face=face, **row)
    return builder.finish({"size": [640, 480], "fps": 25.0})
