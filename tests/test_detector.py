"""Face detectors: any image → boxes around its faces' landmarks, or none."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from steadyface.demo import portrait
from steadyface.detector import SIDE, FaceFinder, YuNetDetector, choose_detector
from steadyface.errors import ConfigError, WeightsError
from steadyface.geometry import Affine, Region, bounding_box, iou
from steadyface.images import crop_region, resize_to
from steadyface.landmarker import Landmarker
from steadyface.models import DEFAULT_MODEL, FINDER, model_path
from steadyface.stills import detect

ODD_SHAPES = [(1, 1), (1, 500), (500, 1), (8000, 100), (100, 8000), (300, 300)]
FRAMES: dict[str, Callable[[tuple[int, int]], np.ndarray]] = {
    "black": lambda shape: np.zeros((*shape, 3), np.uint8),
    "white": lambda shape: np.full((*shape, 3), 255, np.uint8),
    "grey": lambda shape: np.full(shape, 127, np.uint8),
    "noise": lambda shape: np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8),
    "grey noise": lambda shape: np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8),
    "noise with alpha": lambda shape: np.random.default_rng(2).integers(0, 256, (*shape, 4), dtype=np.uint8),
    "coarse noise": lambda shape: cv2.resize(
        np.random.default_rng(3).integers(0, 256, (9, 9, 3), dtype=np.uint8), shape[::-1]
    ),
    "ramp": lambda shape: (np.indices(shape).sum(axis=0) * (255 / sum(shape)))[..., None].astype(np.uint8),
}
BAD_IMAGES = [
    np.full((40, 50, 3), np.nan),
    np.zeros((40, 50, 3), np.float32),
    np.zeros((40, 50, 3), np.int16),
    np.zeros((40, 50, 2), np.uint8),
    np.zeros((0, 50, 3), np.uint8),
    np.zeros(50, np.uint8),
    np.zeros((1, 40, 50, 3), np.uint8),
]


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(device="cpu")


@pytest.fixture(scope="module")
def still() -> np.ndarray:
    return portrait().still


@pytest.fixture(scope="module")
def points(still: np.ndarray) -> np.ndarray:
    """The portrait's landmarks."""
    landmarker, box = Landmarker(device="cpu"), np.array([172.0, 75.0, 274.0, 165.0])
    for _ in range(2):
        box = bounding_box(landmarker.predict(still, box).points)
    return landmarker.predict(still, box).points


def agreement(boxes: np.ndarray, points: np.ndarray) -> float:
    """Overlap of the best box with the tight box of the landmarks; 0 where there is none."""
    return float(iou(boxes[:1], bounding_box(points)[None]).max(initial=0))


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, Affine]:
    return crop_region(image, Region(224.0, 125.0, 400.0, math.radians(degrees)), 400)


def pasted(
    image: np.ndarray, size: tuple[int, int], corner: tuple[int, int], side: int
) -> tuple[np.ndarray, Affine]:
    """The image brought to `side` px in an otherwise grey frame, and the map to it."""
    small, to_small = resize_to(image, side)
    frame = np.full((*size, 3), 90, np.uint8)
    x, y = corner
    frame[y : y + small.shape[0], x : x + small.shape[1]] = small
    return frame, to_small.then(Affine.translation(x, y))


class TestBundledFinder:
    """Boxes against the portrait's landmarks."""

    VIEWS: ClassVar[dict[str, Callable[[np.ndarray], tuple[np.ndarray, Affine]]]] = {
        "as it is": lambda image: (image, Affine.scaling(1.0)),
        "mirrored": lambda image: (image[:, ::-1], Affine(np.array([[-1.0, 0, 511], [0, 1, 0]]))),
        "turned left": lambda image: turned(image, 45),
        "turned right": lambda image: turned(image, -45),
        "six times as large": lambda image: (image.repeat(6, 0).repeat(6, 1), Affine.scaling(6.0)),
        "half as large": lambda image: resize_to(image, 256),
        "grey": lambda image: (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), Affine.scaling(1.0)),
    }

    @pytest.mark.parametrize("view", VIEWS)
    def test_finds_the_portrait(
        self, finder: FaceFinder, still: np.ndarray, points: np.ndarray, view: str
    ) -> None:
        image, to_view = self.VIEWS[view](still)
        boxes, scores = finder.find(image)
        assert scores.max(initial=0) > 0.6
        assert agreement(boxes, to_view(points)) > 0.75

    def test_finds_no_second_face_in_it(self, finder: FaceFinder, still: np.ndarray) -> None:
        assert len(finder(still)) == 1

    @pytest.mark.parametrize("min_face", [60, 20])
    def test_searching_for_small_faces_too_gives_no_face_twice(
        self, still: np.ndarray, points: np.ndarray, min_face: float
    ) -> None:
        boxes = FaceFinder(min_face=min_face, device="cpu")(still)
        assert len(boxes) == 1
        assert agreement(boxes, points) > 0.75

    def test_finds_a_small_face_in_a_large_frame(self, still: np.ndarray, points: np.ndarray) -> None:
        frame, to_frame = pasted(still, (1600, 2400), (1500, 700), 222)
        face = bounding_box(to_frame(points))
        assert (face[2:] - face[:2]).max() < 41
        boxes, scores = FaceFinder(min_face=35, device="cpu").find(frame)
        assert scores.max(initial=0) > 0.6
        # The network sees 18 px of it: one px more on each side leaves 0.8 of the overlap.
        assert agreement(boxes, to_frame(points)) > 0.65

    @pytest.mark.parametrize(("size", "corner"), [((8000, 420), (10, 6100)), ((420, 8000), (6100, 10))])
    def test_leads_to_the_face_in_a_strip(
        self, still: np.ndarray, points: np.ndarray, size: tuple[int, int], corner: tuple[int, int]
    ) -> None:
        frame, to_frame = pasted(still, size, corner, 400)
        # The network sees 18 px of it, and may take the head for the face: the landmarks say where it is.
        (found,) = detect(frame, min_face=60).points
        assert np.linalg.norm(found - to_frame(points), axis=-1).max() < 2.0

    def test_finds_every_face_of_a_group(
        self, finder: FaceFinder, still: np.ndarray, points: np.ndarray
    ) -> None:
        two = np.hstack([still[:300, :400], still[:300, :400][:, ::-1]])
        boxes = finder(two)
        mirrored = points * [-1, 1] + [799, 0]
        assert len(boxes) == 2
        shared = iou(boxes, np.stack([bounding_box(points), bounding_box(mirrored)]))
        assert (shared.max(axis=0) > 0.75).all()

    @pytest.mark.parametrize("kind", FRAMES)
    def test_finds_nothing_in_nothing(self, finder: FaceFinder, kind: str) -> None:
        for shape in ODD_SHAPES:
            boxes, scores = finder.find(FRAMES[kind](shape))
            assert (boxes.shape, scores.shape) == ((0, 4), (0,)), shape

    @pytest.mark.parametrize("kind", FRAMES)
    def test_finds_nothing_small_in_nothing(self, kind: str) -> None:
        assert len(FaceFinder(min_face=10, device="cpu")(FRAMES[kind]((200, 300)))) == 0

    def test_gives_boxes_alone_when_called(self, finder: FaceFinder, still: np.ndarray) -> None:
        np.testing.assert_array_equal(finder(still), finder.find(still)[0])

    def test_takes_grey_alpha_and_views_as_rgb(self, finder: FaceFinder, still: np.ndarray) -> None:
        small = still[:300, :300]
        grey = small[..., 1]
        same = [
            (grey, np.stack([grey] * 3, axis=-1)),
            (grey[..., None], np.stack([grey] * 3, axis=-1)),
            (np.dstack([small, grey]), small),
            (small[:, ::-1], np.ascontiguousarray(small[:, ::-1])),
            (np.asfortranarray(small), small),
        ]
        for one, other in same:
            for found, expected in zip(finder.find(one), finder.find(other), strict=True):
                np.testing.assert_array_equal(found, expected)


class Looker:
    """In place of the network: keeps the frames it is shown and answers with boxes of the whole image.

    Args:
        size: (width, height) of the whole image.
        answers: boxes and scores, image px, by the number of the search.
    """

    def __init__(self, size: tuple[int, int], *answers: tuple[list[list[float]], list[float]]) -> None:
        self.size, self.answers = size, answers
        self.shown: list[tuple[int, int]] = []
        self.thresholds: list[float] = []

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert names == ["boxes", "scores"]
        height, width = inputs["image"].shape[:2]
        boxes, scores = self.answers[len(self.shown)] if self.answers else ([], [])
        self.shown.append((width, height))
        self.thresholds.append(float(inputs["threshold"]))
        to_shown = Affine.scaling(width / self.size[0], height / self.size[1])
        moved = to_shown.boxes(np.array(boxes, float).reshape(-1, 4))
        return [moved.astype(np.float32), np.array(scores, np.float32)]


def search(
    size: tuple[int, int], *answers: tuple[list[list[float]], list[float]], **options: float
) -> tuple[np.ndarray, np.ndarray, Looker]:
    """Boxes and scores of an image (width, height) in which a `Looker` looks, and the `Looker`."""
    finder, looker = FaceFinder(device="cpu", **options), Looker(size, *answers)  # type: ignore[arg-type]
    finder._session = looker
    return *finder.find(np.zeros((size[1], size[0], 3), np.uint8)), looker


class TestPyramid:
    @pytest.mark.parametrize("size", [(640, 480), (1080, 1920), (8000, 100), (321, 1)])
    def test_a_frame_is_searched_once_at_the_given_side(self, size: tuple[int, int]) -> None:
        *_, looker = search(size)
        assert [max(shown) for shown in looker.shown] == [SIDE]
        *_, looker = search(size, side=100)
        assert [max(shown) for shown in looker.shown] == [100]

    @pytest.mark.parametrize("size", [(320, 200), (319, 320), (17, 5), (1, 1)])
    def test_a_smaller_frame_is_searched_as_it_is(self, size: tuple[int, int]) -> None:
        *_, looker = search(size)
        assert looker.shown == [size]

    @pytest.mark.parametrize("size", [(640, 480), (2160, 3840), (100, 100), (8000, 100)])
    @pytest.mark.parametrize("min_face", [1000, 100, 40, 17, 12])
    def test_it_is_searched_larger_until_the_smallest_face_is_large_enough(
        self, size: tuple[int, int], min_face: float
    ) -> None:
        *_, looker = search(size, min_face=min_face)
        sides = [max(shown) for shown in looker.shown]
        assert sides[0] == min(SIDE, max(size))
        # Sides are whole px.
        assert min_face * sides[-1] / max(size) >= 16 - min_face / max(size) or len(sides) == 1
        for coarse, fine in pairwise(sides):
            assert min_face * coarse / max(size) < 16
            assert coarse < fine <= 3 * coarse + 1

    def test_without_need_it_is_searched_once(self) -> None:
        *_, looker = search((640, 480), min_face=32)
        assert len(looker.shown) == 1
        *_, looker = search((640, 480), min_face=31)
        assert len(looker.shown) == 2

    def test_boxes_are_px_of_the_image_at_every_level(self) -> None:
        coarse, fine = [1200.0, 300.0, 1700.0, 900.0], [40.0, 50.0, 61.0, 73.0]
        boxes, scores, _ = search((1999, 1003), ([coarse], [0.8]), ([], []), ([fine], [0.9]), min_face=20)
        # px: 2000 of them in float32; of the coarse level's rows every other one is left out.
        np.testing.assert_allclose(boxes[0], fine, rtol=0, atol=1e-3)
        np.testing.assert_allclose(boxes[1], coarse, rtol=0, atol=0.5)
        np.testing.assert_allclose(scores, [0.9, 0.8], rtol=1e-6)

    def test_a_face_seen_at_two_levels_is_one(self) -> None:
        face = [100.0, 100.0, 200.0, 220.0]
        again = [105.0, 95.0, 210.0, 215.0]
        boxes, scores, _ = search((640, 480), ([face], [0.5]), ([again], [0.9]), min_face=20)
        np.testing.assert_allclose(boxes, [face], rtol=0, atol=1e-3)
        np.testing.assert_allclose(scores, [0.5], rtol=1e-6)

    def test_a_part_of_a_face_is_none_but_one_beside_it_is(self) -> None:
        face, eye, beside = [100.0, 100.0, 200.0, 220.0], [120.0, 130.0, 140.0, 150.0], [195.0, 200, 230, 240]
        boxes, scores, _ = search((640, 480), ([face], [0.5]), ([eye, beside], [0.9, 0.7]), min_face=20)
        np.testing.assert_allclose(boxes, [beside, face], rtol=0, atol=1e-3)
        assert (np.diff(scores) <= 0).all()

    def test_what_is_small_at_a_coarse_level_is_left_to_the_next(self) -> None:
        guess, face = [100.0, 100.0, 131.0, 131.0], [110.0, 105.0, 128.0, 125.0]  # 15.5 px at the first level
        boxes, scores, _ = search((640, 480), ([guess], [0.9]), ([face], [0.6]), min_face=17)
        np.testing.assert_allclose(boxes, [face], rtol=0, atol=1e-3)
        np.testing.assert_allclose(scores, [0.6], rtol=1e-6)
        boxes, *_ = search((640, 480), ([guess], [0.9]))
        np.testing.assert_allclose(boxes, [guess], rtol=0, atol=1e-3)

    def test_a_box_mostly_outside_the_frame_is_none(self) -> None:
        outside, cut = [-70.0, 10.0, 30.0, 110.0], [590.0, 10.0, 690.0, 110.0]  # 0.3 and 0.5 of them inside
        boxes, *_ = search((640, 480), ([outside, cut], [0.9, 0.8]))
        np.testing.assert_allclose(boxes, [cut], rtol=0, atol=1e-3)

    def test_the_threshold_is_the_networks(self) -> None:
        *_, looker = search((640, 480), threshold=0.25)
        assert looker.thresholds == [0.25]


class TestBadArguments:
    @pytest.mark.parametrize("image", BAD_IMAGES, ids=lambda image: f"{image.dtype}{image.shape}")
    def test_what_is_no_image_is_named(self, finder: FaceFinder, image: np.ndarray) -> None:
        with pytest.raises(ConfigError, match=f"RGB uint8.*got {image.dtype}"):
            finder.find(image)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"side": 0}, "side must be at least 1 px, got 0"),
            ({"min_face": 0}, "min_face must be at least 1 px, got 0"),
            ({"min_face": math.nan}, "min_face must be at least 1 px, got nan"),
            ({"threshold": 0.0}, "threshold must lie between 0 and 1, got 0.0"),
            ({"threshold": 1.0}, "threshold must lie between 0 and 1, got 1.0"),
            ({"threshold": math.nan}, "threshold must lie between 0 and 1, got nan"),
            ({"device": "tpu"}, "auto, cpu, cuda"),
        ],
    )
    def test_numbers_out_of_range_are_named(self, options: dict, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            FaceFinder(**options)


class TestChooseDetector:
    def test_nothing_stands_for_the_bundled_finder(self) -> None:
        chosen = choose_detector(None, min_face=30, device="cpu")
        assert isinstance(chosen, FaceFinder)
        assert chosen.min_face == 30

    def test_a_file_of_ours_is_our_finder(self, tmp_path: Path) -> None:
        mine = shutil.copy(model_path(FINDER), tmp_path / "mine.onnx")
        chosen = choose_detector(mine, min_face=30, device="cpu")
        assert isinstance(chosen, FaceFinder)
        assert chosen.min_face == 30

    def test_a_landmarks_model_finds_no_faces(self) -> None:
        with pytest.raises(WeightsError, match=r"\.onnx: a landmarks model, which finds no faces"):
            choose_detector(model_path(DEFAULT_MODEL))

    def test_what_is_no_model_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"none\.onnx"):
            choose_detector(tmp_path / "none.onnx")
        (tmp_path / "text.onnx").write_text("no")
        with pytest.raises(WeightsError, match=r"text\.onnx"):
            choose_detector(tmp_path / "text.onnx")

    def test_yunet_is_known_by_its_file(self, data_dir: Path) -> None:
        file = data_dir / "detector" / "yunet_2026may.onnx"
        assert isinstance(choose_detector(file), YuNetDetector)
        with pytest.raises(ConfigError, match="min_face is for steadyface's own finder, not for YuNet"):
            choose_detector(file, min_face=30)


class TestYuNet:
    @pytest.fixture
    def yunet(self, data_dir: Path) -> YuNetDetector:
        return YuNetDetector(data_dir / "detector" / "yunet_2026may.onnx")

    def test_needs_its_file(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="no such file"):
            YuNetDetector(tmp_path / "none.onnx")
        (tmp_path / "text.onnx").write_text("no")
        with pytest.raises(WeightsError, match="not a YuNet model"):
            YuNetDetector(tmp_path / "text.onnx")

    def test_agrees_with_the_landmarks(
        self, yunet: YuNetDetector, still: np.ndarray, points: np.ndarray
    ) -> None:
        assert agreement(yunet(still), points) > 0.75
        assert agreement(yunet(cv2.cvtColor(still, cv2.COLOR_RGB2GRAY)), points) > 0.75
        large = still.repeat(4, axis=0).repeat(4, axis=1)
        assert agreement(yunet(large), Affine.scaling(4.0)(points)) > 0.75

    @pytest.mark.parametrize("kind", FRAMES)
    def test_finds_nothing_in_nothing(self, yunet: YuNetDetector, kind: str) -> None:
        for shape in ODD_SHAPES:
            assert yunet(FRAMES[kind](shape)).shape == (0, 4), shape

    def test_takes_no_other_image(self, yunet: YuNetDetector) -> None:
        for image in BAD_IMAGES:
            with pytest.raises(ConfigError, match="RGB uint8"):
                yunet(image)


class TestConfidence:
    def test_it_is_high_at_the_face_only(
        self, finder: FaceFinder, still: np.ndarray, points: np.ndarray
    ) -> None:
        crop, to_crop = crop_region(still, Region.around_box(bounding_box(points), margin=1.6), 48)
        box = bounding_box(to_crop(points))
        assert finder.confidence(crop, box) > 0.8
        assert finder.confidence(crop, box + np.array([40, 0, 40, 0])) == 0
        assert finder.confidence(np.full_like(crop, 127), box) < 0.2

    def test_it_is_the_score_that_find_gives_there(
        self, finder: FaceFinder, still: np.ndarray, points: np.ndarray
    ) -> None:
        small, to_small = resize_to(still, SIDE)
        boxes, scores = finder.find(small)
        best = int(np.argmax(iou(bounding_box(to_small(points))[None], boxes)))
        # The same network on the same image, in float32.
        assert finder.confidence(small, boxes[best]) == pytest.approx(scores[best], abs=1e-6)
