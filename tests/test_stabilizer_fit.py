"""Fitting: on simulated heads the fitted stabiliser is closer to the truth than what it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface.cli import main
from steadyface.datasets.sequences import pairs_of_tracks, smooth_offline
from steadyface.stabilizer import Parameters, Stabilizer
from steadyface.stabilizer.fit import Pair, fit
from steadyface.stabilizer.loss import loss
from steadyface.tracks import TracksBuilder


def talking_head(seed: int, frames: int = 200) -> Pair:
    """A face of about 100 px that sways as a whole, with noise of half a pixel on each point alone."""
    rng = np.random.default_rng(seed)
    face = rng.uniform(0, 100, (68, 2))
    sway = np.cumsum(np.cumsum(rng.normal(0, 0.15, (frames, 1, 2)), axis=0) * 0.2, axis=0)
    truth = face + sway
    return Pair(truth + rng.normal(0, 0.5, truth.shape), truth)


def test_a_fit_helps_on_sequences_it_has_not_seen() -> None:
    lines: list[str] = []
    parameters = fit([talking_head(1), talking_head(2)], 30.0, evaluations=80, report=lines.append)
    assert lines[-1].startswith("loss: raw")
    unseen = talking_head(9)
    steady = Stabilizer(parameters).filter(unseen.raw)
    assert loss(steady, unseen.truth) < 0.5 * loss(unseen.raw, unseen.truth)
    assert np.abs(steady - unseen.truth)[20:].mean() < 0.5 * np.abs(unseen.raw - unseen.truth).mean()


def test_smoothing_offline_has_no_lag() -> None:
    truth = np.sin(np.arange(100) / 8)[:, None, None] * np.ones((1, 68, 2)) * 10
    noisy = truth + np.random.default_rng(0).normal(0, 0.3, truth.shape)
    smooth = smooth_offline(noisy)
    assert np.abs(smooth - truth).mean() < 0.75 * np.abs(noisy - truth).mean()
    lags = [float(((smooth[5:-5] - np.roll(truth, k, axis=0)[5:-5]) ** 2).mean()) for k in (-1, 0, 1)]
    assert lags[1] == min(lags)


def save_tracks(path: Path, frames: list[int]) -> None:
    builder = TracksBuilder()
    for frame, points in zip(frames, talking_head(0, len(frames)).raw, strict=True):
        builder.add(
            frame=frame,
            seconds=frame / 30,
            face=0,
            points=points,
            raw_points=points,
            scores=np.ones(68),
            box=np.zeros(4),
        )
    builder.finish({}).save(path)


def test_a_gap_makes_two_sequences(tmp_path: Path) -> None:
    save_tracks(tmp_path / "clip.npz", [*range(40), *range(100, 135), *range(200, 210)])
    assert [len(pair.raw) for pair in pairs_of_tracks([tmp_path / "clip.npz"])] == [40, 35]


def test_the_command_writes_a_parameter_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["fit-stabilizer", "--sequences", str(tmp_path), "--out", str(tmp_path / "a.json")])
    assert left.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
    save_tracks(tmp_path / "clip.npz", list(range(150)))
    options = ["--sequences", str(tmp_path), "--out", str(tmp_path / "a.json"), "--evaluations", "30"]
    with pytest.raises(SystemExit) as left:
        main(["fit-stabilizer", *options])
    assert not left.value.code
    assert Parameters.load(tmp_path / "a.json").fitted.startswith("1 runs")
