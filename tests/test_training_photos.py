"""Photographs for the finder: their faces' points, and those held out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steadyface import markup
from steadyface.datasets.extra import ExtraSample, box_of
from steadyface.demo import portrait
from steadyface.errors import DataError
from steadyface.geometry import bounding_box
from steadyface.images import write_image
from steadyface.landmarker import Landmarker
from steadyface.training.photos import Photo, hold_out_photos, load_extra_photos, load_photos


class TestFlipped:
    FACES = Photo(
        np.arange(48, dtype=np.uint8).reshape(4, 4, 3), np.random.default_rng(0).normal(size=(2, 68, 2))
    )

    def test_twice_is_the_same(self) -> None:
        twice = self.FACES.flipped().flipped()
        np.testing.assert_array_equal(twice.image, self.FACES.image)
        np.testing.assert_allclose(twice.shapes, self.FACES.shapes, rtol=0, atol=1e-9)

    def test_the_right_ear_becomes_the_left_one(self) -> None:
        right, left = markup.EARS
        mirrored = self.FACES.flipped()
        np.testing.assert_array_equal(mirrored.image[:, 0], self.FACES.image[:, 3])
        expected = [3, 0] + self.FACES.shapes[:, right] * [-1, 1]
        np.testing.assert_allclose(mirrored.shapes[:, left], expected, rtol=0, atol=1e-9)


def write_index(folder: Path, faces: dict[str, list[list[float]]]) -> Path:
    listed = {name: [{"box": box, "by": "annotation"} for box in boxes] for name, boxes in faces.items()}
    (folder / "faces.json").write_text(json.dumps(listed))
    return folder


class TestHoldOut:
    NAMES = tuple(f"photo_{i}.jpg" for i in range(200))

    def split(self, folder: Path, names: tuple[str, ...], one_in: int = 8) -> tuple[list[str], list[str]]:
        return hold_out_photos(write_index(folder, {name: [] for name in names}), one_in)

    def test_is_disjoint_and_complete(self, tmp_path: Path) -> None:
        training, held_out = self.split(tmp_path, self.NAMES)
        assert not set(training) & set(held_out)
        assert set(training) | set(held_out) == set(self.NAMES)
        assert len(training) + len(held_out) == 200
        assert 10 < len(held_out) < 45  # about one in eight

    def test_goes_by_the_name_alone(self, tmp_path: Path) -> None:
        _, held_out = self.split(tmp_path, self.NAMES)
        _, of_some = self.split(tmp_path, self.NAMES[:37:-3])
        assert set(of_some) == set(held_out) & set(self.NAMES[:37:-3])
        assert of_some

    def test_one_in_one_is_all(self, tmp_path: Path) -> None:
        assert self.split(tmp_path, self.NAMES, 1) == ([], list(self.NAMES))

    def test_a_folder_without_boxes_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"faces\.json: No such file"):
            hold_out_photos(tmp_path)


class TestLoad:
    BOX = (178.0, 88.0, 272.0, 179.0)

    def test_points_fill_the_given_box_and_lie_on_the_face(self, tmp_path: Path) -> None:
        still = portrait().still
        for name in ("one.png", "none.png"):
            write_image(tmp_path / name, still)
        write_index(tmp_path, {"one.png": [list(BOX)], "none.png": [], "other.png": []})
        landmarker = Landmarker("tiny", device="cpu")
        one, none = load_photos(tmp_path, ["one.png", "none.png"], landmarker)
        np.testing.assert_array_equal(one.image, still)
        assert one.shapes.shape == (1, 68, 2)
        np.testing.assert_allclose(bounding_box(one.shapes), [self.BOX], rtol=0, atol=1e-4)  # float32
        apart = one.shapes[0] - landmarker.predict(still, BOX).points
        assert np.abs(apart).max() < 10  # px, of a face of 92: the box above was drawn by hand
        assert none.shapes.shape == (0, 68, 2)

    def test_a_photograph_that_is_missing_is_named(self, tmp_path: Path) -> None:
        write_index(tmp_path, {"gone.png": [list(BOX)]})
        with pytest.raises(DataError, match=r"gone\.png: No such file"):
            load_photos(tmp_path, ["gone.png"], Landmarker("tiny", device="cpu"))


BOX = np.array(TestLoad.BOX)


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker("tiny", device="cpu")


@pytest.fixture(scope="module")
def found(landmarker: Landmarker) -> np.ndarray:
    return np.asarray(landmarker.predict(portrait().still, BOX).points.astype(float))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_image(tmp_path / "a.png", portrait().still)
    return tmp_path / "a.png"


class TestLoadExtra:
    """The portrait with a part of what the network finds in it as annotations, moved by a pixel."""

    def test_annotated_points_stay_and_the_others_are_found(
        self, image: Path, landmarker: Landmarker, found: np.ndarray
    ) -> None:
        points = found + 1
        points[20:40] = np.nan
        (photo,) = load_extra_photos([ExtraSample(image, points, "profiles", "a")], landmarker)
        known = np.isfinite(points).all(axis=1)
        np.testing.assert_array_equal(photo.shapes[0][known], points[known])
        box = bounding_box(points[known])
        np.testing.assert_allclose(
            photo.shapes[0][~known], landmarker.predict(photo.image, box).points[~known]
        )

    def test_a_face_fills_the_box_that_it_has(self, image: Path, landmarker: Landmarker) -> None:
        sample = ExtraSample(image, np.full((68, 2), np.nan), "fgnet", "a", tuple(BOX))
        (photo,) = load_extra_photos([sample], landmarker)
        np.testing.assert_allclose(bounding_box(photo.shapes[0]), BOX, rtol=0, atol=1e-9)

    def test_a_face_without_annotations_is_found_in_its_picture(
        self, landmarker: Landmarker, found: np.ndarray
    ) -> None:
        """A picture of little more than the face, as `closed_eyes` are."""
        picture = portrait().still[65:200, 155:295]
        box = box_of(ExtraSample(Path(), np.full((68, 2), np.nan), "closed_eyes", "a"), picture, landmarker)
        # Px, of a face of 92: the network sees it in other crops.
        np.testing.assert_allclose(box, bounding_box(found - [155, 65]), rtol=0, atol=4)
