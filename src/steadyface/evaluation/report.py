"""One HTML page of all results, whole in itself, beside files of its tables and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from steadyface.evaluation import published
from steadyface.evaluation.plots import Plot, draw_all
from steadyface.evaluation.plots.style import INK, PAPER_WHITE
from steadyface.evaluation.results import Fact, Headline, Results, labels
from steadyface.evaluation.tables import paper_tables
from steadyface.evaluation.text import Table, is_not_run, merged, to_csv, to_latex, to_markdown
from steadyface.files import make_folder, write_text
from steadyface.html.page import page, tile

PAGE = "report.html"


def write_report(results: Sequence[Results], out: str | Path) -> Path:
    """Write `report.html`, and beside it each table as .md, .csv and .tex and each figure as .png and .svg.

    The page needs no other file and no network: a link to it can be a copy of it.

    Args:
        results: of any protocols; what none of them holds is shown as not run.
        out: folder; made if missing.

    Returns:
        Path of the page.

    Raises:
        DataError: a file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    folder = Path(out)
    tables, plots = paper_tables(results), draw_all(results)
    text = _page(results, tables, plots)
    make_folder(folder)
    for table in tables:
        for suffix, written in ((".md", to_markdown), (".csv", to_csv), (".tex", to_latex)):
            write_text(folder / f"table-{table.number}{suffix}", written(table))
    for plot in plots:
        if plot.figure is not None:
            plot.save(folder)
    return write_text(folder / PAGE, text)


def _page(results: Sequence[Results], tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    versions = sorted({each.run.version for each in results})
    named = list(zip(results, labels(results), strict=True))
    missing = [plot for plot in plots if plot.figure is None]
    header = _HEADER.substitute(version=escape(", ".join(versions) or "?"), paper=escape(published.PAPER))
    main = _MAIN.substitute(
        headlines="\n".join(
            _tile(headline, each, label) for each, label in named for headline in each.headlines()
        )
        or "<li>Nothing was run.</li>",
        cards="\n".join(_card(each, label) for each, label in named),
        tables="\n".join(map(_table, tables)),
        figures="\n".join(_figure(plot) for plot in plots if plot.figure is not None),
        absent=_absent(missing),
    )
    return page("steadyface: measured figures", header, main, _FOOTER)


# ------------------------------------------------------------------------------------ parts of the page


def _tile(headline: Headline, results: Results, label: str) -> str:
    return tile(f"{headline.title}, {label}", headline.value, headline.text, results.incomplete)


_LONG = 160  # characters from which on a text is folded away


def _card(results: Results, label: str) -> str:
    title = results.title[:1].upper() + results.title[1:]
    facts = "".join(
        f"<dt>{escape(fact.name)}</dt><dd{_warning(fact)}>{_folded(fact.text)}</dd>"
        for fact in results.facts()
    )
    return (
        f'<article class="card"><h3>{escape(title)}, {escape(label)}</h3><dl>{facts}</dl>'
        f'<details><summary>all figures</summary><div class="scroll">'
        f"<pre>{escape(results.as_text())}</pre></div></details></article>"
    )


def _warning(fact: Fact) -> str:
    return ' class="warn"' if fact.gap else ""


def _folded(text: str) -> str:
    """Long lists behind their count."""
    if len(text) <= _LONG or ":" not in text:
        return escape(text)
    head, rest = text.split(":", 1)
    return f"<details><summary>{escape(head)}</summary>{escape(rest)}</details>"


def _table(table: Table) -> str:
    heads = table.columns[1:]
    first, *others = heads
    top = f'<th scope="col">{escape(first)}</th>' + "".join(
        f'<th scope="col" class="n">{escape(head)}</th>' for head in others
    )
    blocks = []
    for source, rows in table.blocks():
        lines = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
        ours = ' class="ours"' if "ours" in source else ""
        blocks.append(
            f'<tbody{ours}><tr class="block"><th colspan="{len(heads)}" scope="rowgroup">'
            f"<span>{escape(source)}</span></th></tr>{lines}</tbody>"
        )
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    return (
        f'<section class="sheet" id="table-{table.number}">'
        f"<h3>Table {table.number}. {escape(table.title)}</h3>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table {table.number}">'
        f"<table><thead><tr>{top}</tr></thead>{''.join(blocks)}</table></div>"
        f'<ul class="notes">{notes}</ul></section>'
    )


def _cells(row: Sequence[str]) -> str:
    first, *others = row
    parts = [f'<th scope="row">{escape(first)}</th>']
    for cell, span in merged(others):
        wide = f' colspan="{span}"' if span > 1 else ""
        kind = "none" if is_not_run(cell) else "n"
        parts.append(f'<td class="{kind}"{wide}>{escape(cell)}</td>')
    return "".join(parts)


def _figure(plot: Plot) -> str:
    return (
        f'<figure class="sheet" id="{plot.name}"><h3>{escape(plot.title)}</h3>'
        f'<div class="scroll">{_inline(plot)}</div>'
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
    )


def _inline(plot: Plot) -> str:
    """The figure as an SVG element in the page's own colours, with the ids it needs, apart from others'."""
    svg = re.sub(r"^.*?(?=<svg)", "", plot.svg, flags=re.DOTALL)
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace(INK, "currentColor").replace(PAPER_WHITE, "none")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda id: f' id="{plot.name}-{id[1]}"' if id[1] in used else "", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{plot.name}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(plot.title)}" ', 1)


def _absent(plots: Iterable[Plot]) -> str:
    items = "".join(f"<li><b>{escape(plot.title)}</b>: {escape(plot.caption)}.</li>" for plot in plots)
    return f'<section class="sheet"><h3>Not drawn</h3><ul>{items}</ul></section>' if items else ""


_HEADER = Template(
    """<h1>steadyface, measured</h1>
<p>Facial landmarks in video, on the benchmarks of $paper. Unless said otherwise figures are in % of the
distance of the outer eye corners, and lower is better.</p>
<p class="small">steadyface $version</p>
<nav><a href="#headlines">Headlines</a> <a href="#measured">What was measured</a>
<a href="#tables">Tables</a> <a href="#figures">Figures</a></nav>"""
)

_MAIN = Template(
    """<h2 id="headlines">Headlines</h2>
<ul class="tiles">
$headlines
</ul>
<h2 id="measured">What was measured, and how</h2>
<div class="cards">
$cards
</div>
<h2 id="tables">Tables of the paper</h2>
$tables
<h2 id="figures">Figures of the paper</h2>
<p>Figures 1 and 2 of the paper explain the method and show no results.</p>
$figures
$absent"""
)

_FOOTER = "Each table lies beside this page as .md, .csv and .tex, each figure as .png and .svg."
