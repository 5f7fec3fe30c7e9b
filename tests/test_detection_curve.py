"""Detection curves by hand, and against a loop over faces and boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyface.detection_curve import Detections, detection_curve
from steadyface.errors import ConfigError

seeds = st.integers(0, 2**32 - 1)


def detections(found: list[list[float]], faces: list[list[float]], counted: list[bool]) -> Detections:
    """An image's boxes, each with its score behind it, and its faces."""
    boxes, truth = np.array(found, float).reshape(-1, 5), np.array(faces, float).reshape(-1, 4)
    return Detections(boxes[:, :4], boxes[:, 4], truth, np.array(counted, bool))


HERE, THERE, AWAY = [0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]


def test_detection_by_hand() -> None:
    """Three faces count in two images. From the best score on: false, found, found, false, neither, found."""
    first = detections(
        [[*HERE, 0.8], [0, 0, 10, 9, 0.6], [*THERE, 0.5], [*AWAY, 0.9]], [HERE, THERE], [True, False]
    )
    # Overlap 5 / 10 is just enough, and the box that overlaps more comes later and takes the other face.
    second = detections([[0, 0, 10, 5, 0.7], [0, 10, 10, 20, 0.3]], [HERE, [0, 10, 10, 20]], [True, True])
    curve = detection_curve([first, second])
    np.testing.assert_allclose(curve.thresholds, [np.inf, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3])
    np.testing.assert_allclose(curve.missed, [100, 100, 200 / 3, 100 / 3, 100 / 3, 100 / 3, 0], atol=1e-12)
    np.testing.assert_allclose(curve.false_per_image, [0, 0.5, 0.5, 0.5, 1, 1, 1])
    assert curve.missed_at(0.4) == 100
    assert curve.missed_at(0.5) == pytest.approx(100 / 3)
    assert curve.missed_at(1.0) == pytest.approx(0)


def test_boxes_of_one_score_stand_or_fall_together() -> None:
    image = detections([[*HERE, 0.5], [*AWAY, 0.5]], [HERE], [True])
    assert detection_curve([image]).missed_at(0.5) == 100
    assert detection_curve([image]).missed_at(1.0) == 0


def test_a_detector_that_finds_nothing_misses_all() -> None:
    assert detection_curve([detections([], [HERE], [True])]).missed_at(0.0) == 100


@given(seeds)
def test_the_detection_curve_is_the_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        low = rng.uniform(0, 20, (count, 2))
        return np.hstack([low, low + rng.uniform(5, 15, (count, 2))])

    images = []
    for _ in range(3):
        truth, scores = boxes(4), rng.integers(0, 6, 8) / 10
        images.append(Detections(boxes(8), scores, truth, np.array([True, *(rng.random(3) < 0.6)])))
    curve = detection_curve(images, least_overlap=0.3)
    for k, threshold in enumerate(curve.thresholds):
        found = false = faces = 0
        for image in images:
            left = {i for i in range(4) if image.counted[i]}
            faces += len(left)
            for j in sorted(range(8), key=lambda j: -image.scores[j]):
                if image.scores[j] < threshold:
                    continue
                shares = [intersection_over_union(image.boxes[j], box) for box in image.truth]
                best = max(left, key=lambda i: shares[i], default=None)
                if best is not None and shares[best] >= 0.3:
                    left.remove(best)
                    found += 1
                elif not any(shares[i] >= 0.3 for i in range(4) if not image.counted[i]):
                    false += 1
        assert curve.missed[k] == pytest.approx(100 * (1 - found / faces), abs=1e-9)  # sums in float64
        assert curve.false_per_image[k] == pytest.approx(false / 3)


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.usefixtures("unannotated")
def test_boxes_and_faces_have_one_number_each() -> None:
    boxes, one = np.array([HERE, THERE], float), np.ones(1, bool)
    with pytest.raises(ConfigError, match=r"got \(2, 4\), \(1,\), \(1, 4\) and \(1,\)"):
        Detections(boxes, np.ones(1), boxes[:1], one)
    with pytest.raises(ConfigError, match=r"got \(2, 4\), \(2,\), \(2, 4\) and \(1,\)"):
        Detections(boxes, np.ones(2), boxes, one)


def test_a_curve_needs_a_face_that_counts() -> None:
    for images in ([], [detections([[*HERE, 0.5]], [HERE], [False])]):
        with pytest.raises(ConfigError, match="images must hold at least one face that counts"):
            detection_curve(images)
