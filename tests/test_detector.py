"""Face detectors: image → boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface.demo import portrait
from steadyface.detector import HaarDetector, YuNetDetector
from steadyface.errors import WeightsError
from steadyface.geometry import bounding_box, overlap
from steadyface.landmarker import Landmarker


def test_haar_finds_the_portrait_where_its_landmarks_are() -> None:
    image = portrait().still
    boxes = HaarDetector()(image)
    points = Landmarker().predict(image, boxes[0]).points
    assert overlap(boxes[:1], bounding_box(points)[None])[0, 0] > 0.6


def test_a_large_frame_gives_the_same_place() -> None:
    image = portrait().still
    large = image.repeat(6, axis=0).repeat(6, axis=1)
    found, expected = HaarDetector()(large)[0], HaarDetector()(image)[0]
    assert overlap((found[None] + 0.5) / 6 - 0.5, expected[None])[0, 0] > 0.8


@pytest.mark.parametrize("shape", [(1, 1), (10, 4000), (4000, 10), (300, 300)])
def test_nothing_in_nothing(shape: tuple[int, int]) -> None:
    assert HaarDetector()(np.zeros((*shape, 3), np.uint8)).shape == (0, 4)


def test_yunet_needs_its_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        YuNetDetector(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no")
    with pytest.raises(WeightsError, match="not a YuNet model"):
        YuNetDetector(tmp_path / "text.onnx")


def test_yunet_agrees_with_the_landmarks(data_dir: Path) -> None:
    image = portrait().still
    boxes = YuNetDetector(data_dir / "detector" / "yunet_2026may.onnx")(image)
    points = Landmarker().predict(image, boxes[0]).points
    assert overlap(boxes[:1], bounding_box(points)[None])[0, 0] > 0.7
