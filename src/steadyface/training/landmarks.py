"""Teach a landmark network crops of faces.

Two ways: log-heatmaps by softmax and cross-entropy against the normalised Gaussian, or heatmaps by their
squared error, as the paper does; the network's configuration says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn

from steadyface import metrics
from steadyface.checkpoint import load_network, start_from
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, count_parts, find_folder, find_samples, hold_out
from steadyface.errors import ConfigError, DataError
from steadyface.geometry import change_grid
from steadyface.nets import FinderNet, LandmarkNet, build_network
from steadyface.nets.compact import CompactNet
from steadyface.nets.graph import LandmarkGraph
from steadyface.nets.loss import cross_entropy, regrid, squared_error
from steadyface.training.crops import FaceCrops, load_backgrounds
from steadyface.training.loop import Report
from steadyface.training.recipes import Recipe


class LandmarkTask:
    """Heatmaps of crops, judged by NRMSE; a `loop.Task`.

    Args:
        recipe: the run's numbers.
        fabric: of the run.
        net: to be trained.
        teacher: whose heatmaps are to be imitated too, or None.
        samples: crops to learn from.
        held_out: plain crops to be judged by.
    """

    measure = "nrmse"

    def __init__(
        self,
        recipe: Recipe,
        fabric: Fabric,
        net: LandmarkNet,
        teacher: LandmarkNet | None,
        samples: FaceCrops,
        held_out: FaceCrops,
    ) -> None:
        self.recipe, self.fabric = recipe, fabric
        self.net, self.samples, self.held_out = net, samples, held_out
        self.teacher = None if teacher is None else teacher.to(fabric.device).eval()

    def loss(self, net: nn.Module, batch: Sequence[Tensor]) -> Float[Tensor, ""]:
        """The loss of a batch of crops and their points, summed over the network's stacks."""
        recipe, config = self.recipe, self.recipe.network
        crops, points = batch
        outputs = net(_images(crops, config.input_size))
        stacks = outputs if outputs.ndim == 5 else outputs[None]
        points = change_grid(points, config.map_size / crops.shape[1])
        if config.output == "heatmaps":
            losses = [squared_error(maps, points, config.sigma, rounded=recipe.rounded) for maps in stacks]
            return torch.stack(losses).sum()
        soft = self._teach(crops)
        losses = [
            cross_entropy(
                logits,
                points,
                config.sigma,
                mean_weight=recipe.mean_weight,
                rounded=recipe.rounded,
                soft=soft,
                soft_weight=recipe.teacher_weight,
            )
            for logits in stacks
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def _teach(self, crops: UInt8[Tensor, "batch size size 3"]) -> Tensor | None:
        """The teacher's heatmaps on the student's grid."""
        if self.teacher is None:
            return None
        config, theirs = self.recipe.network, self.teacher.config
        with self.fabric.autocast():
            logits = self.teacher.log_heatmaps(_images(crops, theirs.input_size))
        return regrid(logits, theirs.sigma, config.map_size, config.sigma)

    @torch.inference_mode()
    def validate(self, net: LandmarkNet) -> float:
        """NRMSE in % of a network on plain crops, through the graph that is exported."""
        graph = LandmarkGraph(net).eval()
        errors = []
        for i in range(len(self.held_out)):
            crop, truth = self.held_out[0, i]
            points = graph(torch.from_numpy(crop)[None].to(self.fabric.device))[0]
            errors.append(metrics.nrmse_interocular(points[0].cpu().numpy(), truth))
        return float(np.mean(errors))


def prepare_landmarks(
    recipe: Recipe,
    fabric: Fabric,
    report: Report,
    data: Path,
    *,
    start: str | Path | None,
    teacher: str | Path | None,
    extra: str | Path | None,
    skip_bad: bool,
) -> LandmarkTask:
    """Read the faces of `data`/300w and build the network; arguments and errors as of `train`."""
    guide = _load_teacher(teacher) if teacher is not None else None
    faces, held_out = _load_faces(recipe, guide, data, extra, skip_bad, report)
    net = build_network(recipe.network)
    if start is not None:
        start_from(net, start)
    elif isinstance(net, CompactNet):
        net.load_imagenet()
    return LandmarkTask(recipe, fabric, net, guide, faces, held_out)


def _load_teacher(path: str | Path) -> LandmarkNet:
    teacher = load_network(path)
    if isinstance(teacher, FinderNet):
        raise ConfigError(f"{path}: a teacher must be a landmark network, not a finder")
    return teacher


def _images(crops: UInt8[Tensor, "batch size size 3"], size: int) -> Float[Tensor, "batch 3 to to"]:
    """Crops as a network of another input size would have been given them."""
    images = crops.permute(0, 3, 1, 2).float()
    if images.shape[-1] == size:
        return images
    coarse = images.shape[-1] >= 2 * size  # like `crop_region`, which averages blocks from there on
    return nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=coarse)


def _load_faces(
    recipe: Recipe,
    teacher: LandmarkNet | None,
    data: Path,
    extra: str | Path | None,
    skip_bad: bool,
    report: Report,
) -> tuple[FaceCrops, FaceCrops]:
    """Faces to learn from, as large as student or teacher wants them, and faces to be judged by."""
    samples = find_samples(data / "300w", TRAIN_PARTS)
    counts = count_parts(samples, TRAIN_PARTS)
    report("300-W: " + ", ".join(f"{part} {count or 'missing'}" for part, count in counts.items()))
    training, validation = hold_out(samples)
    if extra is not None:
        more = find_folder(extra)
        report(f"{extra}: {len(more)} more faces")
        training += more
    backgrounds = load_backgrounds(data / "faces") if recipe.background_share else []
    size = recipe.network.input_size
    wide = max(size, teacher.config.input_size) if teacher is not None else size

    def leave_out(error: DataError) -> None:
        report(f"left out: {error}")

    on_bad = leave_out if skip_bad else None
    share, seed = recipe.background_share, recipe.seed
    faces = FaceCrops(training, wide, recipe.augmentation, backgrounds, share, seed, on_bad)
    held_out = FaceCrops(validation, size, on_bad=on_bad)
    report(f"{len(faces)} faces to train on, {len(held_out)} held out")
    return faces, held_out
