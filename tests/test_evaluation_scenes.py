"""Figures of occlusion and of zoom and roll, on points whose errors are known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from talking_scenes import face

from steadyface import metrics
from steadyface.evaluation import occlusion, zoom_roll
from steadyface.evaluation.evaluate import find_benchmark, load_results, score
from steadyface.evaluation.occlusion import OcclusionResults
from steadyface.evaluation.predictions import PlannedRun, Prediction, PredictionFolder, Reading
from steadyface.evaluation.results import Scope
from steadyface.evaluation.trajectories import RAW, STA
from steadyface.evaluation.zoom_roll import ZoomRollResults
from steadyface.synthetic.occluder import OccluderKind

FRAMES = 60
CROSSING = slice(20, 30)


def unit() -> float:
    """One percent of the inter-ocular distance, px."""
    return float(metrics.interocular(face())) / 100


def still(covered: bool = True) -> Prediction:
    """A face that rests; in frames 20 to 29 its first 17 landmarks are covered; points without error."""
    truth = np.repeat(face()[None], FRAMES, axis=0)
    hidden = np.zeros((FRAMES, 68), bool)
    hidden[CROSSING, :17] = covered
    seconds, scores = np.arange(FRAMES) / 30, np.ones((1, FRAMES, 68))
    return Prediction((Reading.DARK,), truth[None].copy(), scores, truth, seconds, "patch", covered=hidden)


def scope(protocol: str) -> Scope:
    return Scope(
        run=PlannedRun(protocol, "tiny", "0" * 64, Reading.DARK, "0.1.0", ["a"], []).run,
        skipped={},
        missing=[],
    )


def test_occlusion_figures_of_each_part_of_the_clip() -> None:
    prediction = still()
    raw = prediction.points[0]
    raw[:, 3, 0] += 5 * unit()  # a constant error, which is taken away
    raw[CROSSING, :17, 0] += 8 * unit()
    raw[CROSSING, 17:, 1] += 2 * unit()
    raw[30:35] += 40 * unit()  # the time that it has to recover
    results = find_benchmark("occlusion").score([("a", prediction)], scope("occlusion"))
    assert isinstance(results, OcclusionResults)
    row = results.row(RAW, OccluderKind.PATCH)
    assert row is not None
    figures = (row.uncovered, row.uncovered_q99, row.covered, row.covered_q99, row.after, row.after_q99)
    assert figures == pytest.approx((2, 2, 8, 8, 0, 0), abs=1e-9)
    assert row.group_title == "patch"
    expected = (10 * (17 * 8 + 51 * 2) / 68 + 5 * 40 * np.sqrt(2)) / FRAMES
    assert row.nrmse_interocular == pytest.approx(expected)


def test_a_filter_that_is_dragged_along_or_late_to_recover_scores_worse() -> None:
    prediction = still()
    truth = prediction.truth
    dragged, late = truth.copy(), truth.copy()
    dragged[CROSSING, 17:, 0] += 3 * unit()
    late[30:40] += 4 * unit() / np.sqrt(2)
    clips = occlusion.clip_distances(prediction.covered, truth, {RAW: truth, STA: dragged})
    assert clips[RAW].uncovered.max() == 0
    assert clips[STA].uncovered.mean() == pytest.approx(3)
    assert clips[STA].covered.max() == clips[STA].after.max() == 0
    after = occlusion.clip_distances(prediction.covered, truth, {RAW: truth, STA: late})[STA].after
    assert after.mean() == pytest.approx(4 * 5 / 25)  # frames 35 to 39 of 35 to 59


def test_quantile_is_over_all_clips_together() -> None:
    parts = [np.zeros(50), np.concatenate([np.zeros(49), [10.0]])]
    # The 99 % point is 1 % above a zero.
    assert occlusion.mean_and_quantile(parts) == pytest.approx((0.1, 0.1))
    assert np.isnan(occlusion.mean_and_quantile([np.zeros(0)])).all()


def test_without_a_covered_landmark_only_the_nrmse_is_there() -> None:
    results = find_benchmark("occlusion").score([("a", still(covered=False))], scope("occlusion"))
    row = results.rows[0]
    assert np.isnan([row.uncovered, row.covered, row.after]).all()
    assert row.nrmse_interocular == pytest.approx(0, abs=1e-9)


def test_zoom_roll_names_the_worst_landmark_and_the_worst_ratio() -> None:
    prediction = still(covered=False)
    raw = prediction.points[0]
    sign = np.resize([1, -1], FRAMES)[:, None]
    raw[:, :, 0] += 2 * unit() * sign
    raw[:, 8, 0] += 4 * unit() * sign[:, 0]
    results = find_benchmark("zoom-roll").score([("a", prediction)], scope("zoom-roll"))
    assert isinstance(results, ZoomRollResults)
    row, sta = results.row(RAW), results.row(STA)
    assert row is not None
    assert sta is not None
    assert (row.rms_worst, row.rms_of_raw) == pytest.approx((6, 1))
    assert row.rms == pytest.approx((67 * 2 + 6) / 68)
    assert sta.rms < row.rms
    late = np.zeros((FRAMES, 68))
    late[:, 5] = 3.0
    base = zoom_roll._rms([zoom_roll._Clip(np.ones((FRAMES, 68)), 0.0, 0.0)])
    worse = zoom_roll._row(STA, [zoom_roll._Clip(late, 0.0, 0.0)], base)
    assert (worse.rms_of_raw, worse.rms_worst, worse.rms) == pytest.approx((3, 3, 3 / 68))


@pytest.mark.parametrize("protocol", ["occlusion", "zoom-roll"])
def test_predictions_and_results_come_back_from_their_files(protocol: str, tmp_path: Path) -> None:
    folder = PredictionFolder(tmp_path)
    folder.write_run(PlannedRun(protocol, "tiny", "0" * 64, Reading.DARK, "0.1.0", ["a"], []))
    folder.write("a", still())
    np.testing.assert_array_equal(folder.read("a").covered, still().covered)
    results = score(tmp_path)
    results.save(tmp_path / "results.json")
    assert repr(load_results(tmp_path / "results.json")) == repr(results)
    assert "raw" in results.as_text()
