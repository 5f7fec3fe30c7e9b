"""Train a landmark network: `steadyface train RECIPE --data DIR --out DIR`.

Two ways to teach: log-heatmaps by softmax and cross-entropy against the normalised Gaussian, or heatmaps by
their squared error, as the paper does; the network's configuration says which. Weights are averaged (EMA);
every epoch ends with a validation and a checkpoint, so a killed run loses one at most.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from steadyface import metrics
from steadyface.checkpoint import load_network, save_network, start_from
from steadyface.datasets.augmentation import Augmentation
from steadyface.datasets.crops import FaceCrops, load_backgrounds
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, count_parts, find_folder, find_samples, hold_out
from steadyface.errors import ConfigError, DataError
from steadyface.geometry import change_grid
from steadyface.nets import LandmarkConfig, LandmarkNet, build_network
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.graph import LandmarkGraph
from steadyface.nets.hourglass import HourglassConfig
from steadyface.nets.loss import cross_entropy, regrid, squared_error

OPTIMIZERS = ("adamw", "rmsprop")
SCHEDULES = ("one-cycle", "cosine", "constant")


@dataclass(frozen=True)
class Recipe:
    """All numbers of a training run.

    Args:
        network: of the network to be trained; its `output` chooses the loss.
        epochs: passes over the training faces.
        batch_size: crops per step and device.
        optimizer: one of `OPTIMIZERS`.
        schedule: of the learning rate, one of `SCHEDULES`.
        learning_rate: at its peak.
        weight_decay: of AdamW, on matrices.
        mean_weight: weight of the softmax mean's distance, per cell, beside the cross-entropy.
        rounded: draw the heatmaps at rounded points, as conventional heatmap regression (CHR) does.
        teacher_weight: share of the teacher's heatmap in the target, if there is a teacher.
        ema: decay of the weights' running mean per step; 0 keeps the last weights.
        background_share: share of crops without a face, whose heatmaps have to be flat.
        augmentation: how crops vary.
        seed: of everything random.
    """

    network: LandmarkConfig = field(default_factory=CompactConfig)
    epochs: int = 30
    batch_size: int = 32
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    mean_weight: float = 0.25
    rounded: bool = False
    teacher_weight: float = 0.5
    ema: float = 0.995
    background_share: float = 0.04
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError.choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.schedule not in SCHEDULES:
            raise ConfigError.choice("schedule", self.schedule, SCHEDULES)


_MILD = Augmentation(scale=0.12, roll=12.0, camera=0.2, occlusion=0.2)
_AUTHORS = Augmentation(
    scale=0.12, shift=0.0, roll=10.0, camera=0.0, occlusion=0.0, level=0.6, clip=2.0, reflect=0.0
)

RECIPES = {
    "compact": Recipe(
        network=CompactConfig(input_size=224, sigma=1.0, blocks=(0, 2, 2, 1)),
        epochs=20,
        learning_rate=8e-4,
        augmentation=_MILD,
    ),
    "tiny": Recipe(
        network=CompactConfig(input_size=128, sigma=0.75, blocks=(0, 1, 1, 1)),
        epochs=14,
        learning_rate=1e-3,
        augmentation=_MILD,
    ),
    "paper": Recipe(
        network=HourglassConfig(unit="wide"),
        epochs=300,
        batch_size=6,
        optimizer="rmsprop",
        schedule="constant",
        learning_rate=2.5e-4,
        ema=0.0,
        background_share=0.0,
        augmentation=_AUTHORS,
    ),
    "smoke": Recipe(network=CompactConfig(input_size=64), epochs=1, batch_size=4),
}
"""By name. `compact` and `tiny` are bundled; `paper` is the hourglass of Tai et al. 2019 as they trained it;
`smoke` only shows that training works."""

Report = Callable[[str], None]


def train(
    recipe: Recipe,
    data: str | Path,
    out: str | Path,
    *,
    start: str | Path | None = None,
    teacher: str | Path | None = None,
    extra: str | Path | None = None,
    skip_bad: bool = False,
    resume: bool = False,
    devices: int = 1,
    report: Report = print,
) -> Path:
    """Train a network on the 300-W training parts under `data`/300w and return the best weights' file.

    Args:
        recipe: the run's numbers.
        data: folder with `300w` and, for crops of no face, `faces`.
        out: folder for `last.pt` (to resume), `best.safetensors` and `log.csv`.
        start: a `.safetensors` file to start from; else a compact network's encoder starts from ImageNet.
        teacher: a `.safetensors` file of a network whose heatmaps are to be imitated too (distillation).
        extra: a folder of more training images with `.pts`, such as pseudo-labels.
        skip_bad: name bad annotations and images and leave them out; otherwise the first one ends the run.
        resume: go on from `out`/last.pt, exactly as if the run had not stopped.
        devices: GPUs to share the work (DDP), or processes where there is no GPU.
        report: is given the data found, what was left out, and one line per epoch.

    Raises:
        DataError: no training faces, or a bad one.
        ConfigError: `out` holds a run already and `resume` is false, or the other way round; a teacher for a
            network that is taught by squared error.
    """
    out = Path(out)
    last = out / "last.pt"
    if last.exists() != resume:
        raise ConfigError(
            f"{last} {'exists: resume it or name another folder' if not resume else 'is missing'}"
        )
    if teacher is not None and recipe.network.output != "logits":
        raise ConfigError(f"a teacher's heatmaps can be imitated by logits only, not {recipe.network.output}")
    out.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(accelerator="auto", devices=devices, precision="bf16-mixed")
    fabric.launch()
    report = report if fabric.is_global_zero else _silent
    torch.manual_seed(recipe.seed)
    guide = load_network(teacher) if teacher is not None else None
    training, validation = _load_faces(recipe, guide, Path(data), extra, skip_bad, report)
    net = build_network(recipe.network)
    if start is not None:
        start_from(net, start)
    elif isinstance(net, CompactNet):
        net.load_imagenet()
    run = _Run(recipe, fabric, net, guide, len(_batches(training, recipe, fabric, 0)))
    first, best = run.load(last) if resume else (0, math.inf)
    for epoch in range(first, recipe.epochs):
        began = time.monotonic()
        loss = run.train_epoch(_batches(training, recipe, fabric, epoch))
        if fabric.is_global_zero:
            error = run.validate(validation)
            if error < best:
                best = error
                save_network(run.average.module, out / "best.safetensors")
            run.save(last, epoch + 1, best)
            seconds = time.monotonic() - began
            _log(out / "log.csv", epoch, loss=loss, validation_nrmse=error, seconds=seconds)
            left = (recipe.epochs - epoch - 1) * seconds / 60
            progress = f"epoch {epoch + 1}/{recipe.epochs}"
            report(f"{progress}  loss {loss:.4g}  validation {error:.3f} %  {left:.0f} min left")
        fabric.barrier()
    return out / "best.safetensors"


class _Run:
    """The state of a training run: network, its average, optimiser, schedule."""

    def __init__(
        self, recipe: Recipe, fabric: Fabric, net: LandmarkNet, teacher: LandmarkNet | None, steps: int
    ) -> None:
        self.recipe, self.fabric = recipe, fabric
        mean = get_ema_multi_avg_fn(recipe.ema)
        self.average = AveragedModel(net, multi_avg_fn=mean, use_buffers=True).to(fabric.device)
        self.teacher = None if teacher is None else teacher.to(fabric.device).eval()
        optimizer = _optimizer(recipe, net)
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net, self.optimizer = fabric.setup(net, optimizer)
        self.schedule = _schedule(recipe, optimizer, steps)

    def train_epoch(self, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        self.net.train()
        total = count = 0.0
        for crops, points in batches:
            loss = self._loss(crops, points)
            self.optimizer.zero_grad()
            self.fabric.backward(loss)
            self.fabric.clip_gradients(self.net, self.optimizer, max_norm=5.0)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.net.module)
            total, count = total + float(loss.detach()), count + 1
        return total / count

    def _loss(self, crops: UInt8[Tensor, "batch size size 3"], points: Tensor) -> Float[Tensor, ""]:
        """The loss of a batch, summed over the network's stacks."""
        recipe, config = self.recipe, self.recipe.network
        outputs = self.net(_images(crops, config.input_size))
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
    def validate(self, faces: FaceCrops) -> float:
        """NRMSE in % of the averaged network on plain crops, through the graph that is exported."""
        graph = LandmarkGraph(self.average.module).eval()
        errors = []
        for i in range(len(faces)):
            crop, truth = faces[0, i]
            points = graph(torch.from_numpy(crop)[None].to(self.fabric.device))[0]
            errors.append(metrics.nrmse_interocular(points[0].cpu().numpy(), truth))
        return float(np.mean(errors))

    def save(self, path: Path, epoch: int, best: float) -> None:
        """Write everything needed to go on; the old file stays until the new one is whole."""
        state = {
            "recipe": asdict(self.recipe),
            "epoch": epoch,
            "best": best,
            "net": self.net.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> tuple[int, float]:
        """Read `save`'s file; returns the next epoch and the best validation so far."""
        state = torch.load(path, map_location=self.fabric.device, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise ConfigError(f"{path} was written by another recipe: {state['recipe']}")
        self.net.module.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        return int(state["epoch"]), float(state["best"])


def _optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), lr=recipe.learning_rate, alpha=0.99)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> LRScheduler:
    steps = recipe.epochs * steps_per_epoch + 1
    if recipe.schedule == "one-cycle":
        return OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.1)
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def _images(crops: UInt8[Tensor, "batch size size 3"], size: int) -> Float[Tensor, "batch 3 to to"]:
    """Crops as a network of another input size would have been given them."""
    images = crops.permute(0, 3, 1, 2).float()
    if images.shape[-1] == size:
        return images
    coarse = images.shape[-1] >= 2 * size  # like `crop_region`, which averages blocks from there on
    return nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=coarse)


class _Epoch(Sampler[tuple[int, int]]):
    """The shuffled keys (epoch, i) of one epoch, the same whenever asked."""

    def __init__(self, count: int, epoch: int, seed: int) -> None:
        self.count, self.epoch, self.seed = count, epoch, seed

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterable[tuple[int, int]]:  # type: ignore[override]
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        return iter([(self.epoch, int(i)) for i in order])


def _batches(faces: FaceCrops, recipe: Recipe, fabric: Fabric, epoch: int) -> Any:
    """The (crops, points) of one epoch in this process: sized and iterable, like a DataLoader."""
    loader: DataLoader = DataLoader(
        faces,  # type: ignore[arg-type]
        recipe.batch_size,
        sampler=_Epoch(len(faces), epoch, recipe.seed),
        num_workers=max(1, min(8, (os.cpu_count() or 2) - 1)),
        drop_last=True,
        prefetch_factor=4,
    )
    return fabric.setup_dataloaders(loader)


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


def _log(path: Path, epoch: int, **values: float) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["epoch", *values])
        writer.writerow([epoch + 1, *(f"{value:.5g}" for value in values.values())])


def _silent(line: str) -> None:
    """What processes other than the first report."""


__all__ = ["OPTIMIZERS", "RECIPES", "SCHEDULES", "Recipe", "train"]
