"""Sequences to fit a stabiliser on: the points that the tracker found, and the true ones.

- Training stills that turn, blink and talk (`TalkingStill`), through the tracker: exact truth, the network's
  own errors, motion as drawn. Half of them blink with one eye only, so that winks are learnt too.
- The same stills under hard conditions, for the fit to displacements (`picture`): an object crosses the face,
  which rolls and zooms far, in changing light and under strong compression.
- Real clips: their motion, estimated from several views of each frame and its neighbours, is taken as the
  truth, and the errors and scores of the network on a still are added: real motion, real errors. (The
  network's own points on the clip would not do: their errors resemble those of the estimate, so that
  following the errors would seem right.)
- 300-VW's training videos, if they are there: annotated truth.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from steadyface import markup
from steadyface.arrays import FacePoints, FaceSequence
from steadyface.datasets.annotated_videos import AnnotatedVideo
from steadyface.datasets.three_hundred_w import Sample
from steadyface.errors import ConfigError, DataError
from steadyface.files import make_folder, read_arrays, reading, write_arrays, write_text
from steadyface.fitting.fit import Pair
from steadyface.geometry import Region, bounding_box, face_size
from steadyface.labels import LARGEST_SPREAD, label_face
from steadyface.landmarker import Landmarker
from steadyface.motion import MotionSequence
from steadyface.stabilizer import lowered_where_hidden
from steadyface.synthetic.occluder import OccluderKind
from steadyface.synthetic.talking_still import TalkingStill
from steadyface.tracking import Tracker, TrackerConfig
from steadyface.video import VideoFrame, open_frames
from steadyface.wording import counted

CLIP = 100
"""Frames below which a run is dropped; `fit` cuts clips of this length."""

_STILL_SECONDS, _STILL_FPS = 20 / 3, 30.0
_STILL, _HARD = "still_", "hard_"  # prefixes of the names of stills, and of stills under hard conditions
_BLINKING = (markup.EYES, markup.EYES, *((eye,) for eye in markup.EYES))  # each as often: half of them wink
_CROSSING = 1.5, 1.0  # s: start and duration of the object's crossing
_RECOVERY = 0.2  # s before and after the object covers a landmark in which points may still be off
_JUMP = 0.15  # face sizes a frame from which on there is a cut, or a track that went astray
_WINDOW, _ORDER = 9, 3  # frames and order of the polynomial that smooths a clip's motion

Report = Callable[[str], None]


def write_sequences(
    out: Path,
    stills: Sequence[Sample] = (),
    clips: Iterable[Path] = (),
    videos: Iterable[AnnotatedVideo] = (),
    *,
    landmarker: Landmarker,
    hard: bool = False,
    report: Report = print,
) -> None:
    """Write one `.npz` per sequence; sequences that are there already are left as they are.

    Args:
        out: folder; made if missing.
        stills: annotated training faces; never those of a test set.
        clips: videos, which get the errors of the stills of this call or an earlier one.
        videos: annotated videos.
        landmarker: network whose errors the sequences show.
        hard: write each still under hard conditions too.
        report: gets a line for each sequence.

    Raises:
        ConfigError: clips, but no still's sequence in `out`.
        VideoError, DataError: an input cannot be read, or a sequence not written.
    """
    make_folder(out)
    for sample in stills:
        name = f"{_STILL}{sample.part}_{sample.points_path.stem}"
        _write_missing(out, name, partial(_of_still, sample, landmarker), report)
    for sample in stills if hard else ():
        name = f"{_HARD}{sample.part}_{sample.points_path.stem}"
        _write_missing(out, name, partial(_of_hard_still, sample, landmarker), report)
    lenders = [load_pair(path) for path in sorted(out.glob(f"{_STILL}*.npz"))]
    for clip in clips:
        if not lenders:
            raise ConfigError(f"{out}: clips need the errors of stills, of which there are none")
        _write_missing(out, f"clip_{clip.stem}", partial(_of_clip, clip, lenders, landmarker), report)
    for video in videos:
        _write_missing(out, f"300vw_{video.name}", partial(_of_video, video, landmarker), report)


def save_pair(pair: Pair, path: Path) -> None:
    """Write as `.npz`; a half-written file never has the final name.

    Raises:
        DataError: it cannot be written.
    """
    arrays: dict[str, Any] = {
        "raw": pair.raw,
        "truth": pair.truth,
        "fps": pair.fps,
        "network": pair.network,
    }
    if pair.scores is not None:
        arrays["scores"] = pair.scores.astype("float32")
    if pair.motion is not None:
        arrays |= pair.motion.as_arrays()
    write_arrays(path, arrays)


def load_pair(path: Path) -> Pair:
    """Read what `save_pair` wrote.

    Raises:
        DataError: missing, or not such a file.
    """
    values = read_arrays(path, kind := "a sequence with its truth")
    with reading(path, kind):
        raw, truth, fps = values["raw"], values["truth"], float(values["fps"])
        scores = values["scores"].astype(float) if "scores" in values else None
        motion = MotionSequence.pop_from(values)
        network = str(values.get("network", ""))  # files of earlier versions have none
    motion_shape = raw.shape[:2] if motion is None else motion.valid.shape
    scores_shape = raw.shape[:2] if scores is None else scores.shape
    expected = (markup.COUNT, 2), raw.shape, raw.shape[:2], raw.shape[:2]
    if (raw.shape[1:], truth.shape, scores_shape, motion_shape) != expected:
        shapes = f"{raw.shape}, {truth.shape}, {scores_shape}, {motion_shape}"
        raise DataError(path, f"not {kind}: shapes {shapes}")
    return Pair(raw, truth, scores, fps, motion, network)


def held_out(path: Path) -> bool:
    """Whether a sequence is held out from fitting, for validation: one in five, by its name.

    A still and the same still under hard conditions go together.
    """
    source = path.stem.rsplit("_", 1)[0]
    if is_hard(path):
        source = f"{_STILL}{source.removeprefix(_HARD)}"
    return zlib.crc32(source.encode()) % 5 == 0


def is_hard(path: Path) -> bool:
    """Whether a sequence is of a still under hard conditions."""
    return path.name.startswith(_HARD)


def _write_missing(out: Path, name: str, make: Callable[[], Iterator[Pair]], report: Report) -> None:
    """Write NAME_0.npz, NAME_1.npz, …, then an empty NAME.done, unless that is there."""
    done = out / f"{name}.done"
    if done.exists():
        return
    count = frames = 0
    for count, pair in enumerate(make(), start=1):
        save_pair(pair, out / f"{name}_{count - 1}.npz")
        frames += len(pair.raw)
    write_text(done, "")
    report(f"{name}: {counted(count, 'sequence')}, {counted(frames, 'frame')}")


def _of_still(sample: Sample, landmarker: Landmarker) -> Iterator[Pair]:
    """Sequence of a still in random motion, seeded by its name."""
    yield _followed(_scene(sample, np.random.default_rng(_seed(sample))), landmarker)


def _of_hard_still(sample: Sample, landmarker: Landmarker) -> Iterator[Pair]:
    """Sequence of the same still under hard conditions."""
    rng = np.random.default_rng(_seed(sample))
    scene = replace(
        _scene(sample, rng),
        roll=float(rng.uniform(5.0, 25.0)),
        zoom=float(rng.uniform(0.05, 0.35)),
        exposure=float(rng.uniform(0.0, 1.0)),
        quality=int(rng.integers(20, 80)),
    )
    kinds = list(OccluderKind)
    yield _followed(scene.crossed_by(kinds[rng.integers(len(kinds))], *_CROSSING), landmarker)


def _seed(sample: Sample) -> int:
    return zlib.crc32(sample.points_path.stem.encode())


def _scene(sample: Sample, rng: np.random.Generator) -> TalkingStill:
    """Scene of a still with random size, noise, shutter, compression and blinking eyes."""
    still, points = sample.load()
    eyes = float(np.exp(rng.uniform(np.log(60), np.log(200))))
    side = 2 * round(2.25 * eyes)
    scene = TalkingStill(
        still,
        points,
        eyes_px=eyes,
        width=side,
        height=side,
        fps=_STILL_FPS,
        seconds=_STILL_SECONDS,
        seed=_seed(sample),
        noise=float(rng.uniform(1.5, 5.0)),
        shutter=float(rng.choice([0.0, 0.5])),
        quality=None if rng.uniform() < 0.4 else int(rng.integers(50, 92)),
    )
    return replace(scene, eyes=_BLINKING[rng.integers(len(_BLINKING))])


def _followed(scene: TalkingStill, landmarker: Landmarker) -> Pair:
    """Track a scene; the truth gets each landmark's constant error in the frames without an object."""
    seconds = np.arange(len(scene)) / scene.fps
    truth = np.stack([scene.truth(float(time)) for time in seconds])
    raw, scores, motion = follow_known(scene, truth[0], landmarker)
    covered = seconds[[scene.covered(float(time)).any() for time in seconds]]
    clear = np.abs(seconds[:, None] - covered).min(axis=1, initial=np.inf) > _RECOVERY
    return Pair(raw, with_constant_bias(truth, raw, clear), scores, scene.fps, motion, landmarker.name)


class KnownTrack(NamedTuple):
    """Track of a face whose position in the first frame was known.

    Args:
        raw: (frames, 68, 2) raw points, image px.
        scores: (frames, 68) in [0, 1], lowered where the network considers a landmark hidden.
        motion: displacements measured in the picture, with the default stabiliser.
    """

    raw: FaceSequence
    scores: Float[np.ndarray, "frames 68"]
    motion: MotionSequence


def follow_known(frames: Iterable[VideoFrame], first: FacePoints, landmarker: Landmarker) -> KnownTrack:
    """Track a face whose position in the first frame is known; the network runs in every frame.

    Args:
        frames: of the video.
        first: (68, 2) true points in the first frame, image px.
        landmarker: the network.

    Raises:
        DataError: the tracker loses the face.
    """
    box = bounding_box(first)[None]
    config = TrackerConfig(max_faces=1, accept=0.0, keep=0.0, confirm=0.0, grace_seconds=0.0)
    tracker = Tracker(landmarker, lambda image: box, config=config, network_every=1)
    points, scores, displacements = [], [], []
    for frame in frames:
        faces = tracker.step(frame.image, frame.seconds)
        if not faces:
            raise DataError("sequence", f"the face is lost at {frame.seconds:.2f} s")
        points.append(faces[0].raw_points)
        scores.append(lowered_where_hidden(faces[0].scores, faces[0].visible))
        displacements.append(faces[0].displacements)
    return KnownTrack(np.array(points, float), np.array(scores, float), MotionSequence.pack(displacements))


def with_constant_bias(
    truth: FaceSequence, raw: FaceSequence, measured: Bool[np.ndarray, "frames"] | None = None
) -> FaceSequence:
    """Add each raw landmark's mean error to the truth; the error turns and grows with the head.

    A constant error of a landmark in a face is no jitter, and no stabiliser can remove it.

    Equation: p′(t) = p(t) + L(t)·mean_τ L(τ)⁻¹(z(τ) - p(τ)), where L(t) is the rotation and scale, without
    the shift, of the similarity that brings p(0) closest to p(t) in the sense of least squares (Procrustes).

    Args:
        truth: p, px of the frames.
        raw: z, px of the frames.
        measured: frames τ over which the error is measured; None for all.
    """
    frames = np.ones(len(raw), bool) if measured is None else measured
    exact, error = (values[..., 0] + 1j * values[..., 1] for values in (truth, raw - truth))
    centred = exact - exact.mean(axis=1, keepdims=True)
    turn = (centred @ centred[0].conj() / (abs(centred[0]) ** 2).sum())[:, None]
    biased = exact + turn * (error / turn)[frames].mean(axis=0)
    return np.stack([biased.real, biased.imag], axis=-1)


def _of_clip(clip: Path, lenders: list[Pair], landmarker: Landmarker) -> Iterator[Pair]:
    """Sequences of `CLIP` frames with the motion of a clip's faces and the errors of stills."""
    rng = np.random.default_rng(zlib.crc32(clip.name.encode()))
    for motion, fps in _motions(clip, landmarker):
        for start in range(0, len(motion) - CLIP + 1, CLIP):
            lender = lenders[rng.integers(len(lenders))]
            first = int(rng.integers(len(lender.raw) - CLIP + 1))
            truth, lent = motion[start : start + CLIP], slice(first, first + CLIP)
            growth = face_size(truth).mean() / face_size(lender.truth).mean()
            error = growth * (lender.raw - lender.truth)[lent]
            scores = None if lender.scores is None else lender.scores[lent]
            yield Pair(truth + error, truth, scores, fps, network=lender.network)


def _motions(clip: Path, landmarker: Landmarker) -> Iterator[tuple[FaceSequence, float]]:
    """Smooth paths of the faces in a clip, each unbroken and at least `CLIP` frames long."""
    tracker = Tracker(landmarker, stabilizer="none")
    runs: dict[int, list[tuple[int, np.ndarray]]] = {}
    with open_frames(clip) as frames:
        for frame in frames:
            for face in tracker.step(frame.image, frame.seconds):
                if face.held:
                    continue
                label = label_face(landmarker, frame.image, Region.around_points(face.raw_points))
                if label.spread <= LARGEST_SPREAD:
                    runs.setdefault(face.face_id, []).append((frame.index, label.points))
        fps = frames.fps
    for run in runs.values():
        index, points = np.array([i for i, _ in run]), np.array([points for _, points in run])
        moved = np.linalg.norm(np.median(np.diff(points, axis=0), axis=1), axis=-1)
        cuts = np.flatnonzero((np.diff(index) != 1) | (moved > _JUMP * face_size(points[1:]))) + 1
        for part in np.split(points, cuts):
            if len(part) >= CLIP:
                calm = median_filter(part, size=(3, 1, 1), mode="nearest")
                yield savgol_filter(calm, _WINDOW, _ORDER, axis=0), fps


def _of_video(video: AnnotatedVideo, landmarker: Landmarker) -> Iterator[Pair]:
    """Tracked sequences of the annotated stretches of a video of 300-VW."""
    with open_frames(video.source, video.fps) as frames:
        fps = frames.fps
    stretch: list[tuple[VideoFrame, np.ndarray]] = []
    for frame, points in video:
        if points is not None:
            stretch.append((frame, points))
        if stretch and (points is None or len(stretch) == CLIP):
            yield from _annotated_pair(stretch, fps, landmarker)
            stretch = []
    yield from _annotated_pair(stretch, fps, landmarker)


def _annotated_pair(
    stretch: list[tuple[VideoFrame, np.ndarray]], fps: float, landmarker: Landmarker
) -> Iterator[Pair]:
    if len(stretch) < CLIP:
        return
    truth = np.stack([points for _, points in stretch])
    raw, scores, motion = follow_known([frame for frame, _ in stretch], truth[0], landmarker)
    yield Pair(raw, with_constant_bias(truth, raw), scores, fps, motion, landmarker.name)
