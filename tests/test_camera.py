"""Cameras: their files, their lenses, and pictures of another size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from steadyface.calibration import read_camera
from steadyface.camera import Camera, camera_for
from steadyface.errors import ConfigError, DataError

MATRIX = np.array([[810.0, 0, 322], [0, 805, 236], [0, 0, 1]])
LENS = np.array([-0.21, 0.09, 0.001, -0.002, 0.01])


def written(path: Path, **values: object) -> Path:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in values.items():
        storage.write(name, value)
    storage.release()
    return path


class TestFile:
    @pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
    def test_is_read_as_opencv_wrote_it(self, tmp_path: Path, suffix: str) -> None:
        whole = {"image_width": 640, "image_height": 480, "camera_matrix": MATRIX}
        camera = read_camera(
            written(tmp_path / f"camera.{suffix}", **whole, distortion_coefficients=LENS[:, None])
        )
        np.testing.assert_array_equal(camera.matrix, MATRIX)
        np.testing.assert_array_equal(camera.distortion, LENS)
        assert camera.size == (640, 480)

    def test_lens_and_size_may_be_missing(self, tmp_path: Path) -> None:
        camera = read_camera(written(tmp_path / "camera.yml", camera_matrix=MATRIX))
        assert camera.size is None
        assert not len(camera.distortion)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "not a calibration by OpenCV"),
            ("camera_matrix: 3", "not a calibration by OpenCV"),
            ("%YAML:1.0\n---\ncamera_matrix: 3\n", "not a calibration by OpenCV"),
            ("%YAML:1.0\n---\nother: 3\n", "no camera_matrix"),
            ("%YAML:1.0\n---\n- 3\n", "not a calibration by OpenCV"),
            ('{"a": [1', "not a calibration by OpenCV"),
        ],
    )
    def test_another_one_is_named_in_one_line(self, tmp_path: Path, text: str, problem: str) -> None:
        path = tmp_path / "camera.yml"
        path.write_text(text)
        with pytest.raises(DataError, match=problem) as caught:
            read_camera(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "values",
        [
            {"camera_matrix": np.zeros((3, 3))},
            {"camera_matrix": np.eye(2)},
            {"camera_matrix": np.full((3, 3), np.nan)},
            {"camera_matrix": MATRIX, "distortion": np.ones((1, 3))},
        ],
    )
    def test_numbers_of_no_camera_are_refused(self, tmp_path: Path, values: dict[str, np.ndarray]) -> None:
        with pytest.raises(DataError, match=r"camera\.yml: .*(matrix|focal|distortion)"):
            read_camera(written(tmp_path / "camera.yml", **values))

    def test_a_missing_one(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            read_camera(tmp_path / "none.yml")


def test_directions_are_the_inverse_of_opencvs_projection() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-200, 200, (68, 2)), rng.uniform(600, 900, (68, 1))], axis=1)
    image = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, LENS)[0][:, 0]
    directions = Camera(MATRIX, LENS).directions(image)
    np.testing.assert_allclose(directions, points[:, :2] / points[:, 2:], rtol=0, atol=1e-7)
    assert Camera(MATRIX, LENS).directions(np.zeros((0, 68, 2))).shape == (0, 68, 2)


def test_half_the_pixels_have_half_the_focal_length() -> None:
    camera = Camera(MATRIX, LENS, (640, 480))
    half = camera_for(camera.values(), 320, 240)
    points = np.random.default_rng(0).uniform(0, 300, (68, 2))
    np.testing.assert_allclose(
        half.directions(points), camera.directions(2 * points + 0.5), rtol=0, atol=1e-9
    )
    with pytest.raises(ConfigError, match="640 x 480 px, and 640 x 360 px are of another shape"):
        camera_for(camera.values(), 640, 360)


def test_without_a_camera_the_axis_meets_the_middle() -> None:
    for values, focal in ((None, 640.0), ({"focal": 900.0}, 900.0)):
        camera = camera_for(values, 640, 480)
        np.testing.assert_array_equal(camera.matrix, [[focal, 0, 319.5], [0, focal, 239.5], [0, 0, 1]])
