"""Who is who: loss, grace and return; people side by side, crossing, leaving; cuts; what is no face."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
import people
import pytest
from people import at, walk

from steadyface.landmarker import Landmarker
from steadyface.tracking import TrackedFace, Tracker, TrackerConfig
from steadyface.tracking.shots import SceneCuts

QUICK = TrackerConfig(redetect_seconds=0.12)


@cache
def landmarker() -> Landmarker:
    return Landmarker("tiny", threads=1)


def run(images: Iterable[np.ndarray], config: TrackerConfig = QUICK) -> list[list[TrackedFace]]:
    tracker = Tracker(landmarker(), stabilizer="none", config=config, fps=people.FPS)
    return [tracker.step(image) for image in images]


def seen(faces: list[TrackedFace]) -> list[int]:
    return [face.face for face in faces if not face.held]


def held(faces: list[TrackedFace]) -> list[int]:
    return [face.face for face in faces if face.held]


def number_at(faces: list[TrackedFace], x: float) -> int | None:
    """Who is tracked at a place."""
    near = [face for face in faces if not face.held and abs(face.points[:, 0].mean() - x) < people.FACE / 3]
    return near[0].face if near else None


def numbers(frames: list[list[TrackedFace]], course: people.Course) -> set[int]:
    """All numbers under which a person on a course was tracked."""
    found = set()
    for index, faces in enumerate(frames):
        place = course(index)
        number = None if place is None else number_at(faces, place[0])
        found |= set() if number is None else {number}
    return found


def faded(count: int, first: int, frames: int) -> list[np.ndarray]:
    """A face that is painted over with the wall, a little more in each of some frames."""
    whole, wall = people.picture([(240, 135)]).astype(float), people.wall().astype(float)
    shares = np.clip((np.arange(count) - first + 1) / frames, 0, 1)
    return [(whole + share * (wall - whole)).astype(np.uint8) for share in shares]


class TestGrace:
    def test_a_lost_face_is_held_with_falling_scores_and_then_dropped(self) -> None:
        frames = run(faded(30, 5, 6), TrackerConfig(grace_seconds=0.2))
        last = max(index for index, faces in enumerate(frames) if seen(faces))
        assert last < 12  # it is lost within a frame of being painted over
        shown = [faces for faces in frames[last + 1 :] if faces]
        assert len(shown) == 4  # 0.04, 0.08, 0.12 and 0.16 s after it was seen
        assert [held(faces) for faces in shown] == [[0]] * 4
        for faces in shown:
            np.testing.assert_array_equal(faces[0].points, frames[last][0].points)
            np.testing.assert_array_equal(faces[0].box, frames[last][0].box)
        means = [faces[0].scores.mean() for faces in [frames[last], *shown]]
        assert (np.diff(means) < 0).all()

    def test_without_grace_it_is_dropped_at_once(self) -> None:
        frames = run(faded(20, 5, 6), TrackerConfig(grace_seconds=0.0))
        assert not any(held(faces) for faces in frames)
        assert seen(frames[0]) == [0]
        assert frames[-1] == []

    def test_held_faces_are_no_more_than_there_is_room_for(self) -> None:
        images = people.scene(24, walk(120, 360, 24), walk(360, 120, 24))
        for faces in run(images, TrackerConfig(max_faces=1, redetect_seconds=0.1)):
            assert len(faces) <= 1


class TestReturn:
    def test_within_memory_under_its_number(self) -> None:
        images = [*faded(16, 4, 4), *faded(16, 4, 4)[::-1]]
        frames = run(images)
        assert seen(frames[0]) == seen(frames[-1]) == [0]
        assert any(not seen(faces) for faces in frames)
        assert {face.face for faces in frames for face in faces} == {0}

    def test_later_under_a_new_one(self) -> None:
        images = [*faded(16, 4, 5), *faded(16, 4, 5)[::-1]]
        frames = run(images, TrackerConfig(memory_seconds=0.2, grace_seconds=0.2))
        assert seen(frames[0]) == [0]
        assert seen(frames[-1]) == [1]

    def test_through_the_side_of_the_frame(self) -> None:
        away = [*np.linspace(330, 540, 14), *np.linspace(540, 330, 14)]
        frames = run(people.scene(28, lambda index: (away[index], 135), at(120)))
        assert len(numbers(frames, at(120))) == 1
        assert seen(frames[14]) != seen(frames[0])
        assert seen(frames[-1]) == seen(frames[0]) == [0, 1]
        assert number_at(frames[-1], 330) == number_at(frames[0], 330)

    def test_somebody_else_at_its_place_is_somebody_else(self) -> None:
        wall = people.wall().astype(float)
        first, second = (
            people.picture(places).astype(float) for places in ([(240, 135)], [None, (240, 135)])
        )
        shares = np.linspace(1, 0, 9)
        images = [wall + share * (first - wall) for share in shares]
        images += [wall + share * (second - wall) for share in shares[::-1]]
        frames = run(image.astype(np.uint8) for image in [first, *images, *[second] * 3])
        assert seen(frames[0]) == [0]
        assert seen(frames[-1]) not in ([], [0])

    def test_coming_in_through_the_side_it_is_one_face(self) -> None:
        course = walk(-60, 300, 18)
        frames = run(people.scene(18, course))
        assert {face.face for faces in frames for face in faces} == {0}
        assert seen(frames[-1]) == [0]


class TestTwo:
    def test_side_by_side_they_never_swap(self) -> None:
        courses = [lambda i: (130 + 8 * np.sin(i / 3), 135), lambda i: (350, 135 + 8 * np.cos(i / 4))]
        frames = run(people.scene(12, *courses))
        assert all(seen(faces) == [0, 1] for faces in frames)
        assert [len(numbers(frames, course)) for course in courses] == [1, 1]

    @pytest.mark.parametrize("count", [14, 22])
    def test_crossing_they_keep_their_numbers(self, count: int) -> None:
        courses = walk(100, 380, count), walk(380, 100, count)
        frames = run(people.scene(count, *courses))
        assert seen(frames[-1]) == seen(frames[0]) == [0, 1]
        ends = [[number_at(frames[i], course(i)[0]) for course in courses] for i in (0, count - 1)]
        assert ends[0] == ends[1]
        assert any(len(seen(faces)) == 1 for faces in frames)

    def test_lookalikes_keep_them_by_their_motion(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one, _ = people.heads()
        monkeypatch.setattr(people, "heads", lambda: (one, one))
        courses = walk(100, 380, 18), walk(380, 100, 18)
        frames = run(people.scene(18, *courses))
        ends = [[number_at(frames[i], course(i)[0]) for course in courses] for i in (0, 17)]
        assert ends[0] == ends[1]

    def test_met_and_turned_back_they_keep_them_by_their_looks(self) -> None:
        there = np.sin(np.linspace(0, np.pi, 28))
        courses = lambda i: (100 + 130 * there[i], 135), lambda i: (380 - 130 * there[i], 135)
        frames = run(people.scene(28, *courses))
        assert any(len(seen(faces)) == 1 for faces in frames)
        ends = [[number_at(frames[i], course(i)[0]) for course in courses] for i in (0, 27)]
        assert ends[0] == ends[1]

    def test_a_passer_by_does_not_take_the_number_of_the_face_behind(self) -> None:
        standing, passing = at(240), walk(-100, 580, 28)
        frames = run(people.scene(28, standing, passing))
        assert seen(frames[0]) == [0] == seen(frames[-1])
        assert 0 not in numbers(frames[:11], passing)
        assert number_at(frames[-1], 240) == 0


class TestCuts:
    def test_nothing_of_the_face_before_is_left(self) -> None:
        before = people.scene(6, at(240))
        after = [image[::-1, :, ::-1] // 2 + 100 for image in people.scene(4)]
        frames = run([*before, *after])
        assert [seen(faces) for faces in frames] == [[0]] * 6 + [[]] * 4
        assert all(not faces for faces in frames[6:])

    def test_another_face_is_found_in_the_very_frame_under_a_new_number(self) -> None:
        other = [255 - np.roll(people.wall(), 90, axis=1) for _ in range(4)]
        for image in other:
            people.paste(image, people.heads()[1], 260, 130)
        frames = run([*people.scene(5, at(240)), *other])
        assert [[face.face for face in faces] for faces in frames] == [[0]] * 5 + [[1]] * 4

    def test_half_a_picture_that_is_cut_leaves_the_other_half_alone(self) -> None:
        before = people.scene(8, at(120), at(360))
        other = 255 - np.roll(people.wall(), 90, axis=1)
        after = [np.hstack([other[:, :240], image[:, 240:]]) for image in before]
        cuts = SceneCuts()
        assert [cuts.step(image) for image in [*before, *after]].count(True) == 1
        frames = run([*before, *after])
        right = number_at(frames[0], 360)
        assert [number_at(faces, 360) for faces in frames] == [right] * 16
        assert [number_at(faces, 120) for faces in frames[8:]] == [None] * 8

    def test_a_flash_keeps_the_number(self) -> None:
        images = people.scene(9, at(240))
        images[4] = np.clip(images[4].astype(float) * 2.5 + 60, 0, 255).astype(np.uint8)
        frames = run(images)
        assert {face.face for faces in frames for face in faces} == {0}
        assert seen(frames[-1]) == [0]


class TestMaxFaces:
    def test_the_largest_comes_first_and_a_larger_newcomer_waits(self) -> None:
        small = cv2.resize(people.picture([(240, 135)]), None, fx=0.6, fy=0.6)
        canvas = np.hstack([people.wall(), people.wall()])
        with_small = canvas.copy()
        with_small[:162, 60:348] = small
        with_both = with_small.copy()
        people.paste(with_both, people.heads()[1], 700, 135)
        coming = [
            (with_small + share * (with_both.astype(float) - with_small)).astype(np.uint8)
            for share in np.linspace(0, 1, 6)
        ]
        one = TrackerConfig(max_faces=1, redetect_seconds=0.04)
        both = run([with_both], one)
        assert len(both[0]) == 1
        assert both[0][0].points[:, 0].mean() > 480
        frames = run([*coming, *[with_both] * 3], one)
        assert all(len(faces) == 1 for faces in frames)
        assert all(faces[0].points[:, 0].mean() < 480 for faces in frames)


class TestWhatIsNoFace:
    def test_a_panel_in_front_loses_the_face(self) -> None:
        noise = np.random.default_rng(0).normal(120, 60, (people.HEIGHT, people.WIDTH, 1))
        panel = cv2.GaussianBlur(noise.clip(0, 255), (0, 0), 1.5)[..., None].repeat(3, axis=2)
        images = people.scene(24, at(240))
        for index, image in enumerate(images):
            edge = max(340 - 10 * index, 150)
            image[:, edge:] = panel[:, edge:]
        frames = run(images)
        assert seen(frames[0]) == [0]
        # At frame 16 the panel's edge has passed the face's: x = 180 of a face from 203 to 277.
        assert not any(seen(faces) for faces in frames[16:])

    def test_the_witness_loses_what_keeps_its_scores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tracker = Tracker(landmarker(), stabilizer="none", config=TrackerConfig(max_faces=1))
        image = people.picture([(240, 135)])
        for _ in range(4):
            assert seen(tracker.step(image)) == [0]
        monkeypatch.setattr(tracker, "detector", lambda frame: np.zeros((0, 4)))
        monkeypatch.setattr(tracker._witness, "confidence", lambda frame, points: 0.0)
        frames = [tracker.step(image) for _ in range(8)]
        # A turn comes every fourth frame, and three answers in a row lose the face.
        assert not any(seen(faces) for faces in frames[6:])
        assert any(held(faces) for faces in frames)
