"""Before any filter: what of a frame is missing, thrown off, or another shot.

A filter's model knows small errors only. Here a landmark that leaves the others is let go at a pace that
lids and lips hardly exceed; one that is thrown off is set aside until it has stayed where it is for a while;
a frame in which many are off is skipped; and a cut starts anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from steadyface.geometry import face_size

Points = Float[np.ndarray, "landmarks 2"]

JUMP = 0.25  # of face size: if all landmarks move this far, it is another shot or another face
OFF = 0.15  # of face size: no landmark leaves the others by this much within a frame
_PACE = 0.04  # of face size: the most per frame by which a landmark is let off the others
_SAME = 0.05  # of face size: a landmark that is off and moves no more than that beside the others stays
_PATIENCE = 5  # frames for which a landmark that is off must stay to be believed
_FEW = 0.2  # of the landmarks: no more may be off where all have jumped, or agree on another place
_MANY = 1 / 3  # of the landmarks: if more are off, the frame says nothing
_WIDEST = 3.0  # frames, beyond which landmarks part no farther
_AGREE = 2  # frames after which a face that is elsewhere is believed


class Seen(NamedTuple):
    """What a frame comes to once it has been looked at.

    Args:
        points: complete and plausible, image px.
        size: `geometry.face_size` of them, px, at least 1.
        raw: as they came, but missing landmarks stand where the others take them.
        doubt: for how many frames each landmark has been off the others and stayed; None if none is off.
        fresh: another shot or face than before: nothing of the past holds.
        skipped: nothing of this frame could be used; `points` are those of the last frame that could.
    """

    points: Points
    size: float
    raw: Points
    doubt: Int[np.ndarray, "landmarks"] | None = None
    fresh: bool = False
    skipped: bool = False


def look(last: Seen | None, points: Points, frames: float = 1.0) -> Seen | None:
    """Look at the next frame of a face.

    Args:
        last: what came of the frame before; None at the start.
        points: image px; NaN where a landmark is missing.
        frames: time since the last frame that was not skipped, in frames at about 30 a second: landmarks may
            part farther over longer times, as the root of it, up to three frames.

    Returns:
        None before the first complete frame.
    """
    if last is None:
        return _fresh(points) if np.isfinite(points).all() else None
    away = points - last.points
    limit = last.size * math.sqrt(min(max(frames, 1.0), _WIDEST))
    if last.doubt is None and np.maximum.reduce(np.absolute(away), axis=None) <= _PACE / 3 * limit:
        return Seen(points, _size(points), points)  # no landmark can leave the others; false for NaN
    missing = ~np.isfinite(points).all(axis=-1)
    if missing.all():
        return last._replace(fresh=False, skipped=True)
    together = _middle(away[~missing])
    alone = np.where(missing[:, None], 0.0, away - together)
    distance = np.linalg.norm(alone, axis=-1)
    jumped = math.hypot(*together) > JUMP * limit
    if last.doubt is None and not jumped and not missing.any() and distance.max() <= _PACE * limit:
        return Seen(points, _size(points), points)
    doubt = np.zeros(len(points), int) if last.doubt is None else last.doubt
    off = missing | (distance > np.where(doubt > _PATIENCE, _SAME, OFF) * limit)
    raw = np.where(missing[:, None], last.points + together, points)
    if jumped and off.mean() <= _FEW:
        return _fresh(raw)
    stepped = raw - last.raw
    stays = ~missing & (np.linalg.norm(stepped - _middle(stepped), axis=-1) <= _SAME * limit)
    doubt = np.where(off, np.where(stays, doubt + 1, 1), 0)
    if off.mean() > _MANY:
        if np.mean((doubt == 0) | (doubt > _AGREE)) >= 1 - _FEW:
            return _fresh(raw)
        return last._replace(raw=raw, doubt=doubt, fresh=False, skipped=True)
    share = np.minimum(1.0, _PACE * limit / np.maximum(distance, 1e-12))
    allowed = np.where(off & (doubt <= _PATIENCE), 0.0, share)
    plausible = last.points + together + allowed[:, None] * alone
    return Seen(plausible, _size(plausible), raw, doubt if doubt.any() else None)


def look_through(
    points: Float[np.ndarray, "frames landmarks 2"], frames: float | Float[np.ndarray, "frames"]
) -> list[Seen | None]:
    """`look` at each frame of a sequence, `frames` after the one before it."""
    points = np.where(np.isfinite(points), points, np.nan)
    sizes = np.maximum(face_size(points), 1.0)
    moves = np.diff(points, axis=0, prepend=np.nan)
    together = np.median(moves, axis=1)
    alone = np.linalg.norm(moves - together[:, None], axis=-1).max(axis=1, initial=0.0)
    limits = np.roll(sizes, 1)
    # As `look` would say; false for NaN, and so for the first frame.
    calm = (alone <= _PACE * limits) & (np.linalg.norm(together, axis=-1) <= JUMP * limits)
    seen: list[Seen | None] = []
    last, waited = None, 0.0
    for t, (raw, passed) in enumerate(zip(points, np.broadcast_to(frames, len(points)), strict=True)):
        waited += float(passed)
        plain = calm[t] and last is not None and last.raw is last.points and not last.skipped
        last = Seen(raw, sizes[t], raw) if plain else look(last, raw, waited)
        waited = waited if last is not None and last.skipped else 0.0
        seen.append(last)
    return seen


def unbroken(seen: Sequence[Seen | None]) -> Iterator[list[int]]:
    """Runs of frames that follow from one another, without those that were skipped."""
    run: list[int] = []
    for t, frame in enumerate(seen):
        if frame is None or frame.skipped:
            continue
        if frame.fresh and run:
            yield run
            run = []
        run.append(t)
    if run:
        yield run


def _middle(values: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2"]:
    """The median of each column; `np.median` takes five times as long."""
    half = (len(values) - 1) // 2, len(values) // 2
    return np.partition(values, half, axis=0)[list(half)].mean(axis=0)


def repeat_skipped(outputs: Float[np.ndarray, "frames landmarks 2"], seen: Sequence[Seen | None]) -> None:
    """Give each frame that was skipped the output of the one before it, in place."""
    for t, frame in enumerate(seen):
        if frame is not None and frame.skipped:
            outputs[t] = outputs[t - 1]


def _fresh(points: Points) -> Seen:
    return Seen(points, _size(points), points, fresh=True)


def _size(points: Points) -> float:
    """`geometry.face_size`, at least 1 px; at a quarter of its time."""
    high, low = np.maximum.reduce(points), np.minimum.reduce(points)
    return max(math.sqrt((high[0] - low[0]) * (high[1] - low[1])), 1.0)
