"""Fit of the filter's part that takes displacements in: it finds what helps, and leaves all else."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from steadyface.cli import main
from steadyface.errors import ConfigError
from steadyface.fitting import picture, sequences
from steadyface.fitting.fit import WEIGHTS, LossWeights, Pair
from steadyface.fitting.loss import loss
from steadyface.fitting.picture import fit_picture, score_picture, with_motion
from steadyface.fitting.sequences import save_pair
from steadyface.geometry import face_size
from steadyface.measures import MEAN_FACE
from steadyface.motion import Displacements, MotionSequence
from steadyface.stabilizer import load_stabilizer
from steadyface.stabilizer.picture import PictureModel

FACE = 2.0 * MEAN_FACE[:, :2] + [300.0, 300.0]
UNIT = float(face_size(FACE)) / 100
STA = load_stabilizer("sta")
FRAMES = 40


@cache
def pairs(count: int = 2) -> tuple[Pair, ...]:
    """Faces that sway, points that shake by half a percent, and displacements that are nearly exact."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        sway = np.sin(np.arange(FRAMES) / 6 + seed)
        truth = FACE + 10 * UNIT * sway[:, None, None] * np.array([1.0, 0.4])
        raw = truth + rng.normal(0, 0.5 * UNIT, truth.shape)
        steps = np.diff(truth, axis=0) + rng.normal(0, 0.02 * UNIT, truth[1:].shape)
        covariance = np.tile((0.02 * UNIT) ** 2 * np.eye(2), (68, 1, 1))
        each = [None, *(Displacements(step, covariance, np.ones(68, bool)) for step in steps)]
        made.append(Pair(raw, truth, np.full((FRAMES, 68), 0.95), 30.0, MotionSequence.pack(each)))
    return tuple(made)


def test_it_finds_that_the_picture_is_better_than_the_points() -> None:
    doubtful = replace(STA, picture=PictureModel(anchor=0.05))
    fitted = fit_picture(doubtful, pairs(), clip=FRAMES, evaluations=60, report=lambda line: None)
    before, after = (score_picture(each, pairs(), clip=FRAMES) for each in (doubtful, fitted))
    assert after < before - 0.1
    for each in fields(STA):
        if each.name != "picture":
            assert getattr(fitted, each.name) is getattr(doubtful, each.name)
    assert fitted.picture != doubtful.picture


def test_the_score_is_the_mean_over_clips_of_sequences_filtered_whole() -> None:
    weights = LossWeights(2.0, 3.0, 1.0)
    logs = []
    for pair in pairs():
        assert pair.motion is not None
        outputs = STA.filter(pair.raw, np.arange(FRAMES) / 30, pair.scores, pair.motion.unpack())
        unit = float(face_size(pair.truth).mean()) / 100
        for part in (slice(0, 20), slice(20, 40)):
            logs.append(np.log(loss(outputs[part] / unit, pair.truth[part] / unit, weights)))
    assert score_picture(STA, pairs(), weights, clip=20) == pytest.approx(np.mean(logs), rel=1e-12)
    assert weights != WEIGHTS


def test_parameters_go_to_free_numbers_and_back() -> None:
    model = PictureModel(anchor=0.7, wrong=0.03, loose_by=2.5)
    again = asdict(picture._model(picture._free(model)))
    assert again == pytest.approx(asdict(model))
    # Whatever the search tries is a model.
    for value in (-1e3, 1e3):
        picture._model(np.full(len(fields(PictureModel)), value))


def test_sequences_without_a_picture_are_left_out() -> None:
    plain = replace(pairs()[0], motion=None)
    assert with_motion([plain, *pairs()], FRAMES) == list(pairs())
    for useless in ([plain], [], list(pairs())):
        with pytest.raises(ConfigError, match="no sequence with measured displacements has the 41 frames"):
            with_motion(useless, FRAMES + 1)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_from_sequences_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "CLIP", FRAMES)
    folder = tmp_path / "sequences"
    folder.mkdir()
    names = ("still_afw_1634816_1_0", "hard_lfpw-train_image_0001_0")  # the first is held out
    for name, pair in zip(names, pairs(), strict=True):
        save_pair(pair, folder / f"{name}.npz")
    out = tmp_path / "mine.json"
    code, said, err = run(
        capsys, "fit-picture", "--sequences", folder, "--out", out, "--evaluations", 30, "--smooth", 1
    )
    assert (code, err) == (0, "")
    *_, kept, held, last = said.splitlines()
    assert last == str(out)
    assert kept.endswith("after on the sequences fitted on")
    assert held.endswith("after on the sequences held out")
    before, after = (float(kept.split()[i]) for i in (1, 3))
    assert after < before
    fitted = load_stabilizer(str(out))
    assert isinstance(fitted, type(STA))
    np.testing.assert_allclose(fitted.noise, STA.noise, rtol=1e-6)
    motionless = tmp_path / "motionless"
    motionless.mkdir()
    save_pair(replace(pairs()[0], motion=None), motionless / "still_a_0.npz")
    for folder_, options, problem in (
        (motionless, (), "no sequence with measured displacements"),
        (folder, ("--stabilizer", "one-euro"), "one-euro takes no displacements, only sta does"),
        (tmp_path, (), "no .npz file"),
    ):
        arguments = ("fit-picture", "--sequences", folder_, "--out", tmp_path / "b.json", *options)
        code, said, err = run(capsys, *arguments)
        assert (code, said, err.count("\n")) == (1, "", 1)
        assert problem in err
