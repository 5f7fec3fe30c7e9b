"""Training crops of faces turned in three dimensions, some with closed eyes or open mouths, some covered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from steadyface.arrays import Crop, FacePoints, Frame, Points
from steadyface.geometry import CROP_MARGIN, Region
from steadyface.images import crop_region
from steadyface.synthetic.heads.model import HeadModel
from steadyface.synthetic.heads.turned import HeadPhoto, TurnedFace
from steadyface.training.augmentation import Augmentation
from steadyface.training.clutter import passer

HEAD_MODEL = Path("ict_facekit") / "ict_facekit.npz"
"""The head model's file in the folder of extra sets."""

_MARGIN = 2.2  # of the part of a photograph that is turned
_LEVEL = 0.15  # radians of yaw up to which a face may be turned to either side


@dataclass(frozen=True)
class Turns:
    """Ranges of the random turns of a face.

    Args:
        yaw: largest angle to a side, also counting that of the photograph, degrees.
        pitch: standard deviation of the nod, degrees.
        closed: probability of closed eyes.
        opened: probability of a mouth that opens.
        covered: probability of an object in front of the face.
    """

    yaw: float = 75.0
    pitch: float = 8.0
    closed: float = 0.3
    opened: float = 0.3
    covered: float = 0.3

    def turn(
        self, image: Frame, points: FacePoints, model: HeadModel, rng: np.random.Generator
    ) -> TurnedFace:
        """Turn a face at random.

        A face that looks to one side turns further to that side, since the photograph shows only that half.

        Args:
            image: RGB uint8.
            points: (68, 2) annotated points, image px.
            model: of heads.
            rng: source of all randomness.
        """
        head = HeadPhoto(image, points, model)
        side = math.copysign(1.0, head.fit.yaw) if abs(head.fit.yaw) > _LEVEL else rng.choice([-1.0, 1.0])
        wanted = side * math.radians(rng.uniform(0, self.yaw))
        turned = head.turned(
            wanted - head.fit.yaw if abs(wanted) > abs(head.fit.yaw) else 0.0,
            math.radians(rng.normal(0, self.pitch)),
            closed=rng.uniform(0.6, 1.0) if rng.random() < self.closed else 0.0,
            opened=rng.uniform(0.1, 0.8) if rng.random() < self.opened else 0.0,
        )
        return _covered(turned, rng) if rng.random() < self.covered else turned

    def turn_cut_out(
        self, image: Frame, points: FacePoints, size: int, model: HeadModel, rng: np.random.Generator
    ) -> TurnedFace:
        """Turn a face at random, with a part of the photograph around it.

        Args:
            image: RGB uint8.
            points: (68, 2) annotated points, image px.
            size: side of the face's plain crop after scaling, px.
            model: of heads.
            rng: source of all randomness.
        """
        whole = Region.around_points(points, margin=_MARGIN)
        side = round(size * _MARGIN / CROP_MARGIN)
        picture, to_picture = crop_region(image, whole, side, cv2.BORDER_REFLECT_101)
        return self.turn(picture, to_picture(points), model, rng)


def _covered(face: TurnedFace, rng: np.random.Generator) -> TurnedFace:
    """The same face with an object in front of it."""
    image = face.image.copy()
    occluder, seconds = passer(image, face.points, rng)
    occluder.draw(image, seconds)
    return replace(face, image=image, covered=occluder.covers(face.points, seconds))


class TurnedCrops:
    """Crops of turned faces; sample (epoch, i) is always the same.

    Points that the face itself hides are NaN: they are not annotated in photographs of faces from the side.

    Args:
        faces: images (RGB uint8) and their (68, 2) annotated points, image px.
        model: of heads.
        size: side of the crops, px.
        turns: how faces are turned.
        augmentation: how crops vary.
        seed: of all randomness.
    """

    def __init__(
        self,
        faces: Sequence[tuple[Frame, FacePoints]],
        model: HeadModel,
        size: int,
        turns: Turns,
        augmentation: Augmentation,
        seed: int = 0,
    ) -> None:
        self.faces, self.model, self.size, self.turns = faces, model, size, turns
        self.augmentation, self.seed = augmentation, seed

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Crop, Points, bool]:
        """A crop, its points in crop px, and True, since it shows a face."""
        epoch, i = key
        rng = np.random.default_rng((self.seed, epoch, i))
        image, points = self.faces[i]
        face = self.turns.turn_cut_out(image, points, self.size, self.model, rng)
        region = Region.around_points(face.points)
        known = np.where(face.hidden[:, None], np.nan, face.points)
        crop, moved = self.augmentation.crop(face.image, known, self.size, rng, region)
        return np.ascontiguousarray(crop), moved.astype(np.float32), True
