"""Figures, counts and tables as text: Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

NONE = "–"


def number(value: float | None, decimals: int) -> str:
    """Format a figure; a dash where there is none.

    >>> number(3.14159, 2), number(float("nan"), 2)
    ('3.14', '–')
    """
    return NONE if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def listed(entries: Sequence[str], most: int) -> str:
    """Count entries and name the first `most` of them; empty if there are none.

    >>> listed(["a", "b", "c"], 2)
    '3: a; b; and 1 more, all in results.json'
    """
    more = len(entries) - most
    named = [*entries[:most], *([f"and {more:,} more, all in results.json"] if more > 0 else [])]
    return f"{len(entries):,}: {'; '.join(named)}" if entries else ""


def aligned(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table whose columns are aligned; the first to the left, the others to the right.

    >>> print(aligned(["decoder", "NRMSE"], [["dark", "2.992"]]))
    | decoder | NRMSE |
    | ------- | ----: |
    | dark    | 2.992 |
    """
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (heads, *lines)]
    first, *others = (max(3, *map(len, column)) for column in zip(*cells, strict=True))
    rule = ["-" * first, *(f"{'-' * (width - 1)}:" for width in others)]
    padded = [
        [f"{head:<{first}}", *(f"{cell:>{width}}" for cell, width in zip(rest, others, strict=True))]
        for head, *rest in cells
    ]
    return "\n".join(map(_line, [padded[0], rule, *padded[1:]]))


@dataclass(frozen=True)
class Table:
    """A table of the paper with published and own figures.

    Args:
        number: in the paper.
        title: in words.
        columns: heads.
        rows: cells; the first of each is the source of the row, and rows of one source are adjacent.
        notes: what a reader has to know, a sentence or two each.
    """

    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def blocks(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """Group the rows by their source; the rows come without that cell."""
        grouped = groupby(self.rows, key=lambda row: row[0])
        return [(source, [row[1:] for row in rows]) for source, rows in grouped]


def to_csv(table: Table) -> str:
    """Format heads and rows as CSV; the notes are in the other formats only."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """Format as GitHub's Markdown, with a bold line above each block, and the notes."""
    heads = table.columns[1:]
    lines = [
        f"**Table {table.number}.** {_marked(table.title)}",
        "",
        _line(map(_marked, heads)),
        _line(["---", *["---:"] * (len(heads) - 1)]),
    ]
    for source, rows in table.blocks():
        lines.append(_line([f"**{_marked(source)}**", *[""] * (len(heads) - 1)]))
        lines += [_line(map(_marked, row)) for row in rows]
    return "\n".join([*lines, "", *(f"- {_marked(note)}" for note in table.notes)]) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _marked(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", text)


def to_latex(table: Table) -> str:
    """Format as a floating LaTeX table with the package booktabs, and the notes below."""
    heads = table.columns[1:]
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table*}",
        "\\centering\\footnotesize",
        "\\setlength{\\tabcolsep}{4pt}",
        f"\\caption{{{_tex(table.title)} (Table {table.number} of the paper)}}",
        f"\\label{{tab:paper-{table.number}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        "\\toprule",
        _tex_row(_tex(head) for head in heads),
    ]
    for source, rows in table.blocks():
        lines += ["\\midrule", f"\\multicolumn{{{len(heads)}}}{{l}}{{\\emph{{{_tex(source)}}}}} \\\\"]
        lines += [_tex_row(_tex_cells(row)) for row in rows]
    lines += ["\\bottomrule", "\\end{tabular}"]
    if table.notes:
        lines += ["", "\\smallskip", "\\raggedright " + " ".join(map(_tex, table.notes))]
    return "\n".join([*lines, "\\end{table*}"]) + "\n"


def merged(cells: Sequence[str]) -> list[tuple[str, int]]:
    """Each cell and how many columns it spans: neighbours that were not run are one.

    >>> merged(["a", "not run", "not run", "1", "1"])
    [('a', 1), ('not run', 2), ('1', 1), ('1', 1)]
    """
    out: list[tuple[str, int]] = []
    for cell, run in groupby(cells):
        count = len(list(run))
        out += [(cell, count)] if is_not_run(cell) else [(cell, 1)] * count
    return out


def is_not_run(cell: str) -> bool:
    """Whether a cell says that there is no figure because nothing was run."""
    return cell.startswith("not run")


def _tex_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _tex_cells(cells: Sequence[str]) -> list[str]:
    return [
        f"\\multicolumn{{{span}}}{{c}}{{\\emph{{{_tex(cell)}}}}}" if is_not_run(cell) else _tex(cell)
        for cell, span in merged(cells)
    ]


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "λ": r"$\lambda$",
    "∞": r"$\infty$",
    "×": r"$\times$",
    "√": r"$\surd$",
    "–": "--",
    "…": r"\ldots{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)
