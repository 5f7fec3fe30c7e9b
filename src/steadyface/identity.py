"""Descriptors of identity: faces of one person lie near each other, those of two people apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import Points
from steadyface.geometry import Region
from steadyface.models import IDENTITY, open_model
from steadyface.picture import Picture, as_picture

Descriptor = Float[np.ndarray, "descriptor"]
"""Unit vector of 128 numbers; the cosine of two of them is the similarity of the faces."""

SIDE = 150
"""Side of the crops that the network sees, px."""

_ANCHORS = np.array([[0.317, 0.311], [0.670, 0.311], [0.493, 0.585], [0.336, 0.687], [0.651, 0.687]]) - 0.5
"""Eyes, base of the nose and corners of the mouth in the crop, in sides from its middle."""


class IdentityEncoder:
    """Compute identity descriptors of faces by the bundled network `identity`.

    Args:
        device: one of `models.DEVICES`.
        threads: of the network on the CPU; None takes the default of ONNX Runtime.

    Raises:
        ConfigError: a device that is not there.
    """

    def __init__(self, device: str = "auto", threads: int | None = None) -> None:
        _, self._session, _ = open_model(IDENTITY, "identity", device, threads)

    def describe(
        self, frame: np.ndarray | Picture, faces: Sequence[Points]
    ) -> Float[np.ndarray, "faces descriptor"]:
        """Describe faces of a frame; the network sees each one plain and mirrored.

        Args:
            frame: RGB uint8 (H, W, 3), or a picture.
            faces: (68, 2) points of each, image px.

        Returns:
            (N, 128), of unit length.
        """
        if not len(faces):
            return np.zeros((0, 128), np.float32)
        picture = as_picture(frame)
        crops = [picture.crop(aligned_region(points), SIDE)[0] for points in faces]
        return self._session.run(["descriptors"], {"crops": np.stack(crops)})[0]


def aligned_region(points: Points) -> Region:
    """Square, turned with the head, in which eyes, nose and mouth lie nearest to `_ANCHORS`.

    Equation: the a and b with the least Σ |a·anchor + b - point|², in complex numbers.

    Args:
        points: (68, 2) image px.
    """
    parts = [points[list(markup.GROUPS[eye])].mean(axis=0) for eye in markup.EYES]
    parts += [points[markup.NOSE_BASE], *points[list(markup.corners("outer_lips"))]]
    anchors, face = (np.asarray(each, float) @ [1, 1j] for each in (_ANCHORS, parts))
    centred = anchors - anchors.mean()
    turn = (np.conj(centred) @ (face - face.mean())) / (np.abs(centred) ** 2).sum()
    centre = face.mean() - turn * anchors.mean()
    side = max(float(np.abs(turn)), 1.0)
    return Region(float(centre.real), float(centre.imag), side, float(np.angle(turn)))
