"""A file and an offline stabiliser: the overlay comes afterwards, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import scenes
from talking_scenes import landmarker

from steadyface import clips, pipeline
from steadyface.clips import ClipSummary, track_clip
from steadyface.errors import VideoError
from steadyface.pipeline import Pipeline, TrackingOptions, build
from steadyface.stabilizer import Smoother, load_stabilizer
from steadyface.stabilizer.choice import Choice
from steadyface.tracks import Tracks
from steadyface.video import VideoReader

FRAMES = 8
AWAY = np.array([110.0, 0.0])  # px: off the face, within the frame


@dataclass(frozen=True, eq=False)
class Elsewhere(Smoother):
    """Puts points where no face is."""

    kind: ClassVar[str] = "elsewhere"

    def run(self, points, scores=None, frames=1.0):  # type: ignore[no-untyped-def]
        return points + AWAY

    def smooth(self, points, seconds=None, scores=None, lag=None, motion=None):  # type: ignore[no-untyped-def]
        return points + AWAY


def build_with(stabilizer: Stabilizer, motion: bool = False) -> Pipeline:
    return build(TrackingOptions(motion=motion), landmarker=landmarker(), stabilizer=stabilizer)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("clips") / "portrait.mp4", scenes.frames(FRAMES))


@pytest.fixture
def elsewhere() -> Pipeline:
    return build_with(Elsewhere())


class Interrupt:
    """Ctrl-C at the nth frame's report."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, done: int, total: int | None) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt


def overlay_of(out: Path) -> list[np.ndarray]:
    with VideoReader(out / "portrait.overlay.mp4") as overlay:
        images = [frame.image for frame in overlay]
        assert overlay.damage is None
    return images


def drawn_inside(image: np.ndarray, plain: np.ndarray, box: np.ndarray) -> float:
    """The share of a box's pixels that drawing has changed a lot."""
    x0, y0, x1, y1 = box.round().astype(int)
    changed = np.abs(image.astype(int) - plain).max(axis=2) > 80
    return float(changed[y0:y1, x0:x1].mean())


def test_the_overlay_shows_all_frames_with_the_smoothed_points(
    clip: Path, tmp_path: Path, elsewhere: Pipeline
) -> None:
    summary = track_clip(clip, tmp_path, elsewhere)
    tracks = Tracks.load(tmp_path / "portrait.npz")
    assert np.abs(tracks.points - tracks.raw_points - AWAY).max() < 1e-4  # float32 at 500 px
    assert tracks.meta["options"]["stabilizer"] == "elsewhere"
    assert summary.files == (tmp_path / "portrait.npz", tmp_path / "portrait.overlay.mp4")
    assert (summary.frames, summary.frames_with_face, summary.faces) == (FRAMES, FRAMES, 1)
    assert summary.problems == ()
    overlay = overlay_of(tmp_path)
    assert len(overlay) == FRAMES
    with VideoReader(clip) as plain:
        for image, frame, box in zip(overlay, plain, tracks.box, strict=True):
            assert drawn_inside(image, frame.image, box) > 0.004
            assert drawn_inside(image, frame.image, box - np.tile(AWAY, 2)) < 0.001


def test_the_causal_overlay_differs_only_in_what_is_drawn(clip: Path, tmp_path: Path) -> None:
    sta = load_stabilizer("sta")
    causal = track_clip(clip, tmp_path / "causal", build_with(sta, motion=False))
    late = replace(build_with(Elsewhere()), stabilizer=Choice("sta", offline=sta, lag=0))
    offline = track_clip(clip, tmp_path / "offline", late)
    one, other = (Tracks.load(summary.files[0]) for summary in (causal, offline))
    # The offline one sees the table's float32, of which a step at 500 px is 6e-5.
    np.testing.assert_allclose(one.points, other.points, rtol=0, atol=2e-4)
    np.testing.assert_array_equal(one.raw_points, other.raw_points)
    assert len(overlay_of(tmp_path / "causal")) == len(overlay_of(tmp_path / "offline")) == FRAMES
    assert offline.jitter == pytest.approx(causal.jitter, rel=1e-2)


def test_frames_without_a_face_are_drawn_too(tmp_path: Path, elsewhere: Pipeline) -> None:
    images = [*scenes.empty(2), *scenes.frames(2), *scenes.empty(1)]
    source = scenes.write_clip(tmp_path / "portrait.mp4", images)
    out = tmp_path / "out"
    track_clip(source, out, elsewhere)
    overlay = overlay_of(out)
    assert len(overlay) == len(images)
    with VideoReader(source) as plain:
        changed = [
            (np.abs(frame.image.astype(int) - image).max(axis=2) > 80).mean() > 1e-4
            for frame, image in zip(plain, overlay, strict=True)
        ]
    assert changed == [False, False, True, True, False]


def test_progress_counts_the_tracked_and_then_the_drawn(
    clip: Path, tmp_path: Path, elsewhere: Pipeline
) -> None:
    calls: list[int] = []
    track_clip(clip, tmp_path, elsewhere, progress=lambda done, total: calls.append(done))
    assert calls == [*range(1, FRAMES + 1)] * 2


def test_no_overlay_reads_the_source_once(
    clip: Path, tmp_path: Path, elsewhere: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    opening = pipeline.open_frames

    def count(source: Path, *options: object) -> object:
        opened.append(source)
        return opening(source, *options)

    monkeypatch.setattr(pipeline, "open_frames", count)
    summary = track_clip(clip, tmp_path, elsewhere, overlay=False)
    assert opened == [clip]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["portrait.meta.json", "portrait.npz"]
    assert summary.files == (tmp_path / "portrait.npz",)


def test_ctrl_c_while_drawing_keeps_the_table_and_says_so(
    clip: Path, tmp_path: Path, elsewhere: Pipeline
) -> None:
    whole = track_clip(clip, tmp_path / "whole", elsewhere, overlay=False)
    summary = track_clip(clip, tmp_path, elsewhere, progress=Interrupt(FRAMES + 3))
    overlay = tmp_path / "portrait.overlay.mp4"
    assert summary.interrupted
    assert summary.problems == (f"interrupted while drawing {overlay}",)
    assert summary.files == (tmp_path / "portrait.npz", overlay)
    tracks = Tracks.load(tmp_path / "portrait.npz")
    np.testing.assert_array_equal(tracks.points, Tracks.load(whole.files[0]).points)
    assert len(overlay_of(tmp_path)) == 3


def test_ctrl_c_while_tracking_smooths_what_there_is_and_draws_nothing(
    clip: Path, tmp_path: Path, elsewhere: Pipeline
) -> None:
    (tmp_path / "portrait.overlay.mp4").write_text("of an earlier run")
    summary = track_clip(clip, tmp_path, elsewhere, overwrite=True, progress=Interrupt(3))
    assert summary.interrupted
    kept = tmp_path / "portrait.npz"
    assert summary.problems == (f"interrupted in {clip}; the first 3 frames are kept in {kept}",)
    assert summary.files == (tmp_path / "portrait.npz",)
    tracks = Tracks.load(tmp_path / "portrait.npz")
    assert len(tracks) == 3
    assert np.abs(tracks.points - tracks.raw_points - AWAY).max() < 1e-4  # float32 at 500 px


def test_a_full_disk_while_drawing_keeps_the_table(
    clip: Path, tmp_path: Path, elsewhere: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(clips.overlay_file.VideoWriter):
        def write(self, image: np.ndarray, seconds: float) -> None:
            raise VideoError(self.path, "cannot be written: No space left on device")

    monkeypatch.setattr(clips.overlay_file, "VideoWriter", FullDisk)
    summary = track_clip(clip, tmp_path, elsewhere)
    assert not summary.interrupted
    (problem,) = summary.problems
    assert "No space left" in problem
    assert summary.files == (tmp_path / "portrait.npz",)
    assert len(Tracks.load(tmp_path / "portrait.npz")) == FRAMES


def test_a_summary_tells_raw_and_smoothed_jitter_of_the_same_frames(tmp_path: Path) -> None:
    """A face is carried where it rests: with those frames the stabilised points are another sequence."""
    clip = scenes.write_clip(tmp_path / "portrait.mp4", scenes.frames(45))
    options = TrackingOptions(stabilizer="sta-offline")
    summary = track_clip(clip, tmp_path, build(options, landmarker=landmarker()), overlay=False)
    tracks = Tracks.load(tmp_path / "portrait.npz")
    assert isinstance(summary, ClipSummary)
    assert 0 < tracks.carried.sum() < len(tracks)
    ran = tracks.without_carried()
    assert summary.jitter_raw == tracks.jitter("raw_points")
    assert summary.jitter == ran.jitter() != tracks.jitter()
    assert summary.jitter < summary.jitter_raw
