"""Results as plain text, as `steadyface score` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steadyface.evaluation.protocols import find_protocol
from steadyface.evaluation.results import ALL, RAW, RAW_FHR, SCALES, Results, Row
from steadyface.evaluation.tables.words import (
    NOUNS,
    amount,
    counted,
    left_out,
    missing,
    number,
    unscored,
)

_HASH = 12  # digits of the weights' hash that are shown

_COLUMNS: dict[str, dict[str, tuple[str, int]]] = {
    "images": {
        "nrmse": ("NRMSE", 3),
        "auc": ("AUC", 2),
        "failure": ("over 8 %", 2),
        "score": ("score", 3),
        "nrmse_interpupil": ("by pupils", 3),
        "nrmse_box": ("by box", 3),
        "rmse_px": ("RMSE, px", 3),
    },
    "videos": {
        "nrmse": ("NRMSE", 3),
        "without_offsets": ("without offsets", 3),
        "stability": ("stability", 3),
        "delay_frames": ("delay", 3),
        "of raw": ("of raw", 3),
        "of FHR": ("of FHR", 3),
        "auc": ("AUC", 2),
        "failure": ("over 8 %", 2),
    },
    "motion": {
        "nrmse": ("NRMSE", 3),
        "still": ("still", 3),
        "moving": ("moving", 3),
        "delay_frames": ("delay", 3),
        "blinks": ("blinks", 2),
        "blinks_of_raw": ("of raw", 2),
    },
}
"""Figure → head and decimals, by kind of protocol; a figure that is not listed comes last, under its name."""

_HEADS = {"images": "decoder", "videos": "stabiliser", "motion": "stabiliser"}


def as_text(results: Results) -> str:
    """A table per group and set of points, a line per row; then what it was measured on.

    Raises:
        ConfigError: results of a protocol that does not exist.
    """
    kind = find_protocol(results.protocol).kind
    parts = list(dict.fromkeys((row.group, row.points) for row in results.rows))
    blocks = []
    for group, points in parts:
        rows = [row for row in results.rows if (row.group, row.points) == (group, points)]
        blocks.append(_text_block(results, rows, kind))
    if kind == "images" and (scales := _text_scales(results)):
        blocks.append(scales)
    return "\n\n".join([*blocks, "\n".join(f"{name}: {text}" for name, text in about(results).items())])


def about(results: Results) -> dict[str, str]:
    """What the figures were measured on and how, by name, for people.

    Raises:
        ConfigError: results of a protocol that does not exist.
    """
    run = results.run
    frames = {"frames not scored": unscored(results)} if results.unscored else {}
    return {
        "used": amount(results),
        "left out": left_out(results) or "none",
        "missing": missing(results) or "nothing",
        **frames,
        "box": results.box,
        "normaliser": results.normaliser,
        "weights": f"{results.weights}, sha256 {str(run.get('weights_sha256', '?'))[:_HASH]}",
        "decoder": results.decoder,
        "version": f"steadyface {run.get('version', '?')}",
    }


def _text_block(results: Results, rows: Sequence[Row], kind: str) -> str:
    first = rows[0]
    of = counted(first.items, NOUNS[kind])
    group = [] if first.group == ALL else [first.group]
    points = [f"{first.points} points"] if kind == "videos" else []
    title = ", ".join([results.title, *group, of, *points, results.weights])
    table = [_with_ratios(results, row) for row in rows]
    columns = _COLUMNS[kind]
    known = [key for key in columns if any(key in figures for figures in table)]
    other = dict.fromkeys(key for figures in table for key in figures if key not in columns)
    shown = {key: columns[key] for key in known} | {
        key: (key, 3) for key in other if not key.startswith("rmse_px, ")
    }
    heads = [_HEADS[kind], *(head for head, _ in shown.values())]
    lines = [
        [row.name, *(number(figures.get(key), decimals) for key, (_, decimals) in shown.items())]
        for row, figures in zip(rows, table, strict=True)
    ]
    ends = ["" if row.found == row.of else f"   found {row.found:,} of {row.of:,}".rstrip() for row in rows]
    return "\n".join([f"{title}: % of inter-ocular distance", *_aligned([heads, *lines], ["", *ends])])


def _with_ratios(results: Results, row: Row) -> Mapping[str, float]:
    """A row's figures, and its stability over that of the raw points: the default decoder's and FHR's."""
    ratios = {}
    if "stability" in row.figures:
        for title, name in (("of raw", RAW), ("of FHR", RAW_FHR)):
            other = results.row(name, row.group, row.points)
            if other is not None and other.figures.get("stability", 0.0) > 0:
                ratios[title] = row.figures["stability"] / other.figures["stability"]
    return row.figures | ratios


def _text_scales(results: Results) -> str:
    """RMSE in px by face size, as in Table 2."""
    eyes = results.curves.get("eyes by scale", {})
    lines = [
        [row.name, *(number(row.figures.get(f"rmse_px, {scale}"), 3) for scale in SCALES)]
        for row in results.rows
        if row.group == ALL
    ]
    if not eyes:
        return ""
    distances = ["inter-ocular distance", *(number(eyes.get(scale), 2) for scale in SCALES)]
    return "\n".join(["RMSE by face size, px", *_aligned([["decoder", *SCALES], distances, *lines])])


def _aligned(lines: Sequence[Sequence[str]], ends: Sequence[str] | None = None) -> list[str]:
    """Cells in columns, the first to the left, the others to the right; then each line's end."""
    first, *others = ([len(cell) for cell in column] for column in zip(*lines, strict=True))
    widths = [max(7, *column) for column in others]
    out = []
    for line, end in zip(lines, ends or [""] * len(lines), strict=True):
        cells = [f"{cell:>{width}}" for cell, width in zip(line[1:], widths, strict=True)]
        out.append(" ".join([f"{line[0]:<{max(28, *first)}}", *cells]) + end)
    return out
