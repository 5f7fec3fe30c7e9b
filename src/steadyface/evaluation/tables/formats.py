"""A table as CSV, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from steadyface.evaluation.tables.paper import Table


def to_csv(table: Table) -> str:
    """Heads and rows; the notes are in the other formats only."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A table of GitHub's Markdown, with a bold line above each block, and its notes."""
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
    """A floating table for LaTeX with the package booktabs, and its notes below."""
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
