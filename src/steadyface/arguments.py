"""Checks of single arguments: whether each is of the kind that it should be."""

from __future__ import annotations

import os
from numbers import Integral, Real
from pathlib import Path
from typing import TypeVar

from steadyface.errors import ConfigError

Kind = TypeVar("Kind")


def whole(name: str, value: object) -> int:
    """Return a whole number, also one of NumPy, as an int.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ConfigError(f"{name} must be a whole number, got {shown(value)}")
    return int(value)


def number(name: str, value: object) -> float:
    """Return a number, also one of NumPy, as a float.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ConfigError(f"{name} must be a number, got {shown(value)}")
    return float(value)


def path(name: str, value: object) -> Path:
    """Return a path.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"{name} must be a path, got {type(value).__name__}")
    return Path(value)


def of_kind(name: str, value: object, kind: type[Kind], advice: str) -> Kind:
    """Return a value of a class.

    Args:
        name: of the argument.
        value: given for it.
        kind: class.
        advice: what it must be, for the message.

    Raises:
        ConfigError: it is of another class.
    """
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {advice}, got {shown(value)}")
    return value


def shown(value: object) -> str:
    """Text of a value for a message: one line that is not long.

    >>> shown([1, 2])
    '[1, 2]'
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"
