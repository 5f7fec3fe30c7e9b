"""Pose and openness against the camera and the shapes that made the points."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from steadyface import markup
from steadyface.measures import MEAN_FACE, eye_aspect_ratio, head_pose, mouth_aspect_ratio
from steadyface.pts import read_pts

WIDTH, HEIGHT = 1280, 720
angle = st.floats(-0.9, 0.9)


def project(rotation: np.ndarray, translation: np.ndarray, focal: float = WIDTH) -> np.ndarray:
    """The mean face before a camera whose axis meets the image's middle."""
    camera = MEAN_FACE @ Rotation.from_euler("XYZ", rotation).as_matrix().T + translation
    return focal * camera[:, :2] / camera[:, 2:] + [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]


@given(angle, angle, st.floats(-3, 3), st.floats(-300, 300), st.floats(-150, 150), st.floats(300, 3000))
def test_pose_is_the_inverse_of_the_projection(
    rx: float, ry: float, rz: float, tx: float, ty: float, tz: float
) -> None:
    pose = head_pose(project(np.array([rx, ry, rz]), np.array([tx, ty, tz])), WIDTH, HEIGHT)
    # The solver ends its iterations at about 1e-5 of the unknowns.
    np.testing.assert_allclose(pose.rotation, [rx, ry, rz], rtol=0, atol=2e-4)
    np.testing.assert_allclose(pose.translation, [tx, ty, tz], rtol=1e-3, atol=0.1)


def test_signs_are_those_that_the_docstring_names() -> None:
    ahead = project(np.zeros(3), np.array([0, 0, 600.0]))
    tip, (right, left) = 30, markup.OUTER_EYE_CORNERS
    nodding, turning, tilting = (project(0.3 * axis, np.array([0, 0, 600.0])) for axis in np.eye(3))
    assert nodding[tip, 1] > ahead[tip, 1] + 5
    assert turning[tip, 0] < ahead[tip, 0] - 5
    assert tilting[left, 1] > tilting[right, 1] + 5


def test_many_faces_at_once_are_many_single_ones() -> None:
    turns = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 3, 3))
    points = np.array([[project(turn, np.array([10, 20, 700.0])) for turn in row] for row in turns])
    poses = head_pose(points, WIDTH, HEIGHT)
    assert poses.rotation.shape == poses.translation.shape == (2, 3, 3)
    single = head_pose(points[1, 2], WIDTH, HEIGHT)
    np.testing.assert_array_equal(poses.rotation[1, 2], single.rotation)
    assert head_pose(points[:0], WIDTH, HEIGHT).rotation.shape == (0, 3, 3)


def test_another_focal_length_scales_the_distance() -> None:
    points = project(np.zeros(3), np.array([0, 0, 800.0]), focal=3000)
    assert head_pose(points, WIDTH, HEIGHT, focal=3000).translation[2] == pytest.approx(800, rel=1e-3)
    # Perspective within the face changes a little too: hence not exactly 1280 / 3000.
    assert head_pose(points, WIDTH, HEIGHT).translation[2] == pytest.approx(800 * WIDTH / 3000, rel=0.1)


def test_a_face_of_few_pixels_in_a_large_picture_has_a_pose() -> None:
    rotation, translation = np.array([0.1, -0.3, 0.05]), np.array([200.0, 100, 30000])
    pose = head_pose(project(rotation, translation), WIDTH, HEIGHT)
    np.testing.assert_allclose(pose.rotation, rotation, rtol=0, atol=0.01)
    np.testing.assert_allclose(pose.translation, translation, rtol=0.01)


@pytest.mark.parametrize("points", [np.zeros((68, 2)), np.full((68, 2), np.nan)])
def test_no_face_has_no_pose(points: np.ndarray) -> None:
    pose = head_pose(points, WIDTH, HEIGHT)
    assert np.isnan(pose.rotation).all()
    assert np.isnan(pose.translation).all()
    assert np.isnan(mouth_aspect_ratio(points))
    assert np.isnan(eye_aspect_ratio(points, "left_eye"))


def test_an_opening_mouth_does_not_turn_the_head() -> None:
    opened = MEAN_FACE + 30 * markup.JAW_DROP[:, None] * [0, 1, 0] + [0, 0, 600]
    points = WIDTH * opened[:, :2] / opened[:, 2:] + [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]
    # Upper lips are lifted by up to 6 % of the 30 mm that the chin drops.
    assert np.abs(head_pose(points, WIDTH, HEIGHT).rotation).max() < np.radians(3)


def test_the_mean_face_is_symmetric_and_of_an_adults_size() -> None:
    mirrored = MEAN_FACE[markup.FLIP] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, MEAN_FACE, atol=1e-9)  # float64 around a mean
    eyes = [MEAN_FACE[markup.GROUPS[f"{side}_eye"], 0].mean() for side in ("right", "left")]
    # Distance of adults' pupils: 63 mm, standard deviation 4 (Dodgson 2004); coordinates are whole mm.
    assert eyes[1] - eyes[0] == pytest.approx(63, abs=1)


@given(st.floats(0, 1), st.floats(0.1, 50), st.floats(-3, 3))
def test_openness_is_height_over_width_whatever_the_size_and_turn(
    open_: float, scale: float, turn: float
) -> None:
    points = np.zeros((68, 2))
    for group in ("right_eye", "left_eye", "inner_lips"):
        upper, lower = markup.facing(group)
        _, left = markup.corners(group)
        points[left, 0] = 1
        points[upper] = points[lower] = np.column_stack([np.linspace(0.2, 0.8, len(upper)), 0 * upper])
        points[lower, 1] = open_
    cos, sin = np.cos(turn), np.sin(turn)
    points = scale * points @ np.array([[cos, sin], [-sin, cos]]) + 7
    for value in (
        eye_aspect_ratio(points, "right_eye"),
        eye_aspect_ratio(points, "left_eye"),
        mouth_aspect_ratio(points),
    ):
        assert value == pytest.approx(open_, abs=1e-9)  # float64


def test_left_and_right_are_the_subjects_own() -> None:
    winking = MEAN_FACE[:, :2].copy()
    upper, lower = markup.facing("left_eye")
    winking[upper, 1] = winking[lower, 1]
    assert eye_aspect_ratio(winking, "left_eye") < 0.1 < eye_aspect_ratio(winking, "right_eye")
    assert winking[upper, 0].min() > 0  # an unmirrored picture's right


def test_real_faces_are_where_the_model_says(data_dir: Path) -> None:
    """Faces of HELEN's test set, as annotated, lie where the solved pose projects the mean face."""
    errors, pitches = [], []
    for path in sorted((data_dir / "300w" / "helen" / "testset").glob("*.pts"))[::5]:
        points = read_pts(path)
        side = 2.5 * float(np.ptp(points, axis=0).max())
        points = points - points.mean(axis=0) + side / 2
        pose = head_pose(points, side, side)
        matrix = Rotation.from_euler("XYZ", pose.rotation).as_matrix()
        camera = np.array([[side, 0, (side - 1) / 2], [0, side, (side - 1) / 2], [0, 0, 1]])
        shown = cv2.projectPoints(MEAN_FACE, matrix, pose.translation, camera, None)[0][:, 0]
        eyes = np.linalg.norm(np.subtract(*points[list(markup.OUTER_EYE_CORNERS)]))
        errors.append(np.linalg.norm(shown - points, axis=1).mean() / eyes)
        pitches.append(pose.rotation[0])
    # People differ from their mean: 4 mm of the 88 between the eyes' corners, and they smile.
    assert np.median(errors) < 0.07
    assert abs(np.degrees(np.mean(pitches))) < 5
