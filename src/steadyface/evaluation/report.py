"""One HTML page of all results, whole in itself, beside files of its tables and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from steadyface.evaluation import published
from steadyface.evaluation.plots import Plot, draw_all
from steadyface.evaluation.plots.style import INK, PAPER_WHITE
from steadyface.evaluation.protocols import CHR, FHR, PRIVATE, SCENARIO_GROUPS, TALKING, VIDEOS, find_protocol
from steadyface.evaluation.results import ALL, RAW, RAW_FHR, Results
from steadyface.evaluation.tables.formats import is_not_run, merged, to_csv, to_latex, to_markdown
from steadyface.evaluation.tables.paper import Table, paper_tables
from steadyface.evaluation.tables.text import about, as_text
from steadyface.evaluation.tables.words import amount, counted, incomplete, labels, number
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
        ConfigError: results of a protocol that does not exist.
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
    versions = sorted({str(each.run.get("version", "?")) for each in results})
    missing = [plot for plot in plots if plot.figure is None]
    header = _HEADER.substitute(version=escape(", ".join(versions) or "?"), paper=escape(published.PAPER))
    main = _MAIN.substitute(
        headlines="\n".join(map(_tile, _headlines(results))) or "<li>Nothing was run.</li>",
        cards="\n".join(_card(each, label) for each, label in zip(results, labels(results), strict=True)),
        tables="\n".join(map(_table, tables)),
        figures="\n".join(_figure(plot) for plot in plots if plot.figure is not None),
        absent=_absent(missing),
    )
    return page("steadyface: measured figures", header, main, _FOOTER)


# --------------------------------------------------------------------------------------- headline figures


@dataclass(frozen=True)
class _Headline:
    """One figure in large print, and what to hold beside it."""

    title: str
    value: str
    text: str
    warning: str = ""


def _headlines(results: Sequence[Results]) -> list[_Headline]:
    """The main figures of each result, our default way first."""
    out = []
    kinds = {"images": _image_headlines, "videos": _video_headlines, "motion": _motion_headlines}
    for each, label in zip(results, labels(results), strict=True):
        for headline in kinds[find_protocol(each.protocol).kind](each):
            title = f"{headline.title}, {label}"
            out.append(_Headline(title, headline.value, headline.text, incomplete(each)))
    return out


def _image_headlines(results: Results) -> list[_Headline]:
    row = results.row(results.decoder)
    if row is None:
        return []
    other = [
        f"{title} {number(found.figures.get('nrmse'), 2)}"
        for name, title in ((FHR, "FHR decoder"), (CHR, "argmax"))
        if name != row.name and (found := results.row(name))
    ]
    text = [
        f"{counted(row.of, 'face')}",
        f"AUC {number(row.figures.get('auc'), 1)}",
        f"{number(row.figures.get('failure'), 2)} % above 8 %",
        *other,
    ]
    if results.protocol == PRIVATE:
        text.append(f"the paper's FHR {number(published.PRIVATE_TEST[published.FHR].nrmse, 2)}")
    return [_Headline(f"NRMSE, {results.title}", _percent(row.figures.get("nrmse"), 2), "; ".join(text))]


def _video_headlines(results: Results) -> list[_Headline]:
    out = []
    if results.protocol == TALKING:
        sta, raw, fhr = (results.row(name, ALL, "7") for name in ("sta", RAW, RAW_FHR))
        if sta and raw:
            text = [f"raw {number(raw.figures.get('stability'), 3)}"]
            text += [f"FHR decoder {number(fhr.figures.get('stability'), 3)}"] if fhr else []
            theirs = number(published.TALKING_FACE[published.FHR_STA], 2)
            text.append(f"NRMSE {number(sta.figures.get('nrmse'), 2)}, the paper's FHR+STA {theirs}")
            value = _percent(sta.figures.get("stability"), 3)
            out.append(_Headline(f"Stability, {results.title}, 7 points", value, "; ".join(text)))
    if results.protocol == VIDEOS:
        for i, group in enumerate(SCENARIO_GROUPS):
            if row := results.row("sta", group):
                paper = published.VIDEOS_68[published.FHR_STA][i]
                text = [
                    counted(row.items, "video"),
                    f"stability {number(row.figures.get('stability'), 2)}",
                    f"the paper's FHR+STA {number(paper.nrmse, 2)} and {number(paper.stability, 2)}",
                ]
                value = _percent(row.figures.get("nrmse"), 2)
                out.append(_Headline(f"NRMSE, {results.title}, {group}", value, "; ".join(text)))
    return out


def _motion_headlines(results: Results) -> list[_Headline]:
    sta, raw = results.row("sta"), results.row(RAW)
    if sta is None or raw is None:
        return []
    return [
        _Headline(
            f"Shaking {title}, known motion",
            _percent(sta.figures.get(key), 3),
            f"raw {number(raw.figures.get(key), 3)}; "
            f"{number(sta.figures.get('delay_frames'), 2)} frames late; {amount(results)}",
        )
        for key, title in (("still", "of a resting face"), ("moving", "of a moving face"))
    ]


def _percent(value: float | None, decimals: int) -> str:
    return f"{number(value, decimals)} %"


def _tile(headline: _Headline) -> str:
    return tile(headline.title, headline.value, headline.text, headline.warning)


# ------------------------------------------------------------------------------------ parts of the page

_LONG = 160  # characters from which on a text is folded away


def _card(results: Results, label: str) -> str:
    title = results.title[:1].upper() + results.title[1:]
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd{_warning(name, text)}>{_folded(text)}</dd>"
        for name, text in about(results).items()
    )
    return (
        f'<article class="card"><h3>{escape(title)}, {escape(label)}</h3><dl>{facts}</dl>'
        f'<details><summary>all figures</summary><div class="scroll">'
        f"<pre>{escape(as_text(results))}</pre></div></details></article>"
    )


def _warning(name: str, text: str) -> str:
    lacks = {"left out": "none", "missing": "nothing"}
    return ' class="warn"' if name in lacks and text != lacks[name] else ""


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
