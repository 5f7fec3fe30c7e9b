"""Head that tells, beside a network's heatmaps, which points are visible and how far off each may be."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from steadyface.heatmap import Decoded

STATISTICS = 4
"""Numbers that describe the peak of one heatmap: see `describe_peaks`."""

_LEAST_SCORE = 1e-4
_LOG_RANGE = 3.5  # standard deviations stay within e^±3.5 % of the crop's side
_TILT = 30.0  # % of the crop's side; bound of the off-diagonal term

_LEFT, _TO_RIGHT = [1.0, 0.0, 1.0, 0.0], [[-1.0, 1.0, -1.0, 1.0], [0.0] * 4]
_ABOVE, _TO_BELOW = [1.0, 1.0, 0.0, 0.0], [[0.0] * 4, [-1.0, -1.0, 1.0, 1.0]]
"""Weights of four cells, row by row, along x and along y: at the first cell, and their growth from there."""


class UncertaintyHead(nn.Module):
    """Probability that each point is visible, and the covariance of its error.

    Equation: h = relu(M relu(W x + G g + e_l)), (v, a, b, c) = R_l h + r_l; visible = sigmoid(v),
    covariance = k² |L|^p L Lᵀ with L = ((e^a, 0), (c, e^b)) in % of the crop's side. x are the decoder's
    features at the point and its peak's description, g the positions and peaks of all points; M, W and G are
    shared, e, R and r are each landmark's own; k and p are set after training (`training.uncertainty`).

    Args:
        channels: of the decoder's maps at half the heatmaps' resolution.
        landmarks: number of points.
        width: of h.
    """

    def __init__(self, channels: int, landmarks: int, width: int) -> None:
        super().__init__()
        self.features = channels + STATISTICS
        everything = landmarks * (2 + STATISTICS)
        self.register_buffer("feature_mean", torch.zeros(self.features))
        self.register_buffer("feature_scale", torch.ones(self.features))
        self.register_buffer("context_mean", torch.zeros(everything))
        self.register_buffer("context_scale", torch.ones(everything))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("power", torch.zeros(()))
        self.local = nn.Linear(self.features, width)
        self.context = nn.Linear(everything, width, bias=False)
        self.own = nn.Parameter(torch.zeros(landmarks, width))
        self.mix = nn.Linear(width, width)
        self.readout = nn.Parameter(torch.randn(landmarks, width, 4) * 0.1 / math.sqrt(width))
        self.offset = nn.Parameter(torch.zeros(landmarks, 1, 4))

    def forward(
        self,
        features: Float[Tensor, "batch landmarks features"],
        context: Float[Tensor, "batch everything"],
    ) -> tuple[Float[Tensor, "batch landmarks"], Float[Tensor, "batch landmarks 2 2"]]:
        """Compute the logits of visibility and L, the covariances' factors, in % of the crop's side.

        Args:
            features: of `gather`.
            context: of `summarise`.
        """
        x = (features - self.feature_mean) * self.feature_scale
        g = (context - self.context_mean) * self.context_scale
        h = torch.relu(self.local(x) + self.context(g)[:, None] + self.own)
        h = torch.relu(self.mix(h))
        out = (h[..., None, :] * self.readout.mT).sum(dim=-1) + self.offset[:, 0]
        bounds = torch.tensor([_LOG_RANGE, _LOG_RANGE, _TILT], dtype=out.dtype, device=out.device)
        bounded = bounds * torch.tanh(out[..., 1:] / bounds)
        logs, c = bounded[..., :2], bounded[..., 2:]
        sizes = logs.exp()
        factor = torch.cat([sizes[..., :1], 0 * c, c, sizes[..., 1:]], dim=-1)
        stretch = self.spread * (logs.sum(dim=-1, keepdim=True) * (self.power / 2)).exp()
        return out[..., 0], (stretch * factor).unflatten(-1, (2, 2))


def gather(
    maps: Float[Tensor, "batch channels h w"], read: Decoded, cells: int
) -> Float[Tensor, "batch landmarks features"]:
    """Sample maps bilinearly at every point, and append the description of the point's peak.

    Beyond the border they are as on it. Channels go last and whole rows of them are taken: in ONNX Runtime a
    third of the time of `grid_sample`.

    Args:
        maps: of the decoder, over the whole crop at any resolution.
        read: points in px of heatmaps of `cells` px a side.
    """
    height, width = maps.shape[-2:]
    last = torch.tensor([width - 1, height - 1], dtype=maps.dtype, device=maps.device)
    place = torch.minimum(((read.points + 0.5) * (width / cells) - 0.5).clamp(min=0), last)
    corner = torch.minimum(place.floor(), last - 1)
    beyond = place - corner
    weights = (beyond @ beyond.new_tensor(_TO_RIGHT) + beyond.new_tensor(_LEFT)) * (
        beyond @ beyond.new_tensor(_TO_BELOW) + beyond.new_tensor(_ABOVE)
    )
    start = torch.arange(maps.shape[0], device=maps.device) * (height * width)
    cell = (corner * corner.new_tensor([1.0, width])).sum(dim=-1).long() + start[:, None]
    offsets = torch.tensor([0, 1, width, width + 1], device=maps.device)
    rows = maps.permute(0, 2, 3, 1).flatten(0, 2)
    taken = rows[(cell[..., None] + offsets).flatten()].unflatten(0, (-1, read.points.shape[1], 4))
    sampled = (weights[..., None, :] @ taken)[..., 0, :]
    return torch.cat([sampled, describe_peaks(read)], dim=-1)


def summarise(read: Decoded, cells: int) -> Float[Tensor, "batch everything"]:
    """Positions, as fractions of the crop, and descriptions of all peaks in one row."""
    return torch.cat([read.points / cells - 0.5, describe_peaks(read)], dim=-1).flatten(1)


def describe_peaks(read: Decoded) -> Float[Tensor, "batch landmarks statistics"]:
    """Describe each peak: logit of its score, log variances along x and y in cells², their correlation."""
    score = read.scores.clamp(_LEAST_SCORE, 1 - _LEAST_SCORE)[..., None]
    entries = read.covariances.flatten(-2)  # xx, xy, xy, yy
    variances = entries[..., ::3].log()
    correlation = entries[..., 1:2] * torch.exp(variances.sum(dim=-1, keepdim=True) / -2)
    return torch.cat([torch.log(score / (1 - score)), variances, correlation], dim=-1)
