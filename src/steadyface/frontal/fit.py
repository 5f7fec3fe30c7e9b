"""Pose, person and expression of one face in many frames, by least squares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import FaceSequence
from steadyface.frontal.shape import FaceShape
from steadyface.measures import MEAN_FACE

Rotations = Float[np.ndarray, "frames 3 3"]
Shapes = Float[np.ndarray, "frames 68 3"]
Weights = Float[np.ndarray, "frames 68"]

_ERROR = 0.7  # mm: standard deviation of a point's distance from the model
_CHIN_ERROR, _OUTLINE_ERROR = 2.0, 20.0  # mm: the same for the jaw's middle and its ends
_FREEDOM = 4.0  # of Student's distribution of the errors
_PERSON_FRAMES = 64  # frames, at most, to which a person's shape is fitted
_PERSON_ROUNDS, _ROUNDS = 8, 6
_CHUNK = 256  # frames at a time: 10 MB of derivatives
_POSE = 6  # unknowns of a pose


def _errors() -> Float[np.ndarray, "68"]:
    """Standard deviation of each point's error, mm."""
    errors = np.full(markup.COUNT, _ERROR)
    jaw = list(markup.GROUPS["jaw"])
    sideways = np.abs(np.sin(np.linspace(-np.pi / 2, np.pi / 2, len(jaw))))
    errors[jaw] = _CHIN_ERROR + (_OUTLINE_ERROR - _CHIN_ERROR) * sideways
    return errors


ERRORS = _errors()
"""(68,) standard deviation of each point's distance from the model, mm."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A face model fitted to the points of a face.

    Args:
        rotation: (T, 3, 3) of the face, in the camera's axes: x right, y down, z away.
        translation: (T, 3) mm from the camera to the face's origin, the mean of `MEAN_FACE`.
        person: (68, 3) mm from `MEAN_FACE` to this person's face at rest.
        expression: (T, m) weights of the model's expressions, in standard deviations.
    """

    rotation: Rotations
    translation: Float[np.ndarray, "frames 3"]
    person: Float[np.ndarray, "68 3"]
    expression: Float[np.ndarray, "frames expressions"]

    def at(self, frames: np.ndarray | slice) -> Fit:
        """Select frames."""
        return Fit(self.rotation[frames], self.translation[frames], self.person, self.expression[frames])

    def directions(self, model: FaceShape) -> FaceSequence:
        """Directions x/z, y/z from the camera to the model's points."""
        in_camera = self._shape(model.expression) @ self.rotation.swapaxes(1, 2) + self.translation[:, None]
        return in_camera[..., :2] / in_camera[..., 2:]

    def frontal(self, model: FaceShape) -> Shapes:
        """The mean face with each frame's expression, mm in its own axes."""
        return np.asarray(MEAN_FACE + np.tensordot(self.expression, model.expression, 1))

    def _shape(self, modes: Float[np.ndarray, "expressions 68 3"]) -> Shapes:
        """The person's face with each frame's expression, mm in its own axes."""
        return MEAN_FACE + self.person + np.tensordot(self.expression, modes, 1)


def fit_faces(
    model: FaceShape, directions: FaceSequence, weights: Weights, rotation: Rotations, translation: np.ndarray
) -> Fit:
    """Fit a face model to the points of one person.

    Equation: min over R_t, t_t, w_t and the person's shape s of
    Σ_t Σ_i ω_ti·z_t²·|π(R_t(MEAN_FACE + s + W·w_t)_i + t_t) - p_ti|²/σ_i² + |w_t|² + sᵀC⁻¹s,
    π(X) = (X, Y)/Z, z_t the face's distance. Gauss-Newton in all unknowns; the frames' own are eliminated
    from the normal equations of the person's (Schur complement). ω are the given weights times those of
    Student's distribution.
    The jaw's points have a σ that grows from the chin to the ears: iBUG's jaw is the outline that the picture
    shows, which wanders over the cheeks as the head turns, by a tenth of the inter-ocular distance at 20°.
    Source: Triggs et al. 2000 (bundle adjustment); Lange, Little and Taylor 1989 (weights).

    Args:
        model: of the shape.
        directions: (T, 68, 2) x/z and y/z of the points in the camera's axes.
        weights: (T, 68) of the points, 0 to 1.
        rotation: (T, 3, 3) to begin with.
        translation: (T, 3) to begin with, mm.

    Returns:
        The fit; the person's shape is that of at most 64 frames, spread evenly.
    """
    count = len(directions)
    nothing = np.zeros((count, len(model.expression)))
    fit = Fit(rotation, translation, np.zeros_like(MEAN_FACE), nothing)
    spread = np.unique(np.linspace(0, count - 1, min(count, _PERSON_FRAMES)).astype(int))
    part = fit.at(spread)
    for _ in range(_PERSON_ROUNDS):
        part = _improved(model, part, directions[spread], weights[spread], with_person=True)
    fit = replace(fit, person=part.person)
    chunks = [slice(begin, begin + _CHUNK) for begin in range(0, count, _CHUNK)]
    parts = []
    for chunk in chunks:
        part = fit.at(chunk)
        for _ in range(_ROUNDS):
            part = _improved(model, part, directions[chunk], weights[chunk])
        parts.append(part)
    return Fit(
        np.concatenate([part.rotation for part in parts]),
        np.concatenate([part.translation for part in parts]),
        fit.person,
        np.concatenate([part.expression for part in parts]),
    )


def _improved(
    model: FaceShape, fit: Fit, directions: FaceSequence, weights: Weights, with_person: bool = False
) -> Fit:
    """Fit after one Gauss-Newton step, in which J is the matrix of derivatives and e the weighted error.

    Each frame solves (JᵀJ + prior)·step = -(Jᵀe + prior·value) for its pose and expression; `normal` and
    `pull` are the two sides.
    """
    turned = fit._shape(model.expression) @ fit.rotation.swapaxes(1, 2)
    x, y, z = np.moveaxis(turned + fit.translation[:, None], -1, 0)
    error = np.stack([x / z, y / z], axis=-1) - directions
    distance = fit.translation[:, 2, None]
    scale = distance / ERRORS
    length = (error**2).sum(axis=-1) * scale**2
    root = scale * np.sqrt(weights * np.minimum((_FREEDOM + 2) / (_FREEDOM + length), 1.0))
    error *= root[..., None]
    zero = np.zeros_like(z)
    by_point = np.stack([np.stack([1 / z, zero, -x / z**2], -1), np.stack([zero, 1 / z, -y / z**2], -1)], -2)
    by_point *= root[..., None, None]  # (T, 68, 2, 3) derivatives by the point in the camera's axes
    by_turn = np.cross(turned[:, :, None], by_point)  # by_point·(ω × v) = ω·(v × by_point)
    by_shape = by_point @ fit.rotation[:, None]
    by_expression = by_shape @ model.expression.transpose(1, 2, 0)
    frames = np.concatenate([by_turn, by_point, by_expression], axis=-1)
    frames = frames.reshape(len(frames), 2 * markup.COUNT, -1)
    prior = np.concatenate([np.full(_POSE, 1e-9), np.ones(len(model.expression))])
    normal = frames.swapaxes(1, 2) @ frames
    normal[:, *np.diag_indices(len(prior))] += prior
    pull = -(frames.swapaxes(1, 2) @ error.reshape(len(frames), -1, 1))[..., 0]
    pull[:, _POSE:] -= fit.expression
    person = fit.person
    if with_person:
        change, coupling = _person_step(model, fit, by_shape, error, frames, normal, pull)
        person = person + change
        pull = pull - coupling @ change.ravel()
    step = np.linalg.solve(normal, pull[..., None])[..., 0]
    return Fit(
        _rotations(step[:, :3]) @ fit.rotation,
        fit.translation + step[:, 3:_POSE],
        person,
        fit.expression + step[:, _POSE:],
    )


def _person_step(
    model: FaceShape,
    fit: Fit,
    by_shape: Float[np.ndarray, "frames 68 2 3"],
    error: FaceSequence,
    frames: Float[np.ndarray, "frames 136 unknowns"],
    normal: Float[np.ndarray, "frames unknowns unknowns"],
    pull: Float[np.ndarray, "frames unknowns"],
) -> tuple[Float[np.ndarray, "68 3"], Float[np.ndarray, "frames unknowns 204"]]:
    """Change of the person's shape by the Schur complement, in which the frames' unknowns are eliminated.

    Returns:
        The change, mm, and the coupling of each frame's unknowns with the person's.
    """
    count, size = len(frames), 3 * markup.COUNT
    by_frame = frames.reshape(count, markup.COUNT, 2, -1)
    coupling = np.einsum("tiku,tikc->tuic", by_frame, by_shape).reshape(count, -1, size)
    person_normal = np.zeros((markup.COUNT, 3, markup.COUNT, 3))
    diagonal = range(markup.COUNT)
    person_normal[diagonal, :, diagonal] = np.einsum("tikc,tikd->icd", by_shape, by_shape)
    person_normal = person_normal.reshape(size, size) + model.person_precision
    person_pull = -np.einsum("tikc,tik->ic", by_shape, error).ravel()
    person_pull -= model.person_precision @ fit.person.ravel()
    solved = np.linalg.solve(normal, np.concatenate([coupling, pull[..., None]], axis=-1))
    eliminated = np.tensordot(coupling, solved, ((0, 1), (0, 1)))
    change = np.linalg.solve(person_normal - eliminated[:, :size], person_pull - eliminated[:, size])
    return change.reshape(-1, 3), coupling


def _rotations(vectors: Float[np.ndarray, "frames 3"]) -> Rotations:
    """Rotation matrices of rotation vectors (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    safe = np.where(angle > 0, angle, 1.0)
    return np.eye(3) + np.sin(safe) / safe * cross + (1 - np.cos(safe)) / safe**2 * (cross @ cross)
