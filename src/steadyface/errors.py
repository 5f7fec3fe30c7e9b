"""Exceptions, as a tree.

SteadyfaceError
├── DataError(path, line)      an annotation, image or result file that cannot be used
├── VideoError(path, frame)    a video that cannot be opened, decoded or written
├── WeightsError               a model file that is missing, of another kind or another version
├── ConfigError (ValueError)   an option or argument outside what is allowed
│   └── MissingExtraError      an optional dependency that is not installed
└── ExportError                an exported network that disagrees with its source

Every message names the thing, the value seen and what was allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike


class SteadyfaceError(Exception):
    """Root of every error that steadyface raises on purpose."""


class DataError(SteadyfaceError):
    """An annotation, image or result file that cannot be used."""

    def __init__(self, path: str | PathLike[str], problem: str, line: int | None = None) -> None:
        self.path, self.line = path, line
        position = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{position}: {problem}")


class VideoError(SteadyfaceError):
    """A video that cannot be opened, decoded or written."""

    def __init__(self, path: str | PathLike[str], problem: str, frame: int | None = None) -> None:
        self.path, self.frame = path, frame
        position = f"{path}" if frame is None else f"{path}, frame {frame}"
        super().__init__(f"{position}: {problem}")


class WeightsError(SteadyfaceError):
    """A model file that is missing, of another kind or another version."""

    @classmethod
    def at(cls, path: str | PathLike[str], problem: str) -> WeightsError:
        """Error about one file, called like `DataError`."""
        return cls(f"{path}: {problem}")


class ConfigError(SteadyfaceError, ValueError):
    """An option or argument outside what is allowed."""

    @classmethod
    def choice(cls, name: str, value: object, allowed: Iterable[object]) -> ConfigError:
        """Error that `value` is none of the `allowed` values of `name`."""
        listed = ", ".join(str(item) for item in allowed)
        said = str(value) if isinstance(value, PathLike) else value
        return cls(f"unknown {name} {said!r}; choose one of: {listed}")


class MissingExtraError(ConfigError):
    """An optional dependency that is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"this needs {module}; install it with: pip install 'steadyface[{extra}]'")


class ExportError(SteadyfaceError):
    """An exported network that disagrees with its source."""
