"""Faces that are left out are told, and options take them in."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scenes

from steadyface.cli import main
from steadyface.errors import ConfigError
from steadyface.images import write_image
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.pipeline import TrackingOptions, build, track
from steadyface.tracking import TrackerConfig

DEFAULT = TrackerConfig()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0), capsys.readouterr().err.splitlines()


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "portrait.png"
    write_image(path, scenes.frames(1)[0])
    return path


def test_a_face_that_is_refused_is_told_with_the_option_that_takes_it(
    portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", tmp_path / "out", "--no-overlay", "--overwrite"]
    code, err = run(capsys, "track", portrait, *options, "--min-score", 0.9999)
    assert (code, len(err)) == (1, 1)
    told = re.search(
        r"no face was found in 1 frame; the detector saw 1 face at a time, but compact scores (0\.\d+) "
        r"at most, below 0\.9999: --min-score (0\.\d+) would take it",
        err[0],
    )
    assert told
    assert float(told[2]) < float(told[1]) < 0.9999
    assert run(capsys, "track", portrait, *options, "--min-score", told[2]) == (0, [])


def scoring(scale: float, spread: float) -> Callable[..., Landmarks]:
    """Landmark network that scores all points alike, and moves them towards their middle."""
    predict = Landmarker.predict_regions

    def predict_regions(self: Landmarker, *arguments: object) -> Landmarks:
        found = predict(self, *arguments)  # type: ignore[arg-type]
        middle = found.points.mean(axis=-2, keepdims=True)
        points = middle + spread * (found.points - middle)
        return replace(found, points=points, scores=np.full_like(found.scores, scale))

    return predict_regions


@pytest.mark.parametrize(
    ("scale", "spread", "advice"),
    [
        (0.5, 1.0, "1 face at a time, but tiny scores 0.50 at most, below 0.93: --min-score 0.47 would take"),
        (0.001, 1.0, "1 face at a time, but tiny scores 0.00 at most, below 0.93: its training has to go on"),
        (0.99, 0.01, "1 face at a time, but the points of tiny are no face's there: they lie within 8 px"),
    ],
)
def test_a_network_that_knows_no_faces_yet_is_not_told_to_look_for_smaller_ones(
    portrait: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    scale: float,
    spread: float,
    advice: str,
) -> None:
    monkeypatch.setattr(Landmarker, "predict_regions", scoring(scale, spread))
    code, err = run(capsys, "track", portrait, "--weights", "tiny", "--out", tmp_path / "out", "--no-overlay")
    assert (code, len(err)) == (1, 1)
    assert advice.replace("0.93", f"{DEFAULT.accept:g}") in err[0]
    assert "--min-face" not in err[0]


def test_the_help_says_the_least_score() -> None:
    assert f"Left out: {DEFAULT.accept:g};" in " ".join((TrackingOptions.__doc__ or "").split())


def test_where_the_detector_sees_nothing_its_options_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "empty.png", scenes.empty(1)[0])
    code, err = run(capsys, "track", tmp_path / "empty.png", "--out", tmp_path / "out", "--weights", "tiny")
    assert code == 1
    assert "no face was found in 1 frame; small faces need a smaller --min-face" in err[0]
    assert "--min-score" not in err[0]


def test_faces_beyond_the_most_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = scenes.frames(1)[0][:, 100:380]
    write_image(tmp_path / "pair.png", np.ascontiguousarray(np.hstack([image, image])))
    options = ["--out", tmp_path / "out", "--weights", "tiny", "--no-overlay", "--overwrite"]
    code, err = run(capsys, "track", tmp_path / "pair.png", *options, "--max-faces", 1)
    left_out = "up to 1 more at a time were left out, since --max-faces is 1"
    assert (code, err) == (0, [f"steadyface: {tmp_path / 'pair.png'}: {left_out}"])
    assert run(capsys, "track", tmp_path / "pair.png", *options, "--max-faces", 2) == (0, [])


def test_thresholds_reach_detector_and_tracker(portrait: Path) -> None:
    tracker = build(TrackingOptions(weights="tiny", min_score=0.4, min_detection=0.2)).tracker
    assert (tracker.config.accept, tracker.config.keep, tracker.config.confirm) == (0.4, 0.4, 0.2)
    assert tracker.detector.threshold == 0.2  # type: ignore[attr-defined]
    strict = build(TrackingOptions(weights="tiny", min_score=0.95, min_detection=0.9)).tracker
    assert (strict.config.accept, strict.config.keep, strict.config.confirm) == (
        0.95,
        DEFAULT.keep,
        DEFAULT.confirm,
    )
    meta = track(portrait, weights="tiny", min_score=0.5).meta["options"]
    assert meta["min_score"] == 0.5
    assert "min_detection" not in meta


@pytest.mark.parametrize("name", ["min_score", "min_detection"])
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_outside_0_and_1_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must lie between 0 and 1"):
        TrackingOptions(**{name: value})


def test_a_missing_extra_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without pyarrow nothing is tracked in vain, not even an input that does not exist is looked for."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = tmp_path / "out"
    code, err = run(capsys, "track", tmp_path / "none.mp4", "--out", out, "--format", "npz,parquet")
    assert (code, len(err)) == (1, 1)
    assert "this needs pyarrow; install it with: pip install 'steadyface[corpus]'" in err[0]
    assert not out.exists()
