"""Filter several faces at once: their memories are joined, with an axis for faces before the last."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np

from steadyface.arrays import PointBatch
from steadyface.motion import Displacements
from steadyface.motion.matrices import entries_first
from steadyface.stabilizer.base import Measurement

Memory = TypeVar("Memory")
After = TypeVar("After")


def advance_abreast(
    advance: Callable[[Memory, Measurement], tuple[After, PointBatch]],
    memories: Sequence[Memory],
    measurements: Sequence[Measurement],
) -> list[tuple[After, PointBatch]]:
    """Advance several faces, those of one kind at once, since NumPy's calls cost more than the arithmetic.

    Args:
        advance: as `CausalFilter.advance`, but arrays may have an axis for faces before the last axis, and
            points before the last two.
        memories: one per face: named tuples of arrays, of numbers that faces of one kind share, and of such
            tuples.
        measurements: one per face, of the same frame.

    Returns:
        Memory and output of each face.
    """
    if len(memories) == 1:
        return [advance(memories[0], measurements[0])]
    kinds: dict[Hashable, list[int]] = {}
    for i, (memory, now) in enumerate(zip(memories, measurements, strict=True)):
        kind = (_kind(memory), now.frames, now.scores is None, now.displacements is None)
        kinds.setdefault(kind, []).append(i)
    results: dict[int, tuple[After, PointBatch]] = {}
    for faces in kinds.values():
        if len(faces) == 1:
            results[faces[0]] = advance(memories[faces[0]], measurements[faces[0]])
            continue
        before = side_by_side([memories[i] for i in faces])
        after, points = advance(before, _measured_together([measurements[i] for i in faces]))
        results |= zip(faces, zip(apart(after, len(faces)), points, strict=True), strict=True)
    return [results[i] for i in range(len(memories))]


def side_by_side(faces: Sequence[Any]) -> Any:
    """Join memories of one kind; arrays get an axis before the last."""
    first = faces[0]
    if isinstance(first, np.ndarray):
        return np.stack(faces, axis=-2)
    if isinstance(first, tuple):
        return type(first)(*map(side_by_side, zip(*faces, strict=True)))
    return first


def apart(faces: Any, count: int) -> list[Any]:
    """Undo `side_by_side`, with views; what all faces share has length 1 along their axis."""
    if isinstance(faces, np.ndarray):
        each = list(entries_first(faces))
        return each if len(each) == count else each * count
    if isinstance(faces, tuple):
        return [type(faces)(*parts) for parts in zip(*(apart(part, count) for part in faces), strict=True)]
    return [faces] * count


def _kind(memory: Any) -> Hashable:
    """Structure of a memory and the numbers in it; faces that share both are of one kind."""
    if isinstance(memory, np.ndarray):
        return np.ndarray
    return tuple(map(_kind, memory)) if isinstance(memory, tuple) else memory


def _measured_together(faces: Sequence[Measurement]) -> Measurement:
    """Join the measurements of faces of one kind."""
    points, units, frames, scores, displacements = zip(*faces, strict=True)
    return Measurement(
        np.array(points),
        np.array(units)[:, None],
        frames[0],
        None if scores[0] is None else np.array(scores),
        None if displacements[0] is None else Displacements(*map(np.array, zip(*displacements, strict=True))),
    )
