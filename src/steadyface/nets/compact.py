"""A compact landmark network for CPUs: an EfficientNet-Lite encoder and a light decoder with skips.

It returns log-heatmaps at a quarter of the input's resolution; `heatmap.decode_logits` reads them to a
fraction of a cell. Fully convolutional: any input side that is a multiple of the coarsest stride works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from steadyface.errors import ConfigError
from steadyface.nets.blocks import LITE0_STAGES, STAGES, STEM, Merge, Stage, conv_bn, lite_stages, refine
from steadyface.nets.uncertainty import UncertaintyHead

_SKIPS = (1, 2, 4)  # stages whose outputs, at strides 4, 8 and 16, the decoder takes too
_SHALLOW = 5  # stages up to stride 16


@dataclass(frozen=True)
class CompactConfig:
    """Configuration of a compact network; a checkpoint stores it and rebuilds its network from it.

    Args:
        input_size: side of the square input, px; a multiple of the coarsest stride.
        sigma: width of the heatmaps it was trained for, px of the heatmap.
        landmarks: number of heatmaps.
        encoder: EfficientNet-Lite that the stages are of, a name in `blocks.STAGES`.
        repeats: blocks in each of the encoder's stages: all 7, down to stride 32, or the first 5, down to
            stride 16.
        widths: channels of the decoder at strides 4, 8, 16 and, if the encoder has it, 32.
        blocks: residual blocks of the decoder at the same strides.
        uncertainty: width of the head for visibility and error; 0 means none.
    """

    input_size: int = 128
    sigma: float = 0.75
    landmarks: int = 68
    encoder: str = "lite0"
    repeats: tuple[int, ...] = tuple(stage.repeats for stage in LITE0_STAGES)
    widths: tuple[int, ...] = (96, 96, 128, 160)
    blocks: tuple[int, ...] = (0, 0, 0, 0)
    uncertainty: int = 0
    output: ClassVar[str] = "logits"

    def __post_init__(self) -> None:
        if self.encoder not in STAGES:
            raise ConfigError.choice("encoder", self.encoder, STAGES)
        if len(self.repeats) not in (_SHALLOW, len(LITE0_STAGES)) or min(self.repeats) < 1:
            raise ConfigError(f"repeats must be 5 or 7 numbers from 1 on, got {self.repeats}")
        levels = 4 if self.is_deep else 3
        if not len(self.widths) == len(self.blocks) == levels:
            raise ConfigError(f"widths and blocks must be {levels} each, got {self.widths} and {self.blocks}")
        stride = 32 if self.is_deep else 16
        if self.input_size <= 0 or self.input_size % stride:
            raise ConfigError(f"input_size must be a positive multiple of {stride}, got {self.input_size}")

    @property
    def is_deep(self) -> bool:
        """Whether the encoder goes down to stride 32."""
        return len(self.repeats) > _SHALLOW

    @property
    def stages(self) -> list[Stage]:
        """The encoder's stages."""
        named = STAGES[self.encoder]
        return [stage._replace(repeats=n) for stage, n in zip(named, self.repeats, strict=False)]

    @property
    def map_size(self) -> int:
        """Side of the heatmaps, px."""
        return self.input_size // 4

    def as_dict(self) -> dict[str, object]:
        """Return the configuration for JSON; `CompactConfig.from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> CompactConfig:
        """Read the configuration of `as_dict`; an unknown key is an error."""
        known = dict(values)
        known |= {key: tuple(known[key]) for key in ("repeats", "widths", "blocks") if key in known}  # type: ignore[arg-type]
        try:
            return cls(**known)  # type: ignore[arg-type]
        except TypeError as error:
            raise ConfigError(f"not a compact network's configuration: {error}") from error


class CompactNet(nn.Module):
    """Network from face crops to log-heatmaps.

    >>> import torch
    >>> net = CompactNet(CompactConfig(input_size=64))
    >>> net(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 68, 16, 16])
    """

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = conv_bn(3, STEM, kernel=3, stride=2)
        self.stages = lite_stages(config.stages)
        w4, w8, w16, *deep = config.widths
        b4, b8, b16, *refined = config.blocks
        self.neck: nn.Module | None = None
        if config.is_deep:
            self.neck = conv_bn(config.stages[-1].channels, deep[0], kernel=1)
            self.refine = refine(deep[0], refined[0])
        skips = [config.stages[i].channels for i in _SKIPS]
        self.up16 = Merge(deep[0] if deep else 0, skips[2], w16, b16)
        self.up8 = Merge(w16, skips[1], w8, b8)
        self.up4 = Merge(w8, skips[0], w4, b4)
        self.head = nn.Conv2d(w4, config.landmarks, kernel_size=1)
        self.uncertainty: UncertaintyHead | None = None
        if config.uncertainty:
            self.uncertainty = UncertaintyHead(w8, config.landmarks, config.uncertainty)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch maps h w"]:
        """Compute log-heatmaps, up to a constant per map, of RGB crops with values 0…255."""
        return self.head(self.decode(images)[1])

    def decode(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch _ _ _"], Float[Tensor, "batch _ _ _"]]:
        """Compute the decoder's features at strides 8 and 4; `head` makes log-heatmaps of the latter."""
        x = self.stem((images - 127.0) / 128.0)
        skips = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _SKIPS:
                skips.append(x)
        deepest = None if self.neck is None else self.refine(self.neck(x))
        half = self.up8(self.up16(deepest, skips[2]), skips[1])
        return half, self.up4(half, skips[0])

    def log_heatmaps(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch maps h w"]:
        """Same as `forward`; every landmark network has this method."""
        return self(images)

    def load_encoder(self, weights: Mapping[str, Tensor]) -> None:
        """Start the encoder from ImageNet's weights, as of `imagenet_weights`."""
        own = self.state_dict()
        self.load_state_dict({**own, **{key: value for key, value in weights.items() if key in own}})
