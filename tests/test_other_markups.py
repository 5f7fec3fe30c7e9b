"""Points of another markup, other shapes, lists and lost frames, in measures and metrics."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest

from steadyface import measures, metrics
from steadyface.errors import ConfigError
from steadyface.measures import MEAN_FACE

FACES = np.tile(MEAN_FACE[:, :2] + 200, (5, 1, 1)) + np.random.default_rng(0).normal(0, 1, (5, 68, 2))

CALLS: dict[str, Callable[[object], object]] = {
    "head_pose": lambda points: measures.head_pose(points, 640, 480).rotation,
    "eye_openness": measures.eye_openness,
    "eye_aspect_ratio": lambda points: measures.eye_aspect_ratio(points, "left_eye"),
    "mouth_aspect_ratio": measures.mouth_aspect_ratio,
    "interocular": metrics.interocular,
    "jitter": metrics.jitter,
    "nrmse_interocular": lambda points: metrics.nrmse_interocular(points, FACES),
    "nrmse_interpupil": lambda points: metrics.nrmse_interpupil(points, FACES),
    "nrmse_box": lambda points: metrics.nrmse_box(points, FACES),
}
pytestmark = pytest.mark.usefixtures("unannotated")
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@calls
@pytest.mark.parametrize("shape", [(5, 98, 2), (5, 478, 2), (5, 68, 3), (5, 136), (136,), ()])
def test_another_markup_is_one_line_and_no_number(
    call: Callable[[object], object], shape: tuple[int, ...]
) -> None:
    with pytest.raises(ConfigError, match=r"points must be the 68 of iBUG's markup, \(…, 68, 2\), got shape"):
        call(np.ones(shape)) if shape[:1] == (5,) else call([np.ones(shape)] * 5)


@calls
def test_lists_are_as_good_as_arrays(call: Callable[[object], object]) -> None:
    np.testing.assert_array_equal(call(FACES.tolist()), call(FACES))


def test_jitter_leaves_lost_frames_out() -> None:
    rng = np.random.default_rng(1)
    faces = MEAN_FACE[:, :2] + rng.normal(0, 1, (10, 68, 2))
    bends = metrics.shaking(faces).mean(axis=1)
    faces[4] = np.nan  # it takes part in the bends at 3, 4 and 5, which are the third to the fifth
    assert metrics.jitter(faces) == pytest.approx(float(np.median(np.delete(bends, [2, 3, 4]))))
    faces[1:] = np.nan
    assert np.isnan(metrics.jitter(faces))


def test_an_eye_has_one_of_two_names() -> None:
    with pytest.raises(ConfigError, match="unknown eye 'right'; choose one of: right_eye, left_eye"):
        measures.eye_aspect_ratio(FACES, "right")


@pytest.mark.parametrize("size", [(0, 480), (-640, 480), (640, float("nan"))])
def test_a_picture_has_a_size(size: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="width and height must be positive, got"):
        measures.head_pose(FACES, *size)


def test_blinks_are_of_one_number_and_one_time_a_frame() -> None:
    openness, seconds = [0.3] * 20 + [0.05, 0.05] + [0.3] * 20, list(np.arange(42) / 25)
    assert len(measures.find_blinks(openness, seconds)) == 1
    with pytest.raises(ConfigError, match=r"must be of shape \(frames,\), got \(42,\) and \(41,\)"):
        measures.find_blinks(openness, seconds[1:])
    with pytest.raises(ConfigError, match=r"must be of shape \(frames,\), got \(5, 68, 2\)"):
        measures.find_blinks(FACES, seconds[:5])


EYES, VECTORS = FACES[:, 36, 0], FACES[:, 36]
SHAPED: dict[Callable[..., object], tuple[np.ndarray, ...]] = {
    metrics.nrmse_interocular: (FACES, FACES),
    metrics.nrmse_interpupil: (FACES, FACES),
    metrics.nrmse_box: (FACES, FACES),
    metrics.nrmse_without_offsets: (FACES, FACES, VECTORS),
    metrics.in_face: (FACES, VECTORS),
    metrics.ced: (EYES, EYES),
    metrics.failure_rate: (EYES,),
    metrics.auc: (EYES,),
    metrics.rmse: (FACES, FACES),
    metrics.scale_groups: (EYES,),
    metrics.mean_known: (EYES,),
    metrics.stability: (FACES, FACES, EYES),
    metrics.motion_error: (FACES, FACES, EYES),
    metrics.turn_error: (FACES, FACES, EYES),
    metrics.shaking: (FACES,),
    metrics.delay: (FACES, FACES, EYES),
    metrics.lag: (FACES, FACES),
    measures.visible_eye_openness: (FACES, np.ones((5, 68))),
    measures.open_level: (EYES, np.arange(5.0)),
    measures.find_blinks: (EYES, np.arange(5.0)),
    measures.HeadPose: (np.zeros((5, 3)), np.zeros((5, 3))),
    measures.HeadPose.of_matrix: (np.zeros((5, 3, 3)), np.zeros((5, 3))),
}


@pytest.mark.parametrize("function", SHAPED, ids=lambda function: function.__qualname__)
def test_shapes_that_do_not_fit_are_one_line_and_no_number(function: Callable[..., object]) -> None:
    arguments = SHAPED[function]
    function(*arguments)
    each = range(len(arguments))
    for wrong in each:
        with pytest.raises(ConfigError, match=r"must be .* got"):
            function(*(np.ones(()) if i == wrong else arguments[i] for i in each))
        if len(arguments) > 1 and function is not metrics.ced:  # of as many thresholds as one likes
            with pytest.raises(ConfigError, match=r"must be of shape \(.*, got \("):
                function(*(arguments[i][1:] if i == wrong else arguments[i] for i in each))


def test_every_metric_and_measure_is_among_them() -> None:
    public = {
        name
        for module in (metrics, measures)
        for name, member in vars(module).items()
        if inspect.isfunction(member) and member.__module__ == module.__name__ and name[0] != "_"
    }
    assert public <= {function.__name__ for function in SHAPED} | CALLS.keys()


def test_times_that_stand_still_give_no_blinks_but_a_line() -> None:
    with pytest.raises(ConfigError, match="seconds must increase from frame to frame, got steps of 0"):
        measures.find_blinks(np.full(9, 0.3), np.zeros(9))
