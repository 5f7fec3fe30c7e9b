"""A head of few vertices, for tests: the mean face on the front of a skull."""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay

from steadyface import markup
from steadyface.measures import MEAN_FACE
from steadyface.synthetic.heads.model import HeadModel, Part


def small_head() -> HeadModel:
    """The mean face in cm, with eyelids, a jaw and two identities; its triangles join its landmarks."""
    face = MEAN_FACE * [0.1, -0.1, -0.1]
    identity = np.stack([face * [0.05, 0, 0], face * [0, 0.05, 0]])
    moved = np.zeros((3, *face.shape))
    for number, eye in enumerate(markup.EYES):
        upper, lower = markup.facing(eye)
        moved[number, upper] = face[lower] - face[upper] + [0, 0, 0.05]
    moved[2, [*range(5, 12), *range(55, 60), *range(65, 68)]] = [0, -2, -0.5]
    return HeadModel(
        neutral=face,
        identity=identity.astype(np.float32),
        expression=moved.astype(np.float32),
        names=("eyeBlink_R", "eyeBlink_L", "jawOpen"),
        triangles=Delaunay(face[:, :2]).simplices.astype(int),
        parts=np.full(len(face), Part.FACE),
        landmarks=np.arange(markup.COUNT),
    )
