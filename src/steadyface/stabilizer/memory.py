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
        skin: step of the landmarks' own belief to this frame; None before the first frame with a picture.
        late: whether the picture came late: an earlier frame since the cut has only the directions.
    """

    belief: Belief
    skin: SkinStep | None = None
    late: bool = False


class Last(NamedTuple):
    """Part of the memory after the last frame that the next step needs; of one face or of several.

    Args:
        mean, covariance: of the belief about the motion along the directions.
        skin: the landmarks' own belief; None before the first frame with a picture.
        late: as in `Memory`.
    """

    mean: Float[np.ndarray, "2 *faces D"]
    covariance: Float[np.ndarray, "3 *faces D"]
    skin: Skin | None
    late: bool


def last_of(memory: Memory) -> Last:
    """Select the part of a memory that the next step needs."""
    belief, skin = memory.belief, memory.skin
    return Last(belief.mean, belief.covariance, None if skin is None else skin.after, memory.late)


def shots(states: Iterable[State | None]) -> Iterator[Iterator[State]]:
    """Split states where they restart; None, which come before the first state, are left out."""
    shot = 0

    def number(state: State) -> int:
        nonlocal shot
        shot += state.screened.restarts
        return shot

    complete = (state for state in states if state is not None)
    return (part for _, part in groupby(complete, key=number))


def distinct_memories(states: Iterable[State]) -> Iterator[tuple[Memory, int]]:
    """Successive distinct memories, each with the number of states that share it: unusable frames keep it."""
    last, count = None, 0
    for state in states:
        if last is not None and state.memory is not last:
            yield last, count
            count = 0
        last, count = state.memory, count + 1
    if last is not None:
        yield last, count
