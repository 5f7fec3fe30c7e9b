"""Train landmark networks on one GPU that holds all training faces in its memory, within a given time.

    python tools/gpu_training.py pack DATA PACK [--labels DIR]
    python tools/gpu_training.py train PACK OUT --recipes teacher --seconds 240 \
        --teacher checkpoints/compact.safetensors --teacher-weight 0
    python tools/gpu_training.py train PACK OUT --recipes compact tiny --teacher teacher.safetensors \
        --start compact=checkpoints/compact.safetensors tiny=checkpoints/tiny.safetensors --seconds 420

`pack` reads the photographs of 300-W and of the extra sets, splits them as `steadyface train` does, and turns
faces in three dimensions. `train` decodes them once, draws crops and their flaws on the GPU, and trains all
named recipes on the same crops, so that a teacher sees each crop once for all of them. The learning rate
follows the time that has passed: a run ends when its time is over, however fast the GPU is. A run that was
stopped goes on from OUT/state.pt.
"""

from __future__ import annotations

import argparse
import math
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from steadyface import markup
from steadyface.arrays import Frame
from steadyface.checkpoint import load_network, save_network, start_from
from steadyface.cli.terminal import complain
from steadyface.datasets.extra import HELD_OUT_ONE_IN, PARTS, find_extra
from steadyface.datasets.three_hundred_w import (
    TRAIN_PARTS,
    FaceSample,
    find_folder,
    find_samples,
    hold_out,
    load_each,
)
from steadyface.errors import ConfigError, DataError, SteadyfaceError
from steadyface.files import atomic_write, list_shown, make_folder, read_bytes, reading, write_bytes
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.nets import build_network
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.graph import LandmarkGraph
from steadyface.nets.imagenet import imagenet_weights
from steadyface.nets.loss import Teaching, cross_entropy, draw_targets, regrid
from steadyface.synthetic.heads.model import HeadModel
from steadyface.training.augmentation import Augmentation
from steadyface.training.closed_lids import close_lids
from steadyface.training.crops import load_backgrounds
from steadyface.training.landmarks import GAPS, validation_errors
from steadyface.training.recipes import RECIPES, Recipe
from steadyface.training.turned import HEAD_MODEL, Turns

ROOT = Path(__file__).parents[1]

SHARES = {
    "300w": 0.43,
    "labels": 0.08,
    "turned": 0.10,
    "profiles": 0.14,
    "closed_eyes": 0.08,
    "fgnet": 0.06,
    "aflw80": 0.06,
    "helen256": 0.03,
    "none": 0.02,
}
"""Fractions of a batch; `labels` are pseudo-labels, `none` are crops without a face."""

VARIED = Augmentation(scale=0.14, occlusion=0.35)
GENTLE = Augmentation(scale=0.12, roll=12.0, camera=0.2, occlusion=0.2)
EMA = 0.998
WARM_UP = 0.04  # of the time
GENTLE_FROM = 0.8  # of the time; from here on crops vary less
REPORT = 15.0  # seconds between two reports, and states from which a run can go on
HELD_OUT = "-held-out"  # ends the names of sets for validation
COMPACT = [name for name, recipe in RECIPES.items() if isinstance(recipe.network, CompactConfig)]


class Row(NamedTuple):
    """A packed face: encoded image, points (NaN where not annotated) and plain crop's centre and side, px."""

    image: bytes
    points: np.ndarray
    region: tuple[float, float, float]


# ---------------------------------------------------------------------------------------------- packing


def pack(data: Path, out: Path, labels: Path | None, turned: int) -> None:
    """Write one pickle of rows per set; `SET-held-out` holds what validates.

    Raises:
        DataError: no faces of 300-W or no head model, an image that cannot be read, or a file not written.
    """
    training, held_out = hold_out(find_samples(data / "300w", TRAIN_PARTS))
    model = HeadModel.load(data / "extra" / HEAD_MODEL) if turned else None  # before what takes minutes
    make_folder(out)
    teacher = LandmarkGraph(load_network(ROOT / "checkpoints" / "compact.safetensors")).eval()
    sets: dict[str, list[Row]] = {}
    sets["300w"], sets["300w" + HELD_OUT] = _rows(training), _rows(held_out)
    if labels is not None:
        sets["labels"] = _rows(find_folder(labels))
    for part in PARTS:
        samples = find_extra(data / "extra", part)
        if part == "closed_eyes":
            samples = close_lids(samples, teacher)
        parts = hold_out(samples, HELD_OUT_ONE_IN)
        sets[part], sets[part + HELD_OUT] = (_rows(some) for some in parts)
    sets["none"] = _without_faces(data / "faces", 800)
    if model is not None:
        sets["turned"] = _turned(training, model, turned)
    for name, rows in sets.items():
        print(f"{name}: {len(rows)} faces, {sum(len(row.image) for row in rows) / 1e6:.1f} MB", flush=True)
        write_bytes(out / f"{name}.pkl", pickle.dumps([tuple(row) for row in rows]))


def _rows(samples: Sequence[FaceSample]) -> list[Row]:
    rows = []
    for sample, _, points in load_each(samples):
        region = sample.region(points)
        path = sample.image_path  # type: ignore[attr-defined]
        rows.append(Row(read_bytes(path), points.astype(np.float32), (region.x, region.y, region.side)))
    return rows


def _encode(image: np.ndarray, quality: int) -> bytes:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _without_faces(folder: Path, count: int) -> list[Row]:
    rng, plain = np.random.default_rng(3), Augmentation(camera=0.0, occlusion=0.0)
    backgrounds, rows = load_backgrounds(folder), list[Row]()
    nowhere = np.full((markup.COUNT, 2), np.nan, np.float32)
    while len(rows) < count:
        crop = backgrounds[int(rng.integers(len(backgrounds)))].crop(224, plain, rng)
        if crop is not None:
            rows.append(Row(_encode(crop, 85), nowhere, (111.5, 111.5, 160.0)))
    return rows


def _turned(samples: Sequence[FaceSample], model: HeadModel, count: int, size: int = 200) -> list[Row]:
    """Turn faces in three dimensions; `size` is the side of their plain crops, px."""
    turns, rows = Turns(covered=0.15), list[Row]()
    faces = [(image, points) for _, image, points in load_each(samples)]
    order = np.random.default_rng(7).permutation(len(faces))
    for k in range(count):
        image, points = faces[order[k % len(faces)]]
        face = turns.turn_cut_out(image, points, size, model, np.random.default_rng((7, k)))
        region = Region.around_points(face.points)
        centre, half = np.array([region.x, region.y]), 0.5 * 1.45 * region.side
        low = np.clip(np.floor(centre - half), 0, None).astype(int)
        high = np.clip(np.ceil(centre + half), 0, face.image.shape[1::-1]).astype(int)
        cut = face.image[low[1] : high[1], low[0] : high[0]]
        known = np.where(face.hidden[:, None], np.nan, face.points) - low
        x, y = centre - low
        rows.append(Row(_encode(cut, 82), known.astype(np.float32), (x, y, region.side)))
    return rows


# ------------------------------------------------------------------------------------- crops on the GPU


def decode(row: Row) -> Frame:
    """Decode a packed face's image: RGB uint8."""
    image = cv2.imdecode(np.frombuffer(row.image, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[..., ::-1])


class Faces:
    """Images of a set on a device, drawn in one shuffled order after another."""

    def __init__(self, rows: Sequence[Row], device: torch.device, seed: int) -> None:
        with ThreadPoolExecutor(16) as pool:
            images = list(pool.map(decode, rows))
        height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
        whole = np.zeros((len(images), 3, height, width), np.uint8)
        for canvas, image in zip(whole, images, strict=True):
            canvas[:, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
        self.images = torch.from_numpy(whole).to(device)
        self.sizes = torch.tensor([image.shape[1::-1] for image in images], device=device).float()
        self.points = torch.from_numpy(np.stack([row.points for row in rows])).float().to(device)
        self.regions = torch.tensor([row.region for row in rows], device=device).float()
        self._rng, self._device, self._order = np.random.default_rng(seed), device, self._orders()

    def _orders(self) -> Iterator[int]:
        while True:
            yield from self._rng.permutation(len(self.images)).tolist()

    def draw(self, count: int) -> Tensor:
        """Rows of the next faces."""
        return torch.tensor([next(self._order) for _ in range(count)], device=self._device)


def crop_faces(
    faces: Faces, rows: Tensor, sizes: Sequence[int], variation: Augmentation | None
) -> tuple[list[Tensor], Tensor]:
    """Cut varied crops (B, 3, S, S) of each size S; points are in units of the crop's side, 0 to 1."""
    device, count = rows.device, len(rows)
    x, y, side = faces.regions[rows].T
    roll, flip, reflect = (torch.zeros(count, device=device) for _ in range(3))
    if variation is not None:
        normal = torch.randn(4, count, device=device).clamp(-3, 3)
        x, y = x + normal[0] * variation.shift * side, y + normal[1] * variation.shift * side
        side = side * 2 ** (normal[2] * variation.scale)
        roll = normal[3] * math.radians(variation.roll)
        flip = (torch.rand(count, device=device) < variation.flip).float()
        reflect = (torch.rand(count, device=device) < variation.reflect).float()
    cos, sin = roll.cos(), roll.sin()
    last = faces.sizes[rows] - 1
    images = faces.images[rows].float()
    ends = torch.tensor([images.shape[-1] - 1, images.shape[-2] - 1], device=device)
    crops = []
    for size in sizes:
        u = (torch.arange(size, device=device) + 0.5) / size - 0.5
        across = torch.where(flip[:, None] > 0, -u, u) * side[:, None]  # (B, S)
        down = u * side[:, None]
        px = x[:, None, None] + cos[:, None, None] * across[:, None] - sin[:, None, None] * down[:, :, None]
        py = y[:, None, None] + sin[:, None, None] * across[:, None] + cos[:, None, None] * down[:, :, None]
        at = torch.stack([px, py], -1)
        limit = last[:, None, None]
        folded = limit - (at.abs() % (2 * limit) - limit).abs()
        outside = ((at < -0.5) | (at > limit + 0.5)).any(-1)
        crop = grid_sample(images, 2 * folded / ends - 1, mode="bilinear", align_corners=True)
        crops.append(crop.masked_fill((outside & (reflect[:, None, None] == 0))[:, None], 0.0))
    points = faces.points[rows] - torch.stack([x, y], -1)[:, None]
    turned = torch.stack(
        [
            cos[:, None] * points[..., 0] + sin[:, None] * points[..., 1],
            -sin[:, None] * points[..., 0] + cos[:, None] * points[..., 1],
        ],
        -1,
    )
    turned = turned / side[:, None, None] + 0.5
    mirrored = turned[:, torch.as_tensor(markup.FLIP, device=device)] * turned.new_tensor([-1.0, 1.0])
    mirrored = mirrored + turned.new_tensor([1.0, 0.0])
    return crops, torch.where(flip[:, None, None] > 0, mirrored, turned)


def add_flaws(views: list[Tensor], camera: float, occlusion: float, rng: np.random.Generator) -> list[Tensor]:
    """Give the same random flaws of a worse camera, and patches, to all views of each crop."""
    count, device = len(views[0]), views[0].device

    def some(probability: float) -> Tensor:
        return torch.from_numpy(np.flatnonzero(rng.random(count) < probability)).to(device)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, *shape))).float().to(device)

    views = _patches(views, some(occlusion), uniform)
    for _ in range(2):  # with different strengths
        rows, share = some(camera / 2), rng.uniform(0.25, 0.8)
        views = [_change(view, rows, partial(_low_resolution, share=share)) for view in views]
        rows, width = some(camera / 4), rng.uniform(0.3, 1.5)
        views = [_change(view, rows, partial(_gaussian, width=width)) for view in views]
        rows, length, angle = some(camera / 4), rng.uniform(0.01, 0.035), rng.uniform(0, 180)
        views = [_change(view, rows, partial(_motion, length=length, angle=angle)) for view in views]
    lit = torch.zeros(count, 1, 1, 1, device=device)
    lit[some(camera)] = 1
    gain = (uniform(0.5, 1.5, 1) * uniform(0.85, 1.15, 3))[..., None, None]
    power, lift = uniform(0.6, 1.7, 1, 1, 1), uniform(-25, 25, 1, 1, 1)
    grey = uniform(0.4, 1.0, 1, 1, 1)
    pale = torch.zeros(count, 1, 1, 1, device=device)
    pale[some(camera)] = 1
    noisy = torch.zeros(count, 1, 1, 1, device=device)
    noisy[some(camera)] = 1
    noise = uniform(2, 14, 1, 1, 1) * noisy
    luma = torch.tensor([0.299, 0.587, 0.114], device=device)[:, None, None]
    rows, quality = some(camera), uniform(15, 70)
    changed = []
    for view in views:
        curve = 255 * gain * (view.clamp(0, 255) / 255 + 1e-6) ** power + lift
        view = torch.lerp(view, curve, lit).clamp(0, 255)
        view = torch.lerp(view, (view * luma).sum(1, keepdim=True).expand_as(view), grey * pale)
        view = view + torch.randn_like(view) * noise
        changed.append(_change(view, rows, partial(_jpeg, quality=quality[rows])).clamp(0, 255).round())
    return changed


def _change(view: Tensor, rows: Tensor, flaw: Callable[[Tensor], Tensor]) -> Tensor:
    if len(rows):
        view = view.index_copy(0, rows, flaw(view[rows]))
    return view


def _patches(views: list[Tensor], rows: Tensor, uniform: Callable[..., Tensor]) -> list[Tensor]:
    """Rectangles and ellipses of a colour, of noise, or of another crop."""
    size, place = uniform(0.1, 0.45, 2), uniform(0, 1, 2)
    low = place * (1 - size)
    kind, colour, round_ = uniform(0, 1), uniform(0, 255, 3), uniform(0, 1)
    chosen = torch.zeros(len(kind), device=kind.device, dtype=torch.bool)
    chosen[rows] = True
    changed = []
    for view in views:
        at = (torch.arange(view.shape[-1], device=view.device) + 0.5) / view.shape[-1]
        x = (at[None] - low[:, :1]) / size[:, :1] * 2 - 1
        y = (at[None] - low[:, 1:]) / size[:, 1:] * 2 - 1
        box = (x.abs() < 1)[:, None] & (y.abs() < 1)[:, :, None]
        ellipse = x.square()[:, None] + y.square()[:, :, None] < 1
        inside = torch.where(round_[:, None, None] < 0.4, ellipse, box) & chosen[:, None, None]
        fill = colour[..., None, None].expand_as(view)
        fill = torch.where(kind[:, None, None, None] < 0.3, torch.rand_like(view) * 255, fill)
        fill = torch.where(kind[:, None, None, None] > 0.65, view.roll(1, 0), fill)
        changed.append(torch.where(inside[:, None], fill, view))
    return changed


def _low_resolution(view: Tensor, share: float) -> Tensor:
    size, small = view.shape[-1], max(8, int(view.shape[-1] * share))
    down = interpolate(view, (small, small), mode="bilinear", antialias=True)
    return interpolate(down, (size, size), mode="bilinear")


def _gaussian(view: Tensor, width: float) -> Tensor:
    sigma = width * view.shape[-1] / 128
    reach = max(1, math.ceil(3 * sigma))
    cell = torch.arange(-reach, reach + 1, device=view.device).float()
    kernel = torch.exp(-cell.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    flat = nn.functional.pad(view.flatten(0, 1)[:, None], [reach] * 4, mode="reflect")
    flat = conv2d(conv2d(flat, kernel[None, None, None]), kernel[None, None, :, None])
    return flat.view(view.shape)


def _motion(view: Tensor, length: float, angle: float) -> Tensor:
    cells = 1 + 2 * max(1, int(length * view.shape[-1]))
    turn = cv2.getRotationMatrix2D(((cells - 1) / 2, (cells - 1) / 2), angle, 1.0)
    line = np.zeros((cells, cells), np.float32)
    line[cells // 2] = 1
    kernel = torch.from_numpy(cv2.warpAffine(line, turn, (cells, cells)) + 1e-6).to(view.device)
    kernel = kernel / kernel.sum()
    flat = nn.functional.pad(view.flatten(0, 1)[:, None], [cells // 2] * 4, mode="reflect")
    return conv2d(flat, kernel[None, None]).view(view.shape)


_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""JPEG's table for brightness; colour takes it 1.5 times as coarse."""


def _jpeg(view: Tensor, quality: Tensor) -> Tensor:
    """Round the DCT coefficients of blocks of 8 × 8, as JPEG does."""
    device = view.device
    n = torch.arange(8, device=device).float()
    basis = torch.cos(math.pi * (2 * n[None] + 1) * n[:, None] / 16) * math.sqrt(0.25)
    basis[0] = math.sqrt(0.125)
    to_luma = view.new_tensor([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    ycc = torch.einsum("ij,bjhw->bihw", to_luma, view) - view.new_tensor([128.0, 0, 0])[:, None, None]
    batch, _, height, width = view.shape
    blocks = ycc.view(batch, 3, height // 8, 8, width // 8, 8).transpose(3, 4)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    table = torch.from_numpy(_LUMA).to(view) * view.new_tensor([1.0, 1.5, 1.5])[:, None, None]
    table = (table * percent[:, None, None, None]).clamp_min(1.0)[:, :, None, None]
    blocks = basis.T @ (((basis @ blocks @ basis.T) / table).round() * table) @ basis
    ycc = blocks.transpose(3, 4).reshape(view.shape) + view.new_tensor([128.0, 0, 0])[:, None, None]
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_luma), ycc)


# --------------------------------------------------------------------------------------------- training


class Student:
    """A network in training, its mean and its optimiser.

    Args:
        name: of its recipe.
        start: a `.safetensors` file; None starts the encoder from ImageNet.
        rate: peak learning rate; None takes the recipe's.
        teacher_weight: of the teacher's heatmap in the target of an annotated point.
        device: to train on.
    """

    def __init__(
        self, name: str, start: Path | None, rate: float | None, teacher_weight: float, device: torch.device
    ) -> None:
        recipe = RECIPES[name]
        assert isinstance(recipe, Recipe)
        self.teacher_weight = teacher_weight
        self.name, self.recipe, self.peak = name, recipe, rate or recipe.learning_rate
        net = build_network(recipe.network)
        assert isinstance(net, CompactNet)
        if start is None:
            net.load_encoder(imagenet_weights(net.config.encoder))
        else:
            start_from(net, start)
        self.net = net.to(device, memory_format=torch.channels_last)
        self.mean = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(EMA), use_buffers=True)
        matrices = [value for value in self.net.parameters() if value.ndim > 1]
        others = [value for value in self.net.parameters() if value.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=self.peak, fused=device.type == "cuda")
        self.gaps = torch.tensor(GAPS, device=device)

    def step(self, batch: Batch, taught: Taught | None, rate: float) -> Tensor:
        """Train on a batch at a fraction `rate` of the peak learning rate, and return the loss."""
        config, recipe = self.net.config, self.recipe
        cells = config.map_size
        teaching = None
        if taught is not None:
            cells_of_teacher = taught.logits.shape[-1]
            maps = regrid(taught.logits, taught.sigma * cells_of_teacher, cells, config.sigma)
            teaching = Teaching(maps, self.teacher_weight, recipe.fill_weight)
        points = batch.points * cells - 0.5
        targets = draw_targets(points, batch.face, (cells, cells), config.sigma, teaching=teaching)
        with torch.autocast(points.device.type, torch.bfloat16):
            logits = self.net(batch.crops[config.input_size])
        weights = {"mean_weight": recipe.mean_weight, "gap_weight": recipe.gap_weight}
        loss = cross_entropy(logits, targets, gaps=self.gaps, **weights)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * rate
        self.optimizer.step()
        self.mean.update_parameters(self.net)
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {key: getattr(self, key).state_dict() for key in ("net", "mean", "optimizer")}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for key, value in state.items():
            getattr(self, key).load_state_dict(value)

    def result(self) -> CompactNet:
        """The mean network, for validation and export."""
        self.net.load_state_dict(self.mean.module.state_dict())
        return self.net.eval()


class Batch(NamedTuple):
    """Crops (B, 3, S, S) by input size S, points in units of the crop's side, and which crops show a face."""

    crops: dict[int, Tensor]
    points: Tensor
    face: Tensor


class Taught(NamedTuple):
    """A teacher's log-heatmaps, and their σ in units of the crop's side."""

    logits: Tensor
    sigma: float


class Batches:
    """Batches of all sets in the shares of `SHARES`.

    Args:
        sets: rows by name of the set; those that are missing leave their share to the others.
        sizes: input sizes that are wanted of every crop. A small one is the mean of blocks of 2 × 2.
        batch: crops in a batch, roughly.
        device: to crop on.
    """

    def __init__(self, sets: dict[str, list[Row]], sizes: Sequence[int], batch: int, device: torch.device):
        self.faces = {name: Faces(rows, device, 1) for name, rows in sets.items() if name in SHARES}
        whole = sum(SHARES[name] for name in self.faces)
        self.counts = {name: max(1, round(batch * SHARES[name] / whole)) for name in self.faces}
        self.drawn = {size: size if size > 160 else 2 * size for size in sizes}

    @torch.no_grad()
    def draw(self, gentle: bool, rng: np.random.Generator) -> Batch:
        """Draw a batch; a gentle one varies less."""
        variation = GENTLE if gentle else VARIED
        sides = sorted(set(self.drawn.values()))
        parts = [
            crop_faces(faces, faces.draw(self.counts[name]), sides, variation)
            for name, faces in self.faces.items()
        ]
        views = [torch.cat([crops[i] for crops, _ in parts]) for i in range(len(sides))]
        points = torch.cat([points for _, points in parts])
        shown = [torch.full((count,), name != "none") for name, count in self.counts.items()]
        face = torch.cat(shown).to(points.device)
        mixed = torch.from_numpy(rng.permutation(len(points))).to(points.device)  # patches come from all sets
        views = add_flaws([view[mixed] for view in views], variation.camera, variation.occlusion, rng)
        by_side = dict(zip(sides, views, strict=True))
        crops = {
            size: by_side[side] if side == size else avg_pool2d(by_side[side], side // size)
            for size, side in self.drawn.items()
        }
        crops = {size: crop.contiguous(memory_format=torch.channels_last) for size, crop in crops.items()}
        return Batch(crops, points[mixed], face[mixed])


def train(
    pack: Path,
    out: Path,
    students: Sequence[Student],
    teacher: CompactNet | None,
    seconds: float,
    batch: int,
    device: torch.device,
) -> dict[str, dict[str, float]]:
    """Train for `seconds`, write NAME.safetensors of each recipe, and return the errors on faces held out.

    Raises:
        ConfigError: `out` holds a run of other recipes.
        DataError: no pack, or a file of the pack or of `out` is broken or cannot be written.
    """
    began = time.monotonic()
    sets = load_pack(pack)
    configs = [net.config for net in (teacher, *(student.net for student in students)) if net is not None]
    batches = Batches(sets, sorted({config.input_size for config in configs}), batch, device)
    state, before, step = make_folder(out) / "state.pt", 0.0, 0
    if state.exists():
        with reading(state, "the state of a run"):
            saved = torch.load(state, map_location=device, weights_only=True)
            before, step = saved.pop("seconds"), saved.pop("step")
            old, new = (" ".join(sorted(each)) for each in (saved, {student.name for student in students}))
        if old != new:
            raise ConfigError(f"{out} holds a run of {old}, not of {new}; use another folder")
        with reading(state, "the state of a run"):
            for student in students:
                student.load(saved[student.name])
    print(f"{batches.counts} read in {time.monotonic() - began:.1f} s", flush=True)
    rng, losses = np.random.default_rng(step + 1), list[Tensor]()
    began = reported = time.monotonic()
    while (passed := (before + time.monotonic() - began) / seconds) < 1:
        with torch.backends.cudnn.flags(benchmark=False):  # the flaws change shapes in every step
            drawn = batches.draw(passed > GENTLE_FROM, rng)
        taught = teach(teacher, drawn) if teacher is not None else None
        losses.append(torch.stack([one.step(drawn, taught, schedule(passed)) for one in students]))
        step += 1
        if step % 10 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # the schedule follows the work done
        if time.monotonic() - reported > REPORT:
            mean = ", ".join(f"{value:.3f}" for value in torch.stack(losses).mean(0).tolist())
            rate = len(losses) * len(drawn.points) / (time.monotonic() - reported)
            print(f"step {step}, {100 * passed:.0f} %: loss {mean}, {rate:.0f} crops/s", flush=True)
            reported, losses = time.monotonic(), []
            _save(state, students, passed * seconds, step)
    _save(state, students, seconds, step)
    nets = {student.name: student.result() for student in students}
    for name, net in nets.items():  # all files first: validation takes a while
        save_network(net, out / f"{name}.safetensors")
    held_out = {name.removesuffix(HELD_OUT): rows for name, rows in sets.items() if name.endswith(HELD_OUT)}
    errors = {name: validate(net, held_out) for name, net in nets.items()}
    for name, values in errors.items():
        print(name, *(f"{key} {value:.3f} %" for key, value in values.items()), sep="  ", flush=True)
    return errors


def schedule(passed: float) -> float:
    """Fraction of the peak learning rate after a fraction of the time: a short rise, then a cosine."""
    if passed < WARM_UP:
        return max(passed / WARM_UP, 0.02)
    return max(0.5 * (1 + math.cos(math.pi * (passed - WARM_UP) / (1 - WARM_UP))), 1e-3)


@torch.no_grad()
def teach(teacher: CompactNet, batch: Batch) -> Taught:
    """Show a batch to the teacher."""
    config = teacher.config
    with torch.autocast(batch.points.device.type, torch.bfloat16):
        logits = teacher.log_heatmaps(batch.crops[config.input_size])
    return Taught(logits, config.sigma / config.map_size)


def load_pack(pack: Path) -> dict[str, list[Row]]:
    """Read all sets of a pack that hold a face.

    Raises:
        DataError: no pack, one without faces of 300-W to train on or held out, or a broken file.
    """
    sets = {}
    for path in list_shown(pack, {".pkl"}):
        with reading(path, "a set of training faces"):
            sets[path.stem] = [Row(*row) for row in pickle.loads(read_bytes(path))]
    for name in ("300w", "300w" + HELD_OUT):
        if not sets.get(name):
            raise DataError(pack, f"no pack of training faces: {name}.pkl is missing or empty")
    return {name: rows for name, rows in sets.items() if rows}


def _save(path: Path, students: Sequence[Student], seconds: float, step: int) -> None:
    state = {student.name: student.state() for student in students}
    with atomic_write(path) as part:
        torch.save({**state, "seconds": seconds, "step": step}, part)


@torch.inference_mode()
def validate(net: CompactNet, held_out: dict[str, list[Row]]) -> dict[str, float]:
    """Errors in % on plain crops, as `steadyface train` reports them."""
    device = next(net.parameters()).device
    graph, size = LandmarkGraph(net).eval(), net.config.input_size
    pairs = {}
    for name, rows in held_out.items():
        found, truth = [], []
        for start in range(0, len(rows), 64):
            crops = []
            for row in rows[start : start + 64]:
                crop, to_crop = crop_region(decode(row), Region(*row.region), size)
                crops.append(crop)
                truth.append(to_crop(row.points.astype(float)))
            found.append(graph(torch.from_numpy(np.stack(crops)).to(device))[0].cpu().numpy())
        pairs[name] = np.concatenate(found).astype(float), np.array(truth)
    return validation_errors(pairs.pop("300w"), pairs)


def _load_teacher(path: Path, device: torch.device) -> CompactNet:
    teacher = load_network(path)
    if not isinstance(teacher, CompactNet):
        raise ConfigError(f"{path}: a teacher must be a compact landmark network")
    return teacher.to(device, memory_format=torch.channels_last).eval()


def _positive(text: str) -> float:
    try:
        if 0 < (value := float(text)) < math.inf:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")


def _of_recipe(text: str, convert: Callable[[str], Any]) -> tuple[str, Any]:
    """Split RECIPE=VALUE."""
    name, equals, value = text.partition("=")
    if name not in COMPACT or not equals:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not RECIPE=VALUE with a recipe of {', '.join(COMPACT)}"
        )
    return name, convert(value)


def main() -> None:
    """Run the command line; what it cannot use ends it with one line."""
    try:
        _run()
    except SteadyfaceError as error:
        complain(str(error))
        sys.exit(1)


def _run() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    packing = commands.add_parser("pack", help="collect training faces in one folder")
    packing.add_argument("data", type=Path)
    packing.add_argument("pack", type=Path)
    packing.add_argument("--labels", type=Path, help="folder of pseudo-labels, of `steadyface label`")
    packing.add_argument("--turned", type=int, default=2600, help="faces turned by the head model; 0: none")
    training = commands.add_parser("train", help="train networks on a pack")
    training.add_argument("pack", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--recipes", nargs="+", required=True, choices=COMPACT)
    starting, rating = (partial(_of_recipe, convert=convert) for convert in (Path, _positive))
    training.add_argument("--start", nargs="*", default=[], type=starting, help="RECIPE=FILE")
    training.add_argument("--rate", nargs="*", default=[], type=rating, help="RECIPE=peak learning rate")
    training.add_argument("--teacher", type=Path, help="without one, points that a set lacks drift")
    training.add_argument(
        "--teacher-weight", type=float, default=0.5, help="0: for points that a set lacks only"
    )
    training.add_argument("--seconds", type=_positive, required=True)
    training.add_argument("--batch", type=int, default=256)
    args = parser.parse_args()
    if args.command == "pack":
        pack(args.data, args.pack, args.labels, args.turned)
        return
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    starts, rates = dict(args.start), dict(args.rate)
    if unused := {*starts, *rates}.difference(args.recipes):
        training.error(f"--start or --rate of {sorted(unused)[0]}, which --recipes does not name")
    students = [
        Student(name, starts.get(name), rates.get(name), args.teacher_weight, device) for name in args.recipes
    ]
    teacher = None if args.teacher is None else _load_teacher(args.teacher, device)
    train(args.pack, args.out, students, teacher, args.seconds, args.batch, device)


if __name__ == "__main__":
    main()
