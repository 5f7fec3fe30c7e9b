"""Landmarks that something covers: taken back to where they were in sight, and carried on by the picture.

A hand that comes in from the side pushes the landmarks at its edge along for some frames before the network
is unsure of them; until then it looks as if a mouth moved. Once it is unsure, those frames are taken back.
The usual score falls with the scores, so a landmark that stays covered is left to the network after seconds.
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


class Sight(NamedTuple):
    """Memory of the landmarks while they were in sight.

    Args:
        points: (2, …, landmarks) where the picture has carried them, image px.
        usual: (…, landmarks) score that each usually has; 0 at the start, when none counts as covered.
    """

    points: Vectors
    usual: Float[np.ndarray, "*faces landmarks"]


def look(
    sight: Sight,
    points: Vectors,
    scores: Float[np.ndarray, "*faces landmarks"] | None,
    limit: float,
    recall: float,
) -> tuple[Sight, Vectors]:
    """Take covered landmarks back, and remember the others.

    A landmark is covered if its score is less than `limit` of its usual one, and so is the mean of its part
    of the face: a mouth that only opens wide has some low scores too.

    Args:
        sight: memory after the last frame, moved on by the picture.
        points: (2, …, landmarks) image px.
        scores: in [0, 1]; None where they are not known, and then no landmark is covered.
        limit: ratio to the usual score.
        recall: ratio by which the memory follows the landmarks in sight.

    Returns:
        The new memory, and the points.
    """
    usual = sight.usual
    if scores is not None:
        low = scores < limit * usual
        if scores.shape[-1] == markup.COUNT and low.any():
            ratios = (scores / np.maximum(usual, _LEAST))[..., _JAW_END:]
            parts = np.add.reduceat(ratios, _PARTS, axis=-1) / _SIZES
            low[..., :_JAW_END] = False
            low[..., _JAW_END:] &= (parts < limit).repeat(_SIZES, axis=-1)
            points = np.where(low, sight.points, points)
        change = scores - usual
        usual = usual + np.maximum(_RISE * change, _FALL * change)
    return Sight(sight.points + recall * (points - sight.points), usual), points
