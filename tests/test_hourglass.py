"""The paper's network: its size, its shapes, and what it hands to the decoder."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from steadyface import heatmap
from steadyface.errors import ConfigError
from steadyface.nets.hourglass import HourglassConfig, HourglassNet

SMALL = HourglassConfig(input_size=64, landmarks=5, stacks=2, features=16, modules=1)
POINTS = torch.tensor([[[10.3, 20.8], [15.5, 4.0], [25.2, 26.9], [6.0, 9.7], [18.1, 17.4]]])


def build(config: HourglassConfig = SMALL) -> HourglassNet:
    torch.manual_seed(0)
    return HourglassNet(config)


def images(batch: int = 2, side: int = 64) -> torch.Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(1)) * 255


def giving(output: str, maps: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> HourglassNet:
    """A network whose last stack gives `maps`, whatever it sees, and the stack before it something else."""
    net = build(replace(SMALL, output=output))
    monkeypatch.setattr(net, "forward", lambda images: torch.stack([maps.flip(-1), maps]))
    return net


@pytest.mark.parametrize(
    ("unit", "count", "published"), [("wide", 34_155_011, 34.16), ("bottleneck", 2_262_096, 2.26)]
)
def test_the_papers_numbers_of_parameters(unit: str, count: int, published: float) -> None:
    """They fix what the paper leaves open: inner widths, biases, slopes, units after the hourglass."""
    with torch.device("meta"):
        net = HourglassNet(HourglassConfig(unit=unit))
    assert sum(parameter.numel() for parameter in net.parameters()) == count
    assert round(count / 1e6, 2) == published


@pytest.mark.parametrize("unit", ["bottleneck", "wide"])
@pytest.mark.parametrize(("stacks", "features", "depth"), [(1, 16, 2), (3, 8, 4), (2, 128, 1)])
def test_every_stack_gives_maps_of_half_the_side(unit: str, stacks: int, features: int, depth: int) -> None:
    config = replace(SMALL, unit=unit, stacks=stacks, features=features, depth=depth)
    net = build(config)
    side = config.map_size
    assert side == 32
    assert net(images()).shape == (stacks, 2, 5, side, side)
    assert net.log_heatmaps(images()).shape == (2, 5, side, side)


@pytest.mark.parametrize("unit", ["bottleneck", "wide"])
def test_every_stack_is_trained(unit: str) -> None:
    net = build(replace(SMALL, unit=unit))
    net(images()).square().mean(dim=(1, 2, 3, 4)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if parameter.ndim == 4:  # a bias before a batch norm has no effect
            assert parameter.grad.abs().max() > 0, name


def test_a_stack_learns_from_its_own_and_later_errors_only() -> None:
    """The re-merge carries both the features and the maps of a stack on to the next one."""
    net = build(replace(SMALL, stacks=3))
    net(images())[1].square().mean().backward()

    def reached(modules: torch.nn.ModuleList) -> list[bool]:
        return [bool(module.weight.grad.abs().max() > 0) for module in modules]

    assert reached(net.heads) == [True, True, False]
    assert reached(net.merge_features) == [True, False]
    assert reached(net.merge_maps) == [True, False]


def test_any_side_that_halves_often_enough_works() -> None:
    net = build().eval()
    with torch.no_grad():
        assert net(images(1, 64)).shape[-2:] == (32, 32)
        assert net(images(1, 96)).shape[-2:] == (48, 48)


@pytest.mark.parametrize("unit", ["bottleneck", "wide"])
def test_a_batch_equals_its_images_one_by_one(unit: str) -> None:
    net = build(replace(SMALL, unit=unit))
    batch = images(3)
    with torch.no_grad():
        for _ in range(3):
            net(batch)  # running statistics, so that the values are of order 1
        net.eval()
        together = net(batch)
        single = torch.cat([net(image[None]) for image in batch], dim=1)
    torch.testing.assert_close(together, single, rtol=1e-5, atol=1e-5)  # float32 in another order of summing


@pytest.mark.parametrize("method", ["fhr_symmetric", "dark"])
def test_the_last_stacks_peak_is_decoded(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = heatmap.encode(POINTS, (32, 32), sigma=1.5)
    for output, maps in (("heatmaps", drawn), ("logits", torch.log(drawn + 1e-30) + 7.0)):
        logs = giving(output, maps, monkeypatch).log_heatmaps(images(1))
        points = heatmap.decode_logits(logs, sigma=1.5, method=method).points
        # float32 logarithms are good to 1e-6, times σ²; dark's blur ends at its window's border
        torch.testing.assert_close(points, POINTS, rtol=0, atol=2e-4)


def test_negative_heatmaps_are_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = heatmap.encode(POINTS, (32, 32), sigma=1.5) - 0.2  # negative everywhere but at the peak
    logs = giving("heatmaps", noisy, monkeypatch).log_heatmaps(images(1))
    assert torch.isfinite(logs).all()
    errors = (heatmap.decode_logits(logs, sigma=1.5).points - POINTS).norm(dim=-1)
    assert errors.max() < 0.5  # the offset bends the logarithm, but alike on both sides of the peak
    logs = giving("heatmaps", -torch.ones(1, 5, 32, 32), monkeypatch).log_heatmaps(images(1))
    assert torch.all(logs == logs[0, 0, 0, 0])
    assert torch.isfinite(heatmap.decode_logits(logs, sigma=1.5).points).all()


def test_logits_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(1, 5, 32, 32)
    assert torch.equal(giving("logits", logits, monkeypatch).log_heatmaps(images(1)), logits)


@pytest.mark.parametrize(
    "config", [HourglassConfig(), replace(SMALL, unit="wide", output="logits", sigma=1.5)]
)
def test_a_configuration_survives_json(config: HourglassConfig) -> None:
    assert HourglassConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_size": 240}, "input_size must be a positive multiple of 32, got 240"),
        ({"input_size": 0}, "input_size must be a positive multiple of 32, got 0"),
        ({"input_size": 64, "depth": 6}, "positive multiple of 128, got 64"),
        ({"features": 30}, "features must be a positive multiple of 4, got 30"),
        ({"stacks": 0}, "stacks must be a positive multiple of 1, got 0"),
        ({"unit": "narrow"}, "unknown unit 'narrow'; choose one of: bottleneck, wide"),
        ({"output": "points"}, "unknown output 'points'; choose one of: heatmaps, logits"),
        ({"stack": 4}, "not an hourglass network's configuration: .*stack"),
    ],
)
def test_bad_configurations(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HourglassConfig.from_dict(values)
