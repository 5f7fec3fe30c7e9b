"""Memory of the default stabiliser after a frame, and those of successive frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.stabilizer.base import State
from steadyface.stabilizer.directions import Belief
from steadyface.stabilizer.picture import Skin
from steadyface.stabilizer.smoothing import SkinStep


class Memory(NamedTuple):
    """State of the filter after a frame.

    Args:
        belief: about the motion along the directions.
        skin: the step that led to the landmarks' own belief, once a picture has been seen.
        late: whether an earlier frame since the cut has only the directions, since no picture led from it.
    """

    belief: Belief
    skin: SkinStep | None = None
    late: bool = False


class Last(NamedTuple):
    """Of the memory after the last frame, what the next step asks for; of one face or of several.

    Args:
        mean, covariance: of the belief about the motion along the directions.
        skin: the landmarks' own belief, once a picture has been seen.
        late: as in `Memory`.
    """

    mean: Float[np.ndarray, "2 *faces D"]
    covariance: Float[np.ndarray, "3 *faces D"]
    skin: Skin | None
    late: bool


def last_of(memory: Memory) -> Last:
    """Take what the next step asks for."""
    belief, skin = memory.belief, memory.skin
    return Last(belief.mean, belief.covariance, None if skin is None else skin.after, memory.late)


def shots(states: Iterable[State | None]) -> Iterator[Iterator[State]]:
    """Split states where they restart, without the None that stand before the first."""
    shot = 0

    def number(state: State) -> int:
        nonlocal shot
        shot += state.screened.restarts
        return shot

    seen = (state for state in states if state is not None)
    return (part for _, part in groupby(seen, key=number))


def distinct_memories(states: Iterable[State]) -> Iterator[tuple[Memory, int]]:
    """Memories that differ, each with the number of states that have it: unusable frames leave it alone."""
    last, count = None, 0
    for state in states:
        if last is not None and state.memory is not last:
            yield last, count
            count = 0
        last, count = state.memory, count + 1
    if last is not None:
        yield last, count
