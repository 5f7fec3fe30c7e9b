"""One HTML page of all results, whole in itself, beside files of its tables and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from steadyface.errors import DataError
from steadyface.evaluation import published
from steadyface.evaluation.plots import INK, PAPER_WHITE, Plot, draw_all
from steadyface.evaluation.predict import CHR, FHR
from steadyface.evaluation.protocols import SCENARIO_GROUPS, find_protocol
from steadyface.evaluation.score import ALL, RAW, RAW_FHR, Results
from steadyface.evaluation.tables import (
    PRIVATE,
    TALKING,
    VIDEOS,
    Table,
    about,
    amount,
    as_text,
    counted,
    decoder_of,
    incomplete,
    is_not_run,
    labels,
    merged,
    number,
    paper_tables,
    scenario_row,
    to_csv,
    to_latex,
    to_markdown,
)

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
    page = _page(results, tables, plots)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(folder, f"cannot be written: {error.strerror or error}") from error
    for table in tables:
        for suffix, text in ((".md", to_markdown), (".csv", to_csv), (".tex", to_latex)):
            _write(folder / f"table-{table.number}{suffix}", text(table))
    for plot in plots:
        if plot.figure is not None:
            plot.save(folder)
    _write(folder / PAGE, page)
    return folder / PAGE


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(path, f"cannot be written: {error.strerror or error}") from error


def _page(results: Sequence[Results], tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    versions = sorted({str(each.run.get("version", "?")) for each in results})
    missing = [plot for plot in plots if plot.figure is None]
    return _PAGE.substitute(
        style=_STYLE,
        version=escape(", ".join(versions) or "?"),
        paper=escape(published.PAPER),
        headlines="\n".join(map(_tile, _headlines(results))) or "<li>Nothing was run.</li>",
        cards="\n".join(_card(each, label) for each, label in zip(results, labels(results), strict=True)),
        tables="\n".join(map(_table, tables)),
        figures="\n".join(_figure(plot) for plot in plots if plot.figure is not None),
        absent=_absent(missing),
    )


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
    row = results.row(decoder_of(results))
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
            if row := scenario_row(results, "sta", i):
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
    text = escape(headline.text).replace(" %", "\N{NO-BREAK SPACE}%")
    warning = f'<span class="beside warn">{escape(headline.warning)}</span>' if headline.warning else ""
    return (
        f'<li><span class="what">{escape(headline.title)}</span>'
        f"<strong>{escape(headline.value)}</strong>"
        f'<span class="beside">{text}</span>{warning}</li>'
    )


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


_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>steadyface: measured figures</title>
<style>$style</style>
</head>
<body>
<header>
<h1>steadyface, measured</h1>
<p>Facial landmarks in video, on the benchmarks of $paper. Unless said otherwise figures are in % of the
distance of the outer eye corners, and lower is better.</p>
<p class="small">steadyface $version</p>
<nav><a href="#headlines">Headlines</a> <a href="#measured">What was measured</a>
<a href="#tables">Tables</a> <a href="#figures">Figures</a></nav>
</header>
<main>
<h2 id="headlines">Headlines</h2>
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
$absent
</main>
<footer>Each table lies beside this page as .md, .csv and .tex, each figure as .png and .svg.</footer>
</body>
</html>
"""
)

_STYLE = """
:root { --ink: #1f2329; --soft: #5d6570; --line: #d9dde2; --ground: #fbfbfa; --sheet: #ffffff;
  --ours: #0f6f55; --ours-ground: #eef6f2; --warn: #9a5b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e9; --soft: #9aa2ac; --line: #343a42; --ground: #14171a; --sheet: #1a1e22;
    --ours: #5cc9a4; --ours-ground: #1b2a26; --warn: #e0a850; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: break-word;
  font: 16px/1.55 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main, footer { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3rem; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.02em; font-weight: 650; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; letter-spacing: -.01em; font-weight: 620; margin: 3.25rem 0 1rem; }
h3 { font-size: 1rem; font-weight: 620; margin: 0 0 .75rem; }
header p { max-width: 44rem; margin: 0 0 .5rem; }
p { max-width: 44rem; }
a { color: var(--ours); text-underline-offset: .2em; text-decoration-thickness: 1px; }
nav { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin-top: 1rem; font-size: .9rem; }
.small, footer, .notes, figcaption, .beside, dl { font-size: .85rem; color: var(--soft); }
footer { padding-top: 2.5rem; padding-bottom: 3rem; }
.tiles { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.tiles li { background: var(--sheet); border: 1px solid var(--line); border-radius: 6px;
  padding: .9rem 1.1rem; display: flex; flex-direction: column; }
.what { font-size: .85rem; }
.tiles strong { font-size: 1.85rem; font-weight: 600; letter-spacing: -.02em; line-height: 1.3;
  font-variant-numeric: tabular-nums; color: var(--ours); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
.card, .sheet { background: var(--sheet); border: 1px solid var(--line); border-radius: 6px;
  padding: 1.1rem 1.25rem; min-width: 0; }
.sheet { margin: 0 0 1.25rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; margin: 0; }
dd { margin: 0; color: var(--ink); overflow-wrap: anywhere; }
dd.warn, dd.warn summary, .beside.warn { color: var(--warn); }
details > summary { cursor: pointer; }
.card > details { margin-top: .75rem; font-size: .85rem; }
.card > details[open] { margin-bottom: .25rem; }
.card:has(> details[open]) { grid-column: 1 / -1; }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
pre { font: .78rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
  margin: .75rem 0 .25rem; width: max-content; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .6rem; text-align: left; white-space: nowrap; font-weight: 400; }
th:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: .25rem; }
thead th { color: var(--soft); font-size: .8rem; border-bottom: 1px solid var(--ink); }
.n { text-align: right; }
td.none { padding-left: 1.5rem; font-style: italic; color: var(--soft); }
.block th { padding-top: .9rem; font-size: .8rem; color: var(--soft); border-bottom: 1px solid var(--line); }
.block span { position: sticky; left: 0; display: inline-block; white-space: normal;
  max-width: calc(100vw - 3.75rem); }
.ours .block th { color: var(--ours); }
.ours tr:not(.block) > * { background: var(--ours-ground); }
.ours tr:not(.block) > th:first-child { padding-left: .5rem; }
.notes { margin: .9rem 0 0; padding-left: 1.1rem; }
.notes li { margin: .2rem 0; overflow-wrap: anywhere; }
figure svg { display: block; width: 100%; height: auto; max-width: 41rem; margin: 0 auto; }
figcaption { margin-top: .75rem; max-width: 46rem; }
@media (max-width: 30rem) {
  body { font-size: 15px; }
  header { padding-top: 1.75rem; }
  header, main, footer { padding-left: .9rem; padding-right: .9rem; }
  .card, .sheet { padding: .9rem; }
  th, td { padding-left: .4rem; padding-right: .4rem; }
  tbody th[scope="row"] { white-space: normal; min-width: 7.5rem; }
}
@media print { body { background: none; } .card, .sheet, .tiles li { break-inside: avoid; } }
"""
