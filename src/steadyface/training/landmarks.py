"""Train a landmark network on crops of faces.

The network's configuration chooses the loss: softmax and cross-entropy of log-heatmaps against the normalised
Gaussian, or the squared error of heatmaps, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn

from steadyface import markup, metrics
from steadyface.arrays import Crop, FaceStack, Points
from steadyface.checkpoint import load_network, start_from
from steadyface.datasets.extra import HELD_OUT_ONE_IN, ExtraSample, find_extra, set_error
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, count_parts, find_folder, find_samples, split
from steadyface.errors import ConfigError, DataError
from steadyface.geometry import change_grid
from steadyface.measures import eye_openness
from steadyface.nets import FinderNet, LandmarkNet, build_network
from steadyface.nets.compact import CompactNet
from steadyface.nets.graph import LandmarkGraph
from steadyface.nets.imagenet import imagenet_weights
from steadyface.nets.loss import Teaching, cross_entropy, draw_targets, mean_of_views, regrid, squared_error
from steadyface.synthetic.heads.model import HeadModel
from steadyface.training.closed_lids import close_lids
from steadyface.training.crops import FaceCrops, MixedSamples, Samples, load_backgrounds
from steadyface.training.loop import Report
from steadyface.training.recipes import Recipe
from steadyface.training.turned import HEAD_MODEL, TurnedCrops

_OPENINGS = [markup.facing(group) for group in ("right_eye", "left_eye", "inner_lips")]
GAPS = np.concatenate([np.stack(sides, axis=-1) for sides in _OPENINGS])
"""Pairs of opposite lids and lips."""


class LandmarkTask:
    """Heatmaps of crops, validated by the distance of points; a `loop.Task`.

    The best epoch has the smallest NRMSE on 300-W or, with extra sets, the smallest mean of that and of the
    mean error on those sets.

    Args:
        recipe: the run's numbers.
        fabric: of the run.
        net: to be trained.
        teacher: network whose heatmaps are imitated too; None for none.
        samples: crops to learn from.
        held_out: plain crops of 300-W for validation.
        extra: plain crops of each extra set for validation, by name.
    """

    def __init__(
        self,
        recipe: Recipe,
        fabric: Fabric,
        net: LandmarkNet,
        teacher: LandmarkNet | None,
        samples: Samples[tuple[Crop, Points, bool]],
        held_out: FaceCrops,
        extra: Mapping[str, FaceCrops],
    ) -> None:
        self.recipe, self.fabric = recipe, fabric
        self.net, self.samples, self.held_out, self.extra = net, samples, held_out, extra
        self.teacher: LandmarkNet | None = None
        if teacher is not None:  # on a CPU it takes half of the time, a third less in this order
            self.teacher = teacher.to(fabric.device, memory_format=torch.channels_last).eval()
        self.measure = "all" if extra else "nrmse"

    def loss(self, net: nn.Module, batch: Sequence[Tensor]) -> Float[Tensor, ""]:
        """Loss of a batch of crops, points and flags, summed over the network's stacks."""
        recipe, config = self.recipe, self.recipe.network
        crops, points, face = batch
        outputs = net(_images(crops, config.input_size))
        stacks = outputs if outputs.ndim == 5 else outputs[None]
        points = change_grid(points, config.map_size / crops.shape[1])
        if config.output == "heatmaps":
            losses = [
                squared_error(maps, points, face, config.sigma, rounded=recipe.rounded) for maps in stacks
            ]
            return torch.stack(losses).sum()
        size = (config.map_size, config.map_size)
        teaching = self._teach(crops, points, face)
        targets = draw_targets(points, face, size, config.sigma, rounded=recipe.rounded, teaching=teaching)
        gaps = torch.tensor(GAPS, device=outputs.device) if config.landmarks == markup.COUNT else None
        weights = {"mean_weight": recipe.mean_weight, "gap_weight": recipe.gap_weight}
        losses = [cross_entropy(logits, targets, gaps=gaps, **weights) for logits in stacks]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def _teach(
        self,
        crops: UInt8[Tensor, "batch size size 3"],
        points: Float[Tensor, "batch maps 2"],
        face: Bool[Tensor, "batch"],
    ) -> Teaching | None:
        """Teacher's heatmaps on the student's grid; zeros for crops in which they do not count."""
        if self.teacher is None:
            return None
        config, teacher_config, recipe = self.recipe.network, self.teacher.config, self.recipe
        wanted = face.clone()
        if not recipe.teacher_weight:
            wanted &= points.isnan().any(-1).any(-1)
        heatmaps = torch.zeros(*points.shape[:2], config.map_size, config.map_size, device=points.device)
        if wanted.any():
            images = _images(crops[wanted], teacher_config.input_size)
            with torch.autocast(points.device.type, torch.bfloat16):
                logits = self.teacher.log_heatmaps(images)
                if recipe.teacher_mirrored:
                    logits = mean_of_views(logits, self.teacher.log_heatmaps(images.flip(-1)))
            heatmaps[wanted] = regrid(logits, teacher_config.sigma, config.map_size, config.sigma)
        return Teaching(heatmaps, recipe.teacher_weight, recipe.fill_weight)

    def validate(self, net: LandmarkNet) -> dict[str, float]:
        """Errors in % on plain crops, by the graph that is exported; see `validation_errors`."""
        graph = LandmarkGraph(net).eval()
        of_sets = {name: self._predict(graph, crops) for name, crops in self.extra.items()}
        return validation_errors(self._predict(graph, self.held_out), of_sets)

    @torch.inference_mode()
    def _predict(self, graph: LandmarkGraph, crops: FaceCrops) -> tuple[FaceStack, FaceStack]:
        """Found and annotated points, px of the crops."""
        found, truth = [], []
        for i in range(len(crops)):
            crop, annotated, _ = crops[0, i]
            points = graph(torch.from_numpy(crop)[None].to(self.fabric.device))[0]
            found.append(points[0].cpu().numpy())
            truth.append(annotated)
        return np.array(found, float), np.array(truth, float)


def validation_errors(
    of_300w: tuple[FaceStack, FaceStack], of_sets: Mapping[str, tuple[FaceStack, FaceStack]]
) -> dict[str, float]:
    """Compute the errors on faces held out, in %.

    Args:
        of_300w: found and annotated points of 300-W, px of the crops.
        of_sets: the same of each extra set, by name.

    Returns:
        `nrmse` and `openness` (mean error of the eyes' openness) of 300-W and, with extra sets, the error of
        each (`datasets.extra.set_error`) and `all`, the mean of `nrmse` and of the sets' mean.
    """
    points, truth = of_300w
    nrmse = float(metrics.nrmse_interocular(points, truth).mean())
    openness = 100 * float(np.abs(eye_openness(points) - eye_openness(truth)).mean())
    errors = {name: set_error(name, *pair) for name, pair in of_sets.items()}
    overall = {"all": (nrmse + float(np.mean(list(errors.values())))) / 2} if errors else {}
    return {**overall, "nrmse": nrmse, "openness": openness, **errors}


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
    """Build the network and read the faces under `data`; arguments and errors as of `train`."""
    net = build_network(recipe.network)  # before the data, so that a wrong file fails at once
    if start is not None:
        start_from(net, start)
    elif isinstance(net, CompactNet):
        net.load_encoder(imagenet_weights(net.config.encoder))
    teacher_net = _load_teacher(teacher) if teacher is not None else None
    size = recipe.network.input_size
    crop_size = size if teacher_net is None else max(size, teacher_net.config.input_size)

    def leave_out(error: DataError) -> None:
        report(f"left out: {error}")

    on_bad = leave_out if skip_bad else None
    faces, held_out = _load_faces(recipe, crop_size, data, extra, on_bad, report)
    sets = _find_extra(recipe, teacher_net, data / "extra", fabric, on_bad, report)
    parts: list[tuple[Samples[tuple[Crop, Points, bool]], int]] = [(faces, len(faces))]
    held_out_of_sets: dict[str, FaceCrops] = {}
    # An epoch shows each face of 300-W once, and of the other parts what makes up their shares.
    share_of_300w = 1 - sum(recipe.extra_shares[part] for part in sets) - recipe.turned_share
    for part, samples in sets.items():
        training, validation = split(data / "extra" / part, samples, HELD_OUT_ONE_IN)
        crops = FaceCrops(training, crop_size, recipe.augmentation, seed=recipe.seed, on_bad=on_bad)
        count = round(len(faces) * recipe.extra_shares[part] / share_of_300w)
        parts.append((crops, count))
        held_out_of_sets[part] = FaceCrops(validation, size, on_bad=on_bad)
        report(f"{part}: {len(training)} faces to train on, {count} an epoch; {len(validation)} held out")
    if recipe.turned_share:
        count = round(len(faces) * recipe.turned_share / share_of_300w)
        parts.append((_turned(recipe, crop_size, faces, data / "extra"), count))
        report(f"turned faces: {count} an epoch")
    crops_of_all = MixedSamples(parts, recipe.seed) if len(parts) > 1 else faces
    return LandmarkTask(recipe, fabric, net, teacher_net, crops_of_all, held_out, held_out_of_sets)


def _find_extra(
    recipe: Recipe,
    teacher: LandmarkNet | None,
    root: Path,
    fabric: Fabric,
    on_bad: Callable[[DataError], object] | None,
    report: Report,
) -> dict[str, list[ExtraSample]]:
    """Find the extra sets that the recipe uses; those that are missing are reported and left out."""
    found = {part: find_extra(root, part) for part in recipe.extra_shares}
    if found:
        counts = ", ".join(f"{part} {len(samples) or 'missing'}" for part, samples in found.items())
        report(f"extra: {counts}")
    sets = {part: samples for part, samples in found.items() if samples}
    without_points = sets.pop("closed_eyes", None)
    if without_points is not None and teacher is not None:
        graph = LandmarkGraph(teacher.to(fabric.device)).eval()
        sets["closed_eyes"] = close_lids(without_points, graph, fabric.device, on_bad)
    elif without_points is not None:
        report("closed_eyes: left out; it needs a teacher for the position of the lids")
    return sets


def _turned(recipe: Recipe, size: int, crops: FaceCrops, root: Path) -> TurnedCrops:
    """Crops of the faces of 300-W, turned by the head model under `root`."""
    model = HeadModel.load(root / HEAD_MODEL)
    return TurnedCrops(crops.faces, model, size, recipe.turns, recipe.augmentation, recipe.seed)


def _load_teacher(path: str | Path) -> LandmarkNet:
    teacher = load_network(path)
    if isinstance(teacher, FinderNet):
        raise ConfigError(f"{path}: a teacher must be a landmark network, not a finder")
    return teacher


def _images(crops: UInt8[Tensor, "batch size size 3"], size: int) -> Float[Tensor, "batch 3 to to"]:
    """Crops as float images, resized to a network's input size."""
    images = crops.permute(0, 3, 1, 2).float()
    if images.shape[-1] == size:
        return images
    coarse = images.shape[-1] >= 2 * size  # like `crop_region`, which averages blocks from there on
    return nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=coarse)


def _load_faces(
    recipe: Recipe,
    crop_size: int,
    data: Path,
    extra: str | Path | None,
    on_bad: Callable[[DataError], object] | None,
    report: Report,
) -> tuple[FaceCrops, FaceCrops]:
    """Load faces of 300-W to learn from, as crops of `crop_size` px, and faces for validation."""
    samples = find_samples(data / "300w", TRAIN_PARTS)
    counts = count_parts(samples, TRAIN_PARTS)
    report("300-W: " + ", ".join(f"{part} {count or 'missing'}" for part, count in counts.items()))
    training, validation = split(data / "300w", samples)
    if extra is not None:
        more = find_folder(extra)
        report(f"{extra}: {len(more)} more faces")
        training += more
    backgrounds = load_backgrounds(data / "faces", on_bad) if recipe.background_share else []
    share, seed = recipe.background_share, recipe.seed
    faces = FaceCrops(training, crop_size, recipe.augmentation, backgrounds, share, seed, on_bad)
    held_out = FaceCrops(validation, recipe.network.input_size, on_bad=on_bad)
    report(f"{len(faces)} faces to train on, {len(held_out)} held out")
    return faces, held_out
