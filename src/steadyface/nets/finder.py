"""Face finder network: a whole frame to a heatmap of face centres and maps of sizes and offsets.

One network finds faces of 12 px and faces that fill the frame. The heatmap is encoded and read like those of
the landmarks: a Gaussian at the unrounded centre, a closed-form step from the brightest cell (Tai et al.
2019, Eq. (1)-(4)). The encoder is the first stages of EfficientNet-Lite0 at half its usual resolution: its
first convolution gives what EfficientNet-Lite0's would give of a frame averaged over 2 × 2 px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from steadyface.errors import ConfigError
from steadyface.nets.blocks import (
    LITE0_STAGES,
    STEM,
    Merge,
    conv_bn,
    lite_stages,
    refine,
)

STRIDE = 8
"""Side of a cell of the finder's maps, px of its input."""

_STAGES = (*LITE0_STAGES[:4], LITE0_STAGES[4]._replace(repeats=1))
_COARSEST = 32
_MEAN = 127.0


@dataclass(frozen=True)
class FinderConfig:
    """Configuration of a finder; stored in its checkpoint.

    Args:
        input_size: longer side of the frames that it is trained on and meant for, px.
        sigma: width of the Gaussian at a face's centre, cells.
        widths: channels of the decoder at strides 8, 16 and 32.
        blocks: residual blocks of the decoder at strides 8, 16 and 32.
    """

    input_size: int = 320
    sigma: float = 1.0
    widths: tuple[int, int, int] = (48, 64, 96)
    blocks: tuple[int, int, int] = (1, 1, 2)
    output: ClassVar[str] = "boxes"

    def __post_init__(self) -> None:
        if self.input_size <= 0 or self.input_size % _COARSEST:
            raise ConfigError(f"input_size must be a positive multiple of {_COARSEST}, got {self.input_size}")

    def as_dict(self) -> dict[str, object]:
        """Return the configuration for JSON; `FinderConfig.from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> FinderConfig:
        """Read the configuration of `as_dict`; an unknown key is an error."""
        known = dict(values)
        known |= {key: tuple(known[key]) for key in ("widths", "blocks") if key in known}  # type: ignore[arg-type]
        try:
            return cls(**known)  # type: ignore[arg-type]
        except TypeError as error:
            raise ConfigError(f"not a finder's configuration: {error}") from error


class FinderNet(nn.Module):
    """Network from frames of any size (padded to a multiple of 32) to maps at an eighth of it.

    Five maps: the logit of the heatmap of visible centres; ln(width / 8 px) and ln(height / 8 px) of the box;
    and the vector from the visible part's centre to the whole box's, in widths and heights, which is 0 unless
    the frame's border cuts the face.

    >>> net = FinderNet(FinderConfig())
    >>> net(torch.zeros(1, 3, 100, 320)).shape
    torch.Size([1, 5, 16, 40])
    """

    def __init__(self, config: FinderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM, kernel_size=6, stride=4, padding=2, bias=False),
            nn.BatchNorm2d(STEM, eps=1e-3, momentum=0.01),
            nn.ReLU6(),
        )
        self.stages = lite_stages(_STAGES)
        w8, w16, w32 = config.widths
        b8, b16, b32 = config.blocks
        self.neck = conv_bn(_STAGES[-1].channels, w32, kernel=1)
        self.refine = refine(w32, b32)
        self.up16 = Merge(w32, _STAGES[2].channels, w16, b16)
        self.up8 = Merge(w16, _STAGES[1].channels, w8, b8)
        self.head = nn.Conv2d(w8, 5, kernel_size=1)
        nn.init.normal_(self.head.weight, std=0.01)
        self.head.bias.data.copy_(torch.tensor([-4.6, 1.5, 1.5, 0.0, 0.0]))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 5 h w"]:
        """Compute the five maps of RGB frames with values 0…255."""
        below, beside = (-images.shape[2]) % _COARSEST, (-images.shape[3]) % _COARSEST
        images = nn.functional.pad(images, (0, beside, 0, below), value=_MEAN)
        x = self.stem((images - _MEAN) / 128.0)
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        x = self.up16(self.refine(self.neck(x)), skips[2])
        return self.head(self.up8(x, skips[1]))

    def load_encoder(self, weights: Mapping[str, Tensor]) -> None:
        """Start the encoder from the weights of EfficientNet-Lite0, as of `imagenet_weights`.

        The stem gets the weights repeated over 2 × 2 px, as for a frame averaged to half its size.
        """
        stem = weights["stem.0.weight"].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) / 4
        ours = self.state_dict()
        shared = {key: value for key, value in weights.items() if key in ours}
        self.load_state_dict({**ours, **shared, "stem.0.weight": stem})
