"""Laws of the losses: least at the truth, silent where there is nothing to say, peaks kept on other grids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from finder_maps import cut_faces, draw
from hypothesis import given
from hypothesis import strategies as st

from steadyface import heatmap, markup
from steadyface.geometry import change_grid
from steadyface.nets.loss import (
    Teaching,
    cross_entropy,
    draw_targets,
    finder_loss,
    mean_of_views,
    regrid,
    squared_error,
)

POINTS = torch.tensor([[[4.3, 7.8]]])
UNKNOWN = torch.full((1, 1, 2), torch.nan)
FACE, NO_FACE = torch.tensor([True]), torch.tensor([False])


def logs(points: torch.Tensor, size: int = 16, sigma: float = 1.0) -> torch.Tensor:
    return torch.log(heatmap.encode(points, (size, size), sigma) + 1e-12)


def entropy_of(
    logits: torch.Tensor,
    points: torch.Tensor,
    face: torch.Tensor = FACE,
    sigma: float = 1.0,
    *,
    rounded: bool = False,
    teaching: Teaching | None = None,
    mean_weight: float = 0.25,
) -> torch.Tensor:
    size = (logits.shape[-2], logits.shape[-1])
    targets = draw_targets(points, face, size, sigma, rounded=rounded, teaching=teaching)
    return cross_entropy(logits, targets, mean_weight=mean_weight)


def test_cross_entropy_is_least_at_the_truth_and_flat_for_no_face() -> None:
    assert entropy_of(logs(POINTS), POINTS) < entropy_of(logs(POINTS), POINTS + 1.0)
    flat = entropy_of(torch.zeros(1, 1, 16, 16), UNKNOWN, NO_FACE)
    assert flat == pytest.approx(np.log(256), rel=1e-5)  # the entropy of 256 equal cells
    assert flat < entropy_of(logs(POINTS), UNKNOWN, NO_FACE)


@pytest.mark.parametrize("loss", [entropy_of, squared_error])
def test_a_point_that_is_not_annotated_counts_for_nothing(loss: Callable[..., torch.Tensor]) -> None:
    points = torch.cat([POINTS, UNKNOWN], dim=1)
    maps = torch.randn(1, 2, 16, 16, requires_grad=True)
    loss(maps, points, FACE, 1.0).backward()
    assert maps.grad is not None
    assert (maps.grad[0, 0] != 0).all()
    assert (maps.grad[0, 1] == 0).all()


def test_a_point_outside_the_map_counts_for_nothing() -> None:
    logits = torch.randn(1, 1, 16, 16, requires_grad=True)
    entropy_of(logits, torch.tensor([[[40.0, 40.0]]])).backward()
    assert logits.grad is not None
    assert torch.all(logits.grad == 0)


def test_only_what_opens_or_closes_a_gap_counts_for_it() -> None:
    """Both points shifted alike cost nothing; apart, the gap's error over the number of maps."""
    points = torch.tensor([[[6.3, 5.0], [6.3, 9.0], [12.0, 3.0]]])
    pairs = torch.tensor([[0, 1]])

    def gap(found: torch.Tensor, truth: torch.Tensor = points) -> torch.Tensor:
        targets = draw_targets(truth, FACE, (16, 16), 1.0)
        with_gaps = cross_entropy(logs(found), targets, gaps=pairs, gap_weight=2.0)
        return with_gaps - cross_entropy(logs(found), targets)

    one, both = torch.tensor([[[0.0, 1.5], [0, 0], [0, 0]]]), torch.tensor([[[1.5, 1.5], [1.5, 1.5], [0, 0]]])
    assert gap(points) == pytest.approx(0, abs=1e-3)
    assert gap(points + both) == pytest.approx(0, abs=1e-2)
    assert gap(points + one) == pytest.approx(2.0 * 1.5 / 3, rel=1e-2)
    unknown = points.clone()
    unknown[0, 0] = torch.nan
    assert gap(points + one, unknown) == 0


def test_a_teacher_alone_tells_of_points_that_are_not_annotated() -> None:
    """The loss is least at the teacher's heatmap, and grows with its weight."""
    soft = logs(POINTS).flatten(2).softmax(-1).unflatten(-1, (16, 16))

    def filled(logits: torch.Tensor, weight: float, face: torch.Tensor = FACE) -> torch.Tensor:
        return entropy_of(logits, UNKNOWN, face, teaching=Teaching(soft, 0.5, weight))

    assert filled(logs(POINTS), 1.0) < filled(logs(POINTS + 1.0), 1.0)
    torch.testing.assert_close(filled(logs(POINTS), 0.2), 0.2 * filled(logs(POINTS), 1.0))
    flat = torch.zeros(1, 1, 16, 16)
    assert filled(flat, 0.2, NO_FACE) == entropy_of(flat, UNKNOWN, NO_FACE)


def test_squared_error_is_zero_at_the_truth_only() -> None:
    drawn = heatmap.encode(POINTS, (16, 16), 1.5)
    assert squared_error(drawn, POINTS, FACE, 1.5) == 0
    assert squared_error(drawn, POINTS + 0.5, FACE, 1.5) > 0
    assert squared_error(torch.zeros(1, 1, 16, 16), UNKNOWN, NO_FACE, 1.5) == 0
    assert squared_error(drawn, UNKNOWN, NO_FACE, 1.5) > 0


def test_rounded_targets_are_those_of_conventional_regression() -> None:
    cell = POINTS.round()
    for loss, maps in ((squared_error, heatmap.encode(cell, (16, 16), 1.0)), (entropy_of, logs(cell))):
        assert loss(maps, POINTS, FACE, 1.0, rounded=True) == loss(maps, cell, FACE, 1.0)
        assert loss(maps, POINTS, FACE, 1.0, rounded=True) < loss(maps, POINTS, FACE, 1.0)


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
        entropy_of(logs(points), truth, teaching=Teaching(soft, 0.9, 0.2), mean_weight=0.0)
        for points in (taught, truth)
    )
    assert at_teacher < at_truth


def test_the_mean_of_views_is_that_of_the_mirror_image_mirrored() -> None:
    logits, mirrored = torch.randn(2, 1, 68, 8, 8).unbind()
    turned = mirrored.flip(-1)[:, markup.FLIP]
    mean = mean_of_views(logits, mirrored)
    torch.testing.assert_close(mean_of_views(mirrored, logits).flip(-1)[:, markup.FLIP], mean)
    expected = (logits.flatten(2).log_softmax(-1) + turned.flatten(2).log_softmax(-1)) / 2
    torch.testing.assert_close(mean.flatten(2), expected)


class TestFinderLoss:
    CELLS = (8, 8)
    FACE, OTHER, NONE = (10.0, 12.0, 30.0, 36.0), (38.0, 30.0, 62.0, 60.0), (torch.nan,) * 4

    @staticmethod
    def loss(maps: torch.Tensor, *faces: tuple[float, ...], wanted: list[bool] | None = None) -> torch.Tensor:
        known = torch.tensor(wanted or [True] * len(faces))[None]
        return finder_loss(maps, torch.tensor(faces)[None], known, 1.0)

    @given(cut_faces(), st.integers(0, 4))
    def test_is_least_at_the_drawn_truth(
        self, case: tuple[tuple[int, int], list[float]], channel: int
    ) -> None:
        cells, box = case
        truth = draw([box], cells)
        least = self.loss(truth, tuple(box))
        assert least < 1e-4  # drawn maps stop 1e-6 short of 0 and 1, and float32 rounds
        truth[:, channel] += 0.1 * torch.randn(cells, generator=torch.Generator().manual_seed(0))
        assert self.loss(truth, tuple(box)) > least

    def test_a_face_cut_by_the_border_is_taught_by_hand_worked_numbers(self) -> None:
        # Of x from -20 to 20 the part from -½ to 20 is seen, in a frame of 64 px: its centre is 9.75, cell
        # 0.78125, and the face's lies 9.75 px further left, of 40; y from 20 to 44 is seen whole.
        place = torch.tensor([[[0.78125, 3.5625]]])
        maps = torch.zeros(1, 5, *self.CELLS)
        maps[:, :1] = torch.logit(heatmap.encode(place, self.CELLS, 1.0), 1e-6)
        for channel, value in enumerate((np.log(40 / 8), np.log(24 / 8), -9.75 / 40, 0.0), start=1):
            maps[:, channel] = value
        assert self.loss(maps, (-20.0, 20.0, 20.0, 44.0)) < 1e-5
        maps[:, 3] += 0.1
        # box_weight times the weighted mean of 0.1
        assert self.loss(maps, (-20.0, 20.0, 20.0, 44.0)) == pytest.approx(0.2, abs=1e-5)

    def test_without_a_face_every_cell_counts_alike(self) -> None:
        # p²·BCE = ¼·ln 2 at p = ½, over the 64 cells.
        assert self.loss(torch.zeros(1, 5, 8, 8), self.NONE) == pytest.approx(16 * np.log(2), rel=1e-6)

    @pytest.mark.parametrize("wanted", [True, False])
    def test_rows_without_a_face_count_nothing(self, wanted: bool) -> None:
        maps = torch.randn(1, 5, *self.CELLS, generator=torch.Generator().manual_seed(0))
        alone = self.loss(maps, self.FACE)
        assert self.loss(maps, self.NONE, self.FACE, self.NONE, wanted=[wanted, True, wanted]) == alone

    def test_inside_an_ignored_face_nothing_is_taught(self) -> None:
        maps = torch.randn(1, 5, *self.CELLS, requires_grad=True)
        self.loss(maps, self.FACE, self.OTHER, wanted=[True, False]).backward()
        assert maps.grad is not None
        # The other's box holds the cells' centres 43.5, 51.5 and 59.5, and down also 35.5.
        inside = torch.zeros(self.CELLS, dtype=torch.bool)
        inside[4:8, 5:8] = True
        near = heatmap.encode(torch.tensor([[2.0625, 2.5625]]), self.CELLS, 1.0)[0] > 0.05
        assert not (inside & near).any()
        heat, others = maps.grad[0, 0], maps.grad[0, 1:]
        assert torch.equal(heat == 0, inside)
        assert (others[:, inside] == 0).all()
        assert (others[:, 2, 2] != 0).all()

    def test_an_ignored_face_hides_no_wanted_one(self) -> None:
        maps = torch.zeros(1, 5, *self.CELLS, requires_grad=True)
        around = (0.0, 0.0, 63.0, 63.0)
        self.loss(maps, self.FACE, around, wanted=[True, False]).backward()
        assert maps.grad is not None
        assert maps.grad[0, 0, 2, 2] < 0  # the peak is pulled up

    def test_every_frame_of_a_batch_counts_by_its_faces(self) -> None:
        maps = torch.randn(2, 5, *self.CELLS, generator=torch.Generator().manual_seed(0))
        boxes, known = torch.tensor([[self.FACE], [self.OTHER]]), torch.ones(2, 1, dtype=torch.bool)
        both = finder_loss(maps, boxes, known, 1.0, box_weight=0.0)
        singles = [
            float(finder_loss(maps[i][None], boxes[i][None], known[i][None], 1.0, box_weight=0.0))
            for i in range(2)
        ]
        assert both == pytest.approx(sum(singles) / 2, rel=1e-5)

    def test_a_batch_without_faces_has_finite_gradients(self) -> None:
        maps = (10 * torch.randn(2, 5, *self.CELLS)).requires_grad_()
        boxes = torch.full((2, 3, 4), torch.nan)
        finder_loss(maps, boxes, torch.zeros(2, 3, dtype=torch.bool), 1.0).backward()
        assert maps.grad is not None
        assert torch.isfinite(maps.grad).all()
        assert (maps.grad[:, 0] != 0).any()
        assert (maps.grad[:, 1:] == 0).all()
