"""Corrections of points by hand: the position of a point in one frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from steadyface import markup
from steadyface.arguments import check_class, number, whole
from steadyface.errors import ConfigError
from steadyface.files import read_json, reading

_KIND = "a file of corrections"


@dataclass(frozen=True)
class Correction:
    """Position of one point of a face in one frame, as a person gives it.

    Args:
        frame: number of the frame.
        face: identity.
        point: number of the landmark, 0 to 67.
        x, y: image px.

    Raises:
        ConfigError: no whole number, no such landmark, or a position that is no finite number.
    """

    frame: int
    face: int
    point: int
    x: float
    y: float

    def __post_init__(self) -> None:
        for name, check in {"frame": whole, "face": whole, "point": whole, "x": number, "y": number}.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if not 0 <= self.point < markup.COUNT:
            raise ConfigError(f"point must be 0 to {markup.COUNT - 1}, got {self.point}")
        if not (math.isfinite(self.x) and math.isfinite(self.y)):
            raise ConfigError(f"a point's position must be finite, got {self.x}, {self.y}")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Correction:
        """Make a correction of `values`.

        Raises:
            KeyError, TypeError, ConfigError: a value is missing or of another kind.
        """
        return cls(*(values[field.name] for field in fields(cls)))

    def values(self) -> dict[str, Any]:
        """Fields as JSON keeps them."""
        return asdict(self)


def point_number(name: str) -> int:
    """Number of a landmark, given by number or by name.

    Raises:
        ConfigError: there is none of that name.

    >>> point_number("30"), point_number("left_eye_0")
    (30, 42)
    """
    if name.isdigit():
        return int(name)
    if name not in markup.NAMES:
        raise ConfigError(f"unknown point {name!r}; a number, 0 to 67, or a name such as {markup.NAMES[36]}")
    return markup.NAMES.index(name)


def merged(corrections: Iterable[Correction]) -> list[Correction]:
    """Corrections in order; of several of one point in one frame only the last is kept.

    Raises:
        ConfigError: one is no `Correction`.
    """
    corrections = [*corrections]
    for each in corrections:
        check_class("each of corrections", each, Correction, "a Correction")
    last = {(each.frame, each.face, each.point): each for each in corrections}
    kept = set(last.values())
    return [each for each in dict.fromkeys(corrections) if each in kept]


def read_corrections(path: str | Path) -> list[Correction]:
    """Read a JSON file with a list `corrections` of objects with `frame`, `face`, `point`, `x` and `y`.

    A report's page saves such a file.

    Raises:
        DataError: the file is missing or of another form.
    """
    values = read_json(path, _KIND)
    with reading(path, _KIND):
        return [Correction.from_values(each) for each in values["corrections"]]
