"""Crowds: the network returns 64 boxes at most, the finder all of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scenes

from steadyface.detector import FaceFinder
from steadyface.geometry import iou

SIDE = 64  # px of each square with a face


@pytest.mark.parametrize(("rows", "columns"), [(4, 30), (20, 6), (9, 9)])
def test_every_face_of_a_crowd_is_found_once(rows: int, columns: int) -> None:
    face = cv2.resize(scenes.frames(1)[0][20:250, 120:350], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    crowd = np.tile(face, (rows, columns, 1))
    boxes, scores = FaceFinder(side=max(crowd.shape)).find(crowd)
    assert len(boxes) == rows * columns
    assert (np.diff(scores) <= 0).all()
    squares = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2 / SIDE).astype(int)
    assert len({(x, y) for x, y in squares.tolist()}) == rows * columns
    assert (iou(boxes, boxes) > 0.45).sum() == len(boxes)
    # Every square shows the same face, which the picture's border and that of a half change by up to 2 px.
    within = (boxes[:, :2] + boxes[:, 2:]) / 2 % SIDE
    assert np.abs(within - np.median(within, axis=0)).max() < 3
