"""Write all results as one HTML page, beside files of its tables and figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup, escape

from steadyface.evaluation import published
from steadyface.evaluation.plots import Plot, draw_all
from steadyface.evaluation.plots.style import INK, PAPER_WHITE
from steadyface.evaluation.results import Results, labels
from steadyface.evaluation.tables import paper_tables
from steadyface.evaluation.text import Table, is_not_run, merged, to_csv, to_latex, to_markdown
from steadyface.files import make_folder, write_text
from steadyface.html.rendering import render

PAGE = "report.html"


def write_report(results: Sequence[Results], out: str | Path) -> Path:
    """Write `report.html`, each table as .md, .csv and .tex, and each figure as .png and .svg.

    The page needs no other file and no network.

    Args:
        results: of any benchmarks; a benchmark without results is shown as not run.
        out: folder; made if missing.

    Returns:
        Path of the page.

    Raises:
        DataError: a file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    tables, plots = paper_tables(results), draw_all(results)
    page = _page(results, tables, plots)
    folder = make_folder(out)
    for table in tables:
        for suffix, formatted in ((".md", to_markdown), (".csv", to_csv), (".tex", to_latex)):
            write_text(folder / f"table-{table.number}{suffix}", formatted(table))
    for plot in plots:
        if plot.figure is not None:
            plot.save(folder)
    return write_text(folder / PAGE, page)


def _page(results: Sequence[Results], tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    return render(
        "evaluation/report.html",
        paper=published.PAPER,
        version=", ".join(sorted({each.run.version for each in results})) or "?",
        results=list(zip(results, labels(results), strict=True)),
        tables=tables,
        merged=merged,
        is_not_run=is_not_run,
        plots=plots,
        inline_svg=_inline_svg,
    )


def _inline_svg(plot: Plot) -> Markup:
    """Make a figure's SVG an element of the page: in the page's colours, with ids of its own.

    The SVG is matplotlib's, which escapes the text in it.
    """
    svg = re.sub(r"^.*?(?=<svg)", "", plot.svg, flags=re.DOTALL)
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace(INK, "currentColor").replace(PAPER_WHITE, "none")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda id: f' id="{plot.name}-{id[1]}"' if id[1] in used else "", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{plot.name}-", svg)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(plot.title)}" ', 1))
