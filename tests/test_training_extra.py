"""Extra sets in training: closed lids, and the error of each set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface import markup
from steadyface.checkpoint import load_network
from steadyface.datasets.extra import PARTS, find_extra
from steadyface.demo import portrait
from steadyface.geometry import CROP_MARGIN, bounding_box
from steadyface.images import write_image
from steadyface.measures import MEAN_FACE, eye_aspect_ratio
from steadyface.nets.graph import LandmarkGraph
from steadyface.training.extra import MEASURES, close_lids

FACE = np.array([100.0, 120.0]) + MEAN_FACE[:, :2]
STEP = np.array([3.0, 4.0])  # 5 px
TINY = Path(__file__).parents[1] / "checkpoints" / "tiny.safetensors"


def test_closed_lids_lie_on_each_other_between_the_teachers_lids(tmp_path: Path) -> None:
    """The portrait's open eyes stand in for closed ones: their lids have to meet between where they are."""
    (tmp_path / "closed_eyes" / "images").mkdir(parents=True)
    np.savez(tmp_path / "closed_eyes" / "points.npz", names=np.array(["a.png"]))
    write_image(tmp_path / "closed_eyes" / "images" / "a.png", portrait().still[60:180, 160:285])
    (sample,) = close_lids(find_extra(tmp_path, "closed_eyes"), LandmarkGraph(load_network(TINY)).eval())
    known = np.isfinite(sample.points).all(axis=1)
    assert known.sum() == 8
    for eye in markup.EYES:
        upper, lower = markup.facing(eye)
        np.testing.assert_array_equal(sample.points[upper], sample.points[lower])
    assert sample.box is not None
    assert bounding_box(sample.points[known])[3] < (sample.box[1] + sample.box[3]) / 2
    assert sample.region(sample.points).side == pytest.approx(
        CROP_MARGIN * max(sample.box[2] - sample.box[0], sample.box[3] - sample.box[1])
    )


@pytest.mark.parametrize("part", [part for part in PARTS if part != "closed_eyes"])
def test_errors_are_of_annotated_points_only_and_know_no_scale(part: str) -> None:
    truth = np.stack([FACE, FACE])
    truth[:, [5, 16]] = np.nan
    assert MEASURES[part](np.stack([FACE, FACE]), truth) == 0
    moved = np.stack([FACE + STEP, FACE])
    error = MEASURES[part](moved, truth)
    assert error > 0
    assert MEASURES[part](7 * moved, 7 * truth) == pytest.approx(error)


def test_profiles_are_measured_from_the_visible_ear_to_the_nose() -> None:
    truth = np.full((1, 68, 2), np.nan)
    truth[0, 16], truth[0, 30] = [0.0, 0.0], [100.0, 0.0]
    assert MEASURES["profiles"](np.zeros((1, 68, 2)) + STEP, truth) == pytest.approx(
        (5 + np.hypot(97, 4)) / 2
    )


def test_closed_eyes_are_measured_by_their_openness() -> None:
    faces = np.stack([FACE] * 3)
    openness = np.mean([eye_aspect_ratio(FACE, eye) for eye in markup.EYES])
    assert MEASURES["closed_eyes"](faces, np.full_like(faces, np.nan)) == pytest.approx(100 * openness)
