"""Array types that the whole package shares; jaxtyping names their axes, and the tests check them.

Points are x, y in pixels of the image that the text around them names, 0-based, pixel centres at integers.
Within one call every axis of one name has one length: `points: PointSequence, truth: PointSequence` asks for
as many frames and landmarks in both.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

Frame = UInt8[np.ndarray, "height width 3"]
"""(H, W, 3) uint8: an RGB image of any size."""

Crop = UInt8[np.ndarray, "size size 3"]
"""(S, S, 3) uint8: a square RGB crop, as a landmark network takes it."""

Crops = UInt8[np.ndarray, "faces size size 3"]
"""(F, S, S, 3) uint8: crops of one size."""

Box = Float[np.ndarray, "4"]
"""(4,): x0, y0, x1, y1, continuous: the box of the top-left pixel is -½, -½, ½, ½."""

Boxes = Float[np.ndarray, "faces 4"]
"""(F, 4): a `Box` per face."""

Points = Float[np.ndarray, "landmarks 2"]
"""(L, 2): the points of one face, x, y."""

PointBatch = Float[np.ndarray, "*batch landmarks 2"]
"""(…, L, 2): `Points` with any leading axes, also none."""

PointStack = Float[np.ndarray, "faces landmarks 2"]
"""(F, L, 2): the points of several faces in one frame."""

PointSequence = Float[np.ndarray, "frames landmarks 2"]
"""(T, L, 2): the points of one face in successive frames."""

FacePoints = Float[np.ndarray, "68 2"]
"""(68, 2): the points of one face in the iBUG markup."""

FaceBatch = Float[np.ndarray, "*batch 68 2"]
"""(…, 68, 2): `FacePoints` with any leading axes, also none."""

FaceStack = Float[np.ndarray, "faces 68 2"]
"""(F, 68, 2): the points of several faces."""

FaceSequence = Float[np.ndarray, "frames 68 2"]
"""(T, 68, 2): the points of one face in successive frames, in the iBUG markup."""

Scores = Float[np.ndarray, "landmarks"]
"""(L,): confidence in each landmark, in [0, 1]."""

ScoreSequence = Float[np.ndarray, "frames landmarks"]
"""(T, L): `Scores` of successive frames."""

Times = Float[np.ndarray, "frames"]
"""(T,): seconds of the stream, increasing."""
