"""Save and load stabilisers: a JSON file with the kind, the parameters and how they were fitted."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, overload

import numpy as np

from steadyface.errors import ConfigError, WeightsError
from steadyface.files import read_json, reading, write_text
from steadyface.stabilizer.base import CausalFilter, Stabilizer
from steadyface.stabilizer.baselines import (
    ConstantVelocity,
    FirstOrder,
    MovingAverage,
    OneEuro,
    SavitzkyGolay,
    SecondOrder,
)
from steadyface.stabilizer.paper import PaperSTA
from steadyface.stabilizer.picture import PictureModel
from steadyface.stabilizer.sta import STA

VERSION = 2
_MOST_BYTES, _LARGEST = 64 << 20, 1e20
DEFAULT_STABILIZER: Final = "sta"

KINDS: dict[str, type[Stabilizer]] = {
    each.kind: each
    for each in (
        STA,
        PaperSTA,
        MovingAverage,
        FirstOrder,
        SecondOrder,
        ConstantVelocity,
        OneEuro,
        SavitzkyGolay,
    )
}
"""Classes of stabilisers by kind, which is also the name of the bundled one."""


def save_stabilizer(stabilizer: Stabilizer, path: str | Path) -> None:
    """Write as JSON; seven digits of each number are kept.

    Raises:
        DataError: the file cannot be written.
    """
    write_text(path, json.dumps({"version": VERSION, **stabilizer.as_dict()}))


@overload
def load_stabilizer(name: Literal["sta"] = ...) -> STA: ...
@overload
def load_stabilizer(name: Literal["savitzky-golay"]) -> SavitzkyGolay: ...
@overload
def load_stabilizer(
    name: Literal[
        "sta-paper", "moving-average", "first-order", "second-order", "constant-velocity", "one-euro"
    ],
) -> CausalFilter: ...
@overload
def load_stabilizer(name: str | Path) -> Stabilizer: ...
def load_stabilizer(name: str | Path = DEFAULT_STABILIZER) -> Stabilizer:
    """Load a bundled stabiliser by name (a key of `KINDS`), or that of a `.json` file.

    Raises:
        ConfigError: no stabiliser of this name.
        WeightsError: not a file of a stabiliser, or of another version.

    >>> load_stabilizer("one-euro").kind
    'one-euro'
    """
    if isinstance(name, str) and not name.endswith(".json"):
        if name not in KINDS:
            raise ConfigError.choice("stabilizer", name, [*KINDS, "FILE.json"])
        return _bundled(name)
    return _read(Path(name))


@lru_cache
def _bundled(name: str) -> Stabilizer:
    return _read(Path(str(files("steadyface") / "weights" / "stabilizers" / f"{name}.json")))


def _read(path: Path) -> Stabilizer:
    values: dict[str, Any] = read_json(path, "a stabiliser's file", WeightsError.at, _MOST_BYTES)
    with reading(path, "a stabiliser's file", WeightsError.at):
        _check_numbers(values)
        if (version := values.pop("version")) != VERSION:
            raise WeightsError.at(path, f"version {version}, this steadyface reads version {VERSION}")
        kind = KINDS[values.pop("kind")]
        names = {field.name for field in fields(kind)}
        needed = {field.name for field in fields(kind) if field.default is MISSING} | {"fps", "fitted"}
        if differ := (set(values) - names) | (needed - set(values)):
            raise WeightsError.at(path, f"keys differ: {sorted(differ)}")
        if "picture" in values:
            values["picture"] = PictureModel(**values["picture"])
        arrays: dict[str, Any] = {
            name: np.array(value, float) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return kind(**arrays)


def _check_numbers(value: object) -> None:
    """Refuse numbers with which nothing can be computed.

    Raises:
        ValueError: one is not finite, or larger than any parameter.
    """
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            _check_numbers(each)
    elif isinstance(value, int | float) and not abs(value) <= _LARGEST:
        raise ValueError(f"a number is {value:g}, and the largest allowed {_LARGEST:g}")
