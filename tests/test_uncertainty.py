"""The head of visibility and error: its inputs, its covariances, and what it must leave alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from steadyface.export.network import export_onnx
from steadyface.geometry import Region
from steadyface.heatmap import METHODS, Decoded
from steadyface.landmarker import Landmarker
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.graph import LandmarkGraph
from steadyface.nets.uncertainty import UncertaintyHead, gather, summarise

CONFIG = CompactConfig(input_size=32, widths=(16, 16, 16, 16), uncertainty=8)


def peaks(batch: int, landmarks: int, cells: int) -> Decoded:
    """Points in and around heatmaps of `cells` px a side, with any peak."""
    points = torch.rand(batch, landmarks, 2) * (cells + 4) - 2
    factor = torch.randn(batch, landmarks, 2, 2)
    covariances = factor @ factor.mT + 0.1 * torch.eye(2)
    return Decoded(points, torch.rand(batch, landmarks), covariances)


def test_features_are_the_bilinear_samples_of_the_maps() -> None:
    torch.manual_seed(0)
    maps, read = torch.randn(3, 5, 14, 14), peaks(3, 11, 28)
    grid = ((2 * read.points + 1) / 28 - 1)[:, None]
    expected = torch.nn.functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(gather(maps, read, 28)[..., :5], expected[:, :, 0].mT)


def test_covariances_are_positive_definite_and_follow_spread_and_power() -> None:
    torch.manual_seed(1)
    head, read = UncertaintyHead(5, 11, 8).eval(), peaks(4, 11, 28)
    head.offset.data[:, 0] = 9.0  # all in sight
    inputs = gather(torch.randn(4, 5, 14, 14), read, 28), summarise(read, 28)
    _, factor = head(*inputs)
    assert (torch.linalg.eigvalsh(factor @ factor.mT) > 0).all()
    before = torch.linalg.det(factor).sqrt()
    head.spread.fill_(1.5)
    head.power.fill_(0.4)
    torch.testing.assert_close(
        torch.linalg.det(head(*inputs)[1]).sqrt(), 1.5 * before**1.4, rtol=0.02, atol=0.0
    )


def test_what_hides_some_points_leaves_the_errors_of_the_others() -> None:
    """Whatever is seen at covered points, σ of the others is the same as without them."""
    torch.manual_seed(5)
    head, read = UncertaintyHead(5, 11, 8).eval(), peaks(4, 11, 28)
    features, context = gather(torch.randn(4, 5, 14, 14), read, 28), summarise(read, 28)
    hidden = torch.arange(11) < 4
    head.readout.data[..., 0] = 0.0
    head.offset.data[:, 0] = torch.where(hidden, -20.0, 20.0)
    changed = features.clone()
    changed[:, hidden] += torch.randn(4, 4, 9)
    peaks_changed = context.clone().unflatten(1, (11, 6))
    peaks_changed[:, hidden, 2:] += 1.0
    before, after = head(features, context)[1], head(changed, peaks_changed.flatten(1))[1]
    torch.testing.assert_close(after[:, ~hidden], before[:, ~hidden])
    assert not torch.allclose(after[:, hidden], before[:, hidden], rtol=0.01)


@torch.inference_mode()
def test_the_head_moves_no_point() -> None:
    torch.manual_seed(2)
    net = CompactNet(CONFIG).eval()
    plain = CompactNet(replace(CONFIG, uncertainty=0)).eval()
    plain.load_state_dict(net.state_dict(), strict=False)
    crops = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    told = dict(zip(LandmarkGraph(net).outputs, LandmarkGraph(net)(crops), strict=True))
    untold = dict(zip(LandmarkGraph(plain).outputs, LandmarkGraph(plain)(crops), strict=True))
    assert set(told) - set(untold) == {"visible"}
    for name in ("points", "scores", "logits"):
        assert torch.equal(told[name], untold[name])
    assert told["visible"].shape == (3, 68)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same network exported without and with a head."""
    torch.manual_seed(3)
    net = CompactNet(CONFIG).eval()
    plain = CompactNet(replace(CONFIG, uncertainty=0)).eval()
    plain.load_state_dict(net.state_dict(), strict=False)
    folder = tmp_path_factory.mktemp("nets")
    for each in (plain, net):
        export_onnx(each, folder / f"{each.config.uncertainty}.onnx", name="test")
    return {width: folder / f"{width}.onnx" for width in (0, 8)}


@pytest.mark.parametrize("decoder", [None, *METHODS])
def test_a_file_tells_visibility_if_its_network_does(nets: dict[int, Path], decoder: str | None) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    regions = [Region(40.0, 45.0, 60.0), Region(30.0, 45.0, 60.0, 0.3)]
    plain, told = (
        Landmarker(path, decoder, device="cpu").predict_regions(image, regions) for path in nets.values()
    )
    np.testing.assert_array_equal(plain.points, told.points)
    np.testing.assert_array_equal(plain.scores, told.scores)
    assert np.isnan(plain.visible).all()
    assert ((told.visible > 0) & (told.visible < 1)).all()
    assert (np.linalg.eigvalsh(told.covariances) > 0).all()
    assert told[1].visible.shape == (68,)


def test_covariances_turn_and_grow_with_the_region(nets: dict[int, Path]) -> None:
    landmarker = Landmarker(nets[8], device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    crop = landmarker.predict_crops(image[None])[0]
    face = landmarker.predict_regions(image, [Region(15.5, 15.5, 32.0)])[0]
    np.testing.assert_allclose(face.covariances, crop.covariances, rtol=1e-5)
    double = np.ascontiguousarray(image.repeat(2, axis=0).repeat(2, axis=1))
    large = landmarker.predict_regions(double, [Region(31.5, 31.5, 64.0)])[0]
    np.testing.assert_allclose(large.covariances, 4 * crop.covariances, rtol=1e-4)


@torch.inference_mode()
def test_the_file_tells_what_torch_tells(nets: dict[int, Path]) -> None:
    torch.manual_seed(3)
    net = CompactNet(CONFIG).eval()
    crops = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    _, _, covariances, visible, _ = LandmarkGraph(net)(torch.from_numpy(crops))
    found = Landmarker(nets[8], device="cpu").predict_crops(crops)
    # The file's weights have 16 bits.
    np.testing.assert_allclose(found.visible, visible, atol=0.01)
    np.testing.assert_allclose(found.covariances, covariances, rtol=0.05, atol=1e-3)
