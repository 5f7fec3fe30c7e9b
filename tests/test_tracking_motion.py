"""Measured motion through the tracker: sizes, frame rates, lost and repeated frames, flashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import scenes

from steadyface import metrics
from steadyface.demo import portrait
from steadyface.landmarker import Landmarker
from steadyface.synthetic.moving_still import MovingStill
from steadyface.tracking import Tracker, TrackerConfig
from steadyface.video import VideoFrame

SETTLED = 5  # frames after which the first points no longer show


class Figures(NamedTuple):
    """Stability and NRMSE, % of the inter-ocular distance, of the raw and of the stabilised points."""

    raw_shaking: float
    shaking: float
    raw_error: float
    error: float


def figures(scene: MovingStill, frames: Iterable[VideoFrame]) -> Figures:
    tracker = Tracker(Landmarker("tiny"), config=TrackerConfig(max_faces=1), fps=scene.fps)
    seconds, raw, points = [], [], []
    for frame in frames:
        (face,) = tracker.step(frame.image, frame.seconds)
        assert not face.held
        seconds.append(frame.seconds)
        raw.append(face.raw_points)
        points.append(face.points)
    truth = scene.mean_face(np.array(raw, float), np.array(seconds))[SETTLED:]
    eyes = np.asarray(metrics.interocular(truth))
    return Figures(
        *(metrics.stability(np.array(each, float)[SETTLED:], truth, eyes) for each in (raw, points)),
        *(
            float(metrics.nrmse_interocular(np.array(each, float)[SETTLED:], truth).mean())
            for each in (raw, points)
        ),
    )


def small(count: int = 36, **changes: object) -> MovingStill:
    fields = {"zoom": 1.1, "width": 480, "height": 270, "seconds": count / 30, "noise": 6.0} | changes
    return replace(portrait(), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "height", "zoom", "count"),
    [(176, 144, 0.6, 36), (640, 360, 1.4, 36), (1920, 1080, 4.0, 24), (3840, 2160, 8.0, 14)],
)
def test_from_the_smallest_to_the_largest_pictures(width: int, height: int, zoom: float, count: int) -> None:
    found = figures(scene := small(count, width=width, height=height, zoom=zoom), scene)
    assert found.shaking < 0.6 * found.raw_shaking
    assert found.error < found.raw_error


@pytest.mark.parametrize("fps", [12.5, 30.0, 60.0])
def test_any_frame_rate(fps: float) -> None:
    found = figures(scene := small(fps=fps, seconds=36 / fps), scene)
    assert found.shaking < 0.6 * found.raw_shaking
    assert found.error < found.raw_error


def lost(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Every third frame is missing, and five in a row."""
    return (frame for frame in frames if frame.index % 3 != 2 and not 18 <= frame.index < 23)


def repeated(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Every second picture is the one before, as a camera that is too slow shows it."""
    kept = None
    for frame in frames:
        kept = frame.image if kept is None or frame.index % 2 == 0 else kept
        yield VideoFrame(frame.index, frame.seconds, kept)


def test_lost_frames() -> None:
    found = figures(scene := small(54), lost(scene))
    assert found.shaking < 0.6 * found.raw_shaking
    assert found.error < found.raw_error


def test_repeated_frames_repeat_the_points() -> None:
    tracker = Tracker(Landmarker("tiny"), config=TrackerConfig(max_faces=1))
    points = [tracker.step(frame.image, frame.seconds)[0].points for frame in repeated(small(24))]
    moved = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(axis=-1)[SETTLED:]
    again, new = moved[1::2], moved[::2]
    again, new = (again, new) if again.mean() < new.mean() else (new, again)
    assert np.median(again) < 0.15  # px, where the camera moves by more than 1 px a frame
    assert again.max() < new.min()
    assert new.min() > 1.0


def test_a_flash_leaves_no_trace_after_five_frames() -> None:
    def flashed(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            bright = np.clip(frame.image.astype(int) + 140, 0, 255).astype(np.uint8)
            yield VideoFrame(frame.index, frame.seconds, bright) if 15 <= frame.index < 17 else frame

    scene = small(30)
    ends = []
    for frames in (scene, flashed(scene)):
        tracker = Tracker(Landmarker("tiny"), config=TrackerConfig(max_faces=1))
        ends.append([tracker.step(frame.image, frame.seconds)[0].points for frame in frames][22:])
    eyes = float(np.asarray(metrics.interocular(np.array(ends[0], float))).mean())
    away = 100 * np.linalg.norm(np.array(ends[0]) - np.array(ends[1]), axis=-1).mean() / eyes
    assert away < 0.8


@pytest.mark.parametrize("count", [25, 40])
def test_a_face_that_comes_in_leaves_the_guesses_of_its_first_frames(count: int) -> None:
    """Until the face is in the picture, the network guesses the points outside."""
    tracker, distances = Tracker(Landmarker("tiny")), []
    for t, image in enumerate(scenes.frames(25)):
        left = round(0.625 * scenes.WIDTH * (1 - t / count))
        coming = np.concatenate([image[:, left:], np.repeat(image[:, -1:], left, axis=1)], axis=1)
        for face in tracker.step(coming):
            off = np.linalg.norm(face.points - face.raw_points, axis=1).max()
            distances.append(100 * float(off / metrics.interocular(face.raw_points)))
    assert len(distances) >= 19
    assert max(distances[-11:]) < 5
