"""Train the face finder on whole frames, put together from photographs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from steadyface.arrays import Boxes, Frame
from steadyface.checkpoint import start_from
from steadyface.datasets.extra import HELD_OUT_ONE_IN, find_extra
from steadyface.datasets.face_boxes import INDEX, FaceBox, read_boxes
from steadyface.datasets.three_hundred_w import split
from steadyface.detection_curve import Detections, detection_curve
from steadyface.detector import THRESHOLD
from steadyface.errors import DataError
from steadyface.geometry import bounding_box
from steadyface.images import read_image, resize_to
from steadyface.landmarker import Landmarker
from steadyface.nets import FinderNet
from steadyface.nets.graph import FinderGraph
from steadyface.nets.imagenet import imagenet_weights
from steadyface.nets.loss import finder_loss
from steadyface.training.collages import FacePhotos
from steadyface.training.crops import MixedSamples, Samples
from steadyface.training.loop import Report
from steadyface.training.photos import Photo, hold_out_photos, load_extra_photos, load_photos
from steadyface.training.recipes import FinderRecipe

FALSE_PER_PHOTO = 0.05
"""False boxes per photograph at which missed faces are counted."""

_LEAST_SCORE = 0.02  # of the boxes among which that threshold is sought


@dataclass(frozen=True)
class HeldOut:
    """A photograph for validation, resized to the finder's input size.

    Args:
        image: RGB uint8.
        boxes: of all faces, px of `image`.
        annotated: which faces have to be found; finding one of the others is neither right nor wrong.
    """

    image: Frame
    boxes: Boxes
    annotated: Bool[np.ndarray, "faces"]


class FinderTask:
    """Boxes in collages, validated by the faces missed; a `loop.Task`.

    The best epoch has the smallest fraction of faces missed in whole photographs or, with extra sets, the
    smallest mean of that and of the mean fraction missed in those sets.

    Args:
        recipe: the run's numbers.
        fabric: of the run.
        net: to be trained.
        samples: frames to learn from.
        held_out: photographs for validation.
        extra: pictures of each extra set for validation, by name.
    """

    def __init__(
        self,
        recipe: FinderRecipe,
        fabric: Fabric,
        net: FinderNet,
        samples: Samples[Any],
        held_out: Sequence[HeldOut],
        extra: Mapping[str, Sequence[HeldOut]],
    ) -> None:
        self.recipe, self.fabric = recipe, fabric
        self.net, self.samples, self.held_out, self.extra = net, samples, held_out, extra
        self.measure = "all" if extra else "missed"

    def loss(self, net: nn.Module, batch: Sequence[Tensor]) -> Float[Tensor, ""]:
        """`finder_loss` of a batch of frames, their boxes, and which of them have to be found."""
        frames, boxes, wanted = batch
        maps = net(frames.permute(0, 3, 1, 2).float())
        recipe = self.recipe
        return finder_loss(maps, boxes, wanted, recipe.network.sigma, box_weight=recipe.box_weight)

    def validate(self, net: FinderNet) -> dict[str, float]:
        """Annotated faces missed, in %, by the graph that is exported.

        `missed` is for whole photographs, at `FALSE_PER_PHOTO`; the others are for the extra sets, which show
        little but faces, at the threshold `detector.THRESHOLD`.
        """
        graph = FinderGraph(net).eval()
        missed = detection_curve(self._detect(graph, self.held_out, _LEAST_SCORE))
        missed_in_photos = missed.missed_at(FALSE_PER_PHOTO)
        if not self.extra:
            return {"missed": missed_in_photos}
        of_sets = {
            name: float(detection_curve(self._detect(graph, pictures, THRESHOLD)).missed[-1])
            for name, pictures in self.extra.items()
        }
        overall = (missed_in_photos + float(np.mean(list(of_sets.values())))) / 2
        return {"all": overall, "missed": missed_in_photos, **of_sets}

    @torch.inference_mode()
    def _detect(self, graph: FinderGraph, pictures: Sequence[HeldOut], threshold: float) -> list[Detections]:
        device = self.fabric.device
        least = torch.tensor(threshold, device=device)
        found = []
        for picture in pictures:
            boxes, scores = graph(torch.from_numpy(picture.image).to(device), least)
            boxes, scores = boxes.cpu().numpy(), scores.cpu().numpy()
            found.append(Detections(boxes, scores, picture.boxes, picture.annotated))
        return found


def prepare_finder(
    recipe: FinderRecipe,
    fabric: Fabric,
    report: Report,
    data: Path,
    *,
    start: str | Path | None,
    skip_bad: bool,
) -> FinderTask:
    """Build the network and read the faces under `data`; arguments and errors as of `train`."""
    net = FinderNet(recipe.network)  # before the data, so that a wrong file fails at once
    if start is not None:
        start_from(net, start)
    else:
        net.load_encoder(imagenet_weights())
    folder = data / "faces"
    training, validation = hold_out_photos(folder)
    if skip_bad:
        training, validation = (list(_readable(folder, names, report)) for names in (training, validation))
    listed, side = read_boxes(folder), recipe.network.input_size
    held_out = [_load_held_out(folder / name, listed[name], side) for name in validation]
    count = sum(int(photo.annotated.sum()) for photo in held_out)
    if not training or not count:
        found = f"{len(training)} to train on, {len(validation)} held out with {count} annotated faces"
        raise DataError(folder / INDEX, f"too few photographs: {found}")
    photos = load_photos(folder, training)
    report(f"{len(photos)} photographs to train on, {len(held_out)} held out with {count} annotated faces")
    samples, extra = _add_extra(recipe, photos, data / "extra", report)
    return FinderTask(recipe, fabric, net, samples, held_out, extra)


def _add_extra(
    recipe: FinderRecipe, photos: Sequence[Photo], root: Path, report: Report
) -> tuple[Samples[Any], dict[str, list[HeldOut]]]:
    """Training frames of the photographs and of the extra sets, and the sets' held-out pictures by name."""
    size, collage, seed = recipe.frame_size, recipe.collage, recipe.seed
    found = {part: find_extra(root, part) for part in recipe.extra_shares}
    sets = {part: samples for part, samples in found.items() if samples}
    # An epoch shows each photograph once, and of the sets what makes up their shares.
    share_of_photos = 1 - sum(recipe.extra_shares[part] for part in sets)
    landmarker = Landmarker(device="cpu", threads=1)
    parts: list[tuple[Samples[Any], int]] = [(FacePhotos(photos, size, collage, seed), len(photos))]
    held_out_of_sets: dict[str, list[HeldOut]] = {}
    for number, (part, samples) in enumerate(sets.items(), 1):
        training, validation = split(root / part, samples, HELD_OUT_ONE_IN)
        pictures = load_extra_photos(training, landmarker)
        count = round(len(photos) * recipe.extra_shares[part] / share_of_photos)
        parts.append((FacePhotos(pictures, size, collage, seed + number, others=photos), count))
        held_out_of_sets[part] = [
            _held_out_extra(photo) for photo in load_extra_photos(validation, landmarker)
        ]
        report(f"{part}: {len(training)} faces to train on, {count} an epoch; {len(validation)} held out")
    return MixedSamples(parts, seed) if sets else parts[0][0], held_out_of_sets


def _held_out_extra(photo: Photo) -> HeldOut:
    boxes = bounding_box(photo.shapes)
    return HeldOut(photo.image, boxes, np.ones(len(boxes), bool))


def _readable(folder: Path, names: Iterable[str], report: Report) -> Iterator[str]:
    """Yield the photographs that can be read; report the others."""
    for name in names:
        try:
            read_image(folder / name)
        except DataError as error:
            report(f"left out: {error}")
        else:
            yield name


def _load_held_out(path: Path, faces: Sequence[FaceBox], side: int) -> HeldOut:
    """Load a photograph, resized to a longer side of at most `side` px."""
    image = read_image(path)
    small, to_small = resize_to(image, min(side, max(image.shape[:2])))
    boxes = np.array([face.box for face in faces]).reshape(-1, 4)
    return HeldOut(small, to_small.boxes(boxes), np.array([face.annotated for face in faces], bool))
