"""Checks of single arguments: whether each is of the kind that it should be."""

from __future__ import annotations

import math
from numbers import Integral, Real
from types import UnionType

from steadyface.errors import ConfigError


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


def positive(name: str, value: object) -> float:
    """Return a number that is positive and finite, as a float.

    Raises:
        ConfigError: it is none.
    """
    given = number(name, value)
    if not 0 < given < math.inf:
        raise ConfigError(f"{name} must be positive and finite, got {value}")
    return given


def check_class(name: str, value: object, kind: type | UnionType, said: str) -> None:
    """Refuse a value of another class.

    Args:
        name: of the argument.
        value: given for it.
        kind: class, or several.
        said: what it must be, in words.

    Raises:
        ConfigError: it is of another class.
    """
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {said}, got {type(value).__name__}")


def shown(value: object) -> str:
    """Text of a value for a message: one line, of 40 characters at most.

    >>> shown([1, 2])
    '[1, 2]'
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"
