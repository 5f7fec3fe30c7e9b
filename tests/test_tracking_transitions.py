"""Cuts and dissolves between shots of like framing: another face gets an id and points of its own."""

from __future__ import annotations

import cv2
import numpy as np
import people
import pytest
import scenes

from steadyface import metrics
from steadyface.demo import portrait
from steadyface.landmarker import Landmarker
from steadyface.tracking import TrackedFace, Tracker, TrackerConfig

LENGTH = 10


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker("tiny", threads=1)


def shot(
    person: int, x: float, count: int = LENGTH, contrast: float = 1.0, turn: float = 0.0
) -> list[np.ndarray]:
    """One person, moving a little, with the noise of a camera, before a wall of some contrast."""
    noise, images = np.random.default_rng(person), []
    head = people.heads()[person]
    head = turned(head, turn) if turn else head
    wall = people.wall().astype(float)
    wall = np.clip(wall.mean() + contrast * (wall - wall.mean()), 0, 255).astype(np.uint8)
    for i in range(count):
        canvas = wall.copy()
        people.paste(canvas, head, x + 0.3 * i, 135 + 0.2 * i)
        image = canvas.astype(float)
        images.append(np.clip(image + noise.normal(0, 2, image.shape), 0, 255).astype(np.uint8))
    return images


def turned(head: np.ndarray, turn: float) -> np.ndarray:
    """A head that turns to one side, by a fraction of its width at the nose, towards a lamp."""
    columns = np.linspace(-1, 1, len(head), dtype=np.float32)
    x = (columns + 1) / 2 * (len(head) - 1) + turn * len(head) * np.exp(-4 * columns**2)
    y = np.arange(len(head), dtype=np.float32)
    image = cv2.remap(head, *np.meshgrid(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return (image * (1 + 4 * turn * columns[:, None])).clip(0, 255).astype(np.uint8)


def dissolve(first: list[np.ndarray], second: list[np.ndarray]) -> list[np.ndarray]:
    """Blend two shots of equal length."""
    shares = np.arange(1, len(first) + 1) / (len(first) + 1)
    return [
        np.clip((1 - share) * a.astype(float) + share * b, 0, 255).astype(np.uint8)
        for share, a, b in zip(shares, first, second, strict=True)
    ]


def run(landmarker: Landmarker, images: list[np.ndarray]) -> list[list[TrackedFace]]:
    tracker = Tracker(landmarker)
    return [[face for face in tracker.step(image) if not face.held] for image in images]


def deviation(face: TrackedFace, alone: TrackedFace) -> float:
    """Largest distance of a stabilised point from where it is in the shot alone, % of the eyes' distance."""
    gap = np.linalg.norm(face.points - alone.points, axis=1).max()
    return 100 * float(gap / metrics.interocular(alone.points))


@pytest.mark.parametrize("contrast", [1.0, 4.0])
@pytest.mark.parametrize("x", [240.0, 247.0])
def test_a_cut_to_another_face_in_its_place(landmarker: Landmarker, x: float, contrast: float) -> None:
    """The stronger the common background, the less new is the picture."""
    first, second = shot(0, 240.0, contrast=contrast), shot(1, x, contrast=contrast)
    faces, [[alone]] = run(landmarker, [*first, *second]), run(landmarker, second[:1])
    assert [face.face_id for face in faces[LENGTH - 1]] == [0]
    for [face] in faces[LENGTH:]:
        assert face.face_id == 1
    assert deviation(faces[LENGTH][0], alone) < 1


@pytest.mark.parametrize("frames", [5, 12, 40])
def test_a_dissolve_to_another_face_in_its_place(landmarker: Landmarker, frames: int) -> None:
    first, second = shot(0, 240.0, LENGTH + frames), shot(1, 243.0, frames + LENGTH)
    blend = dissolve(first[LENGTH:], second[:frames])
    images = [*first[:LENGTH], *blend, *second[frames:]]
    faces, [[alone]] = run(landmarker, images), run(landmarker, second[frames : frames + 1])
    new = {face.face_id for step in faces[LENGTH + frames :] for face in step}
    assert len(new) == 1
    assert 0 not in new
    assert deviation(faces[LENGTH + frames][0], alone) < 1


def test_two_faces_one_of_which_stays(landmarker: Landmarker) -> None:
    """A cut that exchanges one face only leaves the other one's id."""
    before = [people.picture([(130, 135), (350, 135)])] * LENGTH
    after = [people.picture([(130, 135), None])] * 4
    for image in after:
        people.paste(image, people.heads()[0], 350, 135)
    faces = run(landmarker, [*before, *after])
    left = {min(step, key=lambda face: face.box[0]).face_id for step in faces}
    right = [max(step, key=lambda face: face.box[0]).face_id for step in faces]
    assert len(left) == 1
    assert right[LENGTH - 1] != right[-1]


def test_a_jerk_is_no_cut(landmarker: Landmarker) -> None:
    still, moved = shot(0, 240.0), shot(0, 240.0 + 12)
    faces = run(landmarker, [*still, *moved, *still])
    assert {face.face_id for step in faces for face in step} == {0}


@pytest.mark.parametrize("x", [240.0, 247.0])
def test_a_head_that_turns_while_the_picture_is_frozen_is_no_cut(landmarker: Landmarker, x: float) -> None:
    """All of the picture's change comes at once, as in a call over a bad line."""
    faces = run(landmarker, [*shot(0, 240.0, turn=-0.05), *shot(0, x, turn=0.05)])
    assert {face.face_id for step in faces for face in step} == {0}


def test_light_and_camera_are_no_dissolve(landmarker: Landmarker) -> None:
    scene = [frame.image for frame in scenes.scene(2.0)]
    gains = np.interp(np.arange(len(scene)), [10, 40], [1.0, 0.4])
    dimmed = [(image * gain).astype(np.uint8) for image, gain in zip(scene, gains, strict=True)]
    wide = portrait().still
    zoomed = [np.ascontiguousarray(wide[i : 512 - i, i : 512 - i]) for i in range(0, 100, 3)]
    for images in (dimmed, zoomed):
        faces = run(landmarker, images)
        assert {face.face_id for step in faces for face in step} == {0}


def elsewhere(person: int | None, count: int = LENGTH) -> list[np.ndarray]:
    """A shot before another wall."""
    images = [255 - np.roll(people.wall(), 90, axis=1) for _ in range(count)]
    for i, image in enumerate(images if person is not None else []):
        people.paste(image, people.heads()[person or 0], 260 + 0.3 * i, 130)
    return images


def ids(faces: list[list[TrackedFace]]) -> list[set[int]]:
    """Ids of each shot of `LENGTH` frames."""
    return [
        {face.face_id for step in faces[start : start + LENGTH] for face in step}
        for start in range(0, len(faces), LENGTH)
    ]


class TestReturningShots:
    def test_faces_have_their_ids_again(self, landmarker: Landmarker) -> None:
        images = [*shot(0, 240.0), *elsewhere(1), *shot(0, 243.0), *elsewhere(1), *shot(0, 237.0)]
        assert ids(run(landmarker, images)) == [{0}, {1}, {0}, {1}, {0}]

    def test_somebody_else_in_the_same_place_has_a_new_id(self, landmarker: Landmarker) -> None:
        images = [*shot(0, 240.0), *elsewhere(None), *shot(1, 240.0)]
        assert ids(run(landmarker, images)) == [{0}, set(), {1}]

    def test_the_same_person_elsewhere_has_a_new_id(self, landmarker: Landmarker) -> None:
        assert ids(run(landmarker, [*shot(0, 240.0), *elsewhere(0)])) == [{0}, {1}]

    def test_lookalikes_have_new_ids(self, landmarker: Landmarker) -> None:
        """Which of the two is which is not certain."""
        twins = people.picture([(130, 135), None])
        people.paste(twins, people.heads()[0], 350, 135)
        before, _, after = ids(run(landmarker, [*[twins] * LENGTH, *elsewhere(None), *[twins] * LENGTH]))
        assert len(before) == len(after) == 2
        assert not before & after

    def test_after_a_long_time_they_have_new_ids(self, landmarker: Landmarker) -> None:
        images = [*shot(0, 240.0), *elsewhere(None), *shot(0, 240.0)]
        tracker = Tracker(landmarker, config=TrackerConfig(ended_seconds=0.2))
        assert [face.face_id for image in images for face in tracker.step(image)][-1] == 1
