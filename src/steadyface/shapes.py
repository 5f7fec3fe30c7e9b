"""Checks of the arrays that users pass: numbers, and shapes that fit together."""

from __future__ import annotations

from typing import Any

import numpy as np

from steadyface.errors import ConfigError
from steadyface.wording import listed


def as_numbers(values: Any, name: str) -> np.ndarray:
    """Return values, such as lists, as an array; an array stays as it is, and what is masked becomes NaN.

    Raises:
        ConfigError: they are no numbers, or rows of different lengths.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ConfigError(f"{name} must be numbers in rows of one length") from error
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"{name} must be numbers, got {' '.join(repr(values).split()):.40}")
    return array


def as_shaped(**arguments: tuple[Any, str]) -> list[np.ndarray]:
    """Return arguments as arrays (`as_numbers`) in which all axes of one name have one length.

    Args:
        arguments: name → its values and its axes, each a name or a length; the first may be `…`, any number
            of axes, the same for all.

    Raises:
        ConfigError: the shapes do not fit; as of `as_numbers`.

    >>> points, size = as_shaped(points=([[[0, 0]], [[3, 4]]], "frames landmarks 2"), size=([5, 5], "frames"))
    >>> points.shape, size.shape
    ((2, 1, 2), (2,))
    """
    arrays = {name: as_numbers(values, name) for name, (values, _) in arguments.items()}
    axes = {name: of.split() for name, (_, of) in arguments.items()}
    known: dict[str, Any] = {}
    if not all(_fits(array.shape, axes[name], known) for name, array in arrays.items()):
        wanted = [f"({', '.join(of)}{',' if len(of) == 1 else ''})" for of in axes.values()]
        shapes = listed(wanted if len({*wanted}) > 1 else wanted[:1])
        got = listed([str(array.shape) for array in arrays.values()])
        raise ConfigError(f"{listed([*arrays])} must be of shape {shapes}, got {got}")
    return [*arrays.values()]


def _fits(shape: tuple[int, ...], axes: list[str], known: dict[str, Any]) -> bool:
    """Whether a shape has these axes; adds their lengths to the known ones."""
    if axes[0] == "…":
        leading = max(len(shape) - len(axes) + 1, 0)
        if known.setdefault("…", shape[:leading]) != shape[:leading]:
            return False
        shape, axes = shape[leading:], axes[1:]
    pairs = zip(axes, shape, strict=False)
    return len(axes) == len(shape) and all(
        known.setdefault(axis, int(axis) if axis.isdigit() else length) == length for axis, length in pairs
    )
