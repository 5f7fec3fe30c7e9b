"""Metrics of accuracy and steadiness, in numpy.

Errors carry their normaliser in their name; `interocular` is the distance of the outer eye corners in the
truth. Points are (…, 68, 2) in one pixel frame; results are in % unless stated otherwise. Arrays whose shapes
do not fit together raise a ConfigError.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from steadyface import markup
from steadyface.arrays import FaceBatch, FaceSequence, PointBatch, PointSequence
from steadyface.geometry import face_size
from steadyface.shapes import as_shaped

_RESTING = 0.002  # of the inter-ocular distance a frame: slower landmarks count as resting
_BLOCK = 4096  # frames of `lag` at once: an hour would take gigabytes


def interocular(points: FaceBatch) -> Float[np.ndarray | np.floating, "*batch"]:
    """Distance of the outer eye corners, in the points' px.

    Raises:
        ConfigError: points of another markup, as in all that divide by this distance.
    """
    points, (right, left) = markup.as_faces(points), markup.OUTER_EYE_CORNERS
    return np.linalg.norm(points[..., right, :] - points[..., left, :], axis=-1)


def nrmse_interocular(points: FaceBatch, truth: FaceBatch) -> Float[np.ndarray | np.floating, "*batch"]:
    """Mean point-to-point distance of each face in % of its inter-ocular distance.

    Equation: 100 · mean_i ‖x_i - p_i‖ / ‖p_36 - p_45‖.
    Source: Tai et al. 2019, Experimental Setup ("NRMSE").

    >>> truth = np.zeros((68, 2)); truth[45] = [100, 0]
    >>> float(nrmse_interocular(truth + [3, 4], truth))
    5.0
    """
    distance, truth = _mean_distance(points, truth)
    return 100.0 * distance / interocular(truth)


def nrmse_interpupil(points: FaceBatch, truth: FaceBatch) -> Float[np.ndarray | np.floating, "*batch"]:
    """`nrmse_interocular` over the distance of the eyes' centres, each the mean of its six points.

    Source: Ren et al. 2014; older tables of 300-W use it.
    """
    distance, truth = _mean_distance(points, truth)
    right, left = (truth[..., markup.GROUPS[eye], :].mean(axis=-2) for eye in ("right_eye", "left_eye"))
    return 100.0 * distance / np.linalg.norm(right - left, axis=-1)


def nrmse_box(points: FaceBatch, truth: FaceBatch) -> Float[np.ndarray | np.floating, "*batch"]:
    """`nrmse_interocular` over √(width · height) of the true points' box, which does not shrink in profile.

    Source: Zafeiriou et al. 2017 (Menpo).
    """
    distance, truth = _mean_distance(points, truth)
    return 100.0 * distance / face_size(truth)


def _mean_distance(
    points: FaceBatch, truth: FaceBatch
) -> tuple[Float[np.ndarray | np.floating, "*batch"], FaceBatch]:
    """Mean distance of the points of each face from the truth, px; and the truth as an array."""
    points, truth = as_shaped(
        points=(markup.as_faces(points), "… 68 2"), truth=(markup.as_faces(truth), "… 68 2")
    )
    return np.linalg.norm(points - truth, axis=-1).mean(axis=-1), truth


def nrmse_without_offsets(
    points: PointSequence,
    truth: PointSequence,
    eyes: Float[np.ndarray, "frames 2"],
) -> float:
    """NRMSE in % after each point's mean error is subtracted; NaN if no frame has both.

    It compares with a truth in another markup, whose points are defined at other positions. It uses the
    truth, so no tracker can reach it.

    Args:
        points, truth: px of the same frame of reference; NaN where there is none.
        eyes: from the right to the left outer eye corner in the truth, px.
    """
    shape = "frames landmarks 2"
    points, truth, eyes = as_shaped(points=(points, shape), truth=(truth, shape), eyes=(eyes, "frames 2"))
    error = in_face(points - truth, eyes)
    error = error[~np.isnan(error).any(axis=(1, 2))]
    return 100 * float(np.linalg.norm(error - error.mean(axis=0), axis=-1).mean()) if len(error) else np.nan


def in_face(vectors: PointSequence, eyes: Float[np.ndarray, "frames 2"]) -> PointSequence:
    """Express image vectors in a frame that turns and scales with the eyes; `eyes` is its unit x axis.

    >>> in_face(np.array([[[0.0, 3.0]]]), np.array([[0.0, 2.0]]))
    array([[[1.5, 0. ]]])
    """
    vectors, eyes = as_shaped(vectors=(vectors, "frames landmarks 2"), eyes=(eyes, "frames 2"))
    along = eyes / np.square(eyes).sum(axis=-1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    return np.stack([(vectors * axis[:, None]).sum(axis=-1) for axis in (along, across)], axis=-1)


def ced(errors: Float[np.ndarray, "n"], thresholds: Float[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
    """Cumulative error distribution: fraction of errors up to each threshold, %; `auc` is the area below it.

    As in `failure_rate` and `auc`, NaN means a face that was not found; it is above every threshold.

    >>> ced(np.array([1.0, 3.0, np.inf, 2.0]), np.array([0.5, 2.0, 8.0]))
    array([ 0., 50., 75.])
    """
    errors, thresholds = as_shaped(errors=(errors, "faces"), thresholds=(thresholds, "thresholds"))
    return 100.0 * np.searchsorted(np.sort(errors), thresholds, side="right") / len(errors)


def failure_rate(errors: Float[np.ndarray, "n"], threshold: float = 8.0) -> float:
    """Fraction of errors above the threshold, in %; NaN, a face that was not found, is above.

    >>> failure_rate(np.array([1.0, 9.0, np.inf, np.nan]))
    75.0
    """
    (errors,) = as_shaped(errors=(errors, "faces"))
    return 100.0 * float(np.mean(~(errors <= threshold)))


def auc(errors: Float[np.ndarray, "n"], threshold: float = 8.0) -> float:
    """Area under the cumulative error curve up to the threshold, in % of the largest area possible.

    Exact: the curve is the step function of the errors, without bins. A face that was not found is an
    infinite error or NaN.

    Equation: (100 / T) · ∫₀ᵀ F(e) de = 100 · mean_i max(0, 1 - e_i / T), F(e) the share of errors up to e.
    Source: Tai et al. 2019, Experimental Setup ("AUC").

    Args:
        errors: one per face, for instance NRMSE in %.
        threshold: T, in the errors' unit.

    >>> auc(np.array([0.0, 4.0, 9.0, np.inf]))
    37.5
    """
    (errors,) = as_shaped(errors=(errors, "faces"))
    return 100.0 * float(np.mean(np.fmax(1.0 - errors / threshold, 0.0)))


def rmse(points: PointBatch, truth: PointBatch) -> Float[np.ndarray | np.floating, "*batch"]:
    """Root of the mean squared error per coordinate of each face, in the points' px; it grows with the face.

    Equation: √(Σ_i ‖x_i - p_i‖² / 2M), M landmarks.
    Source: Tai et al. 2019, Table 2 ("RMSE"); the 2M is that of the authors' code.

    >>> float(rmse(np.array([[3.0, 4.0]]), np.array([[2.0, 3.0]])))
    1.0
    """
    points, truth = as_shaped(points=(points, "… landmarks 2"), truth=(truth, "… landmarks 2"))
    return np.sqrt(np.square(points - truth).mean(axis=(-1, -2)))


def scale_groups(values: Float[np.ndarray, "n"], count: int = 5) -> Int[np.ndarray, "n"]:
    """Group faces by size or another value, from 0 (the smallest) on, into groups of equal count (± 1).

    Source: Tai et al. 2019, Table 2: fifths of the faces by inter-ocular distance.

    Args:
        values: of the faces, such as their sizes in px; equal ones keep their order.
        count: number of groups.

    >>> scale_groups(np.array([90.0, 30.0, 70.0, 50.0]), count=2)
    array([1, 0, 1, 0])
    """
    (values,) = as_shaped(values=(values, "faces"))
    rank = np.argsort(np.argsort(values, kind="stable"))
    return rank * count // len(rank)


def mean_known(values: Float[np.ndarray, "n *rest"]) -> Float[np.ndarray | np.floating, "*rest"]:
    """Mean along the first axis of the values that are not NaN; NaN if all are.

    >>> mean_known(np.array([[1.0, np.nan], [3.0, np.nan]]))
    array([ 2., nan])
    """
    (values,) = as_shaped(values=(values, "… values"))
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)


def stability(
    points: PointSequence,
    truth: PointSequence,
    normaliser: Float[np.ndarray, "frames"],
) -> float:
    """Motion of landmarks that differs from the true motion, in % of the normaliser; 0 is perfect.

    Equation: 100 · mean_t mean_i ‖Δx_i(t) - Δp_i(t)‖ / d(t), Δx(t) = x(t) - x(t-1).
    Source: Tai et al. 2019, Ablation Study ("stability").

    Args:
        points, truth: image px; a step from or to a frame with NaN does not count.
        normaliser: d, for instance the truth's inter-ocular distance in each frame, px.
    """
    excess = _excess_motion(points, truth, normaliser).mean(axis=-1)
    return 100.0 * float(mean_known(excess))


def motion_error(
    points: PointSequence,
    truth: PointSequence,
    normaliser: Float[np.ndarray, "frames"],
) -> Float[np.ndarray, "landmarks"]:
    """`stability` of each landmark alone, in % of the normaliser; NaN without a step.

    Source: Tai et al. 2019, Figure 3 (b). Differs from it in: relative distances instead of squares in px².

    >>> truth = np.zeros((2, 2, 2))
    >>> motion_error(truth + [[[0, 0], [0, 0]], [[3, 4], [0, 0]]], truth, np.full(2, 100.0))
    array([5., 0.])
    """
    return 100.0 * np.asarray(mean_known(_excess_motion(points, truth, normaliser)))


def _excess_motion(
    points: PointSequence, truth: PointSequence, normaliser: Float[np.ndarray, "frames"]
) -> Float[np.ndarray, "steps landmarks"]:
    """Motion of each landmark that differs from the true motion, over the normaliser."""
    points, truth, normaliser = _as_sequences(points, truth, normaliser)
    excess = np.linalg.norm(np.diff(points, axis=0) - np.diff(truth, axis=0), axis=-1)
    return excess / normaliser[1:, None]


def _as_sequences(
    points: PointSequence, truth: PointSequence, normaliser: Float[np.ndarray, "frames"]
) -> list[np.ndarray]:
    shape = "frames landmarks 2"
    return as_shaped(points=(points, shape), truth=(truth, shape), normaliser=(normaliser, "frames"))


def turn_error(
    points: PointSequence,
    truth: PointSequence,
    normaliser: Float[np.ndarray, "frames"],
) -> Float[np.ndarray, "landmarks"]:
    """Mean angle between the motion of each landmark and the true one, degrees; NaN if it never moves.

    Source: Tai et al. 2019, Figure 3 (c). Differs from it in: frames in which a landmark does not move, or
    truly moves by less than 0.2 % of the normaliser, are left out, since they have no direction.

    Args:
        points, truth: image px.
        normaliser: inter-ocular distance in each frame, px.

    >>> truth = np.array([[[0.0, 0.0]], [[10.0, 0.0]]])
    >>> turn_error(np.array([[[0.0, 0.0]], [[0.0, 5.0]]]), truth, np.full(2, 100.0))
    array([90.])
    """
    points, truth, normaliser = _as_sequences(points, truth, normaliser)
    moved, true = np.diff(points, axis=0), np.diff(truth, axis=0)
    across = moved[..., 0] * true[..., 1] - moved[..., 1] * true[..., 0]
    angles = np.degrees(np.arctan2(np.abs(across), (moved * true).sum(axis=-1)))
    directed = (np.linalg.norm(true, axis=-1) > _RESTING * normaliser[1:, None]) & moved.any(axis=-1)
    return np.asarray(mean_known(np.where(directed, angles, np.nan)))


def shaking(points: FaceSequence) -> Float[np.ndarray, "bends 68"]:
    """Distance of each landmark from the middle of its neighbours in time, in % of the inter-ocular distance.

    Equation: 100 · ‖x_i(t) - ½(x_i(t-1) + x_i(t+1))‖ / d(t), for all frames but the first and the last.
    """
    (points,) = as_shaped(points=(markup.as_faces(points), "frames 68 2"))
    bend = points[1:-1] - (points[:-2] + points[2:]) / 2
    return 100.0 * np.linalg.norm(bend, axis=-1) / np.asarray(interocular(points[1:-1]))[:, None]


def jitter(points: FaceSequence) -> float:
    """Shaking of a sequence, without its truth, in % of the inter-ocular distance.

    Equation: median_t mean_i of `shaking`. Uniform motion has none; the median ignores cuts, and frames
    without points (NaN) are left out. NaN if no three frames in a row have points.
    """
    known = shaking(points).mean(axis=-1)
    known = known[~np.isnan(known)]
    return float(np.median(known)) if len(known) else float("nan")


def delay(
    points: PointSequence,
    truth: PointSequence,
    normaliser: Float[np.ndarray, "frames"],
) -> float:
    """Delay of the points behind the truth, in frames; NaN if the truth never moves.

    Equation: -Σ_t v(t)·(x(t) - p(t)) / Σ_t ‖v(t)‖² over frames with ‖v‖² above a threshold, where
    v(t) = p(t) - p(t-1).
    Source: Tai et al. 2019, Eq. (12). Differs from it in: one least-squares lag for the whole sequence, since
    v⁺ = vᵀ/‖v‖² explodes where the face rests; and in its sign (a lag is positive).

    Args:
        points, truth: image px.
        normaliser: inter-ocular distance in each frame, px; a landmark that moves by less than 0.2 % of it
            in a frame rests.
    """
    ahead, energy = _along_motion(*_as_sequences(points, truth, normaliser))
    return -ahead / energy if energy else float("nan")


def _along_motion(
    points: PointSequence, truth: PointSequence, normaliser: Float[np.ndarray, "frames"]
) -> tuple[float, float]:
    """Compute Σ v·(x - p) and Σ ‖v‖² of `delay`."""
    velocity = np.diff(truth, axis=0)
    error = (points - truth)[1:]
    moving = (velocity**2).sum(axis=(-1, -2)) > truth.shape[1] * (_RESTING * normaliser[1:]) ** 2
    moving &= ~np.isnan(error).any(axis=(-1, -2))
    return float((velocity * error)[moving].sum()), float((velocity[moving] ** 2).sum())


def lag(points: FaceSequence, raw: FaceSequence) -> float:
    """Delay of filtered points behind the raw ones, in frames; `delay` for an unknown truth.

    Noise of the raw points would count as a lag of any filter that removes it. The raw points are therefore
    smoothed first, over two frames on either side, which adds no delay. NaN where no point moves faster than
    0.2 % of the inter-ocular distance a frame, or for fewer than six frames.
    """
    points, raw = as_shaped(
        points=(markup.as_faces(points), "frames 68 2"), raw=(markup.as_faces(raw), "frames 68 2")
    )
    kernel = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    ahead = energy = 0.0
    for start in range(0, len(raw) - len(kernel), _BLOCK):
        block = slice(start, start + _BLOCK + len(kernel))  # blocks share a frame of the path
        windows = np.lib.stride_tricks.sliding_window_view(raw[block].astype(float), len(kernel), axis=0)
        path = windows @ kernel
        sums = _along_motion(points[block][2:-2].astype(float), path, np.asarray(interocular(path)))
        ahead, energy = ahead + sums[0], energy + sums[1]
    return -ahead / energy if energy else float("nan")
