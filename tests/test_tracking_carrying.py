"""Frames between two runs of the landmark network: measured motion carries the points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import people
import pytest
import scenes
import talking_scenes

from steadyface import markup, metrics
from steadyface.demo import portrait
from steadyface.errors import ConfigError
from steadyface.geometry import Region
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.picture import as_picture
from steadyface.pipeline import TrackingOptions, TrackingRun, build, follow, track
from steadyface.stabilizer import CausalFilter, load_stabilizer
from steadyface.synthetic.talking_still import TalkingStill
from steadyface.tracking import TrackedFace, Tracker, TrackerConfig
from steadyface.tracking.config import CarryingConfig
from steadyface.tracking.patches import Watch, take_patches
from steadyface.tracking.schedule import Plan, Schedule
from steadyface.tracking.skin import first_view
from steadyface.video import VideoFrame

SETTLING = 5  # frames: the clips are short
CONFIG = TrackerConfig(carrying=CarryingConfig(settling=SETTLING))
SETTLED = SETTLING + 3


class Counter(Landmarker):
    """Landmarker that counts the faces it predicts."""

    def __init__(self) -> None:
        super().__init__("tiny", device="cpu", threads=1)
        self.faces = 0

    def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
        self.faces += len(regions)
        return super().predict_regions(image, regions)


def tracked(
    frames: Iterable[VideoFrame], every: int | str, landmarker: Landmarker | None = None, max_faces: int = 1
) -> list[list[TrackedFace]]:
    config = replace(CONFIG, max_faces=max_faces)
    tracker = Tracker(landmarker or Counter(), config=config, network_every=every)
    return [tracker.step(frame.image, frame.seconds) for frame in frames]


def shaking_and_error(faces: list[TrackedFace], column: str, truth: np.ndarray) -> tuple[float, float]:
    points = np.array([getattr(face, column) for face in faces], float)[SETTLED:]
    eyes = np.asarray(metrics.interocular(truth[SETTLED:]))
    error = float(np.mean(metrics.nrmse_interocular(points, truth[SETTLED:])))
    return float(metrics.stability(points, truth[SETTLED:], eyes)), error


@pytest.mark.parametrize("every", [2, 3, "auto"])
def test_points_are_right_between_runs(every: int | str) -> None:
    scene = scenes.scene(1.2, noise=6.0)
    landmarker = Counter()
    plain = [face for (face,) in tracked(scene, 1)]
    faces = [face for (face,) in tracked(scene, every, landmarker)]
    carried = [face.carried for face in faces]
    assert not any(face.carried for face in plain)
    assert not any(carried[:SETTLING])
    assert landmarker.faces == carried.count(False) + 1  # once more where the detector found it
    assert sum(carried) >= 0.4 * len(carried)
    truth = scene.mean_face(
        np.array([face.raw_points for face in plain], float), np.arange(len(plain)) / scene.fps
    )
    raw_shaking, raw_error = shaking_and_error(plain, "raw_points", truth)
    shaking, error = shaking_and_error(faces, "points", truth)
    assert shaking < 0.5 * raw_shaking
    assert error < raw_error


def test_the_network_runs_in_every_third_frame_of_a_calm_face() -> None:
    carried = [face.carried for (face,) in tracked(scenes.scene(1.0), 3)]
    assert carried[SETTLING:] == [t % 3 != 2 for t in range(len(carried) - SETTLING)]


def test_a_carried_face_keeps_its_scores_and_grows_less_certain() -> None:
    faces = [face for (face,) in tracked(scenes.scene(0.6), 4)]
    pairs = [(one, other) for one, other in pairwise(faces) if other.carried]
    assert pairs
    for before, after in pairs:
        assert after.displacements is not None
        np.testing.assert_array_equal(after.scores, before.scores)
        np.testing.assert_array_equal(after.visible, before.visible)
        gained = after.covariances - before.covariances
        np.testing.assert_allclose(gained, after.displacements.covariance, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(
            after.raw_points - before.raw_points, after.displacements.displacement, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("every", [4, "auto"])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_cut_runs_the_network_at_once(every: int | str, shift: int) -> None:
    """Wherever between two runs it falls."""
    first = scenes.frames(10 + shift)
    second = [image[:, ::-1].copy() for image in scenes.frames(4)]
    faces = tracked(scenes.timed([*first, *second]), every)
    new = faces[len(first)][0]
    assert not new.carried
    plain = tracked(scenes.timed([*first, *second]), 1)[len(first)][0]
    assert new.face_id == plain.face_id == 1
    np.testing.assert_allclose(new.points, plain.points, atol=0.5)


@pytest.mark.parametrize("every", [4, "auto"])
def test_a_face_that_appears_is_seen_by_the_network_while_another_is_carried(every: int | str) -> None:
    count, entry = 26, 11
    stay, come = people.at(130.0), people.at(350.0)
    frames = people.scene(count, stay, lambda index: come(index) if index >= entry else None)
    found = tracked(scenes.timed(frames, people.FPS), every, max_faces=2)
    plain = tracked(scenes.timed(frames, people.FPS), 1, max_faces=2)
    assert [len(faces) for faces in found] == [len(faces) for faces in plain]
    begins = next(t for t, faces in enumerate(found) if len(faces) == 2)
    assert begins < count - 3
    assert not found[begins][1].carried
    both = found[begins:]
    assert any(faces[0].carried and not faces[1].carried for faces in both)
    for faces, same in zip(both, plain[begins:], strict=True):
        for one, other in zip(faces, same, strict=True):
            assert one.face_id == other.face_id
            assert np.linalg.norm(one.points - other.points, axis=-1).mean() < 1.0


def test_what_covers_a_face_runs_the_network() -> None:
    images = [image.copy() for image in scenes.frames(16)]
    (face,) = tracked(scenes.timed(images[:1]), 1)[0]
    x0, y0, x1, y1 = face.box.astype(int)
    noise = np.random.default_rng(0).integers(0, 255, (y1 - y0, x1 - x0, 3), np.uint8)
    for image in images[10:]:
        image[y0:y1, x0 : x0 + 2 * (x1 - x0) // 3] = noise[:, : 2 * (x1 - x0) // 3]
    found = tracked(scenes.timed(images), 4)
    assert [faces[0].carried for faces in found[9:11]] == [True, False]


@cache
def blinking() -> tuple[list[VideoFrame], np.ndarray]:
    """A face that blinks and does nothing else, and the true openness of its eyes."""
    stiff = talking_scenes.STIFF | {"blinks": 40.0, "shift": 0.0, "seconds": 2.0}
    still, face = portrait().still, talking_scenes.shut_face()
    scene = TalkingStill(still, face, seed=3, **{**talking_scenes.SMALL, **stiff})  # type: ignore[arg-type]
    return list(scene), openness(np.stack([scene.truth(t / scene.fps) for t in range(len(scene))]))


def openness(points: np.ndarray) -> np.ndarray:
    gaps = []
    for group in markup.EYES:
        upper, lower = markup.facing(group)
        gaps.append(np.linalg.norm(points[:, upper] - points[:, lower], axis=-1))
    return np.concatenate(gaps, axis=1).mean(axis=1) / np.asarray(metrics.interocular(points))


def test_a_blink_is_as_deep_and_runs_the_network() -> None:
    frames, true = blinking()
    landmarker = talking_scenes.landmarker()
    plain, found = ([face for (face,) in tracked(frames, every, landmarker)] for every in (1, "auto"))
    closing = np.flatnonzero(np.abs(np.diff(true)) > 0.015) + 1
    assert len(closing) > 3
    assert not any(found[t].carried for t in closing)
    assert sum(face.carried for face in found) > 0.4 * len(found)
    shown, of_plain = (openness(np.array([face.points for face in faces])) for faces in (found, plain))
    assert np.ptp(shown) > 0.9 * np.ptp(of_plain)


def test_patches_tell_a_blink_from_a_shift() -> None:
    frames, true = blinking()
    (face,) = tracked(frames[:1], 1, talking_scenes.landmarker())[0]
    shut = int(true.argmin())
    moved = np.roll(frames[0].image, (3, 5), axis=(0, 1))
    there = face.points + np.array([5.0, 3.0])
    open_eyes, shut_eyes, same = (
        take_patches(first_view(as_picture(image), points).crop, points)
        for image, points in (
            (frames[0].image, face.points),
            (frames[shut].image, face.points),
            (moved, there),
        )
    )
    config, watch = CarryingConfig(), Watch(open_eyes, np.zeros(3))
    assert watch.change(open_eyes, config) == 0
    assert watch.change(same, config) < 1
    assert watch.change(shut_eyes, config) > 2


def test_noise_is_no_change_and_a_change_no_noise() -> None:
    rng, config = np.random.default_rng(0), CarryingConfig()
    face = rng.normal(size=276).astype("f")

    def noisy(patches: np.ndarray) -> np.ndarray:
        return patches + rng.normal(0.0, 0.1, 276).astype("f")

    watch = Watch.begin(noisy(face))
    for _ in range(5):
        watch = watch.after_run(noisy(face))
    assert watch.change(noisy(face), config) < 1
    lid = face + 0.5 * (np.arange(276) % 72 < 20).astype("f")
    for _ in range(5):
        assert watch.change(noisy(lid), config) > 1
        watch = watch.after_run(noisy(lid)).after_run(noisy(face))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("every", [2, 3, "auto"])
def test_reading_ahead_changes_nothing(every: int | str, threads: int) -> None:
    images = [*scenes.frames(14), *(image[:, ::-1].copy() for image in scenes.frames(9))]
    landmarker = Landmarker("tiny", device="cpu", threads=threads)
    stepping, ahead = (Tracker(landmarker, config=CONFIG, network_every=every) for _ in range(2))
    for frame, faces in follow(iter(scenes.timed(images)), ahead):
        alone = stepping.step(frame.image, frame.seconds)
        assert [face.face_id for face in faces] == [face.face_id for face in alone]
        for one, other in zip(faces, alone, strict=True):
            assert one.carried == other.carried
            np.testing.assert_array_equal(one.raw_points, other.raw_points)
            np.testing.assert_array_equal(one.points, other.points)


def test_the_network_begins_with_a_frame_for_which_it_is_planned_only() -> None:
    landmarker = Landmarker("tiny", device="cpu", threads=2)
    runs, predict = [], landmarker.predict_crops
    landmarker.predict_crops = lambda crops: runs.append(len(crops)) or predict(crops)  # type: ignore
    tracker = Tracker(landmarker, config=CONFIG, network_every=2)
    faces = [faces[0] for _, faces in follow(iter(scenes.timed(scenes.frames(17))), tracker)]
    assert sum(runs) == sum(not face.carried for face in faces) + 1


def test_auto_without_measured_motion_runs_the_network_in_every_frame() -> None:
    frames = scenes.timed(scenes.frames(9))
    for motion, stabilizer in ((False, "sta"), (True, "one-euro")):
        one, other = (
            Tracker(Counter(), stabilizer=stabilizer, motion=motion, network_every=every)
            for every in (1, "auto")
        )
        for frame in frames:
            (face,), (same,) = (each.step(frame.image, frame.seconds) for each in (one, other))
            assert not same.carried
            np.testing.assert_array_equal(face.points, same.points)


def test_auto_with_no_frame_between_is_every_frame() -> None:
    config = TrackerConfig(carrying=CarryingConfig(longest=1))
    one, other = Tracker(Counter(), network_every=1), Tracker(Counter(), config=config)
    for frame in scenes.timed(scenes.frames(9)):
        (face,), (same,) = (each.step(frame.image, frame.seconds) for each in (one, other))
        np.testing.assert_array_equal(face.points, same.points)


@pytest.mark.parametrize("every", [0, -1, True, "often"])
def test_schedules_of_another_kind_are_named(every: int | str) -> None:
    with pytest.raises(ConfigError, match="network_every must be auto, or a whole number from 1"):
        Tracker(network_every=every)
    with pytest.raises(ConfigError, match="network_every"):
        TrackingOptions(network_every=every)


def test_fewer_runs_need_measured_motion() -> None:
    with pytest.raises(ConfigError, match="needs measured motion"):
        TrackingOptions(network_every=2, motion=False)
    with pytest.raises(ConfigError, match="needs measured motion"):
        build(TrackingOptions(network_every=2, stabilizer="one-euro"))


def test_tables_tell_where_the_network_ran() -> None:
    settling, images = CarryingConfig().settling, scenes.frames(29)
    tracks = track(images, network_every=3, weights="tiny")
    assert not tracks.carried[:settling].any()
    assert tracks.carried[settling:].tolist() == [t % 3 != 2 for t in range(29 - settling)]
    assert tracks.meta["options"]["network_every"] == 3
    assert track(images[:2], weights="tiny").meta["options"]["network_every"] == "auto"


def test_a_second_pass_takes_the_points_of_runs_only() -> None:
    """Raw points that the picture carried say nothing that its displacements do not."""
    pipeline = build(TrackingOptions(stabilizer="sta-offline", network_every=3, weights="tiny"))
    run = TrackingRun(pipeline, scenes.timed(scenes.frames(25)))
    for _ in run.steps():
        pass
    tracks = run.take_table()
    assert tracks.carried.any()
    raw = tracks.raw_points.copy()
    raw[tracks.carried] += 40.0
    one, other = (pipeline.finish(each, run.motion) for each in (tracks, replace(tracks, raw_points=raw)))
    np.testing.assert_array_equal(one.points, other.points)


class TestSchedule:
    """Plans of one face, without pictures."""

    config = CarryingConfig(settling=2)

    def runs(self, every: int, asked: Sequence[int] = (), count: int = 12) -> list[int]:
        """Frames with a run, where something asks for one in some of them."""
        schedule, plan, ran = Schedule(every, False, self.config), Plan(), []
        for t in range(count):
            certain = schedule.due_after_next(plan)
            if plan.due or t in asked:
                ran.append(t)
                plan = schedule.after_run(plan, 0.04)
            else:
                plan = schedule.after_carrying(plan, 0.04, 0.01)
            assert plan.due or not certain
        return ran

    def test_every_nth_frame_after_settling(self) -> None:
        assert self.runs(1) == list(range(12))
        assert self.runs(3) == [0, 1, 4, 7, 10]

    def test_a_run_that_is_asked_for_begins_a_new_interval(self) -> None:
        assert self.runs(4, asked=[2], count=10) == [0, 1, 2, 6]

    def test_what_is_planned_for_the_next_frame_stays(self) -> None:
        """The network may have begun with it."""
        assert self.runs(4, asked=[4], count=10) == [0, 1, 4, 5, 9]

    def test_a_face_settles_again(self) -> None:
        schedule = Schedule(3, False, self.config)
        plan = schedule.after_run(schedule.after_run(Plan(), 0.04), 0.04)
        assert not plan.due
        assert schedule.after_run(plan, 0.04, unsettled=True).due

    def test_a_face_that_changes_is_seen_until_it_has_been_calm_for_two_runs(self) -> None:
        schedule, rest, changed = Schedule(4, True, self.config), np.zeros(276, "f"), np.ones(276, "f")
        plan, ran = Plan(runs=5, watch=Watch(rest, np.zeros(3))), []
        for t, patches in enumerate([rest, rest, rest, rest, changed, changed, changed, changed, changed]):
            certain = schedule.due_after_next(plan)
            if plan.due or t == 4:  # where it asks
                ran.append(t)
                plan = schedule.after_run(plan, 0.04, patches)
            else:
                plan = schedule.after_carrying(plan, 0.04, 0.01)
            assert plan.due or not certain
        assert ran == [0, 4, 5, 6]

    def test_drift_adds_up_until_the_next_run(self) -> None:
        schedule = Schedule(4, True, self.config)
        plan = replace(Plan(frames_left=4), runs=5)
        for _ in range(2):
            plan = schedule.after_carrying(plan, 0.04, 0.02)
        assert plan.drift == pytest.approx(0.04)
        assert schedule.after_run(plan, 0.04).drift == 0


class OneByOne:
    """A filter of its own, of which the tracker knows only `step`."""

    uses_motion = True

    def __init__(self, stabilizer: CausalFilter) -> None:
        self.step = stabilizer.step


@pytest.mark.parametrize("every", [1, 3])
def test_several_faces_are_steadied_as_each_alone(every: int) -> None:
    stabilizer, carried = load_stabilizer("sta", "tiny"), False
    assert isinstance(stabilizer, CausalFilter)
    together, alone = (
        Tracker(Landmarker("tiny", threads=1), stabilizer=each, config=CONFIG, network_every=every)
        for each in (stabilizer, OneByOne(stabilizer))
    )
    for image in scenes.frames(SETTLED + 2):
        pair = np.hstack([image, image[:, ::-1]])
        faces, others = together.step(pair), alone.step(pair)
        assert len(faces) == len(others) == 2
        for face, other in zip(faces, others, strict=True):
            carried |= face.carried
            # The search in the picture starts at float32.
            np.testing.assert_allclose(face.points, other.points, rtol=0, atol=1e-3)
    assert carried == (every > 1)
