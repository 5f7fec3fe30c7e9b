"""The paper's Tables 1 to 6: its published figures, and ours below them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from steadyface.evaluation import published
from steadyface.evaluation.protocols import (
    CHR,
    FHR,
    HELEN,
    PRIVATE,
    SCENARIO_GROUPS,
    TALKING,
    VIDEOS,
    find_protocol,
)
from steadyface.evaluation.results import ALL, RAW, RAW_CHR, RAW_FHR, SCALES, Results, Row
from steadyface.evaluation.tables.words import (
    NONE,
    amount,
    incomplete,
    labels,
    left_out,
    missing,
    number,
    unscored,
)

NOT_RUN = "not run: no data"


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
        eyes = each.curves.get("eyes by scale", {})
        for scale in SCALES:
            values = (_scale_error(each, name, scale) for name in (CHR, FHR, each.decoder))
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
        for gap, text in (("missing", missing(each)), ("left out", left_out(each))):
            notes += [f"{each.title}, {label}, is over {amount(each)}: {gap} {text}."] if text else []
        notes += _not_found(each, label)
        notes += [f"{each.title}, {label}: frames not scored, {text}."] if (text := unscored(each)) else []
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
    titles.setdefault("" if results is None else results.decoder, f"{_default(results)}, ours")
    return titles


def _ways(results: Results | None) -> dict[str, str]:
    """Row of a video protocol → method, for people."""
    default = "default" if results is None else results.decoder
    return {
        RAW_CHR: "CHR (argmax), ours",
        RAW_FHR: "FHR, ours",
        RAW: f"{_default(results)}, ours",
        "sta": f"{default} + sta, ours",
        "sta-paper": f"{default} + sta-paper, ours",
    }


def _default(results: Results | None) -> str:
    return "default decoder" if results is None else f"{results.decoder} (default)"


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
        for group in SCENARIO_GROUPS:
            row = None if results is None else results.row(name, group, points)
            cells += [NOT_RUN if row is None else number(row.figures.get(key), 2) for key in keys]
        out.append((title, *cells))
    return out


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
