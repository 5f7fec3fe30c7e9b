"""Train a network: `steadyface train RECIPE --data DIR --out DIR`.

One loop trains landmark networks and the face finder. Weights are averaged (EMA); every epoch ends with a
validation and a checkpoint, so a killed run loses one epoch at most.
"""

from __future__ import annotations

from pathlib import Path

from lightning_fabric import Fabric

from steadyface.errors import ConfigError
from steadyface.training.finder import prepare_finder
from steadyface.training.landmarks import prepare_landmarks
from steadyface.training.loop import Report, Task, run
from steadyface.training.recipes import OPTIMIZERS, RECIPES, SCHEDULES, FinderRecipe, Recipe


def train(
    recipe: Recipe | FinderRecipe,
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
    """Train a network and return the best weights' file.

    A landmark network learns from the 300-W training parts under `data`/300w and from the sets of partly
    annotated faces under `data`/extra that are there, and is validated by the distances of points. The finder
    learns from the photographs of `data`/faces, and is validated by the fraction of faces that it misses.

    Args:
        recipe: the run's numbers.
        data: folder with `300w`, for crops of no face and for the finder `faces`, and perhaps `extra`.
        out: folder for `last.pt` (to resume), `best.safetensors` and `log.csv`.
        start: a `.safetensors` file to start from; None starts the encoder from ImageNet, if it has one.
        teacher: a `.safetensors` file of a network whose heatmaps are imitated (distillation), beside the
            annotation or, where there is none, alone.
        extra: a folder of more training images with `.pts`, such as pseudo-labels.
        skip_bad: name bad annotations and images and leave them out; otherwise the first one ends the run.
        resume: go on from `out`/last.pt, exactly as if the run had not stopped.
        devices: GPUs to share the work (DDP), or processes where there is no GPU.
        report: gets lines on the data found and left out, and one line per epoch.

    Raises:
        DataError: no training faces, or a bad one.
        ConfigError: `out` holds a run already and `resume` is false, or the other way round; fewer samples
            than a batch; a teacher for a network that is taught by squared error; a teacher or `extra` for
            the finder.
    """
    data = Path(data)
    if isinstance(recipe, FinderRecipe):
        _refuse(teacher=teacher, extra=extra)
    elif teacher is not None and recipe.network.output != "logits":
        raise ConfigError(f"a teacher's heatmaps can be imitated by logits only, not {recipe.network.output}")

    def prepare(fabric: Fabric, report: Report) -> Task:
        if isinstance(recipe, FinderRecipe):
            return prepare_finder(recipe, fabric, report, data, start=start, skip_bad=skip_bad)
        return prepare_landmarks(
            recipe, fabric, report, data, start=start, teacher=teacher, extra=extra, skip_bad=skip_bad
        )

    return run(recipe, prepare, Path(out), resume=resume, devices=devices, report=report)


def _refuse(**options: str | Path | None) -> None:
    """Refuse options that are for landmark networks only.

    Raises:
        ConfigError: one of them is given.
    """
    for name, value in options.items():
        if value is not None:
            raise ConfigError(f"{name} is for landmark networks, not for the finder: {value}")


__all__ = ["OPTIMIZERS", "RECIPES", "SCHEDULES", "FinderRecipe", "Recipe", "train"]
