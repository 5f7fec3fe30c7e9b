"""Results of a benchmark: typed rows, what they were measured on, and `results.json`."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

import numpy as np

from steadyface import files
from steadyface.evaluation.inputs import HASH, BoxSource, Found, Item, Network
from steadyface.evaluation.predictions import Prediction, Run
from steadyface.evaluation.text import aligned, listed, number
from steadyface.models import FINDER
from steadyface.wording import counted

NORMALISER = "distance of the outer eye corners"
UNIT = "% of inter-ocular distance"

_NAMED = 12  # items that are named where some are left out
_MISSING_NAMED = 64  # as many as 300-VW has test videos


@dataclass(frozen=True)
class Column:
    """Column of a printed table, as the annotation of a row's field."""

    head: str
    decimals: int = 3


@dataclass(frozen=True, kw_only=True)
class Row(ABC):
    """Figures of one method on one group of items.

    Figures are in the benchmark's unit unless their name says otherwise; NaN where there was nothing to
    measure, None where the figure does not apply. A field with a `Column` is printed.

    Args:
        items: number of images or videos.
        found: images, or frames of videos, with a face.
        of: images, or annotated frames.
    """

    head: ClassVar[str]
    """Head of the column that names the methods."""

    items: int
    found: int
    of: int

    @property
    @abstractmethod
    def label(self) -> str:
        """Name of the method, for people."""

    @property
    def group_title(self) -> str:
        """Part of the data set; empty for all of it."""
        return ""

    @property
    def points_title(self) -> str:
        """The points compared, where a benchmark compares more than one set; else empty."""
        return ""

    @classmethod
    def columns(cls) -> dict[str, Column]:
        """Columns by field, in the order in which they are printed."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}


@dataclass(frozen=True, kw_only=True)
class NrmseRow(Row):
    """Figures in % of the inter-ocular distance.

    Args:
        nrmse_interocular: mean over what was found.
    """

    nrmse_interocular: Annotated[float, Column("NRMSE")]


@dataclass(frozen=True)
class Fact:
    """A circumstance of a measurement, for people; `gap` if the figures are over less because of it."""

    name: str
    text: str
    gap: bool = False


@dataclass(frozen=True)
class Headline:
    """One figure in large print, and what to hold beside it."""

    title: str
    value: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Extent of a measurement.

    Args:
        run: network and version.
        skipped: items left out, with the reasons.
        missing: parts of the benchmark that were not there.
    """

    run: Run
    skipped: dict[str, str]
    missing: list[str]


@dataclass(frozen=True, kw_only=True)
class Benchmark(ABC):
    """A data set with its rules: it finds the items, has a network predict them, and scores predictions.

    Args:
        name: as commands and files have it.
        title: for people.
        box: origin of the face boxes.
        normaliser: length that errors are divided by.
        unit: of the figures, above their table.
    """

    noun: ClassVar[str]
    """Noun of an item: image, video or clip."""

    results: ClassVar[type[Results]]

    measures_motion: ClassVar[bool] = False
    """Whether its predictions hold displacements measured in the picture."""

    name: str
    title: str
    box: BoxSource = BoxSource.TRUTH
    normaliser: str = NORMALISER
    unit: str = UNIT

    @abstractmethod
    def find(self, data: Path) -> Found[Any]:
        """Find the items in a folder.

        Raises:
            DataError: none is there.
        """

    @abstractmethod
    def predict(self, item: Item[Any], network: Network) -> Prediction:
        """Predict one item.

        Raises:
            DataError, VideoError: the item cannot be used.
        """

    @abstractmethod
    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> Results:
        """Compute the figures of predictions, at least one, given with the item's name; no network runs."""


@dataclass(frozen=True, kw_only=True)
class Results(Scope, ABC):
    """Figures of one network on one benchmark; `results.json`.

    Args:
        benchmark: with its rules.
        rows: figures of each method.
        errors: in the benchmark's unit, by item and method.
    """

    benchmark: Benchmark
    rows: Sequence[Row]
    errors: dict[str, dict[str, float]]

    @property
    def title(self) -> str:
        """Title of the benchmark."""
        return self.benchmark.title

    @property
    def used(self) -> int:
        """Number of items that the figures are over."""
        return len(self.errors)

    @property
    def amount(self) -> str:
        """Number of items with their noun, such as "61 videos"."""
        return counted(self.used, self.benchmark.noun)

    @property
    def left_out(self) -> str:
        """Count of the items that could not be used, with the reasons; empty if all could."""
        return listed([f"{name} ({reason})" for name, reason in self.skipped.items()], _NAMED)

    @property
    def lacking(self) -> str:
        """Count and names of the parts of the benchmark that were not there; empty if all was."""
        return listed(self.missing, _MISSING_NAMED)

    @property
    def not_scored(self) -> str:
        """Frames of videos without a truth to compare with; empty if there are none."""
        return ""

    @property
    def incomplete(self) -> str:
        """Warning to stand beside every figure; empty for a complete result."""
        return incomplete_of(self, self.used + len(self.skipped))

    @abstractmethod
    def headlines(self) -> list[Headline]:
        """Choose the main figures."""

    def facts(self) -> list[Fact]:
        """List what the figures were measured on, and how."""
        run = self.run
        return [
            Fact("used", self.amount),
            Fact("left out", self.left_out or "none", bool(self.skipped)),
            Fact("missing", self.lacking or "nothing", bool(self.missing)),
            *([Fact("frames not scored", self.not_scored)] if self.not_scored else []),
            Fact("box", self.benchmark.box.value),
            Fact("normaliser", self.benchmark.normaliser),
            Fact("weights", f"{run.weights}, sha256 {run.weights_sha256[:HASH]}"),
            Fact("decoder", run.decoder),
            *([Fact("face finder", run.finder)] if run.finder != FINDER else []),
            Fact("version", f"steadyface {run.version}"),
        ]

    def tables(self) -> list[str]:
        """Format a Markdown table per group of items and set of points, each below a line with its title."""
        blocks = groupby(self.rows, key=lambda row: (row.group_title, row.points_title))
        return [self._table(list(rows)) for _, rows in blocks]

    def as_text(self) -> str:
        """Format the tables and the facts, as `steadyface score` prints them."""
        return "\n\n".join([*self.tables(), "\n".join(f"{fact.name}: {fact.text}" for fact in self.facts())])

    def save(self, path: str | Path) -> None:
        """Write as JSON; NaN becomes null, and None is left out.

        Raises:
            DataError: it cannot be written.
        """
        benchmark = {
            "protocol": self.benchmark.name,
            "title": self.title,
            "box": self.benchmark.box.value,
            "normaliser": self.benchmark.normaliser,
        }
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "benchmark"}
        files.write_text(path, json.dumps(benchmark | _to_json(own), indent=1) + "\n")

    def _table(self, rows: Sequence[Row]) -> str:
        first, columns = rows[0], rows[0].columns()
        shown = [name for name in columns if any(getattr(row, name) is not None for row in rows)]
        ends = ["" if row.found == row.of else f"{row.found:,} of {row.of:,}" for row in rows]
        parts = [first.group_title, counted(first.items, self.benchmark.noun), first.points_title]
        title = ", ".join([self.title, *filter(None, parts), self.run.weights])
        heads = [first.head, *(columns[name].head for name in shown)]
        lines = [
            [row.label, *(number(getattr(row, name), columns[name].decimals) for name in shown)]
            for row in rows
        ]
        if any(ends):
            heads.append("found")
            lines = [[*line, end] for line, end in zip(lines, ends, strict=True)]
        return f"{title}: {self.benchmark.unit}\n\n{aligned(heads, lines)}"


def incomplete_of(results: Results, whole: int) -> str:
    """Warning for results over fewer than `whole` items, or with something missing; else empty."""
    parts = [f"{results.used:,} of {whole:,} used"] if results.used < whole else []
    parts += [f"{len(results.missing):,} missing"] if results.missing else []
    return f"incomplete: {', '.join(parts)}" if parts else ""


def percent(value: float | None, decimals: int) -> str:
    """Format a figure with its unit.

    >>> percent(2.991, 2)
    '2.99 %'
    """
    return f"{number(value, decimals)} %"


def labels(results: Sequence[Results]) -> list[str]:
    """One name per result: its weights, numbered where two of one benchmark have the same name."""
    keys = [(each.benchmark.name, each.run.weights) for each in results]
    return [
        key[1] if keys.count(key) == 1 else f"{key[1]} ({keys[: i + 1].count(key)})"
        for i, key in enumerate(keys)
    ]


def from_json(kind: Any, value: Any) -> Any:
    """Rebuild what `Results.save` made JSON of.

    Args:
        kind: type of the value: a dataclass, list, dict with plain keys, enumeration, number or text, or one
            of these or None.
        value: as JSON has it.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated or origin is UnionType:
        return from_json(args[0], value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: from_json(hints[name], part) for name, part in value.items()})  # type: ignore[operator]
    if origin in (list, Sequence):
        return [from_json(args[0], part) for part in value]
    if origin is dict:
        return {args[0](key): from_json(args[1], part) for key, part in value.items()}
    return float("nan") if kind is float and value is None else kind(value)


def _to_json(value: Any) -> Any:
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, dict):
        return {str(key): _to_json(part) for key, part in value.items() if part is not None}
    if isinstance(value, list | tuple):
        return [_to_json(part) for part in value]
    if isinstance(value, Enum):
        return value.value
    return None if isinstance(value, float) and not np.isfinite(value) else value
