"""Fitting: on simulated faces it finds what was put in, and it helps on those it has not seen."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steadyface.errors import ConfigError
from steadyface.fitting.fit import Clips, LossWeights, Pair, cut, fit, score
from steadyface.fitting.form import Form
from steadyface.fitting.loss import loss
from steadyface.geometry import face_size
from steadyface.stabilizer import KINDS, Stabilizer
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.baselines import ConstantVelocity, FirstOrder, MovingAverage, OneEuro
from steadyface.stabilizer.paper import PaperSTA
from steadyface.stabilizer.sta import STA

FACE = np.array([[0.0, 0.0], [100.0, 100.0], [80.0, 30.0], [30.0, 70.0], [50.0, 50.0]])
CLOSE = LossWeights(smooth=0, delay=0)
"""Only the distance to the truth counts, so that the posterior mean is the best there is."""


def silent(line: str) -> None:
    """No report."""


def pairs_of(raw: np.ndarray, truth: np.ndarray, **changes: Any) -> list[Pair]:
    """(frames, clips, landmarks, 2) → one sequence per clip."""
    return [Pair(raw[:, i], truth[:, i], **changes) for i in range(raw.shape[1])]


@cache
def talking_heads(seed: int = 0, frames: int = 50, clips: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Faces of 100 % that sway as a whole, with noise of half a percent on each point alone."""
    rng = np.random.default_rng(seed)
    sway = np.cumsum(np.cumsum(rng.normal(0, 0.15, (frames, clips, 1, 2)), axis=0) * 0.2, axis=0)
    truth = FACE + sway
    return truth + rng.normal(0, 0.5, truth.shape), truth


def quick(kind: str, raw: np.ndarray, truth: np.ndarray, **changes: Any) -> Stabilizer:
    options: dict[str, Any] = {"clip": len(raw), "evaluations": 120, "polish": 0, "report": silent}
    form = Form(kind, **{name: changes.pop(name) for name in ("basis", "raw_numbers") if name in changes})
    return fit(form, pairs_of(raw, truth), **{**options, **changes})


def planted() -> STA:
    """Directions that are not orthogonal, and motion that fades from the first to the last of them."""
    rng, size = np.random.default_rng(3), 10
    left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in range(2))
    return STA(
        damping=np.full(size, 0.9),
        alphas=np.ones(1),
        noise=np.full(size, 0.5),
        pushes=0.025 * np.exp(np.linspace(2.5, -2.5, size))[None],
        basis=left * np.geomspace(0.7, 1.4, size) @ right,
        doubts=np.full(5, 0.1),
        trust=0.0,
    )


def simulate(theta: STA, seed: int, frames: int = 80, clips: int = 30) -> list[Pair]:
    """Sequences of the very model: places and velocities along each direction, and the noise."""
    rng, size = np.random.default_rng(seed), len(theta.noise)
    damping, pushes = theta.damping, theta.pushes[0]
    fine = 20  # steps a frame: their motion differs from the continuous one's by a twentieth of a frame
    place, speed, truth = np.zeros((clips, size)), np.zeros((clips, size)), []
    for _ in range(frames):
        for _ in range(fine):
            place = place + speed / fine
            speed = speed * damping ** (1 / fine) + rng.standard_normal((clips, size)) * np.sqrt(
                pushes / fine
            )
        truth.append(place)
    observed = truth + rng.standard_normal((frames, clips, size)) * np.sqrt(theta.noise)
    back = np.linalg.inv(theta.basis)
    raw, exact = (FACE + (each @ back).reshape(frames, clips, 5, 2) for each in (observed, np.array(truth)))
    return pairs_of(raw, exact)


def gains(theta: STA) -> np.ndarray:
    """Return the steady-state gain of the position along each direction."""
    memory = theta.begin(FACE)
    for _ in range(300):
        memory, _ = theta.advance(memory, Measurement(FACE))
    prior = memory.belief.prior[0, 0]
    return prior / (prior + theta.noise)


class TestFindsWhatWasPutIn:
    def test_sta(self) -> None:
        theta = planted()
        found = fit(
            Form("sta", components=1),
            simulate(theta, 1),
            weights=CLOSE,
            clip=80,
            evaluations=100,
            polish=3,
            report=silent,
        )
        assert isinstance(found, STA)
        unseen = cut(simulate(theta, 2), 30.0, 80)
        losses = [math.exp(score(each, unseen, CLOSE)) for each in (theta, found)]
        raw = math.exp(np.log(loss(unseen[0].raw, unseen[0].truth, CLOSE)).mean())
        # 2,400 frames tell ten directions well enough to lose a few hundredths by them.
        assert losses[1] < 1.03 * losses[0]
        assert losses[1] < 0.6 * raw
        # Directions come in the order of how much the face moves along them.
        np.testing.assert_allclose(gains(found), gains(theta), rtol=0, atol=0.05)
        # Where it hardly moves, damping and pushes pull against each other.
        np.testing.assert_allclose(found.damping[:5], theta.damping[:5], rtol=0, atol=0.05)
        assert found.trust == 0

    @pytest.mark.parametrize("ratio", [0.05, 0.5, 4.0])
    def test_first_order_on_a_random_walk_is_the_steady_kalman_gain(self, ratio: float) -> None:
        rng = np.random.default_rng(1)
        truth = FACE + np.cumsum(rng.normal(0, math.sqrt(ratio), (250, 40, 5, 2)), axis=0)
        raw = truth + rng.normal(0, 1, truth.shape)
        found = quick("first-order", raw, truth, weights=CLOSE, evaluations=60)
        assert isinstance(found, FirstOrder)
        # Muth 1960; 100,000 samples are good for 1 %, and the start from one frame asks for a little more.
        assert found.weight == pytest.approx((math.sqrt(ratio**2 + 4 * ratio) - ratio) / 2, rel=0.05)

    def test_first_order(self) -> None:
        raw, _ = talking_heads()
        found = quick("first-order", raw, FirstOrder(0.37).run(raw), weights=CLOSE)
        assert isinstance(found, FirstOrder)
        # There the loss is zero; the search stops at 1e-4 of the logit.
        assert found.weight == pytest.approx(0.37, abs=1e-3)

    def test_one_euro(self) -> None:
        rng = np.random.default_rng(4)
        wanted = OneEuro(0.8, 40.0, 2.0)
        # Now and then a face starts to move, so that all three numbers are called for.
        speed = np.repeat(rng.normal(0, 1, (10, 6, 1, 2)) * rng.integers(0, 2, (10, 6, 1, 1)), 10, axis=0)
        raw = FACE + np.cumsum(speed, axis=0) + rng.normal(0, 0.5, (100, 6, 5, 2))
        truth = wanted.run(raw) + rng.normal(0, 1e-3, raw.shape)
        found = quick("one-euro", raw, truth, weights=CLOSE, evaluations=300)
        assert isinstance(found, OneEuro)
        # Sizes in percent refer to each sequence's own, which noise makes some 2 % larger than the face is.
        assert found.min_cutoff == pytest.approx(wanted.min_cutoff, rel=0.05)
        assert found.beta == pytest.approx(wanted.beta, rel=0.08)
        assert found.derivate_cutoff == pytest.approx(wanted.derivate_cutoff, rel=0.05)

    def test_constant_velocity(self) -> None:
        theta = planted()
        still = STA(
            theta.damping, theta.alphas, theta.noise, np.full((1, 10), 0.02), np.eye(10), theta.doubts, 0.0
        )
        found = fit(
            Form("constant-velocity"),
            simulate(still, 5, clips=60),
            weights=CLOSE,
            clip=80,
            evaluations=120,
            polish=0,
            report=silent,
        )
        assert isinstance(found, ConstantVelocity)
        # 48,000 samples give a median to 1 %; process and damping pull against each other, and the size of
        # these faces is that of FACE to some percent, which counts twice.
        assert found.noise == pytest.approx(0.5, rel=0.1)
        assert found.process == pytest.approx(0.02, rel=0.25)
        assert found.damping == pytest.approx(0.9, abs=0.04)

    def test_a_moving_average_of_white_noise_is_long_and_of_none_is_short(self) -> None:
        rng = np.random.default_rng(3)
        still = np.broadcast_to(FACE, (60, 3, 5, 2)).astype(float)
        long = quick("moving-average", still + rng.normal(0, 1, still.shape), still)
        assert isinstance(long, MovingAverage)
        assert long.frames == 15
        moving = still + np.arange(60)[:, None, None, None]
        short = quick("moving-average", moving + rng.normal(0, 1e-3, still.shape), moving)
        assert isinstance(short, MovingAverage)
        assert short.frames == 1


class TestHelps:
    @pytest.mark.parametrize("kind", KINDS)
    def test_on_sequences_it_has_not_seen(self, kind: str) -> None:
        found = quick(kind, *talking_heads(), fps=25.0, evaluations=60, fitted="by this test")
        assert (found.kind, found.fps, found.fitted) == (kind, 25, "by this test")
        raw, truth = talking_heads(9)
        gain = np.log(loss(found.run(raw), truth) / loss(raw, truth)).mean()
        assert gain < math.log(0.7 if kind.startswith("sta") else 0.9)
        if kind.startswith("sta"):
            error = np.abs(found.run(raw) - truth)[20:].mean()
            assert error < 0.75 * np.abs(raw - truth)[20:].mean()

    @pytest.mark.parametrize("kind", ["first-order", "second-order", "constant-velocity", "one-euro"])
    def test_nothing_near_is_better(self, kind: str) -> None:
        raw, truth = talking_heads()
        found, clips = quick(kind, raw, truth, evaluations=200, polish=5), cut(pairs_of(raw, truth), 30.0, 50)
        values = found.as_dict()
        best, rest = score(found, clips), {"kind", "fps", "fitted", "noise"}
        for name in values.keys() - rest:
            for factor in (0.97, 1.03):
                changed = {key: value for key, value in values.items() if key != "kind"}
                changed[name] = min(
                    changed[name] * factor, 1.0 if "order" in kind or name == "damping" else 1e9
                )
                # The search ends where the logarithm of the loss is flat to 1e-5.
                assert score(type(found)(**changed), clips) > best - 1e-4

    def test_the_faces_own_directions_beat_the_coordinates(self) -> None:
        raw, truth = talking_heads(1)
        joint, motion, identity = (
            score(quick("sta", raw, truth, basis=basis, evaluations=40), cut(pairs_of(raw, truth), 30.0, 50))
            for basis in ("joint", "motion", "identity")
        )
        assert max(joint, motion) < identity - 0.2

    @pytest.mark.parametrize("kind", ["first-order", "one-euro", "savitzky-golay"])
    def test_where_hardly_anything_is_wrong_nothing_is_made_much_worse(self, kind: str) -> None:
        _, truth = talking_heads()
        raw = truth + np.random.default_rng(0).normal(0, 1e-4, truth.shape)
        found = quick(kind, raw, truth)
        # What is left is the truth's own bend, which smoothing may still buy off.
        assert (loss(found.run(raw), truth) < loss(truth, truth) + 1e-4).all()


class TestThePapersOwnNumbers:
    def test_are_searched_from_the_papers_values(self) -> None:
        raw, truth = talking_heads(2)
        clips = cut(pairs_of(raw, truth), 30.0, 50)
        start, found = (
            quick("sta-paper", raw, truth, raw_numbers=True, evaluations=count) for count in (1, 80)
        )
        assert isinstance(start, PaperSTA)
        assert isinstance(found, PaperSTA)
        assert start.gamma == 0.5
        np.testing.assert_array_equal(start.walks[0], np.zeros(10))
        assert score(found, clips) < score(start, clips)
        # One direction's noise has moved without those of the others.
        assert len(np.unique(found.noise)) > 1


class TestCheckpoint:
    def fit(self, checkpoint: Path, report: Any, kind: str = "one-euro") -> Stabilizer:
        return quick(kind, *talking_heads(), checkpoint=checkpoint, report=report, evaluations=100)

    def interrupt(self, checkpoint: Path, after: int) -> list[str]:
        """Stop the fit in the midst of its report; what it said until then."""
        lines: list[str] = []

        def report(line: str) -> None:
            lines.append(line)
            if len(lines) == after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.fit(checkpoint, report)
        return lines

    @pytest.mark.parametrize("after", [1, 3])
    def test_a_fit_goes_on_from_where_it_was_cut_off(self, tmp_path: Path, after: int) -> None:
        path = tmp_path / "fit.json"
        lines: list[str] = []
        said = self.interrupt(path, after)
        assert path.exists()
        resumed = self.fit(path, lines.append)
        assert lines[0] == f"going on from {path}"
        assert not path.exists()

        def value(line: str) -> float:
            return float(line.split("loss ")[1])

        # Never behind what it had; and as far as without the interruption.
        assert value(lines[1]) <= value(said[-1])
        clips = cut(pairs_of(*talking_heads()), 30.0, 50)
        assert score(resumed, clips) < score(self.fit(path, silent), clips) + 0.01

    def test_it_is_gone_at_the_end(self, tmp_path: Path) -> None:
        self.fit(tmp_path / "fit.json", silent)
        assert not list(tmp_path.iterdir())

    def test_that_of_another_kind(self, tmp_path: Path) -> None:
        self.interrupt(tmp_path / "fit.json", 1)
        with pytest.raises(ConfigError, match=r"fit\.json: not this fit's checkpoint: .*; remove it"):
            self.fit(tmp_path / "fit.json", silent, "first-order")

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "{}", '{"best": null}', '{"best": ["a"]}', '{"best": []}']
    )
    def test_garbage(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "fit.json").write_text(text)
        with pytest.raises(ConfigError, match=r"fit\.json: not this fit's checkpoint: .*; remove it"):
            self.fit(tmp_path / "fit.json", silent)
        assert (tmp_path / "fit.json").read_text() == text


class TestCut:
    def test_into_clips_in_percent_of_each_sequences_mean_size(self) -> None:
        rng = np.random.default_rng(0)
        pairs = [
            Pair(*(size * FACE + rng.normal(0, 1, (2, frames, 5, 2))))
            for size, frames in ((1, 25), (3, 20), (0.5, 9))
        ]
        (clips,) = cut(pairs, 30.0, 10)
        assert clips.raw.shape == clips.truth.shape == (10, 4, 5, 2)
        assert clips.scores is None
        assert clips.frames == 1
        for i, (pair, start) in enumerate([(0, 0), (0, 10), (1, 0), (1, 10)]):
            unit = face_size(pairs[pair].truth).mean() / 100
            np.testing.assert_allclose(clips.raw[:, i], pairs[pair].raw[start : start + 10] / unit)
            np.testing.assert_allclose(clips.truth[:, i], pairs[pair].truth[start : start + 10] / unit)

    def test_those_of_one_rate_together(self) -> None:
        rng = np.random.default_rng(0)

        def pair(fps: float, scored: bool) -> Pair:
            raw, truth = FACE + rng.normal(0, 1, (2, 20, 5, 2))
            return Pair(raw, truth, rng.uniform(0, 1, (20, 5)) if scored else None, fps)

        rates = [(30.0, True), (60.0, True), (30.0, False), (30.0, True), (25.0, False), (60.0, True)]
        pairs = [pair(*each) for each in rates]
        clips = cut(pairs, 30.0, 10)
        counts = {(each.frames, each.scores is not None): each.raw.shape[1] for each in clips}
        assert counts == {(0.5, True): 4, (1.0, False): 2, (1.0, True): 4, (1.2, False): 2}
        scored = next(each.scores for each in clips if each.frames == 1 and each.scores is not None)
        assert pairs[3].scores is not None
        np.testing.assert_array_equal(scored[:, 3], pairs[3].scores[10:])

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_no_sequence_is_long_enough(self, count: int) -> None:
        raw, truth = talking_heads()
        with pytest.raises(ConfigError, match="no sequence has the 51 frames of a clip"):
            fit(Form("sta"), pairs_of(raw[:, :count], truth[:, :count]), clip=51, report=silent)


def mixed(power: float) -> list[Pair]:
    """Sequences at two rates, of which those at 30 frames/s have scores."""
    rng, pairs = np.random.default_rng(6), []
    for fps in (30.0, 60.0):
        raw, truth = talking_heads(7 if fps == 30 else 8, clips=6)
        for i in range(6):
            doubts = 0.2 * np.exp(rng.normal(0, 0.5, 5))
            scores = np.tile(1.001 - doubts, (50, 1)) if fps == 30 else None
            grown = (doubts / 0.2) ** (power / 2) if fps == 30 else np.ones(5)
            noisy = truth[:, i] + (raw - truth)[:, i] * grown[:, None]
            pairs.append(Pair(noisy, truth[:, i], scores, fps))
    return pairs


class TestMixedSequences:
    @pytest.mark.parametrize("kind", ["sta", "sta-paper", "one-euro", "savitzky-golay"])
    def test_each_kind_can_do_with_them(self, kind: str) -> None:
        pairs = mixed(1.0)
        found = fit(Form(kind), pairs, clip=50, evaluations=30, polish=0, report=silent)
        clips = cut(pairs, 30.0, 50)
        raw = np.concatenate([np.log(loss(c.raw, c.truth, LossWeights(8.0))) for c in clips]).mean()
        assert score(found, clips) < raw

    def test_scores_are_trusted_as_far_as_they_tell(self) -> None:
        found = fit(Form("sta"), mixed(1.5), clip=50, evaluations=2, polish=0, report=silent)
        assert isinstance(found, STA)
        # 30 landmarks of 50 frames, and doubts that differ by half a logarithm.
        assert found.trust == pytest.approx(1.5, abs=0.3)
        np.testing.assert_allclose(found.doubts, np.full(5, 0.2), rtol=0.5)

    def test_without_scores_none_are_asked_for_later(self) -> None:
        found = quick("sta", *talking_heads(), evaluations=2)
        raw, _ = talking_heads()
        scores = np.random.default_rng(0).uniform(0, 1, raw.shape[:-1])
        np.testing.assert_array_equal(found.run(raw, scores), found.run(raw))

    def test_the_score_is_the_mean_over_all_clips(self) -> None:
        raw, truth = talking_heads()
        some = Clips(raw[:, :1], truth[:, :1], None, 1.0)
        rest = Clips(raw[:, 1:], truth[:, 1:], None, 1.0)
        whole, filter_ = Clips(raw, truth, None, 1.0), FirstOrder(0.5)
        assert score(filter_, [some, rest]) == pytest.approx(score(filter_, [whole]), rel=1e-12)
        expected = np.log(loss(filter_.run(raw), truth, LossWeights(8.0))).mean()
        assert score(filter_, [whole]) == pytest.approx(expected, rel=1e-12)


class TestMistakes:
    def test_unknown_kind(self) -> None:
        with pytest.raises(ConfigError, match="unknown kind of stabiliser 'median'"):
            quick("median", *talking_heads())

    def test_unknown_basis(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown basis 'fourier'.*joint, motion, identity"):
            quick("sta", *talking_heads(), basis="fourier")

    def test_nothing_is_left_behind(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError):
            quick("median", *talking_heads(), checkpoint=tmp_path / "fit.json")
        assert not list(tmp_path.iterdir())


def test_the_report_ends_with_what_was_gained() -> None:
    lines: list[str] = []
    raw, truth = talking_heads()
    found = quick("first-order", raw, truth, report=lines.append)
    clips = cut(pairs_of(raw, truth), 30.0, 50)
    before = math.exp(np.log(loss(raw, truth, LossWeights(8.0))).mean())
    after = math.exp(score(found, clips))
    assert lines[-1] == f"first-order: loss {before:.4f} raw, {after:.4f} stabilised"


def test_what_was_found_survives_a_file() -> None:
    found = quick("sta", *talking_heads(), evaluations=20)
    assert json.loads(json.dumps(found.as_dict()))["kind"] == "sta"
