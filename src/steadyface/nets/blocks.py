"""Building blocks of the networks for CPUs: EfficientNet-Lite's stages and the steps of a light decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Stage(NamedTuple):
    """Sequence of inverted residual blocks; the first changes width and resolution."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    repeats: int


LITE0_STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
"""Stages of EfficientNet-Lite0, after a stem of `STEM` channels at half the input's resolution.

Source: Tan and Le 2019."""

LITE2_STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 3),
    Stage(6, 5, 2, 48, 3),
    Stage(6, 3, 2, 88, 4),
    Stage(6, 5, 1, 120, 4),
    Stage(6, 5, 2, 208, 5),
    Stage(6, 3, 1, 352, 1),
)
"""Stages of EfficientNet-Lite2, after the same stem: a tenth wider and a fifth deeper."""

STAGES = {"lite0": LITE0_STAGES, "lite2": LITE2_STAGES}
"""By name of the encoder."""

STEM = 32


def lite_stages(stages: Sequence[Stage] = LITE0_STAGES) -> nn.ModuleList:
    """Build the first stages of an EfficientNet-Lite, with fresh weights."""
    rows, channels = [], STEM
    for expansion, kernel, stride, width, repeats in stages:
        blocks = []
        for i in range(repeats):
            blocks.append(InvertedResidual(channels, width, expansion, kernel, stride if i == 0 else 1))
            channels = width
        rows.append(nn.Sequential(*blocks))
    return nn.ModuleList(rows)


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Module:
    """Build a convolution that keeps the resolution but for its stride, batch normalisation and ReLU6."""
    conv = nn.Conv2d if groups == 1 else DepthwiseConv2d
    layers: list[nn.Module] = [
        conv(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if relu else nn.Sequential(*layers)


class DepthwiseConv2d(nn.Conv2d):
    """Convolution of each channel by itself; trained in float32 on CPUs, also under autocast to bfloat16.

    There the gradient of one in bfloat16 takes several times as long as in float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        trains = torch.is_grad_enabled() and torch.is_autocast_enabled("cpu")
        if x.device.type != "cpu" or not trains:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class InvertedResidual(nn.Module):
    """Expand by 1 × 1, filter each channel, project by 1 × 1; the input is added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [conv_bn(inputs, wide, kernel=1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            conv_bn(wide, wide, kernel, stride, groups=wide),
            conv_bn(wide, outputs, kernel=1, relu=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def refine(width: int, count: int) -> nn.Sequential:
    """Build residual blocks that begin as the identity, so that they can be added to a trained network."""
    blocks = [InvertedResidual(width, width, expansion=2, kernel=5, stride=1) for _ in range(count)]
    for block in blocks:
        nn.init.zeros_(block.layers[-1][1].weight)
    return nn.Sequential(*blocks)


class Merge(nn.Module):
    """Double the resolution, add the encoder's features of that resolution, mix, and refine.

    Args:
        inputs: channels of the coarser features; 0 where there are none and the decoder begins.
        skip: channels of the encoder's features.
        outputs: channels of the result.
        blocks: residual blocks at the end.
    """

    def __init__(self, inputs: int, skip: int, outputs: int, blocks: int) -> None:
        super().__init__()
        changes = inputs not in (0, outputs)
        self.reduce = conv_bn(inputs, outputs, kernel=1, relu=False) if changes else nn.Identity()
        self.skip = conv_bn(skip, outputs, kernel=1, relu=False)
        self.mix = nn.Sequential(
            nn.ReLU6(),
            conv_bn(outputs, outputs, kernel=5, groups=outputs),
            conv_bn(outputs, outputs, kernel=1),
        )
        self.refine = refine(outputs, blocks)

    def forward(self, x: Tensor | None, skip: Tensor) -> Tensor:
        merged = self.skip(skip)
        if x is not None:
            x = self.reduce(x)
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            merged = x + merged
        return self.refine(self.mix(merged))
