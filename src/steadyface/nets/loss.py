"""Losses of the networks: distances between their heatmaps and those of the truth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steadyface import heatmap, markup
from steadyface.geometry import change_grid
from steadyface.nets.finder import STRIDE


class Targets(NamedTuple):
    """Target of each heatmap in a batch of crops.

    Args:
        heatmaps: of sum 1; flat in a crop without a face.
        weights: weight of each map in the cross-entropy.
        points: px of the heatmap; 0 where not annotated.
        annotated: 1 where the map shows an annotated point, else 0.
    """

    heatmaps: Float[Tensor, "batch maps h w"]
    weights: Float[Tensor, "batch maps"]
    points: Float[Tensor, "batch maps 2"]
    annotated: Float[Tensor, "batch maps"]


class Teaching(NamedTuple):
    """Heatmaps of a teacher, and how much they count.

    Args:
        heatmaps: of sum 1, of the student's size and width (`regrid`).
        share: of the teacher's heatmap in the target of an annotated point, in [0, 1].
        fill_weight: weight of the map of a point that is not annotated, whose target is the teacher's alone.
    """

    heatmaps: Float[Tensor, "batch maps h w"]
    share: float
    fill_weight: float


def draw_targets(
    points: Float[Tensor, "batch maps 2"],
    face: Bool[Tensor, "batch"],
    size: tuple[int, int],
    sigma: float,
    *,
    rounded: bool = False,
    teaching: Teaching | None = None,
) -> Targets:
    """Draw each point as a Gaussian of sum 1, and mix it with the teacher's heatmap.

    A point that is NaN (not annotated) or outside the map has weight 0. With a teacher, a point that is not
    annotated has the teacher's heatmap for its target.

    Args:
        points: px of the heatmap; NaN where not annotated.
        face: whether the crop shows a face.
        size: height and width of the heatmaps.
        sigma: width of the Gaussian, px of the heatmap.
        rounded: draw the Gaussian at the rounded point, as conventional heatmap regression does.
        teaching: None without a teacher.
    """
    if rounded:
        points = torch.floor(points + 0.5)
    known = ~points.isnan().any(-1)
    points = points.nan_to_num()
    drawn = heatmap.encode(points, size, sigma).flatten(2)
    mass = drawn.sum(-1, keepdim=True)
    target = drawn / mass.clamp_min(1e-3)
    weights = (known & (mass[..., 0] > 1e-3)).float()
    annotated = weights * face[:, None]
    if teaching is not None:
        share = torch.where(known, teaching.share, 1.0)
        target = torch.lerp(target, teaching.heatmaps.flatten(2), share[..., None])
        weights = torch.where(known, weights, teaching.fill_weight)
    target = torch.where(face[:, None, None], target, 1.0 / target.shape[-1])
    weights = torch.where(face[:, None], weights, 1.0)
    return Targets(target.unflatten(-1, size), weights, points, annotated)


def cross_entropy(
    logits: Float[Tensor, "batch maps h w"],
    targets: Targets,
    *,
    mean_weight: float = 0.0,
    gap_weight: float = 0.0,
    gaps: Int[Tensor, "pairs 2"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of softmax(logits) against the targets, plus distances of its mean from the points.

    Equation: -Σ w·t(c)·log s(c) + w_m·Σ ‖m - p‖₁ + w_g·Σ ‖(m_i - m_j) - (p_i - p_j)‖₁, over the number of
    maps: the first sum is over maps and their cells c, the second over annotated points, the third over gaps
    between two annotated points i, j. Each map has a softmax s with the mean m = Σ_c s(c)·c, a target t of
    weight w, and a point p.

    Args:
        logits: of the network.
        targets: t, w and p.
        mean_weight: w_m.
        gap_weight: w_g. The error of a gap stays 0 where both points are off alike: an eye is as open as its
            lids are apart, wherever they are.
        gaps: pairs i, j of points, such as an upper and a lower lid; None for none.
    """
    height, width = logits.shape[-2:]
    logs = logits.float().flatten(2).log_softmax(-1)
    entropy = -(targets.heatmaps.flatten(2) * logs).sum(-1)
    softmax = logs.exp().unflatten(-1, (height, width))
    rows, columns = (torch.arange(n, dtype=softmax.dtype, device=softmax.device) for n in (height, width))
    mean = torch.stack([(softmax.sum(-2) * columns).sum(-1), (softmax.sum(-1) * rows).sum(-1)], dim=-1)
    annotated = targets.annotated
    error = (mean - targets.points) * annotated[..., None]
    loss = (entropy * targets.weights + mean_weight * error.abs().sum(-1)).mean()
    if gaps is not None:
        first, second = gaps.T
        both = annotated[:, first] * annotated[:, second]
        gap_error = (error[:, first] - error[:, second]).abs().sum(-1) * both
        loss = loss + gap_weight * gap_error.sum() / annotated.numel()
    return loss


def squared_error(
    heatmaps: Float[Tensor, "batch maps h w"],
    points: Float[Tensor, "batch maps 2"],
    face: Bool[Tensor, "batch"],
    sigma: float,
    *,
    rounded: bool = False,
) -> Float[Tensor, ""]:
    """Mean squared difference from Gaussians of peak 1, or from zero in a crop without a face.

    Source: Tai et al. 2019, Eq. (2). Differs from it in: the map of a point that is NaN does not count.

    Args:
        heatmaps: of the network.
        points: px of the heatmap; NaN where not annotated.
        face: whether the crop shows a face.
        sigma: width of the Gaussian, px of the heatmap.
        rounded: draw the Gaussian at the rounded point, as conventional heatmap regression does.
    """
    known = ~points.isnan().any(-1)
    drawn = heatmap.encode(points.nan_to_num(), tuple(heatmaps.shape[-2:]), sigma, rounded=rounded)
    difference = heatmaps.float() - drawn * face[:, None, None, None]
    return (difference.square() * (known | ~face[:, None])[..., None, None]).mean()


def mean_of_views(
    logits: Float[Tensor, "batch 68 n n"], mirrored: Float[Tensor, "batch 68 n n"]
) -> Float[Tensor, "batch 68 n n"]:
    """Log-heatmaps of crops as the mean, per cell, of those of two views, each normalised first.

    Args:
        logits: of the crops.
        mirrored: of their mirror images.
    """
    turned = mirrored.flip(-1)[:, torch.as_tensor(markup.FLIP, device=mirrored.device)]
    views = torch.stack([logits, turned]).float()
    return views.flatten(-2).log_softmax(-1).mean(0).view(logits.shape)


def regrid(
    logits: Float[Tensor, "batch maps n n"], sigma: float, to_size: int, to_sigma: float
) -> Float[Tensor, "batch maps m m"]:
    """Resample a teacher's softmax to the student's grid, widened to the student's σ: heatmaps of sum 1.

    Equation: t = W s Wᵀ, where column j of W is the Gaussian of variance σ'² - (k·σ)² drawn at the position
    of the teacher's cell j in the student's grid, k the ratio of the grids; a Gaussian peak stays one.

    Args:
        logits: the teacher's log-heatmaps.
        sigma: the teacher's, px of its heatmap.
        to_size: side of the student's heatmaps.
        to_sigma: the student's σ, px of its heatmap; a peak that is wider already stays so.
    """
    cells = logits.shape[-1]
    scale = to_size / cells
    softmax = logits.float().flatten(2).softmax(-1).unflatten(-1, (cells, cells))
    width = max(to_sigma**2 - (scale * sigma) ** 2, 0.2**2) ** 0.5
    cell = torch.arange(cells, dtype=softmax.dtype, device=softmax.device)
    positions = change_grid(torch.stack([cell, cell], dim=-1), scale)
    positions[:, 1] = 0.0  # `encode` draws on a single row
    spread = heatmap.encode(positions, (1, to_size), width)[:, 0].T
    blurred = spread @ softmax @ spread.T
    return blurred / blurred.sum((-2, -1), keepdim=True).clamp_min(1e-6)


def finder_loss(
    maps: Float[Tensor, "batch 5 h w"],
    boxes: Float[Tensor, "batch faces 4"],
    wanted: Bool[Tensor, "batch faces"],
    sigma: float,
    *,
    box_weight: float = 2.0,
) -> Float[Tensor, ""]:
    """Loss of the finder: the heatmap of visible centres, and the box at each centre.

    Equation: Σ_c |σ(z) - t|²·BCE(z, t) over the number of faces, t the largest Gaussian at c, plus
    `box_weight` times the mean distance |·|₁ of log sizes and offsets, weighted by t where t > 0.3.
    Source: for the first term Li et al. 2020 (quality focal loss), whose minimum is the Gaussian itself.

    Args:
        maps: of `FinderNet`.
        boxes: x0, y0, x1, y1, px of the frame; NaN where there is no face.
        wanted: which faces have to be found; inside the boxes of the others the heatmap does not count.
        sigma: width of the Gaussian, cells.
        box_weight: weight of the second term.
    """
    height, width = maps.shape[-2:]
    maps, known = maps.float(), ~boxes.isnan().any(-1)
    wanted, boxes = wanted & known, boxes.nan_to_num()
    low, high = boxes[..., :2], boxes[..., 2:]
    end = torch.tensor([width, height], device=maps.device) * STRIDE - 0.5
    centre = (low.clamp_min(-0.5) + torch.minimum(high, end)) / 2
    drawn = heatmap.encode(change_grid(centre, 1 / STRIDE), (height, width), sigma)
    target, owner = (drawn * wanted[..., None, None]).max(1)
    rows, columns = (torch.arange(n, device=maps.device) * STRIDE + (STRIDE - 1) / 2 for n in (height, width))
    across = (columns > low[..., :1]) & (columns < high[..., :1])
    down = (rows > low[..., 1:]) & (rows < high[..., 1:])
    ignored = (down[..., :, None] & across[..., None, :] & (known & ~wanted)[..., None, None]).any(1)
    logits = maps[:, 0]
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    focal = (logits.sigmoid() - target).square() * entropy * ~(ignored & (target < 0.05))
    size = (high - low).clamp_min(1.0)
    truth = torch.cat([torch.log(size / STRIDE), ((low + high) / 2 - centre) / size], dim=-1)
    truth_of_cell = truth.gather(1, owner.flatten(1)[..., None].expand(-1, -1, 4)).transpose(1, 2)
    weight = (target * (target > 0.3)).flatten(1)
    distance = (maps[:, 1:].flatten(2) - truth_of_cell).abs().sum(1)
    distance = (distance * weight).sum() / weight.sum().clamp_min(1.0)
    return focal.sum() / wanted.sum().clamp_min(1) + box_weight * distance
