"""Teach the face finder whole frames, put together from photographs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from steadyface import metrics
from steadyface.arrays import Boxes, Frame
from steadyface.checkpoint import start_from
from steadyface.datasets.face_boxes import INDEX, FaceBox, read_boxes
from steadyface.errors import DataError
from steadyface.images import read_image, resize_to
from steadyface.nets import FinderNet
from steadyface.nets.graph import FinderGraph
from steadyface.nets.imagenet import imagenet_weights
from steadyface.nets.loss import finder_loss
from steadyface.training.collages import FacePhotos, hold_out_photos, load_photos
from steadyface.training.loop import Report
from steadyface.training.recipes import FinderRecipe

FALSE_PER_PHOTO = 0.05
"""False boxes per photograph at which missed faces are counted."""

_LEAST_SCORE = 0.02  # of the boxes among which that threshold is sought


@dataclass(frozen=True)
class HeldOut:
    """A photograph to be judged by, brought down to the size that the finder is meant for.

    Args:
        image: RGB uint8.
        boxes: of all faces, px of `image`.
        annotated: which faces have to be found; the others count neither way.
    """

    image: Frame
    boxes: Boxes
    annotated: Bool[np.ndarray, "faces"]


class FinderTask:
    """Boxes in collages, judged by the faces missed in whole photographs; a `loop.Task`.

    Args:
        recipe: the run's numbers.
        fabric: of the run.
        net: to be trained.
        samples: frames to learn from.
        held_out: photographs to be judged by.
    """

    measure = "missed"

    def __init__(
        self,
        recipe: FinderRecipe,
        fabric: Fabric,
        net: FinderNet,
        samples: FacePhotos,
        held_out: Sequence[HeldOut],
    ) -> None:
        self.recipe, self.fabric = recipe, fabric
        self.net, self.samples, self.held_out = net, samples, held_out

    def loss(self, net: nn.Module, batch: Sequence[Tensor]) -> Float[Tensor, ""]:
        """`finder_loss` of a batch of frames, their boxes, and which of them have to be found."""
        frames, boxes, wanted = batch
        maps = net(frames.permute(0, 3, 1, 2).float())
        recipe = self.recipe
        return finder_loss(maps, boxes, wanted, recipe.network.sigma, box_weight=recipe.box_weight)

    @torch.inference_mode()
    def validate(self, net: FinderNet) -> dict[str, float]:
        """Annotated faces missed, in %, at `FALSE_PER_PHOTO`, through the graph that is exported."""
        graph = FinderGraph(net).eval()
        device = self.fabric.device
        least = torch.tensor(_LEAST_SCORE, device=device)
        found = []
        for photo in self.held_out:
            boxes, scores = graph(torch.from_numpy(photo.image).to(device), least)
            boxes, scores = boxes.cpu().numpy(), scores.cpu().numpy()
            found.append(metrics.Detections(boxes, scores, photo.boxes, photo.annotated))
        return {self.measure: metrics.detection_curve(found).missed_at(FALSE_PER_PHOTO)}


def prepare_finder(
    recipe: FinderRecipe,
    fabric: Fabric,
    report: Report,
    data: Path,
    *,
    start: str | Path | None,
    skip_bad: bool,
) -> FinderTask:
    """Read the photographs of `data`/faces and build the network; arguments and errors as of `train`."""
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
    samples = FacePhotos(photos, recipe.frame_size, recipe.collage, recipe.seed)
    net = FinderNet(recipe.network)
    if start is not None:
        start_from(net, start)
    else:
        net.load_encoder(imagenet_weights())
    return FinderTask(recipe, fabric, net, samples, held_out)


def _readable(folder: Path, names: Iterable[str], report: Report) -> Iterator[str]:
    """Those of the photographs that can be read; the others are named."""
    for name in names:
        try:
            read_image(folder / name)
        except DataError as error:
            report(f"left out: {error}")
        else:
            yield name


def _load_held_out(path: Path, faces: Sequence[FaceBox], side: int) -> HeldOut:
    """A photograph brought down to a longer side of at most `side` px."""
    image = read_image(path)
    small, to_small = resize_to(image, min(side, max(image.shape[:2])))
    boxes = np.array([face.box for face in faces]).reshape(-1, 4)
    return HeldOut(small, to_small.boxes(boxes), np.array([face.annotated for face in faces], bool))
