"""Whether what is tracked is still a face, as a witness sees it that has learnt what is none."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.detector import FaceFinder
from steadyface.geometry import bounding_box
from steadyface.images import Frame
from steadyface.tracking.roi import face_region

_MARGIN = 1.6  # side of the square that the finder is shown, over that of the face
_SIDE, _SAMPLES = 48, 3  # its px; pixels of the frame read for each and axis, however large the face is


class Witness:
    """The face finder, asked about one tracked face at a time.

    The landmark network was taught with faces only and may stay sure of itself where there is none; the
    finder was taught with all the rest as well. A picture of 48 px costs it a small part of a frame's search.

    Args:
        finder: its network is used, not its threshold.
    """

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder

    def confidence(self, frame: Frame, points: Float[np.ndarray, "68 2"]) -> float:
        """How sure the finder is, in [0, 1], of a face where the points are.

        Args:
            frame: RGB uint8.
            points: (68, 2) image px.
        """
        square, side = face_region(points, _MARGIN), _SIDE * _SAMPLES
        crop = cv2.warpAffine(frame, square.to_crop(side).matrix, (side, side))
        small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        return self._finder.confidence(small, bounding_box(square.to_crop(_SIDE)(points)))
