"""Laws of the losses: least at the truth, silent where there is nothing to say, peaks kept on other grids."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steadyface import heatmap
from steadyface.geometry import change_grid
from steadyface.nets.loss import cross_entropy, regrid, squared_error

POINTS = torch.tensor([[[4.3, 7.8]]])


def logs(points: torch.Tensor, size: int = 16, sigma: float = 1.0) -> torch.Tensor:
    return torch.log(heatmap.encode(points, (size, size), sigma) + 1e-12)


def test_cross_entropy_is_least_at_the_truth_and_flat_for_no_face() -> None:
    right = cross_entropy(logs(POINTS), POINTS, 1.0, mean_weight=0.25)
    wrong = cross_entropy(logs(POINTS), POINTS + 1.0, 1.0, mean_weight=0.25)
    assert right < wrong
    absent = torch.full((1, 1, 2), torch.nan)
    flat = cross_entropy(torch.zeros(1, 1, 16, 16), absent, 1.0, mean_weight=0.25)
    assert flat == pytest.approx(np.log(256), rel=1e-5)  # the entropy of 256 equal cells
    assert flat < cross_entropy(logs(POINTS), absent, 1.0, mean_weight=0.25)


def test_a_point_outside_the_map_counts_for_nothing() -> None:
    logits = torch.randn(1, 1, 16, 16, requires_grad=True)
    cross_entropy(logits, torch.tensor([[[40.0, 40.0]]]), 1.0, mean_weight=0.25).backward()
    assert logits.grad is not None
    assert torch.all(logits.grad == 0)


def test_squared_error_is_zero_at_the_truth_only() -> None:
    drawn = heatmap.encode(POINTS, (16, 16), 1.5)
    assert squared_error(drawn, POINTS, 1.5) == 0
    assert squared_error(drawn, POINTS + 0.5, 1.5) > 0
    absent = torch.full((1, 1, 2), torch.nan)
    assert squared_error(torch.zeros(1, 1, 16, 16), absent, 1.5) == 0
    assert squared_error(drawn, absent, 1.5) > 0


def test_rounded_targets_are_those_of_conventional_regression() -> None:
    cell = POINTS.round()
    for loss, maps in ((squared_error, heatmap.encode(cell, (16, 16), 1.0)), (cross_entropy, logs(cell))):
        assert loss(maps, POINTS, 1.0, rounded=True) == loss(maps, cell, 1.0)
        assert loss(maps, POINTS, 1.0, rounded=True) < loss(maps, POINTS, 1.0)


@pytest.mark.parametrize(("size", "to_size"), [(56, 32), (32, 32), (24, 48)])
def test_regrid_keeps_a_peaks_place_and_gives_it_the_students_width(size: int, to_size: int) -> None:
    points = torch.rand(1, 20, 2) * (size - 12) + 6
    sigma = 1.0
    to_sigma = 1.2 * max(1.0, to_size / size)
    soft = regrid(logs(points, size, sigma), sigma, to_size, to_sigma)
    torch.testing.assert_close(soft.sum((-2, -1)), torch.ones(1, 20))
    found = heatmap.decode(soft, sigma=to_sigma)
    expected = change_grid(points, to_size / size)
    # Narrow Gaussians on a coarse grid keep their place to a few hundredths of a cell.
    torch.testing.assert_close(found.points, expected, rtol=0, atol=0.03)
    drawn = heatmap.encode(expected, (to_size, to_size), to_sigma)
    drawn = drawn / drawn.sum((-2, -1), keepdim=True)
    assert (soft - drawn).abs().max() < 0.05 * drawn.max()


def test_a_teacher_moves_the_optimum_towards_itself() -> None:
    truth, taught = torch.tensor([[[5.0, 5.0]]]), torch.tensor([[[9.0, 9.0]]])
    soft = logs(taught).flatten(2).softmax(-1).unflatten(-1, (16, 16))
    at_teacher, at_truth = (
        cross_entropy(logs(points), truth, 1.0, soft=soft, soft_weight=0.9) for points in (taught, truth)
    )
    assert at_teacher < at_truth
