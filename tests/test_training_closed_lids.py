"""Closed lids in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface import markup
from steadyface.checkpoint import load_network
from steadyface.datasets.extra import find_extra
from steadyface.demo import portrait
from steadyface.geometry import CROP_MARGIN, bounding_box
from steadyface.images import write_image
from steadyface.nets.graph import LandmarkGraph
from steadyface.training.closed_lids import close_lids

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
