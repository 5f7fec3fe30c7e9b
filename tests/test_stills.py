"""Faces of single images: one, several, of any size, by any parts; bad arguments are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import people
import pytest
import scenes

import steadyface
from steadyface import metrics
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError, DataError
from steadyface.geometry import Region
from steadyface.images import write_image
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.tracking import Tracker

FAST = {"weights": "tiny", "threads": 1}


def pair() -> tuple[np.ndarray, ...]:
    """One person, another one, and both."""
    canvas = people.picture([(120, 135), (340, 135)])
    return canvas[:, :300].copy(), canvas[:, 200:].copy(), canvas


def test_the_faces_of_an_image_are_those_that_a_tracker_begins_with() -> None:
    image = pair()[2]
    faces = steadyface.detect(image, **FAST)
    tracked = Tracker(Landmarker("tiny", threads=1), stabilizer="none").step(image)
    assert len(faces) == len(tracked) == 2
    for face in tracked:
        gap = np.abs(faces.points - face.points).mean(axis=(1, 2)).min()
        assert gap < 1e-9
    sizes = (faces.box[:, 2:] - faces.box[:, :2]).prod(axis=1)
    assert sizes[0] >= sizes[1]
    assert [face.points.shape for face in faces] == [(68, 2)] * 2


def test_several_images_give_the_faces_of_each(tmp_path: Path) -> None:
    images = [*pair(), scenes.empty(1)[0], portrait().still]
    write_image(tmp_path / "portrait.png", images[-1])
    together = steadyface.detect([*images[:-1], tmp_path / "portrait.png"], **FAST)
    assert [len(faces) for faces in together] == [1, 1, 2, 0, 1]
    for image, faces in zip(images, together, strict=True):
        alone = steadyface.detect(image, **FAST)
        # float32 sums in another order; a hundredth of a pixel would already be visible as jitter
        np.testing.assert_allclose(faces.points, alone.points, atol=0.01)
    stacked = steadyface.detect(np.stack([images[2]] * 18), **FAST)
    assert [len(faces) for faces in stacked] == [2] * 18
    assert steadyface.detect([]) == []
    assert [len(faces) for faces in steadyface.detect(iter(images[:2]), **FAST)] == [1, 1]


def test_the_largest_faces_and_the_surest_ones() -> None:
    image = pair()[2]
    every, [one] = steadyface.detect(image, **FAST), steadyface.detect(image, max_faces=1, **FAST)
    np.testing.assert_array_equal(one.points, every.points[0])
    assert len(steadyface.detect(image, min_score=1.0, **FAST)) == 0


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_lies_on_any_side(quarters: int) -> None:
    """The points turn with the photograph, as if a phone had lost its rotation."""
    image = scenes.frames(1)[0]
    height, width = image.shape[:2]
    [upright] = steadyface.detect(image, **FAST)
    expected = upright.points - [(width - 1) / 2, (height - 1) / 2]
    for _ in range(quarters):
        expected = expected[:, ::-1] * [1, -1]
    lying = np.ascontiguousarray(np.rot90(image, quarters))
    [face] = steadyface.detect(lying, **FAST)
    expected += [(lying.shape[1] - 1) / 2, (lying.shape[0] - 1) / 2]
    distances = np.linalg.norm(face.points - expected, axis=1)
    assert distances.mean() < 0.03 * metrics.interocular(expected)


def test_own_detector_and_model() -> None:
    image = scenes.frames(1)[0]
    [box] = FaceFinder(threads=1)(image)

    class Corners:
        def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
            points = np.stack([each.corners[np.arange(68) % 4] for each in regions])  # not of none
            return Landmarks.of_points(points, np.ones((len(regions), 68)))

    found = iter([[box], [], [box]])
    faces = steadyface.detect([image] * 3, detector=lambda image: next(found), landmarker=Corners())
    assert [each.points.shape for each in faces] == [(1, 68, 2), (0, 68, 2), (1, 68, 2)]
    assert np.isnan(faces[0].covariances).all()


@pytest.mark.usefixtures("unannotated")
def test_bad_arguments(tmp_path: Path) -> None:
    image = scenes.empty(1)[0]
    for bad in (None, 5, [None], [image, image.tolist()], image.astype(float)):
        with pytest.raises(ConfigError, match=r"^image must be RGB uint8 .*$"):
            steadyface.detect(bad, **FAST)
    for options, message in [
        ({"max_faces": 0}, "max_faces must be at least 1"),
        ({"max_faces": "2"}, "max_faces must be a whole number, got '2'"),
        ({"max_faces": 1.5}, "max_faces must be a whole number, got 1.5"),
        ({"min_face": "20"}, "min_face must be a number, got '20'"),
        ({"min_score": None}, "min_score must be a number, got None"),
        ({"min_score": 1.5}, "min_score must lie between 0 and 1"),
        (
            {"min_face": 20, "detector": lambda image: []},
            "min_face and min_detection are for",
        ),
        ({"detector": 5}, "detector must be a callable"),
        ({"weights": 5}, "weights must be a name or a path, got 5"),
        ({"landmarker": 5}, "landmarker must have a method predict_regions"),
        ({"min_detection": 2.0}, "threshold must lie between 0 and 1, got 2.0"),
    ]:
        with pytest.raises(ConfigError, match=message):
            steadyface.detect(image, **options)
    with pytest.raises(DataError, match=r"none\.jpg"):
        steadyface.detect(tmp_path / "none.jpg")
