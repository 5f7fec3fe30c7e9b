"""Results as text: the plain tables that `steadyface score` prints, and the paper's Tables 1 to 6."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from steadyface.datasets.annotated_videos import SCENARIOS
from steadyface.evaluation import published
from steadyface.evaluation.predict import CHR, FHR
from steadyface.evaluation.protocols import SCENARIO_GROUPS, find_protocol
from steadyface.evaluation.score import ALL, RAW, RAW_CHR, RAW_FHR, SCALES, Results, Row

NOT_RUN = "not run: no data"
NONE = "–"

PRIVATE, HELEN, VIDEOS, TALKING = "300w-private", "300w-helen", "300vw", "talking-face"

_NAMED = 12  # items left out that are named with their reason
_HASH = 12  # digits of the weights' hash that are shown


def decoder_of(results: Results) -> str:
    """The decoder that the network brings along."""
    return str(results.run.get("decoder", "?"))


def weights_of(results: Results) -> str:
    """Name of the network."""
    return str(results.run.get("weights", "?"))


def labels(results: Sequence[Results]) -> list[str]:
    """One name per result: its weights, numbered where two of one protocol bear the same name."""
    keys = [(each.protocol, weights_of(each)) for each in results]
    return [
        weights if keys.count((protocol, weights)) == 1 else f"{weights} ({keys[: i + 1].count(keys[i])})"
        for i, (protocol, weights) in enumerate(keys)
    ]


def number(value: float | None, decimals: int) -> str:
    """A figure as text; a dash where there is none.

    >>> number(3.14159, 2), number(float("nan"), 2)
    ('3.14', '–')
    """
    return NONE if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "video"), counted(2, "video")
    ('1 video', '2 videos')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# ----------------------------------------------------------------------------------------- plain text

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

_NOUNS = {"images": "image", "videos": "video", "motion": "clip"}
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
    return {
        "used": amount(results),
        "left out": _left_out(results) or "none",
        "missing": _missing(results) or "nothing",
        "box": results.box,
        "normaliser": results.normaliser,
        "weights": f"{weights_of(results)}, sha256 {str(run.get('weights_sha256', '?'))[:_HASH]}",
        "decoder": decoder_of(results),
        "version": f"steadyface {run.get('version', '?')}",
    }


def amount(results: Results) -> str:
    """How many items were used, such as "61 videos"."""
    return counted(results.used, _NOUNS[find_protocol(results.protocol).kind])


def _left_out(results: Results) -> str:
    """How many items could not be used, and why; empty if all could."""
    if not results.skipped:
        return ""
    named = [f"{name} ({reason})" for name, reason in list(results.skipped.items())[:_NAMED]]
    more = len(results.skipped) - len(named)
    rest = [f"and {more:,} more, all in results.json"] if more else []
    return f"{len(results.skipped):,}: {'; '.join([*named, *rest])}"


def _missing(results: Results) -> str:
    return f"{len(results.missing):,}: {'; '.join(results.missing)}" if results.missing else ""


def _text_block(results: Results, rows: Sequence[Row], kind: str) -> str:
    first = rows[0]
    of = counted(first.items, _NOUNS[kind])
    group = [] if first.group == ALL else [first.group]
    points = [f"{first.points} points"] if kind == "videos" else []
    title = ", ".join([results.title, *group, of, *points, weights_of(results)])
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
    eyes = _eyes_by_scale(results)
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


# ---------------------------------------------------------------------------------- tables of the paper


@dataclass(frozen=True)
class Table:
    """A table of the paper: what was published, and what was measured here.

    Args:
        number: in the paper.
        title: for people.
        columns: heads.
        rows: cells; the first of each says whose figures they are, and rows of the same lie together.
        notes: what has to be known to read it, a sentence or two each.
    """

    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def blocks(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """The rows without their first cell, under that cell."""
        grouped = groupby(self.rows, key=lambda row: row[0])
        return [(source, [row[1:] for row in rows]) for source, rows in grouped]


_Rows = list[tuple[str, ...]]

_PUBLISHED = "published in the paper"
_PRECISION = "Ours are rounded to the digits that the paper gives."
_TWO_STAS = (
    "sta is STA with a velocity, the default stabiliser; sta-paper is the paper's STA. "
    "Both steady the points of the default decoder."
)


def paper_tables(results: Sequence[Results]) -> list[Table]:
    """Tables 1 to 6 of the paper, with our figures below the published ones.

    Several results of one protocol, such as those of two networks, stand below each other. What was not run
    is marked `NOT_RUN`; what a result lacks is said in the notes.

    Source: Tai et al. 2019, Tables 1 to 6.
    """
    return [
        _private_test(results),
        _face_scales(results),
        _ablation(results),
        _seven_points(results),
        _talking_face(results),
        _all_points(results),
    ]


def _private_test(results: Sequence[Results]) -> Table:
    columns = ("source", "method", "faces", "NRMSE", "AUC", "failure")
    faces = f"{published.PRIVATE_FACES}"
    rows: _Rows = []
    for source, methods in (
        (_PUBLISHED, published.PRIVATE_TEST),
        ("published later", published.PRIVATE_TEST_LATER),
    ):
        rows += [(source, name, faces, *_accuracy(each)) for name, each in methods.items()]
    shown = _shown(results, PRIVATE)
    if not _of(results, PRIVATE):
        rows += [("ours", name, *[NOT_RUN] * 4) for name in _decoders(None).values()]
    for source, each in shown:
        rows += [(source, *cells) for cells in _decoder_rows(each)]
    if _on_helen(shown):
        for name, other in published.HELEN_TEST_LATER.items():
            cells = (name, f"{published.HELEN_FACES}", *_accuracy(other))
            rows.append(("HELEN test, from published predictions", *cells))
    notes = [
        "Failure: share of faces above 8 %. AUC: up to 8 %.",
        f"The published networks were trained on {published.TRAINING_FACES:,} faces of 300-W.",
        _PRECISION,
        *_helen_notes(shown),
        *_notes(results, PRIVATE, [each for _, each in shown]),
    ]
    return Table(
        1, "NRMSE, AUC and failure rate on the 300-W private test, %", columns, *_frozen(rows, notes)
    )


def _face_scales(results: Sequence[Results]) -> Table:
    columns = (
        "source",
        "face scale",
        "inter-ocular, px",
        "CHR, px",
        "FHR, px",
        "FHR better by",
        "default decoder, px",
    )
    rows: _Rows = [
        (_PUBLISHED, scale, *_scale_cells(each.interocular, each.chr, each.fhr, None))
        for scale, each in published.FACE_SCALES.items()
    ]
    if not _of(results, PRIVATE):
        rows += [("ours", scale, *[NOT_RUN] * 5) for scale in SCALES]
    shown = _shown(results, PRIVATE)
    for source, each in shown:
        eyes = _eyes_by_scale(each)
        for scale in SCALES:
            values = (_scale_error(each, name, scale) for name in (CHR, FHR, decoder_of(each)))
            rows.append((source, scale, *_scale_cells(eyes.get(scale), *values)))
    notes = [
        "RMSE in px of the images as they were read: it grows with the face. Fifths of the faces by size.",
        *_helen_notes(shown),
        *_notes(results, PRIVATE, [each for _, each in shown]),
    ]
    return Table(2, "RMSE by face scale on the 300-W private test, px", columns, *_frozen(rows, notes))


def _ablation(results: Sequence[Results]) -> Table:
    rows: _Rows = [(_PUBLISHED, name, *_steadiness(each)) for name, each in published.VIDEOS_68.items()]
    for source, each in _videos(results):
        rows += [(source, *cells) for cells in _scenario_rows(each, "68", chr=False)]
        rows += [(source, f"{name}, ours", *["not run"] * 6) for name in published.ABLATIONS]
    notes = [
        _TWO_STAS,
        "The rows with another λ2 or λ3 need stabilisers fitted by those losses; none was.",
        *_notes(results, VIDEOS),
    ]
    title = "NRMSE and stability on 300-VW, 68 points, %"
    return Table(3, title, _scenario_columns("stability"), *_frozen(rows, notes))


def _seven_points(results: Sequence[Results]) -> Table:
    rows: _Rows = [(_PUBLISHED, name, *_steadiness(each)) for name, each in published.VIDEOS_7.items()]
    for source, each in _videos(results):
        rows += [(source, *cells) for cells in _scenario_rows(each, "7", chr=False)]
    title = "NRMSE and stability on 300-VW, 7 points, %"
    notes = [_TWO_STAS, *_notes(results, VIDEOS)]
    return Table(4, title, _scenario_columns("stability"), *_frozen(rows, notes))


def _talking_face(results: Sequence[Results]) -> Table:
    columns = ("source", "method", "frames", "NRMSE", "without offsets", "stability")
    frames = f"{published.TALKING_FACE_FRAMES}"
    rows: _Rows = [
        (_PUBLISHED, name, frames, number(value, 2), NONE, NONE)
        for name, value in published.TALKING_FACE.items()
    ]
    shown = _shown(results, TALKING)
    for source, each in shown:
        for name, title in _ways(each).items():
            if row := each.row(name, ALL, "7"):
                values = (row.figures.get(key) for key in ("nrmse", "without_offsets", "stability"))
                rows.append((source, title, f"{row.of}", *(number(value, 2) for value in values)))
    if not shown:
        rows += [("ours", title, *[NOT_RUN] * 4) for title in _ways(None).values()]
    notes = [
        "Its markup is another one: some of its points mean other places than ours. Without offsets: less "
        "each point's mean difference from the truth, which no tracker can know.",
        _TWO_STAS,
        *_notes(results, TALKING),
    ]
    return Table(5, "NRMSE on Talking Face, 7 points, %", columns, *_frozen(rows, notes))


def _all_points(results: Sequence[Results]) -> Table:
    rows: _Rows = [
        (_PUBLISHED, name, *(number(value, 2) for value in values))
        for name, values in published.VIDEOS_68_NRMSE.items()
    ]
    for source, each in _videos(results):
        rows += [(source, *cells) for cells in _scenario_rows(each, "68", chr=True, keys=("nrmse",))]
    notes = [_TWO_STAS, *_notes(results, VIDEOS)]
    return Table(6, "NRMSE on 300-VW, 68 points, %", _scenario_columns(), *_frozen(rows, notes))


def _frozen(rows: _Rows, notes: list[str]) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    return tuple(rows), tuple(notes)


# ------------------------------------------------------------------------------ which results, and rows


def _of(results: Sequence[Results], protocol: str) -> list[Results]:
    return [each for each in results if each.protocol == protocol]


def _shown(results: Sequence[Results], protocol: str) -> list[tuple[str, Results]]:
    """The results of a protocol, with their block's name; HELEN test's in place of the private test's."""
    found = _of(results, protocol)
    title = "ours"
    if protocol == PRIVATE and not found:
        found, title = _of(results, HELEN), "HELEN test, ours"
    names = [f"{title}, {label}" for label in labels(found)]
    gaps = [f" ({text})" if (text := incomplete(each)) else "" for each in found]
    return [(name + gap, each) for name, gap, each in zip(names, gaps, found, strict=True)]


def _videos(results: Sequence[Results]) -> Sequence[tuple[str, Results | None]]:
    """The results of 300-VW, or one block that stands for those that were not run."""
    return _shown(results, VIDEOS) or [("ours", None)]


def incomplete(results: Results) -> str:
    """What is not all there, to stand beside every figure; empty for a complete result."""
    if results.protocol == VIDEOS:
        there = [0 if (row := scenario_row(results, RAW, i)) is None else row.items for i in range(3)]
        asked = [len(SCENARIOS[i]) for i in (1, 2, 3)]
        counts = " + ".join(f"{part} of {whole}" for part, whole in zip(there, asked, strict=True))
        return "" if there == asked else f"incomplete: {counts} videos"
    wanted = {PRIVATE: published.PRIVATE_FACES, HELEN: published.HELEN_FACES}.get(results.protocol, 0)
    whole = max(wanted, results.used + len(results.skipped))
    parts = [f"{results.used:,} of {whole:,} used"] if results.used < whole else []
    parts += [f"{len(results.missing):,} missing"] if results.missing else []
    return f"incomplete: {', '.join(parts)}" if parts else ""


def _on_helen(shown: Sequence[tuple[str, Results]]) -> bool:
    return any(each.protocol == HELEN for _, each in shown)


def _helen_notes(shown: Sequence[tuple[str, Results]]) -> list[str]:
    if not _on_helen(shown):
        return []
    return ["HELEN test is another and easier data set than the private test: not to be compared with it."]


def _notes(results: Sequence[Results], protocol: str, shown: Sequence[Results] | None = None) -> list[str]:
    """That nothing was run; else what each result lacks, and where faces were not found."""
    found = _of(results, protocol)
    title = find_protocol(protocol).title
    notes = [] if found else [f"No results of {title} were given to this table."]
    chosen = found if shown is None else list(shown)
    for label, each in zip(labels(chosen), chosen, strict=True):
        for gap, text in (("missing", _missing(each)), ("left out", _left_out(each))):
            notes += [f"{each.title}, {label}, is over {amount(each)}: {gap} {text}."] if text else []
        notes += _not_found(each, label)
    if protocol == TALKING:
        frames = {row.of for each in found for row in each.rows}
        notes += [
            f"Ours: {count:,} frames, the paper's {published.TALKING_FACE_FRAMES:,}."
            for count in sorted(frames - {published.TALKING_FACE_FRAMES})
        ]
    return notes


def _not_found(results: Results, label: str) -> list[str]:
    """Where a table's rows lack faces, by group."""
    names = {*_ways(results), *_decoders(results)}
    worst: dict[str, Row] = {}
    for row in results.rows:
        if row.name in names and row.found < row.of:
            worst[row.group] = min(row, worst.get(row.group, row), key=lambda each: each.found)
    where = "; ".join(
        f"{row.found:,} of {row.of:,}" + ("" if group == ALL else f" in {group}")
        for group, row in worst.items()
    )
    kind = find_protocol(results.protocol).kind
    noun = "faces" if kind == "images" else "frames"
    return [f"{results.title}, {label}: NRMSE is over the {noun} with a face, {where}."] if where else []


def _decoders(results: Results | None) -> dict[str, str]:
    """Row of an image protocol → method, for people."""
    titles = {CHR: "CHR (argmax), ours", FHR: "FHR, ours"}
    titles.setdefault("" if results is None else decoder_of(results), f"{_default(results)}, ours")
    return titles


def _ways(results: Results | None) -> dict[str, str]:
    """Row of a video protocol → method, for people."""
    default = "default" if results is None else decoder_of(results)
    return {
        RAW_CHR: "CHR (argmax), ours",
        RAW_FHR: "FHR, ours",
        RAW: f"{_default(results)}, ours",
        "sta": f"{default} + sta, ours",
        "sta-paper": f"{default} + sta-paper, ours",
    }


def _default(results: Results | None) -> str:
    return "default decoder" if results is None else f"{decoder_of(results)} (default)"


def _decoder_rows(results: Results) -> _Rows:
    out = []
    for name, title in _decoders(results).items():
        if row := results.row(name):
            faces = f"{row.of}" if row.found == row.of else f"{row.found} of {row.of}"
            values = (row.figures.get(key) for key in ("nrmse", "auc", "failure"))
            cells = (number(value, decimals) for value, decimals in zip(values, (2, 1, 2), strict=True))
            out.append((title, faces, *cells))
    return out


def _scenario_rows(
    results: Results | None, points: str, *, chr: bool, keys: Sequence[str] = ("nrmse", "stability")
) -> _Rows:
    out = []
    for name, title in _ways(results).items():
        if name == RAW_CHR and not chr:
            continue
        cells = []
        for scenario in range(len(SCENARIO_GROUPS)):
            row = None if results is None else scenario_row(results, name, scenario, points)
            cells += [NOT_RUN if row is None else number(row.figures.get(key), 2) for key in keys]
        out.append((title, *cells))
    return out


def scenario_row(results: Results, name: str, scenario: int, points: str = "68") -> Row | None:
    """The row of a scenario, counted from 0; where only one was run, its rows are those of `all`."""
    row = results.row(name, SCENARIO_GROUPS[scenario], points)
    if row is None and results.items and set(results.items) <= set(SCENARIOS[scenario + 1]):
        row = results.row(name, ALL, points)
    return row


def _scenario_columns(*more: str) -> tuple[str, ...]:
    heads = (f"S{i + 1} {key}" for i in range(len(SCENARIO_GROUPS)) for key in ("NRMSE", *more))
    return ("source", "method", *heads)


def _accuracy(figures: published.Accuracy) -> tuple[str, str, str]:
    return number(figures.nrmse, 2), number(figures.auc, 1), number(figures.failure, 2)


def _steadiness(scenarios: Iterable[published.Steadiness]) -> list[str]:
    return [number(value, 2) for each in scenarios for value in (each.nrmse, each.stability)]


def _scale_cells(
    interocular: float | None, chr: float | None, fhr: float | None, default: float | None
) -> tuple[str, ...]:
    gain = None if chr is None or fhr is None else chr - fhr
    return tuple(number(value, 2) for value in (interocular, chr, fhr, gain, default))


def _scale_error(results: Results, name: str, scale: str) -> float | None:
    row = results.row(name)
    return None if row is None else row.figures.get(f"rmse_px, {scale}")


def _eyes_by_scale(results: Results) -> dict[str, float]:
    """Mean inter-ocular distance of each fifth of the faces, px; a fifth of fewer than five may be empty."""
    there = {key for row in results.rows for key in row.figures}
    scales = [scale for scale in SCALES if f"rmse_px, {scale}" in there]
    eyes = results.curves.get("interocular by scale", [])
    return dict(zip(scales, eyes, strict=True)) if len(eyes) == len(scales) else {}


# ---------------------------------------------------------------------------------------------- formats


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
