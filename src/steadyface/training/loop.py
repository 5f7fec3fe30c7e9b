"""The loop of every training run: steps, the weights' running mean, validation, checkpoint, log."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from steadyface.checkpoint import Network, save_network
from steadyface.errors import ConfigError
from steadyface.files import atomic_write, make_folder, reading, writing
from steadyface.training.recipes import BaseRecipe

Report = Callable[[str], None]


@runtime_checkable
class Task(Protocol):
    """Task of a training run: network, samples, loss and validation.

    Attributes:
        measure: name of the error by which the best epoch is chosen, one that `validate` returns.
        net: the network to be trained.
    """

    measure: str
    net: Any

    @property
    def samples(self) -> Sized:
        """Training samples; sample (epoch, i) is a tuple of arrays, always the same."""

    def loss(self, net: nn.Module, batch: Sequence[Tensor]) -> Float[Tensor, ""]:
        """Loss of a batch of samples; `net` is `self.net` as Fabric wraps it."""

    def validate(self, net: Network) -> dict[str, float]:
        """Errors of the averaged network on held-out samples, by name, in %."""


def run(
    recipe: BaseRecipe,
    prepare: Callable[[Fabric, Report], Task],
    out: Path,
    *,
    resume: bool,
    devices: int,
    report: Report,
) -> Path:
    """Train a task's network and return the best weights' file.

    Args:
        recipe: the run's numbers.
        prepare: reads the data and builds the network; called after all randomness is seeded.
        out: folder for `last.pt` (to resume), `best.safetensors` and `log.csv`.
        resume: go on from `out`/last.pt, exactly as if the run had not stopped.
        devices: GPUs to share the work (DDP), or processes where there is no GPU.
        report: gets one line per epoch, and those of `prepare`.

    Raises:
        ConfigError: `out` holds a run already and `resume` is false, or the other way round; that run had
            another recipe or another number of samples; fewer samples than a batch.
    """
    last = out / "last.pt"
    if last.exists() != resume:
        raise ConfigError(
            f"{last} {'exists: resume it or name another folder' if not resume else 'is missing'}"
        )
    make_folder(out)
    fabric = Fabric(accelerator="auto", devices=devices, precision=_precision())
    fabric.launch()
    report = report if fabric.is_global_zero else _silent
    torch.manual_seed(recipe.seed)
    task = prepare(fabric, report)
    steps = len(_batches(task.samples, recipe, fabric, 0))
    if not steps:
        raise ConfigError(f"batch_size {recipe.batch_size} is more than the {len(task.samples)} samples")
    state = _Run(recipe, fabric, task, steps)
    best_weights = out / "best.safetensors"
    first, best = state.load(last) if resume else (0, math.inf)
    for epoch in range(first, recipe.epochs):
        began = time.monotonic()
        loss = state.train_epoch(_batches(task.samples, recipe, fabric, epoch))
        if fabric.is_global_zero:
            errors = task.validate(state.average.module)
            error = errors.pop(task.measure)
            if error < best or not best_weights.exists():  # also if the first error is not a number
                best = min(best, error)
                save_network(state.average.module, best_weights)
            state.save(last, epoch + 1, best)
            seconds = time.monotonic() - began
            others = {f"validation_{name}": value for name, value in errors.items()}
            values = {"loss": loss, f"validation_{task.measure}": error, **others, "seconds": seconds}
            _log(out / "log.csv", epoch, values)
            left = (recipe.epochs - epoch - 1) * seconds / 60
            progress = f"epoch {epoch + 1}/{recipe.epochs}"
            listed = "".join(f"  {name} {value:.3f} %" for name, value in errors.items())
            report(f"{progress}  loss {loss:.4g}  validation {error:.3f} %{listed}  {left:.0f} min left")
        fabric.barrier()
    return best_weights


def _precision() -> Literal["bf16-mixed", "32-true"]:
    """Half precision on GPUs and on CPUs that multiply bfloat16."""
    fast = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if fast else "32-true"


class _Run:
    """The state of a training run: network, its average, optimiser, schedule."""

    def __init__(self, recipe: BaseRecipe, fabric: Fabric, task: Task, steps: int) -> None:
        self.recipe, self.fabric, self.task, self.steps = recipe, fabric, task, steps
        mean = get_ema_multi_avg_fn(recipe.ema)
        self.average = AveragedModel(task.net, multi_avg_fn=mean, use_buffers=True).to(fabric.device)
        optimizer = _optimizer(recipe, task.net)
        net = task.net.to(memory_format=torch.channels_last)
        self.net, self.optimizer = fabric.setup(net, optimizer)
        self.schedule = _schedule(recipe, optimizer, steps)

    def train_epoch(self, batches: Iterable[Sequence[Tensor]]) -> float:
        self.net.train()
        total = count = 0.0
        for batch in batches:
            loss = self.task.loss(self.net, batch)
            self.optimizer.zero_grad()
            self.fabric.backward(loss)
            self.fabric.clip_gradients(self.net, self.optimizer, max_norm=5.0)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.net.module)
            total, count = total + float(loss.detach()), count + 1
        return total / count

    def save(self, path: Path, epoch: int, best: float) -> None:
        """Write everything needed to go on; the old file stays until the new one is whole."""
        state = {
            "recipe": asdict(self.recipe),
            "epoch": epoch,
            "best": best,
            "steps": self.steps,
            "net": self.net.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        with atomic_write(path) as part, part.open("wb") as file:
            torch.save(state, file)

    def load(self, path: Path) -> tuple[int, float]:
        """Read the file of `save`; return the next epoch and the smallest validation error so far."""
        with reading(path, "the state of a training run"):
            state = torch.load(path, map_location=self.fabric.device, weights_only=True)
            recipe = state["recipe"]
        if recipe != asdict(self.recipe):
            raise ConfigError(f"{path} was written by another recipe: {recipe}")
        steps = state.get("steps", self.steps)  # older files lack it
        if steps != self.steps:
            raise ConfigError(
                f"{path} was written by a run on other data: {steps} steps an epoch, not {self.steps}"
            )
        with reading(path, "the state of this network's training run"):
            self.net.module.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            return int(state["epoch"]), float(state["best"])


def _optimizer(recipe: BaseRecipe, net: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), lr=recipe.learning_rate, alpha=0.99)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _schedule(recipe: BaseRecipe, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> LRScheduler:
    steps = recipe.epochs * steps_per_epoch + 1
    if recipe.schedule == "one-cycle":
        return OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.1)
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


class _Epoch(Sampler[tuple[int, int]]):
    """Shuffled keys (epoch, i) of one epoch, always in the same order."""

    def __init__(self, count: int, epoch: int, seed: int) -> None:
        self.count, self.epoch, self.seed = count, epoch, seed

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterable[tuple[int, int]]:  # type: ignore[override]
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        return iter([(self.epoch, int(i)) for i in order])


def _batches(samples: Sized, recipe: BaseRecipe, fabric: Fabric, epoch: int) -> Any:
    """The batches of one epoch in this process: sized and iterable, like a DataLoader."""
    loader: DataLoader = DataLoader(
        samples,  # type: ignore[arg-type]
        recipe.batch_size,
        sampler=_Epoch(len(samples), epoch, recipe.seed),
        num_workers=max(1, min(8, (os.cpu_count() or 2) - 1)),
        drop_last=True,
        prefetch_factor=4,
    )
    return fabric.setup_dataloaders(loader)


def _log(path: Path, epoch: int, values: dict[str, float]) -> None:
    new = not path.exists()
    with writing(path), path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["epoch", *values])
        writer.writerow([epoch + 1, *(f"{value:.5g}" for value in values.values())])


def _silent(line: str) -> None:
    """Report nothing, in processes other than the first."""
