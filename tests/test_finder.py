"""The finder's network: its start from ImageNet, its padding, its configuration."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from steadyface.errors import ConfigError
from steadyface.nets.blocks import STEM, conv_bn
from steadyface.nets.finder import FinderConfig, FinderNet
from steadyface.nets.graph import FinderGraph
from steadyface.nets.imagenet import imagenet_weights

SMALL = FinderConfig(widths=(8, 16, 8), blocks=(0, 1, 1))


def build(config: FinderConfig = SMALL) -> FinderNet:
    torch.manual_seed(0)
    return FinderNet(config).eval()


def frames(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1)) * 255


@torch.no_grad()
def test_the_stem_starts_as_lite0s_on_a_frame_averaged_over_two_by_two() -> None:
    net = build()
    net.load_encoder(imagenet_weights())
    weights = imagenet_weights()
    stem = conv_bn(3, STEM, kernel=3, stride=2).eval()
    stem.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("stem.")})
    images = (frames(2, 64, 96) - 127) / 128
    ours, theirs = net.stem(images), stem(nn.functional.avg_pool2d(images, 2))
    assert ours.shape == theirs.shape == (2, STEM, 16, 24)
    assert theirs.std() > 0.5
    # Sums of 108 products in place of 27, of order 1, in float32; the borders' zeros average to zeros.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_the_encoder_starts_from_imagenet_and_nothing_else_changes() -> None:
    net, weights = build(), imagenet_weights()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.load_encoder(imagenet_weights())
    for key, value in net.state_dict().items():
        if key.startswith("stages."):
            assert torch.equal(value, weights[key]), key
        elif not key.startswith("stem."):
            assert torch.equal(value, before[key]), key


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1), (32, 32), (33, 64), (100, 320), (8, 400)])
def test_a_frame_of_any_size_is_padded_with_grey(shape: tuple[int, int]) -> None:
    net, (height, width) = build(), shape
    image = frames(1, height, width)
    rows, columns = (32 * math.ceil(length / 32) for length in shape)
    padded = torch.full((1, 3, rows, columns), 127.0)
    padded[..., :height, :width] = image
    maps = net(image)
    assert maps.shape == (1, 5, rows // 8, columns // 8)
    assert torch.equal(maps, net(padded))


@torch.no_grad()
def test_a_batch_equals_its_frames_one_by_one() -> None:
    net, images = build(), frames(3, 64, 96)
    single = torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(
        net(images), single, rtol=1e-5, atol=1e-5
    )  # float32 in another order of summing


@torch.no_grad()
def test_an_untrained_finder_finds_nothing() -> None:
    frame = frames(1, 64, 96)[0].permute(1, 2, 0).to(torch.uint8)
    boxes, scores = FinderGraph(build())(frame, torch.tensor(0.1))
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


@pytest.mark.parametrize("config", [FinderConfig(), SMALL, FinderConfig(input_size=64, sigma=1.5)])
def test_a_configuration_survives_json(config: FinderConfig) -> None:
    assert FinderConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_size": 300}, "input_size must be a positive multiple of 32, got 300"),
        ({"input_size": 0}, "input_size must be a positive multiple of 32, got 0"),
        ({"width": 3}, "not a finder's configuration: .*width"),
    ],
)
def test_bad_configurations(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FinderConfig.from_dict(values)
