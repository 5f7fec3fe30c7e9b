"""Features of a frozen network on two views of each face: as it is, and behind an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from steadyface import heatmap, markup
from steadyface.arrays import FacePoints, Frame
from steadyface.datasets.extra import ExtraSample
from steadyface.datasets.three_hundred_w import FaceSample, load_each
from steadyface.geometry import Region, flip_points
from steadyface.images import crop_region
from steadyface.nets.compact import CompactNet
from steadyface.nets.uncertainty import gather, summarise
from steadyface.synthetic.cover import random_cover
from steadyface.training.augmentation import Augmentation

_PAIRS = 8  # of crops that go through the network at once

Visible = Float[np.ndarray, "68"]


@dataclass(frozen=True)
class Face:
    """An annotated face in memory.

    Args:
        image: RGB uint8.
        points: image px; NaN where not annotated.
        visible: 1 visible, 0 hidden, NaN where unknown.
        region: of the plain crop, image px.
    """

    image: Frame
    points: FacePoints
    visible: Visible
    region: Region


@dataclass(frozen=True)
class Views:
    """Features and targets; along the second axis first the face as it is, then behind an object.

    Args:
        features, context: of `nets.uncertainty.gather` and `summarise`.
        errors: from the found point to the true one, % of the crop's side; NaN where not annotated.
        visible: 1 visible, 0 hidden, NaN where unknown.
    """

    features: Float[Tensor, "faces 2 68 features"]
    context: Float[Tensor, "faces 2 everything"]
    errors: Float[Tensor, "faces 2 68 2"]
    visible: Float[Tensor, "faces 2 68"]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Tensor | slice) -> Views:
        return Views(*(value[rows] for value in vars(self).values()))

    @classmethod
    def join(cls, parts: Sequence[Views]) -> Views:
        """Join several along the first axis."""
        return cls(
            *(torch.cat(values) for values in zip(*(vars(part).values() for part in parts), strict=True))
        )


def load_faces(samples: Sequence[FaceSample]) -> list[Face]:
    """Load faces; all points of 300-W count as visible.

    Raises:
        DataError: a sample is broken, or there is none.
    """
    faces = []
    for sample, image, points in load_each(samples):
        visible = sample.visible if isinstance(sample, ExtraSample) else np.ones(markup.COUNT)
        faces.append(Face(image, points, visible, sample.region(points)))
    return faces


def view_faces(
    net: CompactNet, faces: Sequence[Face], others: Sequence[Face], augmentation: Augmentation, seed: int
) -> Views:
    """Show each face to the network, once as it is and once behind a random object.

    Args:
        net: in evaluation mode.
        faces: to be shown.
        others: photographs whose pieces serve as objects.
        augmentation: variation of the crops; both views of a face vary alike.
        seed: of all randomness.
    """
    parts = []
    for start in range(0, len(faces), _PAIRS):
        batch = [
            _pair(face, others, net.config.input_size, augmentation, (seed, start + i))
            for i, face in enumerate(faces[start : start + _PAIRS])
        ]
        crops, points, visible = (np.stack(values) for values in zip(*batch, strict=True))
        parts.append(_views_of(net, crops, points, visible))
    return Views.join(parts)


def _views_of(net: CompactNet, crops: np.ndarray, points: np.ndarray, visible: np.ndarray) -> Views:
    """Run the network on pairs of crops; points and visibility outside the crop become unknown."""
    config = net.config
    images = torch.from_numpy(crops).flatten(0, 1).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        maps, last = net.decode(images.contiguous(memory_format=torch.channels_last))
        read = heatmap.decode_logits(net.head(last), sigma=config.sigma, finite=True)
        features = gather(maps, read, config.map_size)
        context = summarise(read, config.map_size)
    found = (read.points + 0.5) / config.map_size
    truth = (torch.from_numpy(points).float() + 0.5) / config.input_size
    errors = 100 * (truth[:, None] - found.unflatten(0, (-1, 2)))
    outside = ((truth < 0) | (truth > 1)).any(-1)[:, None]  # False for points without annotation
    return Views(
        features.half().unflatten(0, (-1, 2)),
        context.unflatten(0, (-1, 2)),
        errors.masked_fill(outside[..., None], torch.nan),
        torch.from_numpy(visible).float().masked_fill(outside, torch.nan),
    )


def _pair(
    face: Face, others: Sequence[Face], size: int, augmentation: Augmentation, key: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "2 size size 3"], FacePoints, Float[np.ndarray, "2 68"]]:
    """Crops of both views (2, size, size, 3), the points in crop px, and which of them each view shows."""
    rng = np.random.default_rng(key)
    crop, to_crop = crop_region(face.image, augmentation.region(face.region, rng), size)
    points, visible = to_crop(face.points), face.visible
    if rng.random() < augmentation.flip:
        crop, points = crop[:, ::-1], flip_points(points, size, markup.FLIP)
        visible = visible[markup.FLIP]
    other = others[int(rng.integers(len(others)))].image
    cover = random_cover(crop, points, other, rng)
    hidden = crop.copy()
    cover.draw(hidden, 0.0)
    covered = np.zeros(markup.COUNT, bool)
    known = ~np.isnan(points).any(axis=1)
    covered[known] = cover.covers(points[known], 0.0)
    flaws = int(rng.integers(1 << 31))
    views = [augmentation.degrade(view, np.random.default_rng(flaws)) for view in (crop, hidden)]
    return np.stack(views), points, np.stack([visible, np.where(covered, 0.0, visible)])
