"""Fit the head that `measures.MEAN_FACE` is: the mean of the training faces of 300-W, in whole mm.

    python tools/mean_face.py DATA [ROUNDS]

DATA holds 300w/. By turns each face's turn and place before a camera about a metre away are found with the
head as it is, and every point of the head is moved to where the faces want it; the head stays symmetric, its
eyes' centres 63 mm apart (Dodgson 2004). What photographs hardly tell, the depth, a prior of a hundred faces
holds to the head as it was. Prints the table and how far faces lie from the head before and after.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from steadyface import markup, measures, metrics
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples
from steadyface.pts import read_pts

EYES_APART = 63.0  # mm
PRIOR = 100.0  # faces
FOCAL = 7.0  # times the face's larger side, as of a face about a metre away
TIP = markup.GROUPS["nose_bridge"][-1]


def main(data: str, rounds: str = "10") -> None:
    faces = np.stack(
        [read_pts(sample.points_path) for sample in find_samples(Path(data) / "300w", TRAIN_PARTS)]
    )
    head = measures.MEAN_FACE.copy()
    for _ in range(int(rounds)):
        head = improved(head, faces)
    rounded = np.round(head - head[TIP]).astype(int)
    for name, members in markup.GROUPS.items():
        print(f'"{name}": {", ".join(str(tuple(map(int, rounded[i]))) for i in members)}')
    print(f"{len(faces)} faces, median distance from the head, % of the inter-ocular distance: ", end="")
    print(" → ".join(f"{distance(shape, faces):.2f}" for shape in (measures.MEAN_FACE, head)))


def improved(head: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The head (68, 3) after one round."""
    gram, pull = PRIOR * np.eye(3), PRIOR * head
    for face in faces:
        rotation, place, focal = posed(head, face)
        depth = head @ rotation[2] + place[2]
        wanted = (face - face.mean(axis=0)) * depth[:, None] / focal - place[:2]
        gram = gram + rotation[:2].T @ rotation[:2]
        pull = pull + wanted @ rotation[:2]
    moved = np.linalg.solve(gram, pull.T).T
    moved = (moved + moved[markup.FLIP] * [-1, 1, 1]) / 2
    right, left = (moved[list(markup.GROUPS[name])].mean(axis=0) for name in ("right_eye", "left_eye"))
    moved *= EYES_APART / np.linalg.norm(left - right)
    return moved - moved.mean(axis=0)


def posed(head: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation, translation in mm and focal length in px that bring the head closest to a face."""
    points = face - face.mean(axis=0)
    focal = FOCAL * float(np.ptp(points, axis=0).max())
    camera = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1]])
    _, turn, place = cv2.solvePnP(head, points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    return cv2.Rodrigues(turn)[0], place[:, 0], focal


def distance(head: np.ndarray, faces: np.ndarray) -> float:
    """Median over the faces of the mean distance, % of the inter-ocular distance."""
    errors = []
    for face in faces:
        rotation, place, focal = posed(head, face)
        seen = head @ rotation.T + place
        points = face - face.mean(axis=0)
        errors.append(100 * np.linalg.norm(focal * seen[:, :2] / seen[:, 2:] - points, axis=-1).mean())
    return float(np.median(errors / metrics.interocular(faces)))


if __name__ == "__main__":
    main(*sys.argv[1:])
