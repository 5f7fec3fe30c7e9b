"""Recipes of training runs: all their numbers, and the bundled recipes by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from steadyface.errors import ConfigError
from steadyface.nets import FinderConfig, LandmarkConfig
from steadyface.nets.blocks import LITE2_STAGES
from steadyface.nets.compact import CompactConfig
from steadyface.nets.hourglass import HourglassConfig
from steadyface.training.augmentation import Augmentation
from steadyface.training.collages import Collage
from steadyface.training.turned import Turns

OPTIMIZERS = ("adamw", "rmsprop")
SCHEDULES = ("one-cycle", "cosine", "constant")

EXTRA_SHARES = {"profiles": 0.18, "closed_eyes": 0.12, "fgnet": 0.08, "aflw80": 0.08, "helen256": 0.04}
"""Fractions of an epoch's crops that come from these sets; the rest, half of them, come from 300-W."""

FINDER_SHARES = {"profiles": 0.32, "closed_eyes": 0.04, "fgnet": 0.06, "aflw80": 0.1}
"""Fractions of an epoch's frames that show a face of these sets, perhaps beside others."""


@dataclass(frozen=True, kw_only=True)
class BaseRecipe:
    """Numbers that the training runs of all networks have.

    Args:
        epochs: passes over the training samples.
        batch_size: samples per step and device.
        optimizer: one of `OPTIMIZERS`.
        schedule: of the learning rate, one of `SCHEDULES`.
        learning_rate: at its peak.
        weight_decay: of AdamW, on matrices.
        ema: decay of the weights' running mean per step; 0 keeps the last weights.
        seed: of everything random.
    """

    epochs: int = 30
    batch_size: int = 32
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    ema: float = 0.995
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError.choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.schedule not in SCHEDULES:
            raise ConfigError.choice("schedule", self.schedule, SCHEDULES)


@dataclass(frozen=True, kw_only=True)
class Recipe(BaseRecipe):
    """Recipe of a landmark network.

    Args:
        network: of the network to be trained; its `output` chooses the loss.
        mean_weight: weight of the softmax mean's distance, per cell, beside the cross-entropy.
        gap_weight: weight of the errors of the gaps between lids and between lips, per cell. Increasing it
            makes the openness of eyes and mouth more accurate, but the positions of the points less so.
        rounded: draw the heatmaps at rounded points, as conventional heatmap regression (CHR) does.
        teacher_weight: weight of the teacher's heatmap in the target of an annotated point, 0 to 1.
        teacher_mirrored: show the teacher each crop's mirror image too, and take the mean of both views.
        fill_weight: weight of the maps of points that are not annotated, whose target is the teacher's
            heatmap. Increasing it keeps these maps from drifting, but learns more of the teacher's errors.
        background_share: fraction of crops without a face, whose heatmaps have to be flat.
        extra_shares: fractions of an epoch's crops that come from the sets of `datasets.extra` that are
            there, by name; a set that is not named is not used.
        turned_share: fraction of an epoch's crops that show faces of 300-W turned in three dimensions
            (`training.turned`); more than 0 needs the head model in `extra`/ict_facekit.
        turns: ranges of these turns.
        augmentation: how crops vary.
    """

    network: LandmarkConfig = field(default_factory=CompactConfig)
    mean_weight: float = 0.25
    gap_weight: float = 1.0
    rounded: bool = False
    teacher_weight: float = 0.5
    teacher_mirrored: bool = False
    fill_weight: float = 0.2
    background_share: float = 0.04
    extra_shares: Mapping[str, float] = field(default_factory=EXTRA_SHARES.copy)
    turned_share: float = 0.0
    turns: Turns = field(default_factory=Turns)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, kw_only=True)
class FinderRecipe(BaseRecipe):
    """Recipe of a face finder.

    Args:
        network: of the finder to be trained.
        box_weight: weight of the boxes' distance beside the heatmap's (`nets.loss.finder_loss`).
        frame_size: side of the training frames, px.
        extra_shares: as of `Recipe`, of the frames.
        collage: how frames are put together from photographs.
    """

    network: FinderConfig = field(default_factory=FinderConfig)
    box_weight: float = 2.0
    frame_size: int = 224
    extra_shares: Mapping[str, float] = field(default_factory=FINDER_SHARES.copy)
    collage: Collage = field(default_factory=Collage)


_MILD = Augmentation(scale=0.12, roll=12.0, camera=0.2, occlusion=0.2)
_AUTHORS = Augmentation(
    scale=0.12, shift=0.0, roll=10.0, camera=0.0, occlusion=0.0, level=0.6, clip=2.0, reflect=0.0
)

RECIPES: dict[str, Recipe | FinderRecipe] = {
    "compact": Recipe(
        network=CompactConfig(input_size=224, sigma=1.0, blocks=(0, 2, 2, 1)),
        epochs=12,
        learning_rate=6e-4,
        teacher_weight=0.0,
        augmentation=_MILD,
    ),
    "teacher": Recipe(
        network=CompactConfig(
            input_size=256,
            sigma=1.15,
            encoder="lite2",
            repeats=tuple(stage.repeats for stage in LITE2_STAGES),
            widths=(128, 128, 160, 192),
            blocks=(0, 2, 2, 2),
        ),
        epochs=60,
        learning_rate=1e-3,
        teacher_weight=0.0,
    ),
    "tiny": Recipe(
        network=CompactConfig(input_size=128, sigma=0.75, blocks=(0, 1, 1, 1)),
        epochs=14,
        learning_rate=1e-3,
        augmentation=_MILD,
    ),
    "nano": Recipe(
        network=CompactConfig(
            input_size=112, sigma=0.75, repeats=(1, 1, 2, 2, 2), widths=(64, 96, 128), blocks=(0, 0, 0)
        ),
        epochs=20,
        learning_rate=2e-3,
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
        extra_shares={},
        augmentation=_AUTHORS,
    ),
    "finder": FinderRecipe(epochs=5, batch_size=16, learning_rate=1e-3, ema=0.98),
    "smoke": Recipe(network=CompactConfig(input_size=64), epochs=1, batch_size=4),
}
"""By name. `compact`, `tiny`, `nano` and `finder` are bundled; `paper` is the hourglass of Tai et al.
2019 as they trained it; `smoke` is a quick check that training runs."""
