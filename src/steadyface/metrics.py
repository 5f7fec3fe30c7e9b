"""How far landmarks are from the truth, and how steadily they move. Numpy only.

Errors carry their normaliser in their name; `interocular` is the distance of the outer eye corners in the
truth. Points are (…, 68, 2) in any one pixel frame; results in % unless said.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from steadyface import markup


def interocular(points: Float[np.ndarray, "*batch 68 2"]) -> Float[np.ndarray | np.floating, "*batch"]:
    """Distance of the outer eye corners, in the points' px."""
    right, left = markup.OUTER_EYE_CORNERS
    return np.linalg.norm(points[..., right, :] - points[..., left, :], axis=-1)


def nrmse_interocular(
    points: Float[np.ndarray, "*batch 68 2"], truth: Float[np.ndarray, "*batch 68 2"]
) -> Float[np.ndarray | np.floating, "*batch"]:
    """Mean point-to-point distance of each face in % of its inter-ocular distance.

    Equation: 100 · mean_i ‖x_i - p_i‖ / ‖p_36 - p_45‖.
    Source: Tai et al. 2019, Experimental Setup ("NRMSE").

    >>> truth = np.zeros((68, 2)); truth[45] = [100, 0]
    >>> float(nrmse_interocular(truth + [3, 4], truth))
    5.0
    """
    distance = np.linalg.norm(points - truth, axis=-1).mean(axis=-1)
    return 100.0 * distance / interocular(truth)


def failure_rate(errors: Float[np.ndarray, "n"], threshold: float = 8.0) -> float:
    """Share of errors above the threshold, in %.

    >>> failure_rate(np.array([1.0, 9.0]))
    50.0
    """
    return 100.0 * float(np.mean(np.asarray(errors) > threshold))


def auc(errors: Float[np.ndarray, "n"], threshold: float = 8.0) -> float:
    """Area under the cumulative error curve up to the threshold, in % of the largest area possible.

    Exact: the curve is the step function of the errors themselves, in no bins. A face that was not found may
    stand as an infinite error.

    Equation: (100 / T) · ∫₀ᵀ F(e) de = 100 · mean_i max(0, 1 - e_i / T), F(e) the share of errors up to e.
    Source: Tai et al. 2019, Experimental Setup ("AUC").

    Args:
        errors: one per face, for instance NRMSE in %.
        threshold: T, in the errors' unit.

    >>> auc(np.array([0.0, 4.0, 9.0, np.inf]))
    37.5
    """
    return 100.0 * float(np.mean(np.clip(1.0 - np.asarray(errors) / threshold, 0.0, None)))


def rmse(
    points: Float[np.ndarray, "*batch landmarks 2"], truth: Float[np.ndarray, "*batch landmarks 2"]
) -> Float[np.ndarray | np.floating, "*batch"]:
    """Root of the mean squared error per coordinate of each face, in the points' px: it grows with the face.

    Equation: √(Σ_i ‖x_i - p_i‖² / 2M), M landmarks.
    Source: Tai et al. 2019, Table 2 ("RMSE"); the 2M is that of the authors' code.

    >>> float(rmse(np.array([[3.0, 4.0]]), np.array([[2.0, 3.0]])))
    1.0
    """
    return np.sqrt(np.square(points - truth).mean(axis=(-1, -2)))


def scale_groups(interocular: Float[np.ndarray, "n"], count: int = 5) -> Int[np.ndarray, "n"]:
    """Group faces by size, from 0 (the smallest) on, into groups of equal count (± 1 where it must be).

    Source: Tai et al. 2019, Table 2: fifths of the faces by inter-ocular distance.

    Args:
        interocular: each face's size, px; equal ones keep their order.
        count: number of groups.

    >>> scale_groups(np.array([90.0, 30.0, 70.0, 50.0]), count=2)
    array([1, 0, 1, 0])
    """
    rank = np.argsort(np.argsort(interocular, kind="stable"))
    return rank * count // len(rank)


def stability(
    points: Float[np.ndarray, "frames landmarks 2"],
    truth: Float[np.ndarray, "frames landmarks 2"],
    normaliser: Float[np.ndarray, "frames"],
) -> float:
    """How much landmarks move other than the truth does, in % of the normaliser; 0 is perfect.

    Equation: 100 · mean_t mean_i ‖Δx_i(t) - Δp_i(t)‖ / d(t), Δx(t) = x(t) - x(t-1).
    Source: Tai et al. 2019, Ablation Study ("stability").

    Args:
        points, truth: image px.
        normaliser: d, for instance the truth's inter-ocular distance in each frame, px.
    """
    excess = np.linalg.norm(np.diff(points, axis=0) - np.diff(truth, axis=0), axis=-1).mean(axis=-1)
    return 100.0 * float(np.mean(excess / normaliser[1:]))


def motion_error(
    points: Float[np.ndarray, "frames landmarks 2"],
    truth: Float[np.ndarray, "frames landmarks 2"],
    normaliser: Float[np.ndarray, "frames"],
) -> Float[np.ndarray, "landmarks"]:
    """`stability` of each landmark alone, in % of the normaliser.

    Source: Tai et al. 2019, Figure 3, "magnitude".

    >>> truth = np.zeros((2, 2, 2))
    >>> motion_error(truth + [[[0, 0], [0, 0]], [[3, 4], [0, 0]]], truth, np.full(2, 100.0))
    array([5., 0.])
    """
    excess = np.linalg.norm(np.diff(points, axis=0) - np.diff(truth, axis=0), axis=-1)
    return 100.0 * (excess / normaliser[1:, None]).mean(axis=0)


def turn_error(
    points: Float[np.ndarray, "frames landmarks 2"],
    truth: Float[np.ndarray, "frames landmarks 2"],
    still: Float[np.ndarray, "frames"],
) -> Float[np.ndarray, "landmarks"]:
    """Mean angle between each landmark's motion and the true one, degrees; NaN if it never truly moves.

    Source: Tai et al. 2019, Figure 3, "orientation". Differs from it in: frames in which the landmark truly
    moves by less than 0.2 % of `still` have no direction, and are left out.

    Args:
        points, truth: image px.
        still: inter-ocular distance per frame, px.

    >>> truth = np.array([[[0.0, 0.0]], [[10.0, 0.0]]])
    >>> turn_error(np.array([[[0.0, 0.0]], [[0.0, 5.0]]]), truth, np.full(2, 100.0))
    array([90.])
    """
    moved, true = np.diff(points, axis=0), np.diff(truth, axis=0)
    across = moved[..., 0] * true[..., 1] - moved[..., 1] * true[..., 0]
    angles = np.degrees(np.arctan2(np.abs(across), (moved * true).sum(axis=-1)))
    counts = np.linalg.norm(true, axis=-1) > 0.002 * still[1:, None]
    total = np.where(counts, angles, 0.0).sum(axis=0)
    return np.divide(total, counts.sum(axis=0), out=np.full(total.shape, np.nan), where=counts.any(axis=0))


def jitter(points: Float[np.ndarray, "frames 68 2"]) -> float:
    """Shaking of a sequence without known truth, in % of the inter-ocular distance.

    Equation: 100 · median_t mean_i ‖x_i(t) - ½(x_i(t-1) + x_i(t+1))‖ / d. A steady motion has none; the
    median keeps cuts and lost frames out. NaN for fewer than three frames.
    """
    if len(points) < 3:
        return float("nan")
    bend = points[1:-1] - (points[:-2] + points[2:]) / 2
    shake = np.linalg.norm(bend, axis=-1).mean(axis=-1)
    return 100.0 * float(np.median(shake / interocular(points[1:-1])))


def delay(
    points: Float[np.ndarray, "frames landmarks 2"],
    truth: Float[np.ndarray, "frames landmarks 2"],
    still: Float[np.ndarray, "frames"],
) -> float:
    """By how many frames the points lag behind the truth; 0 is none, ½ is half a frame.

    Equation: -Σ_t v(t)·(x(t) - p(t)) / Σ_t ‖v(t)‖² over frames with ‖v‖² above the guard, where
    v(t) = p(t) - p(t-1).
    Source: Tai et al. 2019, Eq. (12). Differs from it in: one least-squares lag for the whole sequence, since
    v⁺ = vᵀ/‖v‖² explodes where the face rests; and in its sign (a lag is positive).

    Args:
        points, truth: image px.
        still: inter-ocular distance per frame, px; slower than 0.2 % of it a landmark counts as resting.
    """
    velocity = np.diff(truth, axis=0)
    error = (points - truth)[1:]
    moving = (velocity**2).sum(axis=(-1, -2)) > truth.shape[1] * (0.002 * still[1:]) ** 2
    energy = float((velocity[moving] ** 2).sum())
    return -float((velocity * error)[moving].sum()) / energy if energy else 0.0
