"""Train a landmark network: `steadyface train RECIPE --data DIR --out DIR`.

The network learns log-heatmaps: softmax over the map's cells and cross-entropy against the normalised
Gaussian of `heatmap.encode`, plus the distance of the softmax's mean from the true point. Weights are
averaged (EMA); every epoch ends with a validation and a checkpoint, so a killed run loses one at most.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from steadyface import heatmap, metrics
from steadyface.datasets.augmentation import Augmentation
from steadyface.datasets.crops import FaceCrops, load_backgrounds
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_folder, find_samples, hold_out
from steadyface.errors import ConfigError, WeightsError
from steadyface.geometry import change_grid
from steadyface.nets.compact import CompactConfig, CompactNet


@dataclass(frozen=True)
class Recipe:
    """All numbers of a training run.

    Args:
        network: of the network to be trained.
        epochs: passes over the training faces.
        batch_size: crops per step.
        learning_rate: peak of the one-cycle schedule (AdamW).
        weight_decay: of AdamW.
        mean_weight: weight of the softmax mean's distance, per cell, beside the cross-entropy.
        ema: decay of the weights' running mean per step.
        background_share: share of crops without a face, whose heatmaps have to be flat.
        augmentation: how crops vary.
        seed: of everything random.
    """

    network: CompactConfig = CompactConfig()
    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    mean_weight: float = 0.25
    ema: float = 0.995
    background_share: float = 0.04
    augmentation: Augmentation = Augmentation()
    seed: int = 0


RECIPES = {
    "compact-128": Recipe(),
    "compact": Recipe(
        network=CompactConfig(input_size=192, sigma=1.0),
        learning_rate=1.2e-3,
        augmentation=Augmentation(scale=0.12, roll=12.0, camera=0.2, occlusion=0.2),
    ),
    "smoke": Recipe(network=CompactConfig(input_size=64), epochs=1, batch_size=4),
}
"""By name: `compact` starts from the weights of `compact-128`; `smoke` only shows that training works."""

Report = Callable[[str], None]


def train(
    recipe: Recipe,
    data: str | Path,
    out: str | Path,
    *,
    start: str | Path | None = None,
    extra: str | Path | None = None,
    resume: bool = False,
    report: Report = print,
) -> Path:
    """Train a network on the 300-W training parts under `data`/300w and return the best weights' file.

    Args:
        recipe: the run's numbers.
        data: folder with `300w` and, for crops of no face, `faces`.
        out: folder for `last.pt` (to resume), `best.safetensors` and `log.csv`.
        start: a `.safetensors` file to start from; otherwise the encoder starts from ImageNet.
        extra: a folder of more training images with `.pts`, such as pseudo-labels.
        resume: go on from `out`/last.pt, exactly as if the run had not stopped.
        report: is given one line per epoch.

    Raises:
        DataError: no training faces.
        ConfigError: `out` holds a run already and `resume` is false, or the other way round.
    """
    out = Path(out)
    last = out / "last.pt"
    if last.exists() != resume:
        raise ConfigError(
            f"{last} {'exists: resume it or name another folder' if not resume else 'is missing'}"
        )
    out.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(accelerator="auto", devices=1, precision="bf16-mixed")
    torch.manual_seed(recipe.seed)
    training, validation = _load_faces(recipe, Path(data), extra)
    net = CompactNet(recipe.network)
    if start is None:
        net.load_imagenet()
    else:
        load_into(net, start)
    run = _Run(recipe, fabric, net, steps_per_epoch=len(training) // recipe.batch_size)
    first, best = run.load(last) if resume else (0, math.inf)
    for epoch in range(first, recipe.epochs):
        began = time.monotonic()
        loss = run.train_epoch(_batches(training, recipe, epoch))
        error = run.validate(validation)
        if error < best:
            best = error
            save_weights(run.average.module, out / "best.safetensors")
        run.save(last, epoch + 1, best)
        _log(out / "log.csv", epoch, loss=loss, validation_nrmse=error, seconds=time.monotonic() - began)
        left = (recipe.epochs - epoch - 1) * (time.monotonic() - began) / 60
        progress = f"epoch {epoch + 1}/{recipe.epochs}"
        report(f"{progress}  loss {loss:.3f}  validation {error:.3f} %  {left:.0f} min left")
    return out / "best.safetensors"


def heatmap_loss(
    logits: Float[Tensor, "batch maps h w"],
    points: Float[Tensor, "batch maps 2"],
    sigma: float,
    mean_weight: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of softmax(logits) against the normalised Gaussian, plus the mean's distance.

    Equation: -Σ_c t(c)·log s(c) + w·‖Σ_c s(c)·c - p‖₁, averaged over maps; t is flat where a point is NaN (no
    face), and a point outside the map counts for nothing.

    Args:
        logits: of the network.
        points: px of the heatmap.
        sigma: width of the Gaussian, px of the heatmap.
        mean_weight: w.
    """
    height, width = logits.shape[-2:]
    logs = logits.float().flatten(2).log_softmax(-1)
    absent = points.isnan().any(-1)
    drawn = heatmap.encode(points.nan_to_num(), (height, width), sigma).flatten(2)
    mass = drawn.sum(-1, keepdim=True)
    inside = mass[..., 0] > 1e-3
    target = torch.where(absent[..., None], 1.0 / (height * width), drawn / mass.clamp_min(1e-3))
    entropy = -(target * logs).sum(-1)
    share = logs.exp().unflatten(-1, (height, width))
    rows, columns = (torch.arange(n, dtype=share.dtype, device=share.device) for n in (height, width))
    mean = torch.stack([(share.sum(-2) * columns).sum(-1), (share.sum(-1) * rows).sum(-1)], dim=-1)
    distance = (mean - points.nan_to_num()).abs().sum(-1)
    counted = (absent | inside).float()
    return ((entropy + mean_weight * distance * ~absent) * counted).mean()


def save_weights(net: CompactNet, path: str | Path) -> None:
    """Write a network's configuration and weights (matrices in float16) as one `.safetensors` file."""
    metadata = {"kind": "steadyface.compact", "config": json.dumps(net.config.as_dict())}
    state = {key: value.half() if value.ndim > 1 else value for key, value in net.state_dict().items()}
    save_file({key: value.contiguous() for key, value in state.items()}, path, metadata)


def load_network(path: str | Path) -> CompactNet:
    """Rebuild the network that `save_weights` wrote, in evaluation mode.

    Raises:
        WeightsError: not such a file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: {error}") from error
    if metadata.get("kind") != "steadyface.compact":
        raise WeightsError(f"{path}: kind {metadata.get('kind')!r}, expected 'steadyface.compact'")
    net = CompactNet(CompactConfig.from_dict(json.loads(metadata["config"])))
    net.load_state_dict(load_file(path))
    return net.eval()


def load_into(net: CompactNet, path: str | Path) -> None:
    """Copy a file's weights into a network of the same widths; its input size and number of blocks may differ.

    Raises:
        WeightsError: the file's network has other widths.
    """
    try:
        kept = net.load_state_dict(load_network(path).state_dict(), strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{path}: {error}") from error
    other = [*kept.unexpected_keys, *(key for key in kept.missing_keys if "refine" not in key)]
    if other:
        raise WeightsError(f"{path}: not the weights of such a network: {other[0]}")


class _Run:
    """The state of a training run: network, its average, optimiser, schedule."""

    def __init__(self, recipe: Recipe, fabric: Fabric, net: CompactNet, steps_per_epoch: int) -> None:
        self.recipe, self.fabric = recipe, fabric
        self.average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True).to(
            fabric.device
        )
        decayed = [p for p in net.parameters() if p.ndim > 1]
        plain = [p for p in net.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
        )
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net, self.optimizer = fabric.setup(net, optimizer)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps_per_epoch + 1, pct_start=0.1
        )

    def train_epoch(self, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
        self.net.train()
        total = count = 0.0
        for crops, points in batches:
            images = self._images(crops)
            points = points.to(self.fabric.device)
            logits = self.net(images)
            points_map = change_grid(points, logits.shape[-1] / images.shape[-1])
            loss = heatmap_loss(logits, points_map, self.recipe.network.sigma, self.recipe.mean_weight)
            self.optimizer.zero_grad()
            self.fabric.backward(loss)
            self.fabric.clip_gradients(self.net, self.optimizer, max_norm=5.0)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.net.module)
            total, count = total + float(loss.detach()), count + 1
        return total / count

    @torch.inference_mode()
    def validate(self, faces: FaceCrops) -> float:
        """NRMSE in % of the averaged network on plain crops."""
        self.average.eval()
        errors = []
        for i in range(len(faces)):
            crop, truth = faces[0, i]
            logits = self.average(self._images(torch.from_numpy(crop)[None]))
            read = heatmap.decode_logits(logits, sigma=self.recipe.network.sigma)
            points = change_grid(read.points[0].cpu().numpy(), faces.size / logits.shape[-1])
            errors.append(metrics.nrmse_interocular(points, truth))
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

    def _images(self, crops: UInt8[Tensor, "batch size size 3"]) -> Float[Tensor, "batch 3 size size"]:
        return crops.to(self.fabric.device).permute(0, 3, 1, 2).float()


class _Epoch(Sampler[tuple[int, int]]):
    """The shuffled keys (epoch, i) of one epoch, the same whenever asked."""

    def __init__(self, count: int, epoch: int, seed: int) -> None:
        self.count, self.epoch, self.seed = count, epoch, seed

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        return iter([(self.epoch, int(i)) for i in order])


def _batches(faces: FaceCrops, recipe: Recipe, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    sampler = _Epoch(len(faces), epoch, recipe.seed)
    loader: DataLoader = DataLoader(
        faces,  # type: ignore[arg-type]
        recipe.batch_size,
        sampler=sampler,
        num_workers=1,
        drop_last=True,
        prefetch_factor=4,
    )
    return iter(loader)


def _load_faces(recipe: Recipe, data: Path, extra: str | Path | None) -> tuple[FaceCrops, FaceCrops]:
    training, validation = hold_out(find_samples(data / "300w", TRAIN_PARTS))
    if extra is not None:
        training += find_folder(extra)
    backgrounds = load_backgrounds(data / "faces") if recipe.background_share else []
    size = recipe.network.input_size
    faces = FaceCrops(training, size, recipe.augmentation, backgrounds, recipe.background_share, recipe.seed)
    return faces, FaceCrops(validation, size)


def _log(path: Path, epoch: int, **values: float) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["epoch", *values])
        writer.writerow([epoch + 1, *(f"{value:.5g}" for value in values.values())])


__all__ = ["RECIPES", "Recipe", "heatmap_loss", "load_network", "save_weights", "train"]
