"""Train the shape model of `steadyface.frontal`: the modes of identity and of expression of a face's points.

    python tools/face_shape.py DATA OUT.json [ROUNDS]

DATA holds 300w/ and extra/ict_facekit. Expectation maximisation of the two covariances on the training faces
of 300-W, begun at those of ICT-FaceKit's faces (MIT), which also count as half as many faces more in each
round: photographs hardly tell of depth and of closed eyes. Both are symmetric. What is written are the
leading modes. Prints after each round how far the faces lie from the model fitted to them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from steadyface import markup, metrics
from steadyface.camera import Camera
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples
from steadyface.frontal.fit import ERRORS, Fit, fit_faces
from steadyface.frontal.shape import FaceShape
from steadyface.measures import MEAN_FACE, head_pose
from steadyface.pts import read_pts
from steadyface.synthetic.heads.model import HeadModel
from steadyface.training.turned import HEAD_MODEL

IDENTITIES, EXPRESSIONS = 20, 24  # modes that are kept
FOCAL = 7.0  # times the face's side, as of a face about a metre away
USE = 0.35  # standard deviation of the weight of one of ICT-FaceKit's expressions
START_SHARE = 0.5  # of the faces of 300-W: how many the start counts for
JAW_ERROR = 3.0  # mm, of a face that looks ahead
AHEAD = np.radians(10)
UNKNOWN = 1e6  # mm²: variance of what a pose can do

Covariance = np.ndarray


def main(data: str, out: str, rounds: str = "6") -> None:
    start = started(Path(data) / "extra" / HEAD_MODEL)
    faces = np.stack([read_pts(each.points_path) for each in find_samples(Path(data) / "300w", TRAIN_PARTS)])
    fits = [fitted(model_of(*start), face) for face in faces]
    parts = start
    for number in range(int(rounds)):
        parts = improved(parts, start, faces, fits)
        model = model_of(*parts)
        fits = [fitted(model, face) for face in faces]
        print(f"round {number + 1}: {distance(model, faces, fits):.3f} % of the inter-ocular distance")
    model_of(*parts).save(out)


def started(path: Path) -> tuple[Covariance, Covariance]:
    """Covariances (204, 204) of ICT-FaceKit's identities and expressions, mm²."""
    head = HeadModel.load(path)
    at = head.landmarks
    eyes = [head.neutral[at[list(markup.GROUPS[eye])]].mean(axis=0) for eye in markup.EYES]
    own = [MEAN_FACE[list(markup.GROUPS[eye])].mean(axis=0) for eye in markup.EYES]
    scale = np.linalg.norm(own[1] - own[0]) / np.linalg.norm(eyes[1] - eyes[0])
    axes = scale * np.array([1.0, -1.0, -1.0])
    identity, expression = (modes[:, at].astype(float) * axes for modes in (head.identity, head.expression))
    return covariance(identity), covariance(USE * expression)


def covariance(modes: np.ndarray) -> Covariance:
    """Covariance of modes (k, 68, 3) and their mirror images."""
    mirrored = modes[:, markup.FLIP] * [-1, 1, 1]
    both = np.concatenate([modes, mirrored]).reshape(2 * len(modes), -1)
    return both.T @ both / 2


def model_of(identity: Covariance, expression: Covariance) -> FaceShape:
    """The leading modes of two covariances."""
    return FaceShape(leading(identity, IDENTITIES), leading(expression, EXPRESSIONS))


def leading(spread: Covariance, count: int) -> np.ndarray:
    values, vectors = np.linalg.eigh(spread)
    kept = np.sqrt(np.clip(values[-count:], 0, None)) * vectors[:, -count:]
    return kept.T[::-1].reshape(count, markup.COUNT, 3)


def fitted(model: FaceShape, face: np.ndarray) -> Fit:
    """Pose and shape of one photograph."""
    camera = camera_of(face)
    pose = head_pose(face, 0, 0, camera=camera)
    return fit_faces(
        model,
        camera.directions(face)[None],
        np.ones((1, markup.COUNT)),
        pose.matrix[None],
        pose.translation[None],
    )


def camera_of(face: np.ndarray) -> Camera:
    """A camera that looks at the face from about a metre."""
    middle = face.mean(axis=0)
    focal = FOCAL * float(np.ptp(face, axis=0).max())
    return Camera(np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]]))


def improved(parts: tuple, start: tuple, faces: np.ndarray, fits: list[Fit]) -> tuple[Covariance, Covariance]:
    """Both covariances after one round."""
    sums = [START_SHARE * len(faces) * each for each in start]
    for face, fit in zip(faces, fits, strict=True):
        observe, pose, left = observed(fit, face)
        ahead = abs(np.arcsin(fit.rotation[0, 0, 2])) < AHEAD
        noise = np.minimum(ERRORS, JAW_ERROR) if ahead else ERRORS
        total = np.diag(np.repeat(noise, 2) ** 2) + UNKNOWN * pose @ pose.T
        total += observe @ (parts[0] + parts[1]) @ observe.T
        solved = np.linalg.solve(total, np.column_stack([left, observe]))
        for number, spread in enumerate(parts):
            gain = spread @ observe.T
            mean = gain @ solved[:, 0]
            sums[number] = sums[number] + np.outer(mean, mean) + spread - gain @ solved[:, 1:] @ spread
    count = (1 + START_SHARE) * len(faces)
    return tuple(symmetric(each / count) for each in sums)


def observed(fit: Fit, face: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of the points by shape (136, 204) and pose (136, 6), and what shape has to explain (136,).

    All in mm at the face's distance; the last is the points' deviation from the mean face in this pose.
    """
    rotation, place = fit.rotation[0], fit.translation[0]
    turned = MEAN_FACE @ rotation.T
    x, y, z = (turned + place).T
    none = np.zeros_like(x)
    rows = place[2] * np.stack(
        [np.stack([1 / z, none, -x / z**2], -1), np.stack([none, 1 / z, -y / z**2], -1)], -2
    )
    by_shape = np.zeros((markup.COUNT, 2, markup.COUNT, 3))
    by_shape[range(markup.COUNT), :, range(markup.COUNT)] = rows @ rotation
    pose = np.concatenate([np.cross(turned[:, None], rows), rows], axis=-1)
    left = place[2] * (camera_of(face).directions(face) - np.stack([x / z, y / z], axis=-1))
    return by_shape.reshape(2 * markup.COUNT, -1), pose.reshape(2 * markup.COUNT, -1), left.ravel()


def symmetric(spread: Covariance) -> Covariance:
    """Mean with the mirrored one."""
    split = spread.reshape(markup.COUNT, 3, markup.COUNT, 3)
    sign = np.array([-1.0, 1.0, 1.0])
    mirrored = split[markup.FLIP][:, :, markup.FLIP] * sign[:, None, None] * sign
    return (split + mirrored).reshape(spread.shape) / 2


def distance(model: FaceShape, faces: np.ndarray, fits: list[Fit]) -> float:
    """Median over the faces of the mean distance of the inner points, % of the inter-ocular distance."""
    errors = []
    for face, fit in zip(faces, fits, strict=True):
        camera = camera_of(face)
        seen = fit.directions(model)[0] * camera.matrix[[0, 1], [0, 1]] + camera.matrix[:2, 2]
        errors.append(np.linalg.norm(seen - face, axis=-1)[17:].mean() / metrics.interocular(face))
    return 100 * float(np.median(errors))


if __name__ == "__main__":
    main(*sys.argv[1:])
