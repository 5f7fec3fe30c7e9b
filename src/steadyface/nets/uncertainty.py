"""Head on a network's features that estimates which points are visible, and the spread of their errors."""

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
_OWN_SHARE = 0.2  # largest change of the logarithm of a standard deviation by the point's own features
_STEEP = 4.0  # slope of "covered" below a probability of 0.5; at 0.25 and below it is 1
_FEW = 0.1  # keeps the mean over the visible points finite if there are none
_PACE = 0.05  # weight of a batch in the running mean

_LEFT, _TO_RIGHT = [1.0, 0.0, 1.0, 0.0], [[-1.0, 1.0, -1.0, 1.0], [0.0] * 4]
_ABOVE, _TO_BELOW = [1.0, 1.0, 0.0, 0.0], [[0.0] * 4, [-1.0, -1.0, 1.0, 1.0]]
"""Weights of four cells, row by row, along x and along y: at the first cell, and their growth from there."""


class UncertaintyHead(nn.Module):
    """Probability that each point is visible, and the covariance of its error.

    Equations, with x the decoder's features at the point and its peak's description, g the positions and
    peaks of all points and y the positions alone:

    - visible v = sigmoid(r_l h), h = relu(M relu(W x + G g + e_l));
    - of the face: f = relu(F relu(P m + Q y)), m the mean of a_l − ā_l over the points, weighted with v²,
      where a_l = relu(A x + d_l) and ā_l is its mean over all faces;
    - of the point: (s, d, t) = R_l f + 0.2 tanh(S_l a_l / 0.2) in sight; the size s becomes (1 + p) s, and a
      covered point adds c (T_l h + (q, 0, 0)), c = 4 (½ − v) within 0 and 1;
    - covariance k² L Lᵀ with L = e^s ((e^d, 0), (t, e^−d)), in % of the crop's side.

    A hidden point is no evidence of the others' errors, so f is computed from visible points alone; a
    point's own features, which a neighbouring object changes, have little influence. r, e, d, R, S and T are
    each landmark's own; k, p and q are set after training (`training.uncertainty`).

    Args:
        channels: of the decoder's maps at half the heatmaps' resolution.
        landmarks: number of points.
        width: of h, a and f.
    """

    def __init__(self, channels: int, landmarks: int, width: int) -> None:
        super().__init__()
        self.features = channels + STATISTICS
        everything = landmarks * (2 + STATISTICS)
        self.register_buffer("feature_mean", torch.zeros(self.features))
        self.register_buffer("feature_scale", torch.ones(self.features))
        self.register_buffer("context_mean", torch.zeros(everything))
        self.register_buffer("context_scale", torch.ones(everything))
        self.register_buffer("usual", torch.zeros(landmarks, width))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("power", torch.zeros(()))
        self.veil: Tensor
        self.register_buffer("veil", torch.zeros(()))
        self.local = nn.Linear(self.features, width)
        self.context = nn.Linear(everything, width, bias=False)
        self.own = nn.Parameter(torch.zeros(landmarks, width))
        self.mix = nn.Linear(width, width)
        self.readout = nn.Parameter(_small(landmarks, width, 4))
        self.offset = nn.Parameter(torch.zeros(landmarks, 4))
        self.sight = nn.Linear(self.features, width)
        self.sight_own = nn.Parameter(torch.zeros(landmarks, width))
        self.sight_readout = nn.Parameter(_small(landmarks, width, 3))
        self.pool = nn.Linear(width, width)
        self.place = nn.Linear(2 * landmarks, width, bias=False)
        self.face = nn.Linear(width, width)
        self.face_readout = nn.Linear(width, 3 * landmarks)

    def forward(
        self,
        features: Float[Tensor, "batch landmarks features"],
        context: Float[Tensor, "batch everything"],
    ) -> tuple[Float[Tensor, "batch landmarks"], Float[Tensor, "batch landmarks 2 2"]]:
        """Compute the logits of visibility and k L, the covariances' factors, in % of the crop's side.

        Args:
            features: of `gather`.
            context: of `summarise`.
        """
        x = (features - self.feature_mean) * self.feature_scale
        g = (context - self.context_mean) * self.context_scale
        h = torch.relu(self.mix(torch.relu(self.local(x) + self.context(g)[:, None] + self.own)))
        outputs = _read_out(h, self.readout) + self.offset
        visible = outputs[..., :1].sigmoid().detach()  # errors must not train visibility
        covered = (_STEEP * (0.5 - visible)).clamp(0, 1)
        inner, more = self._in_sight(x, g, visible), covered * outputs[..., 1:]
        size = (1 + self.power) * inner[..., :1] + more[..., :1] + self.veil * covered
        size = torch.exp(_LOG_RANGE * torch.tanh(size / _LOG_RANGE)) * self.spread
        narrow, tilt = inner[..., 1:2] + more[..., 1:2], inner[..., 2:] + more[..., 2:]
        ratio = torch.exp(torch.tanh(narrow))
        factor = size * torch.cat([ratio, 0 * tilt, tilt, 1 / ratio], dim=-1)
        return outputs[..., 0], factor.unflatten(-1, (2, 2))

    def _in_sight(
        self,
        x: Float[Tensor, "batch landmarks features"],
        g: Float[Tensor, "batch everything"],
        visible: Float[Tensor, "batch landmarks 1"],
    ) -> Float[Tensor, "batch landmarks 3"]:
        """Compute s, d and t of the equations, as if nothing covered the point."""
        a = torch.relu(self.sight(x) + self.sight_own)
        weight = visible.square()
        if self.training:
            with torch.no_grad():
                self.usual.lerp_((weight * a).sum(0) / (weight.sum(0) + _FEW), _PACE)
        mean = (weight * (a - self.usual)).sum(1) / (weight.sum(1) + _FEW)
        positions = g.unflatten(1, (-1, 2 + STATISTICS))[..., :2].flatten(1)
        f = torch.relu(self.face(torch.relu(self.pool(mean) + self.place(positions))))
        own = _OWN_SHARE * torch.tanh(_read_out(a, self.sight_readout) / _OWN_SHARE)
        return self.face_readout(f).unflatten(-1, (-1, 3)) + own


def _small(landmarks: int, width: int, outputs: int) -> Tensor:
    """Small random matrices, one per landmark, to begin with."""
    return torch.randn(landmarks, width, outputs) * 0.1 / math.sqrt(width)


def _read_out(
    h: Float[Tensor, "batch landmarks width"], matrices: Float[Tensor, "landmarks width outputs"]
) -> Float[Tensor, "batch landmarks outputs"]:
    """Multiply each landmark's features with its own matrix."""
    return (h[..., None, :] * matrices.mT).sum(dim=-1)


def gather(
    maps: Float[Tensor, "batch channels h w"], read: Decoded, cells: int
) -> Float[Tensor, "batch landmarks features"]:
    """Sample maps bilinearly at every point, and append the description of the point's peak.

    Outside the maps their border is repeated. All channels of a cell are read at once, which in ONNX Runtime
    takes a third of the time of `grid_sample`.

    Args:
        maps: of the decoder, over the whole crop at any resolution.
        read: decoded points, px of heatmaps of `cells` px a side.
        cells: side of the heatmaps, px.
    """
    height, width = maps.shape[-2:]
    last = torch.tensor([width - 1, height - 1], dtype=maps.dtype, device=maps.device)
    position = torch.minimum(((read.points + 0.5) * (width / cells) - 0.5).clamp(min=0), last)
    corner = torch.minimum(position.floor(), last - 1)
    inside = position - corner
    weights = (inside @ inside.new_tensor(_TO_RIGHT) + inside.new_tensor(_LEFT)) * (
        inside @ inside.new_tensor(_TO_BELOW) + inside.new_tensor(_ABOVE)
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
