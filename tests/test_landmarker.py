"""The bundled network: image and box → points, whatever the batch, scale and decoder."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steadyface import heatmap, metrics
from steadyface.datasets.face_boxes import read_boxes
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.demo import portrait
from steadyface.detector import FaceFinder, YuNetDetector
from steadyface.errors import ConfigError, DataError, WeightsError
from steadyface.geometry import Affine, Region, bounding_box
from steadyface.images import crop_region
from steadyface.landmarker import Landmarker
from steadyface.models import bundled_models, model_path

BOX = np.array([172.0, 75.0, 274.0, 165.0])


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker(device="cpu")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return portrait().still


def test_shapes_and_ranges(landmarker: Landmarker, image: np.ndarray) -> None:
    face = landmarker.predict(image, BOX)
    assert face.points.shape == (68, 2)
    assert face.scores.min() >= 0
    assert face.scores.max() <= 1
    assert face.scores.mean() > 0.9
    assert np.all(np.linalg.eigvalsh(face.covariances) > 0)
    found, given = bounding_box(face.points), BOX
    assert np.abs(found - given).max() < 25  # the box was drawn by hand


def test_a_batch_equals_its_members(landmarker: Landmarker, image: np.ndarray) -> None:
    regions = [Region(223 + i, 120 - i, 130 + 3 * i, 0.05 * i) for i in range(7)]
    together = landmarker.predict_regions(image, regions)
    for i, region in enumerate(regions):
        alone = landmarker.predict_regions(image, [region])[0]
        # float32 sums in another order; a hundredth of a pixel would already be visible as jitter
        assert np.abs(together[i].points - alone.points).max() < 0.01


def test_points_follow_the_image(landmarker: Landmarker, image: np.ndarray) -> None:
    """The same crop of an image shifted by whole pixels, or twice as large, gives the same face."""
    plain = landmarker.predict(image, BOX).points
    shifted = landmarker.predict(np.roll(image, (5, 9), axis=(0, 1)), BOX + np.array([9, 5, 9, 5])).points
    assert np.abs(shifted - plain - [9, 5]).max() < 1e-2
    double = Affine.scaling(2.0)
    large = image.repeat(2, axis=0).repeat(2, axis=1)
    box = double(BOX.reshape(2, 2)).reshape(4)
    apart = double.inverse(landmarker.predict(large, box).points) - plain
    assert np.abs(apart).mean() < 0.25  # px; nearest-neighbour doubling is another picture


def test_every_decoder_agrees_within_a_cell(image: np.ndarray) -> None:
    inside = Landmarker(device="cpu").predict(image, BOX)
    cell = Region.around_box(BOX).side / Landmarker(device="cpu").map_size
    for method in heatmap.METHODS:
        other = Landmarker(decoder=method, device="cpu").predict(image, BOX)
        assert np.abs(other.points - inside.points).max() < 1.5 * cell, method
        assert np.allclose(other.scores, inside.scores, atol=1e-4)  # float32 sums in another order


def test_the_graph_decodes_as_numpy_does(landmarker: Landmarker, image: np.ndarray) -> None:
    crop, _ = crop_region(image, Region.around_box(BOX), landmarker.input_size)
    inside = landmarker.predict_crops(crop[None])
    logits = landmarker.predict_logits(crop[None])
    read = heatmap.decode_logits(logits, sigma=landmarker.sigma, method=landmarker.decoder)
    scale = landmarker.input_size / logits.shape[-1]
    assert np.abs((read.points + 0.5) * scale - 0.5 - inside.points).max() < 1e-2  # px of the crop


def test_no_face_scores_low(landmarker: Landmarker) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    assert landmarker.predict(noise, np.array([50.0, 50.0, 150.0, 150.0])).scores.mean() < 0.7
    assert landmarker.predict(noise * 0, np.array([50.0, 50.0, 150.0, 150.0])).scores.mean() < 0.7


@pytest.mark.parametrize("box", [[0, 0, 0, 5], [5, 5, 1, 9], [0, 0, np.nan, 5], [0, 0, 1]])
def test_bad_boxes(landmarker: Landmarker, image: np.ndarray, box: list[float]) -> None:
    with pytest.raises(ConfigError, match="box must be"):
        landmarker.predict(image, np.array(box, float))


@pytest.mark.usefixtures("unannotated")
def test_what_is_no_image_box_or_region_is_named(landmarker: Landmarker, image: np.ndarray) -> None:
    pil = Image.fromarray(image)
    for given, named in [(None, "None"), (image.tolist(), "list"), ("a.jpg", "str"), (pil, "PIL")]:
        with pytest.raises(ConfigError, match=f"image must be RGB uint8 .* got .*{named}"):
            landmarker.predict(given, BOX)
        with pytest.raises(ConfigError, match="image must be RGB uint8"):
            FaceFinder(threads=1)(given)
    for box in (None, "abcd", [[0, 0, 9, 9]], [0, 0, 9, 9, 0.9], [0, 0, "x", 9], image):
        with pytest.raises(ConfigError, match="box must be finite x0, y0, x1, y1") as caught:
            landmarker.predict(image, box)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"regions must be geometry\.Region, got ndarray"):
        landmarker.predict_regions(image, BOX[None])
    side = landmarker.input_size
    with pytest.raises(ConfigError, match=rf"crops must be RGB uint8 \(N, {side}, {side}, 3\)"):
        landmarker.predict_crops(np.zeros((1, 64, 64, 3), np.uint8))


@pytest.mark.parametrize("box", [[1e9, 1e9, 2e9, 2e9], [-1e30, 0, 1e30, 1], [0, 0, 9, 1.1e6]])
def test_a_box_further_off_than_any_image_is_large(
    landmarker: Landmarker, image: np.ndarray, tmp_path: Path, box: list[float]
) -> None:
    with pytest.raises(ConfigError, match=r"^box must lie within 1,000,000 px of the image's corner, got "):
        landmarker.predict(image, box)
    (tmp_path / "faces.json").write_text(json.dumps({"a.png": [{"box": box, "by": "finder"}]}))
    with pytest.raises(DataError, match=r"faces\.json: not a list of face boxes: box must lie within "):
        read_boxes(tmp_path)


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, im: net.predict_regions(im, None), "regions must be a list of .*, got NoneType"),
        (lambda net, im: net.predict_regions(im, Region(9, 9, 9)), "regions must be a list .*, got Region"),
        (lambda net, im: net.predict_pairs(None), "pairs must be a list of .*, got NoneType"),
        (lambda net, im: net.predict_pairs([im]), "pairs must hold an image and .*, got ndarray"),
        (
            lambda net, im: net.predict_pairs([(im, BOX)]),
            r"regions must be geometry\.Region, got ndarray; .*",
        ),
        (lambda net, im: net.predict_crops(None), "crops must be RGB uint8 .*, got NoneType"),
        (lambda net, im: net.predict_crops([im]), "crops must be RGB uint8 .*, got list"),
        (lambda net, im: net.predict_logits([im]), "crops must be RGB uint8 .*, got list"),
        (
            lambda net, im: net.predict_logits(im[None, :64, :64]),
            "crops must be .*, got uint8 .1, 64, 64, 3.",
        ),
        (lambda net, im: Landmarker("tiny", threads=1.5), r"threads must be a whole number, got 1\.5"),
        (lambda net, im: FaceFinder(threshold="a"), "threshold must be a number, got 'a'"),
        (lambda net, im: FaceFinder(side=None), "side must be a number, got None"),
        (lambda net, im: YuNetDetector(None), "path must be a path, got NoneType"),
    ],
)
def test_arguments_of_another_kind_are_named(
    landmarker: Landmarker,
    image: np.ndarray,
    call: Callable[[Landmarker, np.ndarray], object],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        call(landmarker, image)


def test_faces_of_several_images_come_together(landmarker: Landmarker, image: np.ndarray) -> None:
    images = [image, image[:, ::-1].copy(), image[20:]]
    pairs = [(images[i % 3], Region(223 + i, 120 - i, 130 + 3 * i)) for i in range(35)]
    together = landmarker.predict_pairs(pairs)
    assert together.points.shape == (35, 68, 2)
    for i in (0, 1, 2, 31, 32, 34):
        alone = landmarker.predict_regions(pairs[i][0], [pairs[i][1]])[0]
        # float32 sums in another order; a hundredth of a pixel would already be visible as jitter
        assert np.abs(together[i].points - alone.points).max() < 0.01
    np.testing.assert_array_equal(together.box, [bounding_box(points) for points in together.points])


def test_networks_pickle(landmarker: Landmarker, image: np.ndarray) -> None:
    copy, finder = pickle.loads(pickle.dumps((landmarker, FaceFinder(side=200, threads=1))))
    np.testing.assert_array_equal(copy.predict(image, BOX).points, landmarker.predict(image, BOX).points)
    assert (copy.name, copy.decoder) == (landmarker.name, landmarker.decoder)
    np.testing.assert_array_equal(finder(image), FaceFinder(side=200, threads=1)(image))


def test_yunet_pickles(image: np.ndarray, data_dir: Path) -> None:
    yunet = YuNetDetector(data_dir / "detector" / "yunet_2026may.onnx")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(yunet))(image), yunet(image))


def test_bad_images(landmarker: Landmarker, image: np.ndarray) -> None:
    for bad in (image[..., :2], image.astype(np.float32), image * np.nan, image[:0], image[None]):
        with pytest.raises(ConfigError, match="RGB uint8"):
            landmarker.predict_regions(bad, [Region(10, 10, 10)])


def test_grey_and_alpha_are_taken_as_rgb(landmarker: Landmarker, image: np.ndarray) -> None:
    grey = image[..., 1]
    expected = landmarker.predict(np.stack([grey] * 3, axis=-1), BOX).points
    for same in (grey, grey[..., None], np.stack([grey] * 4, axis=-1)):
        np.testing.assert_array_equal(landmarker.predict(same, BOX).points, expected)


def test_a_box_outside_the_image_is_no_error(landmarker: Landmarker, image: np.ndarray) -> None:
    face = landmarker.predict(image, BOX + 5000)
    assert np.isfinite(face.points).all()


def test_no_regions(landmarker: Landmarker, image: np.ndarray) -> None:
    assert len(landmarker.predict_regions(image, [])) == 0


def test_bad_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="compact"):
        Landmarker("none")
    (tmp_path / "text.onnx").write_text("no")
    with pytest.raises(WeightsError, match="not an ONNX file"):
        Landmarker(tmp_path / "text.onnx")
    assert "compact-int8" in bundled_models()
    assert model_path("compact").stat().st_size < 15e6


def test_helen_is_good_enough_to_track(landmarker: Landmarker, data_dir: Path) -> None:
    """Every fifth face: ≤ 4 % of the inter-ocular distance in the mean."""
    errors = []
    for sample in find_samples(data_dir / "300w", ["helen-test"])[::5]:
        image, truth = sample.load()
        found = landmarker.predict(image, bounding_box(truth)).points
        errors.append(float(metrics.nrmse_interocular(found, truth)))
    assert np.mean(errors) < 4.0
