"""Arguments of stabilisers as users have them: lists, other numbers of landmarks, and what is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from stabilizer_cases import make_face

from steadyface.errors import ConfigError
from steadyface.stabilizer.base import CausalFilter, Smoother
from steadyface.stabilizer.choice import require_smoother
from steadyface.stabilizer.storage import load_stabilizer

KINDS = pytest.mark.parametrize("kind", ["sta", "sta-paper", "one-euro", "savitzky-golay"])
pytestmark = pytest.mark.usefixtures("unannotated")


def applies(kind: str) -> list[Callable[..., np.ndarray]]:
    stabilizer = load_stabilizer(kind)
    filters = [stabilizer.filter] if isinstance(stabilizer, CausalFilter) else []
    return filters + ([stabilizer.smooth] if isinstance(stabilizer, Smoother) else [])


@KINDS
def test_a_sequence_and_its_times_are_of_one_length(kind: str) -> None:
    points = np.zeros((5, 68, 2))
    for apply in applies(kind):
        with pytest.raises(ConfigError, match=r"seconds must be of shape \(5,\), one a frame, got \(2,\)"):
            apply(points, np.arange(2.0))
        shape = r"points must be of shape \(frames, landmarks, 2\), got \(68, 2\)"
        with pytest.raises(ConfigError, match=shape):
            apply(points[0])


@KINDS
def test_lists_are_as_good_as_arrays(kind: str) -> None:
    points, seconds = make_face(1), np.arange(12) / 25
    scores = np.random.default_rng(1).uniform(0.5, 1, (12, 68))
    for apply in applies(kind):
        expected = apply(points, seconds, scores)
        listed = apply(points.tolist(), seconds.tolist(), scores.tolist())
        np.testing.assert_array_equal(listed, expected)


@KINDS
def test_masked_points_are_missing(kind: str) -> None:
    points = make_face(1)
    missing = points.copy()
    missing[6, 10:15] = np.nan
    masked = np.ma.masked_invalid(missing)
    masked.data[6, 10:15] = 1e4
    for apply in applies(kind):
        np.testing.assert_array_equal(apply(masked), apply(missing))


@KINDS
@pytest.mark.parametrize(
    ("points", "told"),
    [
        ("points.csv", "points must be numbers, got 'points.csv'"),
        (None, "points must be numbers, got None"),
        ([[[0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]], "points must be numbers in rows of one length"),
    ],
)
def test_what_is_no_array_of_numbers_is_one_line(kind: str, points: object, told: str) -> None:
    for apply in applies(kind):
        with pytest.raises(ConfigError, match=told):
            apply(points)


@pytest.mark.parametrize("call", ["filter", "smooth", "filter_all", "step"])
def test_another_number_of_landmarks_is_told_of_usual_filters(call: str) -> None:
    points: object = np.zeros((5, 98, 2))
    arguments = {"filter_all": ([points],), "step": (None, np.zeros((98, 2)))}.get(call, (points,))
    with pytest.raises(ConfigError, match=r"98, 2\); usual filters, such as one-euro, take any number"):
        getattr(load_stabilizer("sta"), call)(*arguments)
    assert load_stabilizer("one-euro").filter(np.zeros((5, 98, 2))).shape == (5, 98, 2)


def test_times_and_lags_are_numbers() -> None:
    sta, points = load_stabilizer("sta"), make_face(1)
    with pytest.raises(ConfigError, match="seconds since the last frame must be a number, got 'a'"):
        sta.step(None, points[0], "a")
    for lag in (1.5, "a"):
        with pytest.raises(ConfigError, match=f"lag must be a whole number of frames, got {lag!r}"):
            sta.smooth(points, lag=lag)
    with pytest.raises(ConfigError, match="stabilizer must be one of load_stabilizer, got 'sta'"):
        require_smoother("sta")
