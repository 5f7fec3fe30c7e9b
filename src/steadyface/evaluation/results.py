"""What was measured on one protocol, as a table of rows; `results.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from steadyface.files import read_json, reading, write_text

ALL = "all"
"""The group of all items."""

RAW, RAW_FHR, RAW_CHR = "raw", "raw, FHR decoder", "raw, CHR decoder"
"""Rows of videos before any stabiliser: the points by the network's own decoder, and by the paper's two."""

SCALES = ("very small", "small", "medium", "large", "very large")
"""Fifths of the faces by inter-ocular distance, as in Table 2 of the paper."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """The figures of one way of reading, or of one stabiliser, on one group.

    Args:
        name: of the way.
        group: of the items, or `all`.
        points: `68` or `7`.
        items: how many images or videos.
        found: images, or frames of videos, with a face.
        of: images or annotated frames.
        figures: by name; % of the inter-ocular distance unless the name says otherwise.
    """

    name: str
    group: str
    points: str
    items: int
    found: int
    of: int
    figures: Figures


@dataclass(frozen=True)
class Results:
    """All that was measured on one protocol; `results.json`.

    Args:
        protocol, title, box: the rules.
        run: weights, their hash, decoder, version of the predictions.
        used: number of items.
        skipped: items left out, and why.
        missing: what the protocol asks for and was not there.
        rows: the tables.
        items: per item, the main figure of each row.
        curves: what pictures are drawn from, by name.
        unscored: of videos, how many frames have no truth to be compared with, and why.
    """

    protocol: str
    title: str
    box: str
    run: dict[str, Any]
    used: int
    skipped: dict[str, str]
    missing: list[str]
    rows: list[Row]
    items: dict[str, Figures]
    curves: dict[str, Any] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)
    normaliser: str = "distance of the outer eye corners"

    @property
    def decoder(self) -> str:
        """The decoder that the network brings along."""
        return str(self.run.get("decoder", "?"))

    @property
    def weights(self) -> str:
        """Name of the network."""
        return str(self.run.get("weights", "?"))

    def row(self, name: str, group: str = ALL, points: str | None = None) -> Row | None:
        """The row of that name and group, or None; without `points` the one of all 68 where there are two."""
        for row in self.rows:
            if (row.name, row.group) == (name, group) and points in (None, row.points):
                return row
        return None

    def save(self, path: str | Path) -> None:
        """Write as JSON; what is not finite becomes null, and NaN when it is read.

        Raises:
            DataError: it cannot be written.
        """
        write_text(path, json.dumps(_plain(asdict(self)), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read what `save` wrote.

        Raises:
            DataError: missing, or not such a file.
        """
        values = read_json(path, kind := "results of steadyface score")
        with reading(path, kind):
            rows = [Row(**{**row, "figures": _floats(row["figures"])}) for row in values.pop("rows")]
            items = {name: _floats(figures) for name, figures in values.pop("items").items()}
            return cls(**values, rows=rows, items=items)


@dataclass(frozen=True)
class Scored:
    """What was computed from predictions: rows, items, curves and unscored as of `Results`."""

    rows: list[Row]
    items: dict[str, Figures]
    curves: dict[str, Any]
    unscored: dict[str, str] = field(default_factory=dict)


def _plain(value: Any) -> Any:
    """NaN as None, throughout."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _floats(figures: Mapping[str, float | None]) -> Figures:
    return {key: float("nan") if value is None else float(value) for key, value in figures.items()}
