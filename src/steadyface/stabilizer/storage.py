"""Save and load stabilisers: a JSON file with the kind, the parameters and how they were fitted."""

from __future__ import annotations

import json
import re
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
_PRECISION = re.compile(r"-(int8|float16|float32)$")
_BUNDLED = Path(str(files("steadyface") / "weights" / "stabilizers"))
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


def stabilizer_path(name: str, network: str | None = None) -> Path:
    """Path of a bundled stabiliser's parameters.

    Networks have different errors, so some stabilisers are also fitted to those of one network:
    `sta-tiny` is `sta` for `tiny`, in any precision.

    Args:
        name: a key of `KINDS`.
        network: name of the network whose points are to be filtered, as of `Landmarker.name`. A network
            without parameters of its own, and None, take those for all networks.

    Raises:
        ConfigError: no stabiliser of this name.

    >>> stabilizer_path("sta", "tiny-int8").name, stabilizer_path("sta", "mine").name
    ('sta-tiny.json', 'sta.json')
    """
    if name not in KINDS:
        raise ConfigError.choice("stabilizer", name, [*KINDS, "FILE.json"])
    own = f"{name}-{_PRECISION.sub('', network or '')}"
    bundled = {path.stem for path in _BUNDLED.glob("*.json")} - set(KINDS)
    return _BUNDLED / f"{own if own in bundled else name}.json"


def save_stabilizer(stabilizer: Stabilizer, path: str | Path) -> None:
    """Write as JSON; seven digits of each number are kept.

    Raises:
        DataError: the file cannot be written.
    """
    write_text(path, json.dumps({"version": VERSION, **stabilizer.as_dict()}))


@overload
def load_stabilizer(name: Literal["sta"] = ..., network: str | None = ...) -> STA: ...
@overload
def load_stabilizer(name: Literal["savitzky-golay"], network: str | None = ...) -> SavitzkyGolay: ...
@overload
def load_stabilizer(
    name: Literal[
        "sta-paper", "moving-average", "first-order", "second-order", "constant-velocity", "one-euro"
    ],
    network: str | None = ...,
) -> CausalFilter: ...
@overload
def load_stabilizer(name: str | Path, network: str | None = ...) -> Stabilizer: ...
def load_stabilizer(name: str | Path = DEFAULT_STABILIZER, network: str | None = None) -> Stabilizer:
    """Load a bundled stabiliser by name (a key of `KINDS`), or the one in a `.json` file.

    Args:
        name: of a bundled one, or path of a file.
        network: name of the network whose points are to be filtered, for a bundled one: see
            `stabilizer_path`.

    Raises:
        ConfigError: no stabiliser of this name.
        WeightsError: not a file of a stabiliser, or of another version.

    >>> load_stabilizer("one-euro").kind
    'one-euro'
    """
    if name == f"{DEFAULT_STABILIZER}-offline":
        raise ConfigError(f"{name} is the smoother of sta: use load_stabilizer().smooth(points)")
    if not isinstance(name, str | Path):
        raise ConfigError.choice("stabilizer", name, [*KINDS, "FILE.json"])
    if isinstance(name, str) and not name.endswith(".json"):
        return _read_once(stabilizer_path(name, network))
    return _read(Path(name))


@lru_cache
def _read_once(path: Path) -> Stabilizer:
    return _read(path)


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
    """Refuse numbers that are not finite or too large to compute with.

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
