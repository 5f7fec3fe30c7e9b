"""One HTML page, whole in itself: its frame, its style sheet and the parts that every page has.

No page asks the network for anything, and its own policy forbids it to.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template


def page(title: str, header: str, main: str, footer: str, *, style: str = "", script: str = "") -> str:
    """The whole page.

    Args:
        title: plain text.
        header, main, footer: HTML.
        style: CSS, beside the style sheet of every page.
        script: JavaScript to run at the end of the page.
    """
    return _PAGE.substitute(
        title=escape(title),
        style=STYLE + style,
        policy=f"default-src 'none'; style-src 'unsafe-inline'; img-src data:{_SCRIPTS if script else ''}",
        header=header,
        main=main,
        footer=footer,
        script=f"<script>{script}</script>\n" if script else "",
    )


def tile(what: str, value: str, beside: str = "", warning: str = "") -> str:
    """One figure in large print, and what to hold beside it; all plain text."""
    text = escape(beside).replace(" %", "\N{NO-BREAK SPACE}%")
    warned = f'<span class="beside warn">{escape(warning)}</span>' if warning else ""
    return (
        f'<li><span class="what">{escape(what)}</span><strong>{escape(value)}</strong>'
        f'<span class="beside">{text}</span>{warned}</li>'
    )


def facts(values: Mapping[str, str]) -> str:
    """A list of names and what each is; plain text."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in values.items())
    return f"<dl>{items}</dl>"


_SCRIPTS = "; script-src 'unsafe-inline'"

_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
$header
</header>
<main>
$main
</main>
<footer>$footer</footer>
$script</body>
</html>
"""
)

STYLE = """
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
