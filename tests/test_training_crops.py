"""Training samples: repeatable, the right part of the picture, and no face where none is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steadyface import markup
from steadyface.datasets.extra import ExtraSample
from steadyface.datasets.three_hundred_w import Sample
from steadyface.errors import DataError
from steadyface.geometry import CROP_MARGIN, Region, bounding_box, flip_points
from steadyface.images import write_image
from steadyface.pts import write_pts
from steadyface.training.augmentation import Augmentation
from steadyface.training.crops import Background, FaceCrops, MixedSamples, load_backgrounds

FACE = np.random.default_rng(0).uniform(30, 90, (68, 2))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    image = np.random.default_rng(1).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    write_pts(tmp_path / "a.pts", FACE)
    return [Sample(tmp_path / "a.png", tmp_path / "a.pts", "ibug")] * 3


def test_plain_crop_fits_the_face(samples: list[Sample]) -> None:
    crop, points, face = FaceCrops(samples, 64)[0, 1]
    assert face
    assert crop.shape == (64, 64, 3)
    x0, y0, x1, y1 = bounding_box(points)
    # float32 points of four written decimals.
    assert max(x1 - x0, y1 - y0) == pytest.approx(64 / CROP_MARGIN, rel=1e-4)


def test_plain_crop_of_a_given_box(samples: list[Sample], tmp_path: Path) -> None:
    box = (10.0, 20.0, 90.0, 70.0)
    boxed = ExtraSample(tmp_path / "a.png", FACE, "fgnet", "a", box)
    _, points, _ = FaceCrops([samples[0], boxed], 64)[0, 1]
    expected = Region.around_box(np.array(box)).to_crop(64)(FACE)
    # float32 points of four written decimals.
    np.testing.assert_allclose(points, expected, rtol=0, atol=1e-3)


def test_varied_crops_start_from_the_given_box(samples: list[Sample], tmp_path: Path) -> None:
    still = Augmentation(scale=0, shift=0, roll=0, flip=0, camera=0, occlusion=0)
    boxed = [ExtraSample(tmp_path / "a.png", FACE, "fgnet", "a", (10.0, 20.0, 90.0, 70.0))]
    np.testing.assert_array_equal(FaceCrops(boxed, 64, still)[0, 0][1], FaceCrops(boxed, 64)[0, 0][1])


def test_bad_samples_are_refused_or_left_out(samples: list[Sample]) -> None:
    alone = replace(samples[0], image_path=None)
    with pytest.raises(DataError, match="no image"):
        FaceCrops([alone, *samples], 32)
    told: list[DataError] = []
    crops = FaceCrops([alone, *samples], 32, on_bad=told.append)
    assert (crops.samples, len(crops), len(told)) == (samples, 3, 1)
    with pytest.raises(DataError, match="not one"):
        FaceCrops([alone], 32, on_bad=told.append)


def test_samples_are_repeatable_and_differ(samples: list[Sample]) -> None:
    crops, again = (FaceCrops(samples, 32, Augmentation(), seed=3) for _ in range(2))
    keys = [(0, 0), (0, 1), (1, 0)]
    for key in keys:
        np.testing.assert_array_equal(crops[key][0], again[key][0])
        np.testing.assert_array_equal(crops[key][1], again[key][1])
    places = {tuple(crops[key][1].ravel()) for key in keys}
    assert len(places) == len(keys) == len(crops)


def test_backgrounds_touch_no_face(samples: list[Sample]) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[50:100, 50:100] = 255
    background = Background(image, np.array([[49.5, 49.5, 99.5, 99.5]]))
    plain = Augmentation(camera=0, occlusion=0)
    crops = FaceCrops(samples, 32, plain, [background], background_share=1.0)
    found = [crops[epoch, 0] for epoch in range(30)]
    empty = [crop for crop, _, face in found if not face]
    assert all(np.isnan(points).all() != face for _, points, face in found)
    assert len(empty) > 20
    # The warp looks ½ px of the crop over the region's border.
    assert max(crop[2:-2, 2:-2].max() for crop in empty) == 0


def test_points_that_are_not_annotated_stay_so(samples: list[Sample]) -> None:
    """A face of which only the right side is known is cropped around that, and flipped to the left side."""
    points = FACE.copy()
    points[26:] = np.nan
    sample = ExtraSample(samples[0].image_path or Path(), points, "profiles", "1")
    mirror = Augmentation(scale=0, shift=0, roll=0, flip=1, camera=0, occlusion=0)
    plain, flipped = (FaceCrops([sample], 64, varied)[0, 0] for varied in (None, mirror))
    assert plain[2]
    assert flipped[2]
    known = ~np.isnan(plain[1]).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(known), range(26))
    x0, y0, x1, y1 = bounding_box(plain[1][known])
    assert max(x1 - x0, y1 - y0) == pytest.approx(64 / CROP_MARGIN, rel=1e-4)
    np.testing.assert_allclose(flipped[1], flip_points(plain[1], 64, markup.FLIP), rtol=0, atol=1e-3)


def test_mixed_crops_show_every_face_of_a_set_equally_often(samples: list[Sample]) -> None:
    crops = FaceCrops(samples, 32, Augmentation(), seed=3)
    few, many = FaceCrops(samples[:2], 32, Augmentation(), seed=4), crops
    mixed = MixedSamples([(few, 3), (many, 2)], seed=5)
    assert len(mixed) == 5
    epochs = [[mixed[epoch, i] for i in range(5)] for epoch in range(4)]
    for shown, source, numbers in ((slice(0, 3), few, range(2)), (slice(3, 5), many, range(3))):
        # 12 samples of the first set are six passes through its two faces, 8 of the second nearly three.
        found = [points.tobytes() for epoch in epochs for _, points, _ in epoch[shown]]
        passes = -(-len(found) // len(numbers))
        expected = {source[whole, i][1].tobytes() for whole in range(passes) for i in numbers}
        assert len(set(found)) == len(found)
        assert set(found) <= expected
    again = MixedSamples([(few, 3), (many, 2)], seed=5)
    np.testing.assert_array_equal(mixed[3, 4][1], again[3, 4][1])
    with pytest.raises(IndexError):
        mixed[0, 5]


def test_photo_full_of_face_has_no_background() -> None:
    background = Background(np.zeros((50, 50, 3), np.uint8), np.array([[-100.0, -100.0, 200.0, 200.0]]))
    assert background.crop(32, Augmentation(), np.random.default_rng(0)) is None


def test_load_backgrounds(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((8, 9, 3), np.uint8))
    write_image(tmp_path / "b.png", np.zeros((8, 9, 3), np.uint8))
    (tmp_path / "faces.json").write_text('{"a.png": [{"box": [1, 2, 3, 4]}], "b.png": []}')
    one, none = load_backgrounds(tmp_path)
    np.testing.assert_array_equal(one.boxes, [[1, 2, 3, 4]])
    assert none.boxes.shape == (0, 4)
    assert none.crop(8, Augmentation(), np.random.default_rng(0)) is not None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        '{"a.png": [{"by": "hand"}]}',
        '{"a.png": [{"box": "wide"}]}',
        '{"a.png": [{"box": [1, 2, 3]}]}',
    ],
)
def test_broken_index(tmp_path: Path, text: str | None) -> None:
    write_image(tmp_path / "a.png", np.zeros((8, 9, 3), np.uint8))
    if text is not None:
        (tmp_path / "faces.json").write_text(text)
    with pytest.raises(DataError, match=r"faces\.json"):
        load_backgrounds(tmp_path)
