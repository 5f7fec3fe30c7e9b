"""The 68-point markup of iBUG / Multi-PIE, and the 7-point subsets.

Points are numbered from 0. *Right* and *left* are the subject's own; in an unmirrored picture the right eye
lies left. Only this module knows the meaning of a landmark's number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from steadyface.errors import ConfigError
from steadyface.shapes import as_numbers

COUNT = 68


def as_faces(points: Any) -> Float[np.ndarray, "*batch 68 2"]:
    """Return points of this markup, which may be lists, as an array.

    Raises:
        ConfigError: no numbers, or another shape than (…, 68, 2), such as that of another markup.
    """
    array = as_numbers(points, "points")
    if array.shape[-2:] != (COUNT, 2):
        raise ConfigError(f"points must be the 68 of iBUG's markup, (…, 68, 2), got shape {array.shape}")
    return array


GROUPS: dict[str, range] = {
    "jaw": range(0, 17),
    "right_brow": range(17, 22),
    "left_brow": range(22, 27),
    "nose_bridge": range(27, 31),
    "nose_base": range(31, 36),
    "right_eye": range(36, 42),
    "left_eye": range(42, 48),
    "outer_lips": range(48, 60),
    "inner_lips": range(60, 68),
}
"""Name of each facial part → its points, in drawing order."""

CLOSED_GROUPS = frozenset({"right_eye", "left_eye", "outer_lips", "inner_lips"})

NAMES: tuple[str, ...] = tuple(f"{group}_{i}" for group, points in GROUPS.items() for i in range(len(points)))
"""One name per point: `jaw_0` (subject's right ear) … `inner_lips_7`."""

EYES = ("right_eye", "left_eye")


def _labels() -> tuple[str, ...]:
    jaw = [f"jaw, right {i}" for i in range(1, 8)], [f"jaw, left {i}" for i in range(7, 0, -1)]
    brow = ["outer end of the {} brow", "{} brow 2", "{} brow 3", "{} brow 4", "inner end of the {} brow"]
    eye = ["outer corner of the {} eye", "upper lid, {} eye, outer", "upper lid, {} eye, inner"]
    eye += ["inner corner of the {} eye", "lower lid, {} eye, inner", "lower lid, {} eye, outer"]
    order = [3, 2, 1, 0, 5, 4]  # of the left eye, which begins at its inner corner
    upper = ["upper lip, right 2", "upper lip, right 1", "middle of the upper lip"]
    upper += ["upper lip, left 1", "upper lip, left 2"]
    lower = ["lower lip, left 2", "lower lip, left 1", "middle of the lower lip"]
    lower += ["lower lip, right 1", "lower lip, right 2"]
    return (
        *("right end of the jaw", *jaw[0], "chin", *jaw[1], "left end of the jaw"),
        *(name.format("right") for name in brow),
        *(name.format("left") for name in reversed(brow)),
        *("root of the nose", "bridge of the nose 1", "bridge of the nose 2", "tip of the nose"),
        *("right nostril, outer", "right nostril", "base of the nose", "left nostril", "left nostril, outer"),
        *(name.format("right") for name in eye),
        *(eye[i].format("left") for i in order),
        *("right corner of the mouth", *upper, "left corner of the mouth", *lower),
        *("right corner, inside", "upper lip, inside right", "middle of the upper lip, inside"),
        *("upper lip, inside left", "left corner, inside", "lower lip, inside left"),
        *("middle of the lower lip, inside", "lower lip, inside right"),
    )


LABELS = _labels()
"""One description per point, for people; right and left are the subject's own."""

EARS = [0, 16]
"""The jaw's ends, beside the ears."""

NOSE_TIP = 30

NOSE_BASE = 33

OUTER_EYE_CORNERS = (36, 45)
"""Points between which the inter-ocular distance is measured (37 and 46 when counted from 1)."""


def _edges() -> np.ndarray:
    edges = [(i, i + 1) for points in GROUPS.values() for i in points[:-1]]
    edges += [(GROUPS[group][-1], GROUPS[group][0]) for group in GROUPS if group in CLOSED_GROUPS]
    return np.array(sorted(edges))


EDGES = _edges()
"""(E, 2) pairs of points joined by a line of the face's contours."""


def _flip() -> np.ndarray:
    mirrored = [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31),  # bridge of the nose
        *range(35, 30, -1),  # base of the nose
        *(45, 44, 43, 42, 47, 46),  # right eye ← left eye
        *(39, 38, 37, 36, 41, 40),  # left eye ← right eye
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
    ]
    return np.array(mirrored)


FLIP = _flip()
"""(68,): in a mirrored image, point i lies where point FLIP[i] was."""

SEVEN = np.array([36, 39, 42, 45, 30, 48, 54])
"""Seven points shared with other markups: eye corners (4), tip of the nose, mouth corners (2)."""

SEVEN_TALKING_FACE = np.array([27, 29, 34, 32, 67, 48, 54])
"""The same seven points in FGNET's own 68-point markup of the Talking Face video."""

WFLW = np.array(
    [
        *range(0, 33, 2),  # jaw
        *(*range(33, 38), *range(42, 47)),  # upper edges of the brows
        *range(51, 60),  # nose
        *(60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75),  # eyes, without the middles of the lids
        *range(76, 96),  # lips
    ]
)
"""(68,): points of WFLW's 98 that are nearest to iBUG's, in iBUG's order: `points[..., WFLW, :]`."""

FGNET_TO_IBUG: dict[int, int] = {
    **{27: 36, 29: 39, 34: 42, 32: 45},  # eye corners
    41: 33,  # base of the nose
    **{i: i for i in (48, 49, 50, 51, 52, 53, 54, 57)},  # outer lips
}
"""Points of FGNET's markup that coincide with one of iBUG's: in the median within 1.5 % of the
inter-ocular distance of what a network trained on iBUG's markup finds, for children and adults alike. Other
points are spaced differently, lie beside their namesake (the tip of the nose by 2.8 %) or have none."""


def corners(group: str) -> tuple[int, int]:
    """Two ends of a closed contour (one of `CLOSED_GROUPS`), the one on the subject's right first.

    >>> corners("right_eye")
    (36, 39)
    """
    points = GROUPS[group]
    return points[0], points[len(points) // 2]


def facing(group: str) -> tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]:
    """Upper and lower points of a closed contour that are opposite each other, from the subject's right.

    The two corners are in no pair.

    >>> facing("right_eye")
    (array([37, 38]), array([41, 40]))
    """
    points = np.array(GROUPS[group])
    half = len(points) // 2
    return points[1:half], points[:half:-1]


def _per_point(by_group: dict[str, tuple[float, ...]]) -> np.ndarray:
    """(68,): values of some groups' points, in drawing order; 0 for all others."""
    values = np.zeros(COUNT)
    for group, of_group in by_group.items():
        values[GROUPS[group]] = of_group
    return values


JAW_DROP = _per_point(
    {
        "jaw": (0, 0, 0.04, 0.12, 0.27, 0.45, 0.68, 0.84, 0.9, 0.84, 0.68, 0.45, 0.27, 0.12, 0.04, 0, 0),
        "outer_lips": (0.3, -0.02, -0.05, -0.06, -0.05, -0.02, 0.3, 0.75, 0.95, 1, 0.95, 0.75),
        "inner_lips": (0.3, -0.05, -0.06, -0.05, 0.3, 0.92, 1, 0.92),
    }
)
"""(68,): downward motion of each point when the jaw drops; 1 for the middle of the lower lip."""

NOSE_DEPTH = _per_point({"nose_bridge": (0.2, 0.4, 0.7, 1.0), "nose_base": (0.3, 0.5, 0.6, 0.5, 0.3)})
"""(68,): height of each point of the nose above the face; 1 for the tip."""
