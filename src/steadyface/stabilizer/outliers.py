"""Outlier rejection: missing landmarks, outliers, unusable frames and cuts, before any filter.

The filters model small errors only. The rules, relative to the motion of the other landmarks:

- A landmark may leave the others slowly, and fast only if a neighbour moves with it, as on lips.
- An outlier moves with the others until it has kept its new position for some frames. A missing landmark
  moves with the others until it is back.
- A landmark that no frame has had yet has a placeholder that moves with the others.
- A frame with many outliers or hardly any landmark is rejected. After a cut everything restarts.
- Where the network only guessed a position, as on a face that is coming into the picture, a position of which
  it is sure replaces the guess at once.

The motion of the others is a shift. Where a head tilts or comes near so fast that a shift does not fit its
outline, it is a similarity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from steadyface.arrays import Points, PointSequence, Scores, ScoreSequence
from steadyface.geometry import face_size
from steadyface.motion import robust_similarity


@dataclass(frozen=True)
class OutlierConfig:
    """Thresholds of the outlier rejection.

    Lengths are in face sizes (`geometry.face_size`) and hold for frames up to 1/30 s apart. Over a longer
    time they grow with its square root, up to `longest_frames`.

    Args:
        cut: displacement common to all landmarks above which the frame shows another shot or another face.
            A similarity that moves any landmark by more beside the shift is not used. Increasing it keeps
            fast heads, but takes short jumps between faces for motion.
        outlier: distance from the others' displacement at which a landmark is an outlier. Increasing it
            follows sudden single landmarks sooner, but lets more errors through.
        outlier_along: the same for a landmark with a neighbour that moves alike. In a mouth that opens fast,
            this distance is a fifth.
        pace: the most by which an inlier leaves the others in a frame, unless a neighbour moves alike.
            Increasing it lets larger errors through.
        alike: difference between the motion of a landmark and that of a neighbour up to which they move
            alike. Increasing it lets outliers in different directions through.
        neighbours: number of the nearest landmarks that are neighbours.
        settled: motion of an outlier, relative to that of the others, up to which it stays where it is.
        patience: frames for which an outlier must stay before it is followed.
        unexplained: a similarity replaces the shift if the landmarks that it leaves beyond `pace` are fewer
            than this ratio of those that the shift leaves there. Increasing it follows tilting heads that
            also speak, but takes outliers for turns.
        min_present: ratio of present landmarks up to which a frame is rejected. Increasing it rejects more
            frames in which much of the face is missing.
        max_outliers: ratio of outliers, of the present landmarks, above which a frame is rejected. Increasing
            it keeps more frames, but lets more wrong ones through.
        max_cut_outliers: ratio of outliers up to which a jump of the others is a cut. Increasing it takes
            more wrong frames for cuts.
        max_guesses: ratio of landmarks that leave a guess (`surer`) above which everything restarts. An
            object that passes before a face leaves fewer. Increasing it keeps the memory of more faces.
        agreement: frames for which a rejected shape must stay before it is taken for another face.
        min_agreeing: ratio of the present landmarks that must stay so. Increasing it takes fewer wrong shapes
            for another face, but finds another face later.
        longest_frames: time, in frames, beyond which no threshold grows further.
        surer: ratio of the doubt (1 - score) about an outlier to that about its last accepted position below
            which that position was a guess, which the outlier replaces at once. Increasing it replaces
            guesses sooner, but follows more errors.
        least_doubt: added to each doubt. Increasing it compares only large doubts.
    """

    cut: float = 0.25
    outlier: float = 0.15
    outlier_along: float = 0.25
    pace: float = 0.04
    alike: float = 0.02
    neighbours: int = 4
    settled: float = 0.05
    patience: int = 5
    unexplained: float = 0.8
    min_present: float = 0.2
    max_outliers: float = 1 / 3
    max_cut_outliers: float = 0.2
    max_guesses: float = 0.2
    agreement: int = 2
    min_agreeing: float = 0.8
    longest_frames: float = 3.0
    surer: float = 0.25
    least_doubt: float = 0.01


CONFIG = OutlierConfig()


class Screened(NamedTuple):
    """A frame of one face after outlier rejection.

    Args:
        points: (landmarks, 2) image px, complete and plausible; the last accepted ones if `rejected`.
        size: `geometry.face_size` of `points`, px, at least 1.
        raw: (landmarks, 2) image px, as they came; a missing landmark moves with the others.
        outlier_frames: (landmarks,) number of frames for which each has been an outlier that stays where it
            is; None if there is no outlier.
        scores: (landmarks,) with which each position was accepted; None if they are not known.
        restarts: the frame shows another shot or face, so the filter's memory does not apply to it.
        rejected: the frame is unusable.
        missing: the frame is unusable because it has hardly any landmark.
        elapsed: frames since the last frame that was not rejected.
        unseen: (landmarks,) whether no frame has had it yet, and its point is a placeholder; None if none.
        arrived: (landmarks, 2) px from the placeholder to the point of each landmark that this frame is the
            first to have, 0 for others; None if there is none.
    """

    points: Points
    size: float
    raw: Points
    outlier_frames: Int[np.ndarray, "landmarks"] | None = None
    scores: Scores | None = None
    restarts: bool = False
    rejected: bool = False
    missing: bool = False
    elapsed: float = 0.0
    unseen: Bool[np.ndarray, "landmarks"] | None = None
    arrived: Points | None = None


def screen_frame(
    last: Screened | None, points: Points, frames: float = 1.0, scores: Scores | None = None
) -> Screened | None:
    """Reject outliers in the next frame of a face.

    Args:
        last: result for the frame before; None at the start.
        points: (landmarks, 2) image px; NaN or infinite where a landmark is missing.
        frames: time since the frame before, in frames at about 30 a second.
        scores: (landmarks,) in [0, 1]; None if they are not known.

    Returns:
        The screened frame; None before the first frame with a landmark.
    """
    if last is None:
        return _begin(points, scores)
    if last.unseen is None:
        return _screen(last, points, frames, scores)
    return _screen_seen(last, points, last.unseen, frames, scores)


def _screen(last: Screened, points: Points, frames: float, scores: Scores | None) -> Screened:
    """Reject outliers in the next frame; all landmarks have been seen."""
    elapsed = last.elapsed + frames if last.rejected else frames
    away = points - last.points
    limit = last.size * math.sqrt(min(max(elapsed, 1.0), CONFIG.longest_frames))
    # With every displacement this small no landmark can leave the others. False for NaN.
    if last.outlier_frames is None and np.maximum.reduce(np.abs(away), axis=None) <= CONFIG.pace / 3 * limit:
        return Screened(points, _size(points), points, scores=scores, elapsed=elapsed)
    missing = ~np.isfinite(points).all(axis=-1)
    present = len(points) - np.count_nonzero(missing)
    if present <= CONFIG.min_present * len(points):
        return last._replace(restarts=False, rejected=True, missing=True, elapsed=elapsed, arrived=None)

    # The motion common to all, and that of each landmark beside it.
    common = _common_motion(last.points, points, ~missing, limit)
    alone = np.where(missing[:, None], 0.0, away - common)
    distance = _lengths(alone)
    jumped = math.hypot(*_median(common)) > CONFIG.cut * limit
    complete = present == len(points)
    if last.outlier_frames is None and not jumped and complete and distance.max() <= CONFIG.pace * limit:
        return Screened(points, _size(points), points, scores=scores, elapsed=elapsed)

    # Outliers are far from where the others' motion puts them. One that has stayed there for some frames is
    # followed, and an outlier until the output has come near.
    before = np.zeros(len(points), int) if last.outlier_frames is None else last.outlier_frames
    along = _moves_along(last.points, alone, CONFIG.alike * limit)
    threshold = np.where(along, CONFIG.outlier_along, CONFIG.outlier)
    threshold[before > CONFIG.patience] = CONFIG.settled
    outlier = missing | (distance > threshold * limit)
    outlier_ratio = np.count_nonzero(outlier & ~missing) / present
    raw = np.where(missing[:, None], last.points + common, points)

    # A cut, or points of which the network is sure in place of guesses.
    surer = outlier & ~missing & _is_surer(scores, last.scores)
    left_guesses = np.count_nonzero(surer) > CONFIG.max_guesses * present
    if left_guesses or (jumped and outlier_ratio <= CONFIG.max_cut_outliers):
        return _restart(raw, elapsed, scores)

    # A wrong frame, unless its shape has stayed for some frames: then it is another face.
    beside = raw - last.raw - _common_motion(last.raw, raw, ~missing, limit)
    stays = ~missing & (_lengths(beside) <= CONFIG.settled * limit)
    outlier_frames = np.where(outlier, np.where(stays, before + 1, 1), 0)
    if outlier_ratio > CONFIG.max_outliers:
        agrees = (outlier_frames == 0) | (outlier_frames > CONFIG.agreement)
        if np.mean(agrees[~missing]) >= CONFIG.min_agreeing:
            return _restart(raw, elapsed, scores)
        rejected = last._replace(raw=raw, outlier_frames=outlier_frames, restarts=False, rejected=True)
        return rejected._replace(missing=False, elapsed=elapsed, arrived=None)

    # An outlier moves with the others until it has stayed; an inlier leaves them at most at `pace`.
    held = outlier & ~surer & (outlier_frames <= CONFIG.patience)
    followed = np.minimum(1.0, CONFIG.pace * limit / np.maximum(distance, 1e-12))
    followed[surer | along] = 1.0
    followed[held] = 0.0
    plausible = last.points + common + followed[:, None] * alone
    if scores is not None and last.scores is not None:
        scores = np.where(held, last.scores, scores)
    counts = outlier_frames if outlier_frames.any() else None
    return Screened(plausible, _size(plausible), raw, counts, scores, elapsed=elapsed)


def screen_sequence(
    points: PointSequence,
    frames: float | Float[np.ndarray, "frames"] = 1.0,
    scores: ScoreSequence | None = None,
) -> Iterator[Screened | None]:
    """Screen each frame of a sequence; equals `screen_frame` on each frame in turn, but faster.

    Args:
        points: image px; NaN or infinite where a landmark is missing.
        frames: time from each frame's predecessor to it, in frames at about 30 a second.
        scores: (frames, landmarks) in [0, 1]; None if they are not known.
    """
    points = np.where(np.isfinite(points), points, np.nan)
    sizes = np.maximum(face_size(points), 1.0)
    moves = np.diff(points, axis=0, prepend=np.nan)
    common = np.median(moves, axis=1)
    alone = _lengths(moves - common[:, None]).max(axis=1, initial=0.0)
    before = np.roll(sizes, 1)
    # As `screen_frame` decides over one frame or less; false for NaN, and so for the first frame.
    calm = (alone <= CONFIG.pace * before) & (_lengths(common) <= CONFIG.cut * before)
    times = np.broadcast_to(frames, len(points))
    last: Screened | None = None
    for t, (raw, size, time) in enumerate(zip(points, sizes.tolist(), times.tolist(), strict=True)):
        score = None if scores is None else scores[t]
        if calm[t] and last is not None and last.raw is last.points and not last.rejected:
            last = Screened(raw, size, raw, scores=score, elapsed=time)
        else:
            last = screen_frame(last, raw, time, score)
        yield last


def _begin(points: Points, scores: Scores | None) -> Screened | None:
    """Begin at the landmarks that are there, with placeholders in their middle; None without any."""
    unseen = ~np.isfinite(points).all(axis=-1)
    if unseen.all():
        return None
    return _restart(np.where(unseen[:, None], _median(points[~unseen]), points), 0.0, scores, unseen)


def _screen_seen(
    last: Screened,
    points: Points,
    unseen: Bool[np.ndarray, "landmarks"],
    frames: float,
    scores: Scores | None,
) -> Screened:
    """Reject outliers among the landmarks that have been seen, and take in those that are seen now."""
    seen = ~unseen
    before = last._replace(
        points=last.points[seen],
        raw=last.raw[seen],
        outlier_frames=None if last.outlier_frames is None else last.outlier_frames[seen],
        scores=None if last.scores is None else last.scores[seen],
        unseen=None,
    )
    part = _screen(before, points[seen], frames, None if scores is None else scores[seen])
    now = np.isfinite(points).all(axis=-1) & unseen
    if part.missing and now.any():  # another side of the face, as it turns
        return _restart(np.where(now[:, None], points, last.points), part.elapsed, scores, unseen & ~now)
    if part.rejected:
        now[:] = False
    placeholders = last.points + _median(part.points - before.points)
    arrived = np.where(now[:, None], points - placeholders, 0.0)
    plausible = placeholders + arrived
    raw = plausible.copy()
    plausible[seen], raw[seen] = part.points, part.raw
    counts, known = None, scores
    if part.outlier_frames is not None:
        counts = np.zeros(len(points), int)
        counts[seen] = part.outlier_frames
    if scores is not None and part.scores is not None:
        known = scores.copy()
        known[seen] = part.scores
    left = unseen & ~now
    return part._replace(
        points=plausible,
        raw=raw,
        outlier_frames=counts,
        scores=known,
        unseen=left if left.any() else None,
        arrived=arrived if now.any() else None,
    )


def hide_unseen(outputs: PointSequence, screened: Iterable[Screened | None]) -> None:
    """Set landmarks to NaN in the frames before they were seen, in place."""
    for output, frame in zip(outputs, screened, strict=True):
        if frame is not None and frame.unseen is not None:
            output[frame.unseen] = np.nan


def unbroken_runs(screened: Sequence[Screened | None]) -> Iterator[list[int]]:
    """Indices of accepted frames, split where a frame restarts."""
    run: list[int] = []
    for t, frame in enumerate(screened):
        if frame is None or frame.rejected:
            continue
        if frame.restarts and run:
            yield run
            run = []
        run.append(t)
    if run:
        yield run


def complete_runs(screened: Sequence[Screened | None]) -> Iterator[tuple[list[int], PointSequence]]:
    """Yield `unbroken_runs` with their points; a landmark moves with the others until it is first seen."""
    for run in unbroken_runs(screened):
        frames = [frame for t in run if (frame := screened[t]) is not None]
        points = np.array([frame.points for frame in frames])
        for t, frame in enumerate(frames):
            if frame.arrived is not None:
                points[:t] += frame.arrived
        yield run, points


def repeat_over_rejected(outputs: PointSequence, screened: Sequence[Screened | None]) -> None:
    """Give each rejected frame the output of the frame before it, in place."""
    for t, frame in enumerate(screened):
        if frame is not None and frame.rejected:
            outputs[t] = outputs[t - 1]


def _common_motion(
    before: Points, after: Points, present: Bool[np.ndarray, "landmarks"], limit: float
) -> Float[np.ndarray, "#landmarks 2"]:
    """Displacement of each landmark if it moves with the others.

    It is the median shift, unless a similarity leaves clearly fewer landmarks beyond `pace`. With the shift
    alone, the outline of a head that tilts by 5° a frame would fall behind in each frame, until it counts as
    an outlier.

    Args:
        before, after: image px.
        present: whether each landmark of `after` is there.
        limit: face size times the factor of the time between them, px.
    """
    away = (after - before)[present]
    shift = _median(away)[None]
    beyond = np.count_nonzero(_lengths(away - shift) > CONFIG.pace * limit)
    if not beyond or not face_size(before[present]) > 0:
        return shift
    turned = robust_similarity(before[present], after[present])(before) - before
    if _lengths(turned - shift).max() > CONFIG.cut * limit:
        return shift
    turned_beyond = np.count_nonzero(_lengths(away - turned[present]) > CONFIG.pace * limit)
    return turned if turned_beyond < CONFIG.unexplained * beyond else shift


def _is_surer(scores: Scores | None, before: Scores | None) -> Bool[np.ndarray, "#landmarks"]:
    """Whether the network is much surer of each landmark than it was before."""
    if scores is None or before is None:
        return np.zeros(1, bool)
    certain = 1 + CONFIG.least_doubt
    return certain - scores < CONFIG.surer * (certain - before)


def _moves_along(before: Points, alone: Points, alike: float) -> Bool[np.ndarray, "landmarks"]:
    """Whether a neighbour of each landmark moves alike, relative to the common motion.

    A mouth opens and closes by a tenth of the face within a frame, all of a lip at once. At the pace of a
    single landmark a lip would be late.

    Args:
        before: positions, by which neighbours are found, px.
        alone: displacement relative to the common motion, px.
        alike: largest difference between the displacements, px.
    """
    position = before @ (1, 1j)
    apart = np.abs(position[:, None] - position)
    np.fill_diagonal(apart, -1)
    near = apart.argsort(axis=1)[:, 1 : CONFIG.neighbours + 1]
    differences = _lengths(alone[near] - alone[:, None])
    return np.asarray(differences.min(axis=1, initial=math.inf) <= alike)


def _restart(
    points: Points,
    elapsed: float,
    scores: Scores | None,
    unseen: Bool[np.ndarray, "landmarks"] | None = None,
) -> Screened:
    left = None if unseen is None or not unseen.any() else unseen
    size = _size(points)
    return Screened(points, size, points, scores=scores, restarts=True, elapsed=elapsed, unseen=left)


def _median(values: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2"]:
    """Median of each column; `np.median` takes five times as long."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high), axis=0)
    return (ordered[low] + ordered[high]) / 2


def _lengths(vectors: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
    """Euclidean norm of each vector; `np.linalg.norm` takes twice as long."""
    return np.sqrt(np.add.reduce(vectors * vectors, axis=-1))


def _size(points: Points) -> float:
    """`geometry.face_size`, at least 1 px; in a quarter of its time."""
    high, low = np.maximum.reduce(points), np.minimum.reduce(points)
    return max(math.sqrt((high[0] - low[0]) * (high[1] - low[1])), 1.0)
