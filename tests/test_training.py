"""Training and export, end to end on a handful of crops of the portrait."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from steadyface import heatmap
from steadyface.datasets.augmentation import Augmentation
from steadyface.datasets.pts import write_pts
from steadyface.demo import portrait
from steadyface.errors import ConfigError, ExportError, WeightsError
from steadyface.export import export_onnx
from steadyface.images import write_image
from steadyface.landmarker import Landmarker
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.training import RECIPES, heatmap_loss, load_network, save_weights, train

SMOKE = replace(RECIPES["smoke"], background_share=0.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LFPW: 24 photographs of one face."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "300w" / "lfpw" / "trainset"
    folder.mkdir(parents=True)
    still = portrait().still
    points = Landmarker().predict(still, np.array([172.0, 75.0, 274.0, 165.0])).points.astype(float)
    for i in range(24):
        write_image(folder / f"image_{i:04d}.png", still)
        write_pts(folder / f"image_{i:04d}.pts", points)
    return root


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_network(path).state_dict()


def test_a_resumed_run_equals_an_unbroken_one(data: Path, tmp_path: Path) -> None:
    recipe = replace(SMOKE, epochs=2)
    lines: list[str] = []
    train(recipe, data, tmp_path / "whole", report=lines.append)
    assert len(lines) == 2

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, tmp_path / "broken", report=stop)
    train(recipe, data, tmp_path / "broken", resume=True, report=lines.append)
    states = [torch.load(tmp_path / run / "last.pt", weights_only=True)["net"] for run in ("whole", "broken")]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    with (tmp_path / "broken" / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_a_run_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").touch()
    with pytest.raises(ConfigError, match="resume it or name another folder"):
        train(SMOKE, data, tmp_path)
    with pytest.raises(ConfigError, match="missing"):
        train(SMOKE, data, tmp_path / "other", resume=True)


def test_the_loss_is_least_at_the_truth_and_flat_for_no_face() -> None:
    points = torch.tensor([[[4.3, 7.8]]])
    drawn = torch.log(heatmap.encode(points, (16, 16), 1.0) + 1e-12)
    right = heatmap_loss(drawn, points, 1.0, 0.25)
    wrong = heatmap_loss(drawn, points + 1.0, 1.0, 0.25)
    assert right < wrong
    absent = torch.full((1, 1, 2), torch.nan)
    flat = heatmap_loss(torch.zeros(1, 1, 16, 16), absent, 1.0, 0.25)
    assert flat == pytest.approx(np.log(256), rel=1e-5)  # the entropy of 256 equal cells
    assert flat < heatmap_loss(drawn, absent, 1.0, 0.25)


def test_a_point_outside_the_map_counts_for_nothing() -> None:
    logits = torch.randn(1, 1, 16, 16, requires_grad=True)
    heatmap_loss(logits, torch.tensor([[[40.0, 40.0]]]), 1.0, 0.25).backward()
    assert logits.grad is not None
    assert torch.all(logits.grad == 0)


def test_weights_rebuild_their_own_network(tmp_path: Path) -> None:
    config = CompactConfig(input_size=64, widths=(16, 16, 16, 16))
    net = CompactNet(config).half().float().eval()  # what float16 can hold comes back exactly
    save_weights(net, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    assert again.config == config
    images = torch.rand(2, 3, 64, 64) * 255
    assert torch.equal(net(images), again(images))
    (tmp_path / "bad.safetensors").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match="bad"):
        load_network(tmp_path / "bad.safetensors")


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows the portrait: an untrained one has no peaks to agree on."""
    recipe = replace(SMOKE, epochs=10, ema=0.9, augmentation=Augmentation(0.05, 0.02, 5.0, 0.0, 0.0, 0.0))
    return train(recipe, data, tmp_path_factory.mktemp("trained") / "run", report=lambda line: None)


@pytest.mark.parametrize("method", ["dark", "fhr_symmetric"])
def test_the_exported_graph_agrees_with_torch(trained: Path, tmp_path: Path, method: str) -> None:
    """`export_onnx` compares points at batch 1 and 7 itself; here the file also has to work in its place."""
    worst = export_onnx(load_network(trained), tmp_path / "net.onnx", name="test", method=method)
    assert worst <= 0.05
    landmarker = Landmarker(tmp_path / "net.onnx", device="cpu")
    assert (landmarker.name, landmarker.decoder, landmarker.input_size) == ("test", method, 64)


def test_a_graph_that_disagrees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steadyface.export.TOLERANCE_PX", -1.0)
    with pytest.raises(ExportError, match="allowed are"):
        export_onnx(CompactNet(CompactConfig(input_size=32)), tmp_path / "net.onnx", name="test")


def test_bad_configurations() -> None:
    with pytest.raises(ConfigError, match="multiple of 32"):
        CompactConfig(input_size=100)
    with pytest.raises(ConfigError, match="not a compact"):
        CompactConfig.from_dict({"widths": [1, 2, 3, 4], "size": 3})


def test_the_number_of_parameters_is_that_of_the_model_card() -> None:
    net = CompactNet(CompactConfig())
    assert sum(parameter.numel() for parameter in net.parameters()) == 3_115_396
