"""Networks from pixels to points or boxes, with normalisation and decoding; for export and validation."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from steadyface import heatmap
from steadyface.geometry import change_grid
from steadyface.nets import LandmarkNet
from steadyface.nets.compact import CompactNet
from steadyface.nets.finder import STRIDE, FinderNet
from steadyface.nets.uncertainty import UncertaintyHead, gather, summarise

MOST_BOXES = 64
"""Boxes that a finder's graph returns at most."""

_SAME_FACE = 0.45  # IoU above which the lesser of two boxes is dropped
_TIE = 1e-6  # by which the middle cell of a window is raised, so that it wins among equal cells
_REACH = 1  # cells to each side of a peak that its decoder reads, and among which it must be the highest


class LandmarkGraph(nn.Module):
    """Landmark network with the decoder of its heatmaps.

    Input `crops`: (B, S, S, 3) RGB uint8. Outputs, in the order of `outputs`: `points` (B, 68, 2) crop px,
    `scores` (B, 68), `covariances` (B, 68, 2, 2) crop px², and `logits` (B, 68, h, w), the log-heatmaps, for
    other decoders. A network with a head of visibility and error has `visible` (B, 68) before `logits`, and
    its covariances are those of the points' errors; without, they are the spreads of the heatmaps' peaks.
    """

    def __init__(self, net: LandmarkNet, method: str = heatmap.DEFAULT_METHOD) -> None:
        super().__init__()
        self.net, self.method = net, method
        has_visibility = isinstance(net, CompactNet) and net.uncertainty is not None
        visible = ("visible",) if has_visibility else ()
        self.outputs = ("points", "scores", "covariances", *visible, "logits")

    def forward(self, crops: UInt8[Tensor, "batch size size 3"]) -> tuple[Tensor, ...]:
        images = crops.permute(0, 3, 1, 2).float()
        if isinstance(self.net, CompactNet) and self.net.uncertainty is not None:
            return self._with_uncertainty(self.net, self.net.uncertainty, images)
        logits = self.net.log_heatmaps(images)
        read = self._decode(logits)
        scale = self.net.config.input_size / self.net.config.map_size
        return change_grid(read.points, scale), read.scores, read.covariances * scale**2, logits

    def _with_uncertainty(self, net: CompactNet, head: UncertaintyHead, images: Tensor) -> tuple[Tensor, ...]:
        (features, last), cells = net.decode(images), net.config.map_size
        logits = net.head(last)
        read = self._decode(logits)
        visible, factor = head(gather(features, read, cells), summarise(read, cells))
        factor = factor * (net.config.input_size / 100)
        points = change_grid(read.points, net.config.input_size / cells)
        return points, read.scores, factor @ factor.mT, visible.sigmoid(), logits

    def _decode(self, logits: Tensor) -> heatmap.Decoded:
        return heatmap.decode_logits(logits, sigma=self.net.config.sigma, method=self.method, finite=True)


class FinderGraph(nn.Module):
    """Finder with the decoder of its maps: sub-cell peaks and the boxes around them.

    Inputs: `image` (H, W, 3) RGB uint8 of any size, `threshold` () least score. Outputs: `boxes` (N, 4)
    x0, y0, x1, y1 in image px, tight around the landmarks, beyond the image's border where the face is, and
    `scores` (N,) in [0, 1], best first, N ≤ `MOST_BOXES`.

    A score is the height of the Gaussian at its sub-cell centre.
    """

    def __init__(self, net: FinderNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, image: UInt8[Tensor, "height width 3"], threshold: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, "faces 4"], Float[Tensor, "faces"]]:
        maps = self.net(image.permute(2, 0, 1)[None].float())
        heat, sigma = maps[:, :1].sigmoid(), self.net.config.sigma
        peaks, rows, columns = _highest_peaks(heat)
        step = _steps(heat, rows, columns, sigma)
        scores = peaks * torch.exp(step.square().sum(-1) / (2 * sigma**2))
        values = maps[0][:, rows, columns]
        centre = change_grid(torch.stack([columns, rows], dim=-1) + step, STRIDE)
        size = STRIDE * values[1:3].T.clamp(-2.0, 6.0).exp()
        centre = centre + values[3:5].T * size
        boxes = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
        scores, best = torch.topk(scores.clamp(max=1.0), MOST_BOXES)
        boxes = boxes[best]
        kept = (scores >= threshold) & ~_overlapped(boxes)
        return boxes[kept], scores[kept]


def _highest_peaks(heat: Float[Tensor, "1 1 h w"]) -> tuple[Tensor, Tensor, Tensor]:
    """Heights, rows and columns of the `MOST_BOXES` highest local maxima; -1 for one that does not exist."""
    height, width = heat.shape[-2:]
    highest = nn.functional.max_pool2d(heat, 2 * _REACH + 1, stride=1, padding=_REACH)
    peaks = torch.where(heat == highest, heat, 0.0).flatten()
    row, column = (torch.arange(n, device=heat.device) for n in (height, width))
    spare = (0, MOST_BOXES)  # cells that do not exist, for maps with fewer cells than boxes
    peaks, order = torch.topk(nn.functional.pad(peaks, spare, value=-1.0), MOST_BOXES)
    rows = nn.functional.pad(row[:, None].expand(height, width).flatten(), spare)[order]
    columns = nn.functional.pad(column[None].expand(height, width).flatten(), spare)[order]
    return peaks, rows, columns


def _steps(
    heat: Float[Tensor, "1 1 h w"], rows: Tensor, columns: Tensor, sigma: float
) -> Float[Tensor, "peaks 2"]:
    """Steps x, y from each cell to its peak, cells."""
    padded = nn.functional.pad(heat[0, 0], (_REACH, _REACH, _REACH, _REACH))
    reach = torch.arange(2 * _REACH + 1, device=heat.device)
    windows = padded[(rows[:, None] + reach)[:, :, None], (columns[:, None] + reach)[:, None, :]]
    raised = ((reach[:, None] == _REACH) & (reach == _REACH)) * _TIE
    decoded = heatmap.decode(windows + raised, sigma=sigma, method="fhr_symmetric")
    return (decoded.points - _REACH).clamp(-1.0, 1.0)


def _overlapped(boxes: Float[Tensor, "n 4"]) -> Tensor:
    """Mark the boxes, best first, whose IoU with a better one exceeds `_SAME_FACE`."""
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    same = shared > _SAME_FACE * (area[:, None] + area[None] - shared)
    rank = torch.arange(len(boxes), device=boxes.device)
    return (same & (rank[None] < rank[:, None])).any(1)
