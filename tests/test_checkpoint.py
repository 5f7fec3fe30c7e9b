"""A checkpoint rebuilds its own network, or says why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from steadyface.checkpoint import build_from, describe, load_network, save_network, start_from
from steadyface.errors import ConfigError, WeightsError
from steadyface.nets import FinderConfig, FinderNet, LandmarkConfig, build_network
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.hourglass import HourglassConfig

SMALL = CompactConfig(input_size=64, widths=(16, 16, 16, 16), blocks=(0, 1, 0, 1))
CUT = CompactConfig(input_size=48, repeats=(1, 1, 2, 1, 2), widths=(8, 16, 16), blocks=(0, 1, 0))
FINDER = FinderConfig(input_size=64, widths=(8, 8, 8), blocks=(0, 1, 0))
HOURGLASS = HourglassConfig(input_size=64, stacks=2, features=16, unit="wide", output="logits")


@pytest.mark.parametrize("config", [SMALL, CUT, HOURGLASS, replace(SMALL, uncertainty=8)])
def test_weights_rebuild_their_own_network(config: LandmarkConfig, tmp_path: Path) -> None:
    net = build_network(config).half().float().eval()  # what float16 can hold comes back exactly
    save_network(net, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    assert again.config == config
    images = torch.rand(2, 3, config.input_size, config.input_size) * 255
    assert torch.equal(net.log_heatmaps(images), again.log_heatmaps(images))
    assert build_from(*describe(config)).config == config


def test_a_head_of_visibility_is_not_taken_over(tmp_path: Path) -> None:
    net = CompactNet(replace(SMALL, uncertainty=8)).half().float()
    save_network(net, tmp_path / "net.safetensors")
    plain, wider = CompactNet(SMALL), CompactNet(replace(SMALL, uncertainty=16))
    images = torch.rand(1, 3, 64, 64) * 255
    for other in (plain, wider):
        start_from(other, tmp_path / "net.safetensors")
        torch.testing.assert_close(other.eval()(images), net.eval()(images))


def test_a_finders_weights_rebuild_it(tmp_path: Path) -> None:
    net = FinderNet(FINDER).half().float().eval()
    save_network(net, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    assert isinstance(again, FinderNet)
    assert not again.training
    assert again.config == FINDER
    images = torch.rand(2, 3, 64, 96) * 255
    assert torch.equal(net(images), again(images))
    kind, config = describe(FINDER)
    assert kind == "finder"
    assert build_from(kind, config).config == FINDER


def test_a_finder_starts_from_a_finder_only(tmp_path: Path) -> None:
    net = FinderNet(FINDER).half().float().eval()
    save_network(net, tmp_path / "finder.safetensors")
    deeper = FinderNet(replace(FINDER, input_size=320, blocks=(1, 2, 1)))
    start_from(deeper, tmp_path / "finder.safetensors")
    images = torch.rand(1, 3, 64, 64) * 255
    torch.testing.assert_close(deeper.eval()(images), net(images))
    save_network(build_network(SMALL), tmp_path / "compact.safetensors")
    with pytest.raises(WeightsError, match="compact"):
        start_from(FinderNet(FINDER), tmp_path / "compact.safetensors")
    with pytest.raises(WeightsError, match="finder"):
        start_from(build_network(SMALL), tmp_path / "finder.safetensors")


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match="bad"):
        load_network(tmp_path / "bad.safetensors")
    missing = tmp_path / "missing.safetensors"
    with pytest.raises(WeightsError, match=rf"^{missing}: No such file or directory$"):
        load_network(missing)
    with pytest.raises(ConfigError, match="unknown kind of network 'vgg'"):
        build_from("vgg", "{}")


def test_more_blocks_start_as_the_network_they_were_added_to(tmp_path: Path) -> None:
    plain = CompactNet(CompactConfig(input_size=64)).half().float().eval()
    save_network(plain, tmp_path / "plain.safetensors")
    deeper = CompactNet(CompactConfig(input_size=64, blocks=(1, 2, 2, 1)))
    start_from(deeper, tmp_path / "plain.safetensors")
    images = torch.rand(1, 3, 64, 64) * 255
    torch.testing.assert_close(deeper.eval()(images), plain(images))


def test_weights_of_other_widths_are_refused(tmp_path: Path) -> None:
    save_network(build_network(SMALL), tmp_path / "small.safetensors")
    with pytest.raises(WeightsError, match="size mismatch"):
        start_from(CompactNet(CompactConfig(input_size=64)), tmp_path / "small.safetensors")
    less = CompactNet(replace(SMALL, blocks=(0, 0, 0, 0)))
    with pytest.raises(WeightsError, match=r"not the weights of such a network: refine"):
        start_from(less, tmp_path / "small.safetensors")


def test_a_cut_network_takes_what_agrees(tmp_path: Path) -> None:
    net, cut = CompactNet(SMALL).half().float(), CompactNet(CUT)
    save_network(net, tmp_path / "net.safetensors")
    before, state = {key: value.clone() for key, value in cut.state_dict().items()}, net.state_dict()
    start_from(cut, tmp_path / "net.safetensors")
    for key, value in cut.state_dict().items():
        agrees = key in state and state[key].shape == value.shape
        assert agrees or not key.startswith(("stem.", "stages.", "up16.skip."))
        assert torch.equal(value, state[key] if agrees else before[key]), key
    save_network(cut, tmp_path / "cut.safetensors")
    with pytest.raises(WeightsError):  # the other way round weights of the encoder would be missing
        start_from(net, tmp_path / "cut.safetensors")


def test_a_configuration_without_repeats_is_the_whole_encoder() -> None:
    known = SMALL.as_dict()
    assert known.pop("repeats") == (1, 2, 2, 3, 3, 4, 1)
    assert CompactConfig.from_dict(known) == SMALL


def test_a_network_down_to_stride_16_uses_all_of_itself() -> None:
    net = CompactNet(CUT).eval()
    images = torch.rand(1, 3, 48, 48) * 255
    assert net(images).shape == (1, 68, CUT.map_size, CUT.map_size)
    net(images).square().mean().backward()
    unused = [name for name, value in net.named_parameters() if value.grad is None]
    assert not unused


def test_bad_configurations() -> None:
    with pytest.raises(ConfigError, match="multiple of 32"):
        CompactConfig(input_size=100)
    with pytest.raises(ConfigError, match="multiple of 16"):
        replace(CUT, input_size=72)
    with pytest.raises(ConfigError, match="5 or 7 numbers from 1 on"):
        replace(SMALL, repeats=(1, 2, 2, 3, 0))
    with pytest.raises(ConfigError, match="must be 3 each"):
        replace(CUT, widths=(8, 8, 8, 8))
    with pytest.raises(ConfigError, match="not a compact"):
        CompactConfig.from_dict({"widths": [1, 2, 3, 4], "size": 3})
