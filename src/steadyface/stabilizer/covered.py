"""Covered landmarks: taken back to where they were before, and moved on by the picture.

A hand that comes in from the side pushes the landmarks at its edge along. For some frames the network is
still sure of them, and it looks as if a mouth moved. Once the network is unsure, the landmarks go back to
where they were before these frames. The usual score falls with the scores, so after some seconds the network
decides about a landmark that stays covered.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.motion.matrices import Vectors

_JAW_END = markup.GROUPS["right_brow"][0]
_PARTS = [
    markup.GROUPS[group][0] - _JAW_END
    for group in ("right_brow", "left_brow", "nose_bridge", "right_eye", "left_eye", "outer_lips")
]
"""First landmarks, counted from the right brow on, of the parts of the face that are covered together.

The jaw is none of them: it disappears as the head turns."""
_SIZES = np.diff([*_PARTS, markup.COUNT - _JAW_END])

_RISE, _FALL = 0.2, 0.01  # of the usual score in a frame, as ratios of its distance from the score
_LEAST = 1e-3  # usual score


class Uncovered(NamedTuple):
    """Memory of the landmarks while nothing covered them.

    Args:
        points: (2, …, landmarks) image px; the picture moves them on while they are covered.
        usual_scores: (…, landmarks) in [0, 1]; 0 at the start, when no landmark counts as covered.
    """

    points: Vectors
    usual_scores: Float[np.ndarray, "*faces landmarks"]


def take_back_covered(
    memory: Uncovered,
    points: Vectors,
    scores: Float[np.ndarray, "*faces landmarks"] | None,
    limit: float,
    recall: float,
) -> tuple[Uncovered, Vectors]:
    """Take covered landmarks back, and remember the others.

    A landmark is covered if its score is less than `limit` of its usual one, and so is the mean of its part
    of the face: a mouth that only opens wide has some low scores too.

    Args:
        memory: after the last frame, moved on by the picture.
        points: (2, …, landmarks) image px.
        scores: in [0, 1]; None where they are not known, and then no landmark is covered.
        limit: ratio to the usual score.
        recall: ratio of the way to a landmark that is not covered by which the memory follows it.

    Returns:
        The new memory, and the points.
    """
    usual = memory.usual_scores
    if scores is not None:
        covered = scores < limit * usual
        if scores.shape[-1] == markup.COUNT and covered.any():
            ratios = (scores / np.maximum(usual, _LEAST))[..., _JAW_END:]
            parts = np.add.reduceat(ratios, _PARTS, axis=-1) / _SIZES
            covered[..., :_JAW_END] = False
            covered[..., _JAW_END:] &= (parts < limit).repeat(_SIZES, axis=-1)
            points = np.where(covered, memory.points, points)
        change = scores - usual
        usual = usual + np.maximum(_RISE * change, _FALL * change)
    return Uncovered(memory.points + recall * (points - memory.points), usual), points
