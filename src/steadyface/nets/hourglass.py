"""The paper's network: stacked hourglasses that regress heatmaps at half the input's resolution.

Every stack gives heatmaps, which the next stack takes as input; all of them are trained. Fully convolutional:
any input side that is a multiple of 2**(depth + 1) works.

Source: Tai et al. 2019, "Implementation details", and the authors' released code; Newell, Yang and Deng 2016.
Differs from Newell's: no pooling before the first stack, hence heatmaps at stride 2 instead of 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from steadyface.errors import ConfigError

UNITS = ("bottleneck", "wide")
OUTPUTS = ("heatmaps", "logits")

_LOWEST = 1e-6  # value that a negative one counts as: that of a Gaussian of peak 1 at 5.3σ


@dataclass(frozen=True)
class HourglassConfig:
    """Configuration of a stacked hourglass; a checkpoint stores it and rebuilds its network from it.

    With "wide" units the defaults are the paper's network of 34.16 M parameters, with "bottleneck" of 2.26 M.

    Args:
        input_size: side of the square input, px; a multiple of 2**(depth + 1).
        sigma: width of the heatmaps it was trained for, px of the heatmap.
        landmarks: number of heatmaps.
        stacks: hourglasses one after the other.
        features: channels inside the hourglasses; a multiple of 4.
        depth: how often an hourglass halves the resolution.
        modules: residual units at each step of an hourglass.
        unit: "bottleneck" (1 × 1, 3 × 3, 1 × 1, a quarter as wide inside) or "wide" (two full 3 × 3).
        output: what it was trained to give: "heatmaps" (squared error against Gaussians of peak 1) or
            "logits" (softmax and cross-entropy).

    Raises:
        ConfigError: a number or name outside what is allowed.

    >>> HourglassConfig().map_size
    128
    """

    input_size: int = 256
    sigma: float = 3.0
    landmarks: int = 68
    stacks: int = 4
    features: int = 128
    depth: int = 4
    modules: int = 2
    unit: str = "bottleneck"
    output: str = "heatmaps"

    def __post_init__(self) -> None:
        for name, allowed in (("unit", UNITS), ("output", OUTPUTS)):
            if getattr(self, name) not in allowed:
                raise ConfigError.choice(name, getattr(self, name), allowed)
        steps = {"landmarks": 1, "stacks": 1, "depth": 1, "modules": 1, "features": 4}
        for name, step in (steps | {"input_size": 2 ** (self.depth + 1)}).items():
            if getattr(self, name) <= 0 or getattr(self, name) % step:
                raise ConfigError(f"{name} must be a positive multiple of {step}, got {getattr(self, name)}")

    @property
    def map_size(self) -> int:
        """Side of the heatmaps, px."""
        return self.input_size // 2

    def as_dict(self) -> dict[str, object]:
        """Return the configuration for JSON; `HourglassConfig.from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> HourglassConfig:
        """Read the configuration of `as_dict`; an unknown key is an error."""
        try:
            return cls(**values)  # type: ignore[arg-type]
        except TypeError as error:
            raise ConfigError(f"not an hourglass network's configuration: {error}") from error


class HourglassNet(nn.Module):
    """Network from face crops to the heatmaps of every stack.

    Equation: f_i = linear_i(hourglass_i(x_i)), h_i = head_i(f_i), x_{i+1} = x_i + A_i f_i + B_i h_i, where
    head, A and B are 1 × 1 convolutions.

    >>> net = HourglassNet(HourglassConfig(input_size=64, stacks=2, features=16))
    >>> net(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([2, 1, 68, 32, 32])
    >>> net.log_heatmaps(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 68, 32, 32])
    """

    def __init__(self, config: HourglassConfig) -> None:
        super().__init__()
        self.config = config
        features, landmarks, merges = config.features, config.landmarks, config.stacks - 1
        entry = _units(config, 64, 128, 128, features)
        self.stem = nn.Sequential(*_conv_bn_relu(3, 64, kernel=7, stride=2), *entry)
        self.stacks = nn.ModuleList(_stack(config) for _ in range(config.stacks))
        self.heads = nn.ModuleList(nn.Conv2d(features, landmarks, 1) for _ in range(config.stacks))
        self.merge_features = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(merges))
        self.merge_maps = nn.ModuleList(nn.Conv2d(landmarks, features, 1) for _ in range(merges))

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "stacks batch maps h w"]:
        """Compute every stack's heatmaps or logits (`config.output`) of RGB crops with values 0…255."""
        x = self.stem(images / 255.0)
        outputs: list[Tensor] = []
        for i, (stack, head) in enumerate(zip(self.stacks, self.heads, strict=True)):
            features = stack(x)
            outputs.append(head(features))
            if i < len(self.merge_maps):
                x = x + self.merge_features[i](features) + self.merge_maps[i](outputs[-1])
        return torch.stack(outputs)

    def log_heatmaps(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch maps h w"]:
        """Compute the last stack's log-heatmaps of RGB crops with values 0…255, for `heatmap.decode_logits`.

        A negative value of a heatmap is no evidence; the authors' test code sets it to 0, this one to 1e-6.
        """
        last = self(images)[-1]
        return last if self.config.output == "logits" else torch.log(last.clamp(min=_LOWEST))


def _conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


class _Residual(nn.Module):
    """x + layers(x); where the widths differ, a 1 × 1 convolution of x takes the place of x."""

    def __init__(self, inputs: int, outputs: int, *layers: nn.Module) -> None:
        super().__init__()
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.layers(x)


class _Bottleneck(_Residual):
    """Newell's pre-activated unit, but a quarter as wide inside: 2.26 M parameters; half gives 6.40 M."""

    def __init__(self, inputs: int, outputs: int) -> None:
        inside, layers = outputs // 4, list[nn.Module]()
        for width, following, kernel in ((inputs, inside, 1), (inside, inside, 3), (inside, outputs, 1)):
            convolution = nn.Conv2d(width, following, kernel, padding=kernel // 2)
            layers += [nn.BatchNorm2d(width), nn.ReLU(), convolution]
        super().__init__(inputs, outputs, *layers)


class _Wide(_Residual):
    """Unit of the authors' released code; its PReLU has one slope for all channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        first = [nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)]
        second = [nn.PReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)]
        super().__init__(inputs, outputs, *first, *second)


def _units(config: HourglassConfig, *widths: int) -> nn.Sequential:
    """Build residual units from each width to the next; by default those of one step of an hourglass."""
    unit = _Wide if config.unit == "wide" else _Bottleneck
    steps = pairwise(widths or [config.features] * (config.modules + 1))
    return nn.Sequential(*(unit(inputs, outputs) for inputs, outputs in steps))


def _stack(config: HourglassConfig) -> nn.Sequential:
    linear = _conv_bn_relu(config.features, config.features, kernel=1)
    return nn.Sequential(_Hourglass(config, config.depth), _units(config), *linear)


class _Hourglass(nn.Module):
    """Hourglass: process half the resolution, recursively, and add the result to the full one."""

    def __init__(self, config: HourglassConfig, depth: int) -> None:
        super().__init__()
        self.across = _units(config)
        self.down = nn.Sequential(nn.MaxPool2d(2), _units(config))
        self.inner = _Hourglass(config, depth - 1) if depth > 1 else _units(config)
        self.up = _units(config)

    def forward(self, x: Tensor) -> Tensor:
        low = self.up(self.inner(self.down(x)))
        return self.across(x) + nn.functional.interpolate(low, scale_factor=2.0, mode="nearest")
