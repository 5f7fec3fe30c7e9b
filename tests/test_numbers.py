"""Numbers that nobody expects give finite points or a `ConfigError`, and no warning."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import scenes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stabilizer_cases import CAUSAL, make_face

from steadyface.errors import ConfigError
from steadyface.stabilizer import load_stabilizer
from steadyface.stabilizer.base import CausalFilter, Smoother
from steadyface.stabilizer.baselines import ConstantVelocity, FirstOrder, OneEuro, SavitzkyGolay, SecondOrder
from steadyface.stabilizer.checks import checked_points
from steadyface.tracking import Tracker

EXTREME = [
    SecondOrder(1.0, 1.0),
    FirstOrder(0.0),
    OneEuro(1e9, 1e9, 1e9),
    OneEuro(0.0, 0.0, 0.0),
    ConstantVelocity(1e9, 1e-9, 1.0),
    ConstantVelocity(0.0, 1e9, 1e-9),
]
FILTERS = [*CAUSAL, *EXTREME, load_stabilizer("sta"), load_stabilizer("sta-paper")]
every = pytest.mark.parametrize("stabilizer", FILTERS, ids=lambda each: each.kind)

ODD = [math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-300, 5e-324, 0.0, -1.0, 1e9, 1e4, 2.0]
STEPS = [None, 1 / 30, 0.0, -1.0, 5e-324, 1e-9, 1e9, 1e300, -1e300, math.nan, math.inf]
SCORES = [0.5, 0.0, 1.0, -1.0, 2.0, math.nan, 1e300]


@st.composite
def frames(draw: st.DrawFn) -> np.ndarray:
    """A face with some numbers replaced, or all of it: one point, a huge face, or nothing."""
    points = make_face(draw(st.integers(0, 3)), 1)[0]
    kind = draw(st.sampled_from(["face", "some", "all", "flat", "large", "small"]))
    odd = draw(st.sampled_from(ODD))
    if kind == "some":
        points[draw(st.integers(0, 67))] = odd
    elif kind == "all":
        points[:] = odd
    elif kind == "flat":
        points[:, 0] = 3.0
    return points * {"large": 1e4, "small": 1e-9}.get(kind, 1.0)


STREAMS = st.lists(
    st.tuples(frames(), st.sampled_from(STEPS), st.sampled_from(SCORES)), min_size=2, max_size=8
)


@every
@given(STREAMS)
@settings(max_examples=15)
def test_step_is_finite_or_says_what_is_wrong(stabilizer: CausalFilter, stream: list) -> None:
    state = None
    for points, dt, score in stream:
        try:
            newer, output = stabilizer.step(state, points, dt, np.full(68, score))
        except ConfigError:
            continue
        state = newer
        if state is not None:  # a landmark is NaN until it is first seen
            unseen = np.zeros(68, bool) if state.screened.unseen is None else state.screened.unseen
            np.testing.assert_array_equal(np.isfinite(output).all(axis=-1), ~unseen)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"points": np.full((68, 2), 1e300)}, "points"),
        ({"dt": math.nan}, "seconds"),
        ({"dt": math.inf}, "seconds"),
        ({"dt": 1e300}, "seconds"),
        ({"scores": np.full(68, 1.1)}, "scores"),
        ({"scores": np.full(68, math.nan)}, "scores"),
    ],
)
def test_step_names_what_is_wrong(changes: dict, told: str) -> None:
    stabilizer = load_stabilizer("sta")
    good = {"points": make_face(1, 1)[0], "dt": 0.04, "scores": np.full(68, 0.5)}
    state, _ = stabilizer.step(None, good["points"])
    with pytest.raises(ConfigError, match=told):
        stabilizer.step(state, **{**good, **changes})


@pytest.mark.parametrize("count", [67, 98])
def test_other_landmarks_than_the_parameters_are_for_are_one_line(count: int) -> None:
    clip = np.random.default_rng(0).uniform(0, 200, (3, count, 2))
    for name in ("sta", "sta-paper"):
        stabilizer = load_stabilizer(name)
        assert isinstance(stabilizer, CausalFilter)
        with pytest.raises(ConfigError, match=rf"points must be of shape \(…, 68, 2\), got \({count}, 2\)"):
            stabilizer.step(None, clip[0])
        with pytest.raises(ConfigError, match=rf"got \(3, {count}, 2\)"):
            stabilizer.filter(clip)
    smoother = load_stabilizer("sta")
    assert isinstance(smoother, Smoother)
    with pytest.raises(ConfigError, match=rf"got \(3, {count}, 2\)"):
        smoother.smooth(clip)


def test_points_of_another_shape_are_one_line() -> None:
    with pytest.raises(ConfigError, match=r"points must be of shape \(…, landmarks, 2\), got \(68, 3\)"):
        inspect.unwrap(checked_points)(np.zeros((68, 3)), None)  # the tests' own check of shapes is before it


def test_every_landmark_has_a_score_or_none_has() -> None:
    points = make_face(1, 1)[0]
    with pytest.raises(ConfigError, match=r"scores must be of shape \(68,\).*got \(67,\)"):
        checked_points(points, np.ones(67))
    with pytest.raises(ConfigError, match=r"scores must be of shape \(1, 68\).*got \(68,\)"):
        checked_points(points[None], np.ones(68))


def test_methods_without_parameters_of_landmarks_take_any_number() -> None:
    points = np.random.default_rng(0).uniform(0, 200, (4, 98, 2))
    for name in ("one-euro", "first-order", "constant-velocity"):
        stabilizer = load_stabilizer(name)
        assert isinstance(stabilizer, CausalFilter)
        assert stabilizer.filter(points).shape == points.shape


SMOOTHERS = [load_stabilizer("sta"), SavitzkyGolay(5, 2)]
TIMES = [0.0, 1e-9, 1 / 30, 0.04, 1e9, -1.0, math.nan, 1e300]


@pytest.mark.parametrize("stabilizer", SMOOTHERS, ids=lambda each: each.kind)
@given(STREAMS, st.lists(st.sampled_from(TIMES), min_size=8, max_size=8))
@settings(max_examples=15)
def test_smooth_is_finite_or_says_what_is_wrong(stabilizer: Smoother, stream: list, times: list) -> None:
    points = np.stack([frame for frame, _, _ in stream])
    seconds = np.cumsum(times[: len(points)])
    scores = np.stack([np.full(68, score) for _, _, score in stream])
    try:
        output = stabilizer.smooth(points, seconds, scores)
    except ConfigError:
        return
    complete = np.isfinite(points).all(axis=(1, 2)).cumsum() > 0
    assert np.isfinite(output[complete]).all()


TIMELINES = st.lists(
    st.sampled_from([0.0, 5e-324, 1e-9, 1e-3, 0.04, 1.0, 1e9, 1e300, -1.0, math.nan, math.inf, None]),
    min_size=2,
    max_size=5,
)


@given(TIMELINES)
@example([0.04, 5e-324, 0.04, 0.04])
@example([0.04, 1e9, 0.04])
@example([1e300, 1e300])
@settings(max_examples=6)
def test_the_tracker_takes_any_time_or_says_what_is_wrong(steps: list) -> None:
    tracker, seconds = TRACKER, 0.0
    tracker.reset()
    for index, step in enumerate(steps):
        seconds = seconds if step is None else seconds + step
        try:
            faces = tracker.step(scenes.frames(6)[index], None if step is None else seconds)
        except ConfigError:
            continue
        for face in faces:
            assert np.isfinite(face.points).all()
            assert np.isfinite(face.box).all()


TRACKER = Tracker()
