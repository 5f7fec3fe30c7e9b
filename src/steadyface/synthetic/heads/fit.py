"""Pose, identity and expression of a head model from 68 points, by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import lsq_linear

from steadyface import markup
from steadyface.arrays import FacePoints
from steadyface.synthetic.heads.model import HeadModel, Vertices

Rotation = Float[np.ndarray, "3 3"]

_ROUNDS = 5
_ERROR = 0.12  # cm: standard deviation of a point's distance from the model
_EXPRESSION_DEVIATION = 0.35
_MOST_IDENTITY = 2.5
_OUTLINE_WEIGHT = 0.3  # of the jaw's sides, which slide along the outline as the head turns
_UP = np.array([1.0, -1.0, 1.0])  # the model's y points up, the image's down


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A head model's pose in a picture (weak perspective) and its coefficients.

    Args:
        scale: px per cm.
        rotation: of the model's axes.
        shift: the model's origin, image px.
        identity, expression: as of `HeadModel`.
    """

    scale: float
    rotation: Rotation
    shift: Float[np.ndarray, "2"]
    identity: Float[np.ndarray, "identities"]
    expression: Float[np.ndarray, "expressions"]

    def place(self, vertices: Vertices) -> Vertices:
        """Map vertices (cm) to the picture: x and y in image px, and depth towards the viewer, px."""
        return self.scale * (vertices @ self.rotation.T) * _UP + [*self.shift, 0.0]

    @property
    def yaw(self) -> float:
        """Angle by which the nose points to the image's right, radians."""
        return float(np.arctan2(self.rotation[0, 2], self.rotation[2, 2]))


def fit_head(model: HeadModel, points: FacePoints) -> HeadFit:
    """Fit a head model to a face's points.

    Equation: min over s, R, t, z, w of Σ ωᵢ |s·R·v(z, w)ᵢ + t - pᵢ|² / (s·σ)² + |z|² + |w|² / τ², 0 ≤ w ≤ 1;
    pose and coefficients are solved for in turns.

    Args:
        model: of the head.
        points: (68, 2), image px.
    """
    weights = np.ones(markup.COUNT)
    weights[list(markup.GROUPS["jaw"])] = _OUTLINE_WEIGHT
    basis = np.concatenate([model.identity[:, model.landmarks], model.expression[:, model.landmarks]])
    basis = basis.astype(float)
    split, coefficients = len(model.identity), np.zeros(len(basis))
    neutral = model.neutral[model.landmarks]
    shape = neutral
    for _ in range(_ROUNDS):
        scale, rotation, shift = _pose(shape, points, weights)
        coefficients = _coefficients(neutral, basis, points, weights, split, (scale, rotation, shift))
        shape = neutral + np.tensordot(coefficients, basis, 1)
    scale, rotation, shift = _pose(shape, points, weights)
    return HeadFit(scale, rotation, shift, coefficients[:split], coefficients[split:])


Pose = tuple[float, Rotation, Float[np.ndarray, "2"]]


def _pose(shape: Float[np.ndarray, "68 3"], points: FacePoints, weights: Float[np.ndarray, "68"]) -> Pose:
    """Weak-perspective pose: the affine map of least squares, then the nearest scaled rotation."""
    normalised = weights / weights.sum()
    middle, centre = normalised @ shape, normalised @ points
    root = np.sqrt(normalised)[:, None]
    affine = np.linalg.lstsq(root * (shape - middle), root * (points - centre) * _UP[:2], rcond=None)[0].T
    left, sizes, right = np.linalg.svd(affine, full_matrices=False)
    rows = left @ right
    rotation = np.vstack([rows, np.cross(rows[0], rows[1])])
    scale = float(sizes.mean())
    return scale, rotation, centre - scale * (rotation @ middle)[:2] * _UP[:2]


def _coefficients(
    neutral: Float[np.ndarray, "68 3"],
    basis: Float[np.ndarray, "coefficients 68 3"],
    points: FacePoints,
    weights: Float[np.ndarray, "68"],
    split: int,
    pose: Pose,
) -> Float[np.ndarray, "coefficients"]:
    """Identity (the first `split`) and expression at a given pose."""
    scale, rotation, shift = pose
    projection = rotation[:2] * _UP[:2, None]
    root = np.sqrt(np.repeat(weights, 2)) / _ERROR
    residual = (points - shift) / scale - neutral @ projection.T
    rows = (basis @ projection.T).reshape(len(basis), -1).T * root[:, None]
    deviation = np.ones(len(basis))
    deviation[split:] = _EXPRESSION_DEVIATION
    system = np.vstack([rows, np.diag(1 / deviation)])
    target = np.concatenate([residual.ravel() * root, np.zeros(len(basis))])
    low = np.where(np.arange(len(basis)) < split, -_MOST_IDENTITY, 0.0)
    high = np.where(np.arange(len(basis)) < split, _MOST_IDENTITY, 1.0)
    return np.asarray(lsq_linear(system, target, (low, high), tol=1e-4).x)
