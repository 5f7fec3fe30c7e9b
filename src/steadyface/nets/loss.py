"""Losses of the networks: distances between their heatmaps and those of the truth."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steadyface import heatmap, markup
from steadyface.geometry import change_grid
from steadyface.nets.finder import STRIDE


def cross_entropy(
    logits: Float[Tensor, "batch maps h w"],
    points: Float[Tensor, "batch maps 2"],
    face: Bool[Tensor, "batch"],
    sigma: float,
    *,
    mean_weight: float = 0.0,
    gaps: Int[Tensor, "pairs 2"] | None = None,
    gap_weight: float = 0.0,
    rounded: bool = False,
    soft: Float[Tensor, "batch maps h w"] | None = None,
    soft_weight: float = 0.0,
    fill_weight: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of softmax(logits) against the normalised Gaussian, plus distances of its mean.

    Equation: -Σ_c t(c)·log s(c) + w·‖m - p‖₁, averaged over maps, with the mean m = Σ_c s(c)·c; plus
    w'·Σ‖(m_i - m_j) - (p_i - p_j)‖₁ over pairs of points, over the number of maps: an eye is as open as its
    lids are apart, wherever they are. t is flat in a crop without a face. A point that is NaN (not annotated)
    or outside the map does not count; with a teacher, the target t of a point that is not annotated is the
    teacher's heatmap, and the map counts by `fill_weight`.

    Args:
        logits: of the network.
        points: px of the heatmap; NaN where not annotated.
        face: whether the crop shows a face.
        sigma: width of the Gaussian, px of the heatmap.
        mean_weight: w.
        gaps: pairs i, j of points whose gap counts, such as an upper and a lower lid; None for none.
        gap_weight: w'.
        rounded: draw the Gaussian at the rounded point, as conventional heatmap regression does.
        soft: a teacher's heatmaps, each of sum 1, of the student's size and width (`regrid`).
        soft_weight: weight of the teacher's heatmap in t where a point is annotated, in [0, 1].
        fill_weight: weight of a map whose target is the teacher's alone.
    """
    if rounded:
        points = torch.floor(points + 0.5)
    height, width = logits.shape[-2:]
    logs = logits.float().flatten(2).log_softmax(-1)
    known = ~points.isnan().any(-1)
    drawn = heatmap.encode(points.nan_to_num(), (height, width), sigma).flatten(2)
    mass = drawn.sum(-1, keepdim=True)
    target = drawn / mass.clamp_min(1e-3)
    weight = (known & (mass[..., 0] > 1e-3)).float()
    if soft is not None:
        target = torch.lerp(target, soft.flatten(2), torch.where(known, soft_weight, 1.0)[..., None])
        weight = torch.where(known, weight, fill_weight)
    target = torch.where(face[:, None, None], target, 1.0 / (height * width))
    weight = torch.where(face[:, None], weight, 1.0)
    entropy = -(target * logs).sum(-1)
    softmax = logs.exp().unflatten(-1, (height, width))
    rows, columns = (torch.arange(n, dtype=softmax.dtype, device=softmax.device) for n in (height, width))
    mean = torch.stack([(softmax.sum(-2) * columns).sum(-1), (softmax.sum(-1) * rows).sum(-1)], dim=-1)
    counts = weight * (known & face[:, None])
    error = (mean - points.nan_to_num()) * counts[..., None]
    loss = (entropy * weight + mean_weight * error.abs().sum(-1)).mean()
    if gaps is not None:
        first, second = gaps.T
        apart = (error[:, first] - error[:, second]).abs().sum(-1) * counts[:, first] * counts[:, second]
        loss = loss + gap_weight * apart.sum() / weight.numel()
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
