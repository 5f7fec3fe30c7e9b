"""Training frames for the finder: every box lies where its face is, whatever was done to the photograph."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from steadyface.geometry import bounding_box, box_of_pixels
from steadyface.training.augmentation import Augmentation
from steadyface.training.collages import (
    MOST_FACES,
    SMALLEST_FACE,
    Collage,
    FacePhotos,
)
from steadyface.training.photos import Photo, without_faces

SIZE = 128
CLEAN = Augmentation(camera=0, occlusion=0)
PLAIN = Collage(
    natural=0,
    empty=0,
    tiles=(1, 0, 0),
    faces=(14, 0.8),
    turned=1,
    turn=180,
    covered=0,
    tinted=0,  # faces are told by their colours
    dark=0,
    camera=CLEAN,
)
BLUE = (255, 200)  # a face's left half and its right half


@cache
def photo(seed: int = 0) -> Photo:
    """A dull picture with a leaning oval in red and blue, drawn eight times finer than its px."""
    rng, fine = np.random.default_rng(seed), 8
    height, width = 240, 320
    centre, angles = np.array([110.0 + 10 * seed, 130.0]), np.linspace(0, 2 * np.pi, 68, endpoint=False)
    oval = np.stack([40 * np.cos(angles), 55 * np.sin(angles)], axis=-1)
    shape = oval @ np.array([[0.9, 0.44], [-0.44, 0.9]]) + centre
    drawn = np.zeros((height * fine, width * fine), np.uint8)
    cv2.fillPoly(drawn, [np.round((shape + 0.5) * fine - 0.5).astype(np.int32)], 255)
    share = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255
    colour = np.zeros((height, width, 3))
    colour[..., 0], colour[..., 2] = 255, np.where(np.arange(width) < centre[0], *BLUE)
    dull = rng.uniform(0, 60, (height, width, 3))
    return Photo(np.round(share * colour + (1 - share) * dull).astype(np.uint8), shape[None])


def samples(collage: Collage = PLAIN, size: int = SIZE, seed: int = 0) -> FacePhotos:
    return FacePhotos([photo(0), photo(1)], size, collage, seed)


def coloured(canvas: np.ndarray) -> np.ndarray:
    """Mark the px that are more than half the oval's."""
    return (canvas[..., 0] > 145) & (canvas[..., 1] < 60) & (canvas[..., 2] > 120)


def face_near(canvas: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The box of the oval's px around a given box, and these px; None where there is none of them."""
    low = np.clip(np.floor(box[:2]).astype(int) - 6, 0, len(canvas))
    high = np.clip(np.ceil(box[2:]).astype(int) + 7, 0, len(canvas))
    window = np.zeros(canvas.shape[:2], np.uint8)
    window[low[1] : high[1], low[0] : high[0]] = coloured(canvas)[low[1] : high[1], low[0] : high[0]]
    count, labels, found, _ = cv2.connectedComponentsWithStats(window)
    if count < 2:
        return None
    largest = 1 + int(found[1:, cv2.CC_STAT_AREA].argmax())
    return box_of_pixels(*map(float, found[largest, :4])), labels == largest


def shown(box: np.ndarray, size: int = SIZE) -> float:
    """Share of a box inside the canvas."""
    part = np.clip(box, -0.5, size - 0.5)
    return float((part[2:] - part[:2]).prod() / (box[2:] - box[:2]).prod())


class TestBoxes:
    @pytest.mark.parametrize("size", [96, 200])
    def test_follow_the_picture_however_it_is_turned_scaled_and_mirrored(self, size: int) -> None:
        whole, mirrored = 0, []
        for epoch in range(60):
            canvas, boxes, _ = samples(size=size)[epoch, epoch % 2]
            for box in boxes[~np.isnan(boxes[:, 0])]:
                near = face_near(canvas, box)
                if near is None:
                    assert shown(box, size) < 0.5
                    continue
                found, where = near
                # Px; an oval's tip that covers less than half a px is not counted, and px are whole.
                assert (found[:2] > box[:2] - 1.5).all()
                assert (found[2:] < box[2:] + 1.5).all()
                if shown(box, size) == 1:
                    np.testing.assert_allclose(found, box, rtol=0, atol=2)
                    whole += 1
                    mirrored.append(self.is_mirrored(canvas, where))
        assert whole > 20
        assert 0.2 < np.mean(mirrored) < 0.8

    @staticmethod
    def is_mirrored(canvas: np.ndarray, where: np.ndarray) -> bool:
        """Whether the oval, which leans, has its brighter half on the wrong side of its longer axis."""
        rows, columns = np.nonzero(where)
        places = np.stack([columns, rows], axis=-1) - [columns.mean(), rows.mean()]
        longer = np.linalg.eigh(places.T @ places)[1][:, 1]
        brighter = canvas[where][:, 2] > sum(BLUE) / 2
        towards = places[brighter].mean(axis=0) - places[~brighter].mean(axis=0)
        return bool((towards @ longer) * (towards @ [longer[1], -longer[0]]) > 0)

    def test_wanted_is_what_is_large_enough_and_mostly_inside(self) -> None:
        seen = {True: 0, False: 0}
        for epoch in range(120):
            _, boxes, wanted = samples(Collage(**{**PLAIN.__dict__, "faces": (4, 0.8)}))[epoch, 0]
            known = ~np.isnan(boxes).any(axis=1)
            assert not wanted[~known].any()
            for box, is_wanted in zip(boxes[known], wanted[known], strict=True):
                share, larger = shown(box), (box[2:] - box[:2]).max()
                assert share > 0.04
                if abs(share - 0.5) > 0.1:  # the canvas ends half a px further out or in
                    assert is_wanted == (share > 0.5 and larger >= SMALLEST_FACE)
                    seen[bool(is_wanted)] += 1
        assert min(seen.values()) > 20

    def test_in_a_tile_a_wanted_face_can_be_seen(self) -> None:
        count = 0
        collage = Collage(**{**PLAIN.__dict__, "tiles": (0, 0.5, 0.5), "faces": (20, 1.1)})
        for epoch in range(40):
            canvas, boxes, wanted = samples(collage)[epoch, 0]
            for box in boxes[wanted]:
                low = np.clip(np.round(box[:2]).astype(int), 0, SIZE)
                high = np.clip(np.round(box[2:]).astype(int) + 1, 0, SIZE)
                inside = coloured(canvas)[low[1] : high[1], low[0] : high[0]]
                # Of the box the turned oval fills about 0.75; at least half of the box is in its tile.
                assert inside.sum() > 0.25 * (box[2:] - box[:2]).prod()
                count += 1
        assert count > 40

    def test_more_faces_than_there_is_room_for_are_cut(self) -> None:
        shapes = np.concatenate(
            [photo().shapes * 0.1 + [20 * i, 20 * j] for i in range(10) for j in range(8)]
        )
        crowd = Photo(photo().image, shapes)
        _, boxes, wanted = FacePhotos([crowd], SIZE, Collage(natural=1, tiles=(1, 0, 0), empty=0))[0, 0]
        assert boxes.shape == (MOST_FACES, 4)
        assert wanted.shape == (MOST_FACES,)
        assert np.isfinite(boxes).all()


class TestSamples:
    def test_the_same_key_gives_the_same_sample(self) -> None:
        first = {key: samples(Collage())[key] for key in [(0, 0), (0, 1), (3, 1)]}
        again = samples(Collage())
        for key in reversed(first):
            for one, other in zip(first[key], again[key], strict=True):
                np.testing.assert_array_equal(one, other)

    def test_other_keys_and_seeds_give_others(self) -> None:
        canvases = [samples()[0, 0][0], samples()[1, 0][0], samples()[0, 1][0], samples(seed=1)[0, 0][0]]
        assert len({canvas.tobytes() for canvas in canvases}) == 4

    def test_every_flaw_leaves_a_frame(self) -> None:
        worst = Collage(covered=1, dark=0.5, camera=Augmentation(camera=1, occlusion=1), empty=0.3)
        for epoch in range(20):
            canvas, boxes, wanted = samples(worst)[epoch, 0]
            assert (canvas.shape, canvas.dtype) == ((SIZE, SIZE, 3), np.uint8)
            assert (boxes.dtype, wanted.dtype) == (np.float32, np.bool_)
            known = ~np.isnan(boxes).any(axis=1)
            assert (boxes[known, 2:] > boxes[known, :2]).all()

    def test_photographs_are_left_as_they_are(self) -> None:
        before = photo(0).image.copy(), photo(0).shapes.copy()
        for epoch in range(10):
            samples(Collage(covered=1, empty=0.5))[epoch, 0]
        np.testing.assert_array_equal(photo(0).image, before[0])
        np.testing.assert_array_equal(photo(0).shapes, before[1])

    def test_covering_hides_a_part_and_moves_no_box(self) -> None:
        hidden = []
        for epoch in range(30):
            plain, boxes, wanted = samples()[epoch, 0]
            covered, same, _ = samples(Collage(**{**PLAIN.__dict__, "covered": 1}))[epoch, 0]
            np.testing.assert_array_equal(boxes, same)
            for box in boxes[wanted]:
                if shown(box) == 1:
                    before, after = (face_near(canvas, box) for canvas in (plain, covered))
                    assert before is not None
                    assert after is not None
                    hidden.append(1 - after[1].sum() / before[1].sum())
        # 15 to 45 % of the box from one side, where the oval is narrower than in its middle; each is rounded
        # to whole px, and now and then what hides a face is a part of the face itself.
        assert 0.1 < np.mean(hidden) < 0.4
        assert np.max(hidden) < 0.55


class TestWithoutFaces:
    def test_frames_without_a_face_show_nothing_of_it(self) -> None:
        for tiles in ((1, 0, 0), (0, 0, 1)):
            for epoch in range(30):
                collage = Collage(**{**PLAIN.__dict__, "empty": 1, "tiles": tiles})
                canvas, boxes, wanted = samples(collage)[epoch, 0]
                assert np.isnan(boxes).all()
                assert not wanted.any()
                assert not self.faces_own(canvas).any()

    def test_the_photograph_loses_its_face_and_nothing_far_from_it(self) -> None:
        given, box = photo(), bounding_box(photo().shapes)[0]
        assert self.faces_own(given.image).any()
        rows, columns = np.mgrid[:240, :320]
        middle, half = (box[:2] + box[2:]) / 2, 0.9 * (box[2:] - box[:2]) + 2
        far = (abs(columns - middle[0]) > half[0]) | (abs(rows - middle[1]) > half[1])
        for seed in range(20):
            image = without_faces(given, np.random.default_rng(seed))
            assert not self.faces_own(image).any()
            np.testing.assert_array_equal(image[far], given.image[far])

    def test_a_photograph_without_faces_stays_what_it_is(self) -> None:
        empty = Photo(photo().image, photo().shapes[:0])
        np.testing.assert_array_equal(without_faces(empty, np.random.default_rng(0)), empty.image)
        canvas, boxes, wanted = FacePhotos([empty], SIZE, PLAIN)[0, 0]
        assert canvas.any()
        assert np.isnan(boxes).all()
        assert not wanted.any()

    @staticmethod
    def faces_own(canvas: np.ndarray) -> np.ndarray:
        """Px of exactly the oval's colours, which nothing else has but by a chance of 1 in 10⁶."""
        return (canvas[..., 0] == 255) & (canvas[..., 1] == 0) & np.isin(canvas[..., 2], BLUE)
