"""Sequences for the stabiliser: raw points with the truth that they should have been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from talking_scenes import STIFF, landmarker, path, scene, shut_face

from steadyface.datasets.pts import write_pts
from steadyface.datasets.sequences import pairs_of_talking_stills, with_constant_bias
from steadyface.datasets.three_hundred_w import Sample
from steadyface.demo import portrait
from steadyface.images import write_image
from steadyface.metrics import interocular, nrmse_interocular


def test_pairs_of_talking_stills(tmp_path: Path) -> None:
    write_image(tmp_path / "face.png", portrait().still)
    write_pts(tmp_path / "face.pts", shut_face())
    samples = [Sample(tmp_path / "face.png", tmp_path / "face.pts", "folder")] * 2
    first, second = pairs_of_talking_stills(samples, landmarker(), seconds=0.8)
    for pair in (first, second):
        assert pair.raw.shape == pair.truth.shape == (24, 68, 2)
        assert np.mean(nrmse_interocular(pair.raw, pair.truth)) < 3
        assert interocular(pair.truth).mean() == pytest.approx(95, rel=0.15)
    assert not np.allclose(first.truth, second.truth)
    (again,) = pairs_of_talking_stills(samples[1:], landmarker(), seconds=0.8, seed=1)
    np.testing.assert_array_equal(again.truth, second.truth)


def test_a_constant_bias_turns_and_grows_with_the_head() -> None:
    life = scene(**STIFF)
    truth = path(life)
    offsets = np.random.default_rng(0).normal(0, 2, (68, 2))
    turns = np.stack([life.to_frame(k / 30).matrix[:, :2] for k in range(len(truth))])
    raw = truth + offsets @ turns.mT
    # A rigid head: the bias found is the one put in.
    np.testing.assert_allclose(with_constant_bias(truth, raw), raw, rtol=0, atol=1e-9)
    noise = np.random.default_rng(1).normal(0, 1, raw.shape)
    left = with_constant_bias(truth, raw + noise) - raw
    # The mean of 150 draws of 1 px.
    assert np.sqrt((left**2).mean()) == pytest.approx(1 / np.sqrt(150), rel=0.1)
