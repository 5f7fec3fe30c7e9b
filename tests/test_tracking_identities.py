"""Ids of faces: coasting and return after a loss; people that meet, cross and leave; cuts; false faces."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
import people
import pytest
from people import at, walk

from steadyface.detector import Candidates, FaceFinder
from steadyface.geometry import change_grid
from steadyface.landmarker import Landmarker
from steadyface.picture import RgbPicture
from steadyface.tracking import CutConfig, TrackedFace, Tracker, TrackerConfig
from steadyface.tracking.shots import CutDetector, Transition

QUICK_SEARCH = TrackerConfig(redetect_seconds=0.12)


@cache
def landmarker() -> Landmarker:
    return Landmarker("tiny", threads=1)


def run(images: Iterable[np.ndarray], config: TrackerConfig = QUICK_SEARCH) -> list[list[TrackedFace]]:
    tracker = Tracker(landmarker(), stabilizer="none", config=config, fps=people.FPS)
    return [tracker.step(image) for image in images]


def visible(faces: list[TrackedFace]) -> list[int]:
    """Ids of the faces that are tracked, without those that coast."""
    return [face.face_id for face in faces if not face.held]


def coasting(faces: list[TrackedFace]) -> list[int]:
    return [face.face_id for face in faces if face.held]


def id_at(faces: list[TrackedFace], x: float) -> int | None:
    """Id of the face that is tracked at a position."""
    near = [face for face in faces if not face.held and abs(face.points[:, 0].mean() - x) < people.FACE / 3]
    return near[0].face_id if near else None


def ids_on(frames: list[list[TrackedFace]], trajectory: people.Trajectory) -> set[int]:
    """All ids under which a person on a trajectory was tracked."""
    found = set()
    for index, faces in enumerate(frames):
        position = trajectory(index)
        face_id = None if position is None else id_at(faces, position[0])
        found |= set() if face_id is None else {face_id}
    return found


def covered(step: int, colour: tuple[int, int, int]) -> list[np.ndarray]:
    """A still face, past which an oval object moves by `step` px a frame."""
    y, x = np.mgrid[: people.HEIGHT, : people.WIDTH]
    images = []
    for middle in range(0, people.WIDTH, step):
        radius = 0.3 * people.FACE
        alpha = np.clip((1 - np.hypot((x - middle) / radius, (y - 140) / (1.25 * radius))) * radius / 2, 0, 1)
        image = people.picture([(240, 135)])
        images.append((image + alpha[..., None] * (np.array(colour) - image)).astype(np.uint8))
    return images


def faded(count: int, first: int, frames: int) -> list[np.ndarray]:
    """Blend a face into the wall, in equal steps over `frames` frames from the `first`."""
    whole, wall = people.picture([(240, 135)]).astype(float), people.wall().astype(float)
    blends = np.clip((np.arange(count) - first + 1) / frames, 0, 1)
    return [(whole + blend * (wall - whole)).astype(np.uint8) for blend in blends]


VANISHING = CutConfig(dissolve_novelty=1.0)
"""A fade stands for any way in which a face vanishes, and is no dissolve."""


class TestCoasting:
    def test_a_lost_face_coasts_with_falling_scores_and_is_then_dropped(self) -> None:
        frames = run(faded(30, 5, 6), TrackerConfig(grace_seconds=0.2, cuts=VANISHING))
        last = max(index for index, faces in enumerate(frames) if visible(faces))
        assert last < 12  # it is lost within a frame of having vanished
        shown = [faces for faces in frames[last + 1 :] if faces]
        assert len(shown) == 4  # 0.04, 0.08, 0.12 and 0.16 s after its last frame
        assert [coasting(faces) for faces in shown] == [[0]] * 4
        for faces in shown:
            np.testing.assert_array_equal(faces[0].points, frames[last][0].points)
            np.testing.assert_array_equal(faces[0].box, frames[last][0].box)
        means = [faces[0].scores.mean() for faces in [frames[last], *shown]]
        assert (np.diff(means) < 0).all()

    def test_without_grace_it_is_dropped_at_once(self) -> None:
        frames = run(faded(20, 5, 6), TrackerConfig(grace_seconds=0.0, cuts=VANISHING))
        assert not any(coasting(faces) for faces in frames)
        assert visible(frames[0]) == [0]
        assert frames[-1] == []

    def test_coasting_faces_count_towards_max_faces(self) -> None:
        images = people.scene(24, walk(120, 360, 24), walk(360, 120, 24))
        for faces in run(images, TrackerConfig(max_faces=1, redetect_seconds=0.1)):
            assert len(faces) <= 1


class TestReturn:
    def test_within_memory_under_its_id(self) -> None:
        images = [*faded(16, 4, 4), *faded(16, 4, 4)[::-1]]
        frames = run(images, TrackerConfig(cuts=VANISHING))
        assert visible(frames[0]) == visible(frames[-1]) == [0]
        assert any(not visible(faces) for faces in frames)
        assert {face.face_id for faces in frames for face in faces} == {0}

    def test_later_under_a_new_id(self) -> None:
        images = [*faded(16, 4, 5), *faded(16, 4, 5)[::-1]]
        frames = run(images, TrackerConfig(memory_seconds=0.2, grace_seconds=0.2, cuts=VANISHING))
        assert visible(frames[0]) == [0]
        assert visible(frames[-1]) == [1]

    def test_through_the_border_of_the_frame(self) -> None:
        away = [*np.linspace(330, 540, 14), *np.linspace(540, 330, 14)]
        frames = run(people.scene(28, lambda index: (away[index], 135), at(120)))
        assert len(ids_on(frames, at(120))) == 1
        assert visible(frames[14]) != visible(frames[0])
        assert visible(frames[-1]) == visible(frames[0]) == [0, 1]
        assert id_at(frames[-1], 330) == id_at(frames[0], 330)

    def test_somebody_else_at_its_position_gets_a_new_id(self) -> None:
        wall = people.wall().astype(float)
        first, second = (
            people.picture(positions).astype(float) for positions in ([(240, 135)], [None, (240, 135)])
        )
        blends = np.linspace(1, 0, 9)
        images = [wall + blend * (first - wall) for blend in blends]
        images += [wall + blend * (second - wall) for blend in blends[::-1]]
        frames = run(image.astype(np.uint8) for image in [first, *images, *[second] * 3])
        assert visible(frames[0]) == [0]
        assert visible(frames[-1]) not in ([], [0])

    def test_a_face_that_enters_keeps_one_id(self) -> None:
        entering = walk(-60, 300, 18)
        frames = run(people.scene(18, entering))
        assert {face.face_id for faces in frames for face in faces} == {0}
        assert visible(frames[-1]) == [0]


class TestTwoPeople:
    def test_side_by_side_they_never_swap(self) -> None:
        trajectories = [lambda i: (130 + 8 * np.sin(i / 3), 135), lambda i: (350, 135 + 8 * np.cos(i / 4))]
        frames = run(people.scene(12, *trajectories))
        assert all(visible(faces) == [0, 1] for faces in frames)
        assert [len(ids_on(frames, trajectory)) for trajectory in trajectories] == [1, 1]

    @pytest.mark.parametrize("count", [14, 22])
    def test_crossing_they_keep_their_ids(self, count: int) -> None:
        trajectories = walk(100, 380, count), walk(380, 100, count)
        frames = run(people.scene(count, *trajectories))
        assert visible(frames[-1]) == visible(frames[0]) == [0, 1]
        ends = [[id_at(frames[i], trajectory(i)[0]) for trajectory in trajectories] for i in (0, count - 1)]
        assert ends[0] == ends[1]
        assert any(len(visible(faces)) == 1 for faces in frames)

    def test_lookalikes_keep_them_by_motion(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one, _ = people.heads()
        monkeypatch.setattr(people, "heads", lambda: (one, one))
        trajectories = walk(100, 380, 18), walk(380, 100, 18)
        frames = run(people.scene(18, *trajectories))
        ends = [[id_at(frames[i], trajectory(i)[0]) for trajectory in trajectories] for i in (0, 17)]
        assert ends[0] == ends[1]

    def test_turning_back_they_keep_them_by_appearance(self) -> None:
        there = np.sin(np.linspace(0, np.pi, 28))
        trajectories = lambda i: (100 + 130 * there[i], 135), lambda i: (380 - 130 * there[i], 135)
        frames = run(people.scene(28, *trajectories))
        assert any(len(visible(faces)) == 1 for faces in frames)
        ends = [[id_at(frames[i], trajectory(i)[0]) for trajectory in trajectories] for i in (0, 27)]
        assert ends[0] == ends[1]

    def test_a_passer_by_does_not_take_the_id_of_the_face_behind(self) -> None:
        standing, passing = at(240), walk(-100, 580, 28)
        frames = run(people.scene(28, standing, passing))
        assert visible(frames[0]) == [0] == visible(frames[-1])
        assert 0 not in ids_on(frames[:11], passing)
        assert id_at(frames[-1], 240) == 0


class TestCuts:
    def test_the_face_before_is_forgotten(self) -> None:
        before = people.scene(6, at(240))
        after = [image[::-1, :, ::-1] // 2 + 100 for image in people.scene(4)]
        frames = run([*before, *after])
        assert [visible(faces) for faces in frames] == [[0]] * 6 + [[]] * 4
        assert all(not faces for faces in frames[6:])

    def test_another_face_is_found_at_once_under_a_new_id(self) -> None:
        other = [255 - np.roll(people.wall(), 90, axis=1) for _ in range(4)]
        for image in other:
            people.paste(image, people.heads()[1], 260, 130)
        frames = run([*people.scene(5, at(240)), *other])
        assert [[face.face_id for face in faces] for faces in frames] == [[0]] * 5 + [[1]] * 4

    def test_a_cut_of_half_the_picture_keeps_the_other_half(self) -> None:
        before = people.scene(8, at(120), at(360))
        other = 255 - np.roll(people.wall(), 90, axis=1)
        after = [np.hstack([other[:, :240], image[:, 240:]]) for image in before]
        cuts = CutDetector()
        assert [cuts.step(RgbPicture(image)) for image in [*before, *after]].count(Transition.CUT) == 1
        frames = run([*before, *after])
        right = id_at(frames[0], 360)
        assert [id_at(faces, 360) for faces in frames] == [right] * 16
        assert [id_at(faces, 120) for faces in frames[8:]] == [None] * 8

    def test_a_flash_keeps_the_id(self) -> None:
        images = people.scene(9, at(240))
        images[4] = np.clip(images[4].astype(float) * 2.5 + 60, 0, 255).astype(np.uint8)
        frames = run(images)
        assert {face.face_id for faces in frames for face in faces} == {0}
        assert visible(frames[-1]) == [0]


class TestFramesOfAnotherSize:
    """A call adapts its frames to its line while people talk."""

    @pytest.mark.parametrize("factors", [(1, 2, 1.5), (2, 1, 3)])
    def test_faces_keep_ids_and_places(self, factors: tuple[float, ...]) -> None:
        images = people.scene(18, walk(120, 150, 18), at(360))
        scales = np.repeat(factors, 6)
        resized = [
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            for image, scale in zip(images, scales, strict=True)
        ]
        tracker = Tracker(landmarker(), config=QUICK_SEARCH, fps=people.FPS)  # with stabiliser and motion
        for index, (image, expected) in enumerate(zip(resized, run(images), strict=True)):
            faces = tracker.step(image)
            assert [(face.face_id, face.held) for face in faces] == [(0, False), (1, False)], index
            for face, other in zip(faces, expected, strict=True):
                points = change_grid(face.points, 1 / scales[index])
                assert np.abs(points - other.points).mean() < 0.02 * people.FACE, index

    def test_a_face_that_vanished_returns_under_its_id(self) -> None:
        config = TrackerConfig(cuts=VANISHING, grace_seconds=0.5)
        tracker = Tracker(landmarker(), stabilizer="none", config=config, fps=people.FPS)
        images = [*faded(16, 4, 4), *faded(16, 4, 4)[::-1]]
        frames = [
            tracker.step(image if index < 10 else image[::2, ::2]) for index, image in enumerate(images)
        ]
        (before,), (after,) = frames[9], frames[10]
        assert before.held
        assert after.held
        np.testing.assert_allclose(after.points, change_grid(before.points, 0.5))
        assert visible(frames[-1]) == [0]

    def test_another_shape_ends_them(self) -> None:
        images = people.scene(8, at(240))
        frames = run([*images[:4], *(np.ascontiguousarray(image[:, 100:380]) for image in images[4:])])
        assert [(face.held, face.face_id) for face in frames[4]] == [(False, 1)]


class TestMaxFaces:
    def test_the_largest_comes_first_and_a_larger_newcomer_waits(self) -> None:
        small = cv2.resize(people.picture([(240, 135)]), None, fx=0.6, fy=0.6)
        canvas = np.hstack([people.wall(), people.wall()])
        with_small = canvas.copy()
        with_small[:162, 60:348] = small
        with_both = with_small.copy()
        people.paste(with_both, people.heads()[1], 700, 135)
        coming = [
            (with_small + blend * (with_both.astype(float) - with_small)).astype(np.uint8)
            for blend in np.linspace(0, 1, 6)
        ]
        one = TrackerConfig(max_faces=1, redetect_seconds=0.04)
        both = run([with_both], one)
        assert len(both[0]) == 1
        assert both[0][0].points[:, 0].mean() > 480
        frames = run([*coming, *[with_both] * 3], one)
        assert all(len(faces) == 1 for faces in frames)
        assert all(faces[0].points[:, 0].mean() < 480 for faces in frames)


class Refuser(FaceFinder):
    """Finds no face in any small crop."""

    def candidates(self, image: np.ndarray) -> Candidates:
        return np.zeros((0, 4)), np.zeros(0)


class TestFalseFaces:
    def test_a_panel_in_front_loses_the_face(self) -> None:
        noise = np.random.default_rng(0).normal(120, 60, (people.HEIGHT, people.WIDTH, 1))
        panel = cv2.GaussianBlur(noise.clip(0, 255), (0, 0), 1.5)[..., None].repeat(3, axis=2)
        images = people.scene(24, at(240))
        for index, image in enumerate(images):
            edge = max(340 - 10 * index, 150)
            image[:, edge:] = panel[:, edge:]
        frames = run(images)
        assert visible(frames[0]) == [0]
        # In frame 16 the edge of the panel is at x = 180, past the face, which reaches from 203 to 277.
        assert not any(visible(faces) for faces in frames[16:])

    def test_the_verifier_ends_a_track_with_high_scores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tracker = Tracker(landmarker(), stabilizer="none", config=TrackerConfig(max_faces=1))
        image = people.picture([(240, 135)])
        for _ in range(4):
            assert visible(tracker.step(image)) == [0]
        monkeypatch.setattr(tracker._searches, "detector", lambda frame: np.zeros((0, 4)))
        monkeypatch.setattr(tracker._verifier, "_finder", Refuser(threads=1))
        frames = [tracker.step(image) for _ in range(8)]
        # The face is checked every 0.2 s, and after a miss in every frame; three misses end the track.
        assert not any(visible(faces) for faces in frames[6:])
        assert any(coasting(faces) for faces in frames)


@pytest.mark.parametrize(("step", "colour"), [(3, (20, 20, 20)), (4, (20, 20, 20)), (6, (40, 60, 120))])
def test_a_face_behind_an_object_keeps_its_id(step: int, colour: tuple[int, int, int]) -> None:
    """A slow object changes the picture much like a dissolve; a fast one hides the face for a moment."""
    frames = run(covered(step, colour), TrackerConfig())
    assert {face_id for faces in frames for face_id in visible(faces)} == {0}
