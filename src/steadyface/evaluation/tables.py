"""The paper's Tables 1 to 6: its published figures, and ours below them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from steadyface.evaluation import published
from steadyface.evaluation.images import HELEN, PRIVATE, SCALES, ImageResults
from steadyface.evaluation.inputs import CHR, FHR
from steadyface.evaluation.predictions import Reading
from steadyface.evaluation.results import Benchmark, Results, Row, labels
from steadyface.evaluation.text import NONE, Table, number
from steadyface.evaluation.trajectories import RAW, RAW_CHR, RAW_FHR, STA, STA_PAPER, Method
from steadyface.evaluation.videos import (
    ALL_POINTS,
    NUMBERS,
    SEVEN_POINTS,
    TALKING,
    VIDEOS,
    VideoBenchmark,
    VideoResults,
    VideoRow,
)

NOT_RUN = "not run: no data"

AnyResults = TypeVar("AnyResults", bound=Results)

_Rows = list[tuple[str, ...]]
_Figures = tuple[Callable[[VideoRow], float], ...]

_PUBLISHED = "published in the paper"
_PRECISION = "Ours are rounded to the digits that the paper gives."
_TWO_STAS = (
    "sta is STA with a velocity, the default stabiliser; sta-paper is the paper's STA. "
    "Both steady the points of the default decoder."
)


def paper_tables(results: Sequence[Results]) -> list[Table]:
    """Build Tables 1 to 6 of the paper, with our figures below the published ones.

    Several results of one benchmark, such as those of two networks, are one below the other. What was not run
    is marked `NOT_RUN`; the notes say what a result lacks.

    Source: Tai et al. 2019, Tables 1 to 6.
    """
    private, scenarios, talking = _private(results), _videos(results, VIDEOS), _videos(results, TALKING)
    return [
        _private_test(private),
        _face_scales(private),
        _ablation(scenarios),
        _seven_points(scenarios),
        _talking_face(talking),
        _all_points(scenarios),
    ]


def _private(results: Sequence[Results]) -> list[ImageResults]:
    """Results of the private test; where there are none, those of HELEN test in their place."""
    images = [each for each in results if isinstance(each, ImageResults)]
    found = [[each for each in images if each.benchmark is benchmark] for benchmark in (PRIVATE, HELEN)]
    return found[0] or found[1]


def _videos(results: Sequence[Results], benchmark: VideoBenchmark) -> list[VideoResults]:
    return [each for each in results if isinstance(each, VideoResults) and each.benchmark is benchmark]


def _private_test(shown: Sequence[ImageResults]) -> Table:
    columns = ("source", "method", "faces", "NRMSE", "AUC", "failure")
    faces = f"{published.PRIVATE_FACES}"
    rows: _Rows = []
    for source, methods in (
        (_PUBLISHED, published.PRIVATE_TEST),
        ("published later", published.PRIVATE_TEST_LATER),
    ):
        rows += [(source, name, faces, *_accuracy(each)) for name, each in methods.items()]
    if not shown or _on_helen(shown):
        rows += [("ours", name, *[NOT_RUN] * 4) for name in _decoders(None).values()]
    for source, each in _blocks(shown):
        rows += [(source, *cells) for cells in _decoder_rows(each)]
    if _on_helen(shown):
        for name, other in published.HELEN_TEST_LATER.items():
            cells = (name, f"{published.HELEN_FACES}", *_accuracy(other))
            rows.append(("HELEN test, from published predictions", *cells))
    notes = [
        "Failure: share of faces above 8 %. AUC: up to 8 %.",
        f"The published networks were trained on {published.TRAINING_FACES:,} faces of 300-W.",
        _PRECISION,
        *_image_notes(shown),
    ]
    title = "NRMSE, AUC and failure rate on the 300-W private test, %"
    return Table(1, title, columns, tuple(rows), tuple(notes))


def _face_scales(shown: Sequence[ImageResults]) -> Table:
    columns = (
        *("source", "face scale", "inter-ocular, px"),
        *("CHR, px", "FHR, px", "FHR better by", "default decoder, px"),
    )
    rows: _Rows = [
        (_PUBLISHED, scale, *_scale_cells(each.interocular, each.chr, each.fhr, None))
        for scale, each in published.FACE_SCALES.items()
    ]
    if not shown or _on_helen(shown):
        rows += [("ours", scale, *[NOT_RUN] * 5) for scale in SCALES]
    for source, each in _blocks(shown):
        for i, scale in enumerate(SCALES):
            values = (_scale_error(each, reading, i) for reading in (CHR, FHR, each.run.decoder))
            rows.append((source, scale, *_scale_cells(each.interocular_px_by_scale[i], *values)))
    notes = [
        "RMSE in px of the images as they were read: it grows with the face. Fifths of the faces by size.",
        *_image_notes(shown),
    ]
    return Table(2, "RMSE by face scale on the 300-W private test, px", columns, tuple(rows), tuple(notes))


def _ablation(shown: Sequence[VideoResults]) -> Table:
    rows: _Rows = [(_PUBLISHED, name, *_steadiness(each)) for name, each in published.VIDEOS_68.items()]
    for source, each in _video_blocks(shown):
        rows += [
            (source, *cells) for cells in _scenario_rows(each, ALL_POINTS, (_nrmse, _stability), chr=False)
        ]
        rows += [(source, f"{name}, ours", *["not run"] * 6) for name in published.ABLATIONS]
    notes = [
        _TWO_STAS,
        "The rows with another λ2 or λ3 need stabilisers fitted by those losses; none was.",
        *_video_notes(shown, VIDEOS),
    ]
    title = "NRMSE and stability on 300-VW, 68 points, %"
    return Table(3, title, _scenario_columns("NRMSE", "stability"), tuple(rows), tuple(notes))


def _seven_points(shown: Sequence[VideoResults]) -> Table:
    rows: _Rows = [(_PUBLISHED, name, *_steadiness(each)) for name, each in published.VIDEOS_7.items()]
    for source, each in _video_blocks(shown):
        rows += [
            (source, *cells) for cells in _scenario_rows(each, SEVEN_POINTS, (_nrmse, _stability), chr=False)
        ]
    title = "NRMSE and stability on 300-VW, 7 points, %"
    notes = (_TWO_STAS, *_video_notes(shown, VIDEOS))
    return Table(4, title, _scenario_columns("NRMSE", "stability"), tuple(rows), notes)


def _talking_face(shown: Sequence[VideoResults]) -> Table:
    columns = ("source", "method", "frames", "NRMSE", "without offsets", "stability")
    frames = f"{published.TALKING_FACE_FRAMES}"
    rows: _Rows = [
        (_PUBLISHED, name, frames, number(value, 2), NONE, NONE)
        for name, value in published.TALKING_FACE.items()
    ]
    for source, each in _blocks(shown):
        for method, title in _methods(each).items():
            if row := each.row(method, points=SEVEN_POINTS):
                values = (
                    row.nrmse_interocular,
                    row.nrmse_interocular_without_offsets,
                    row.stability_interocular,
                )
                rows.append((source, title, f"{row.of}", *(number(value, 2) for value in values)))
    if not shown:
        rows += [("ours", title, *[NOT_RUN] * 4) for title in _methods(None).values()]
    counts = {row.of for each in shown for row in each.rows} - {published.TALKING_FACE_FRAMES}
    notes = [
        "Its markup is another one: some of its points have other positions than ours. Without offsets: less "
        "each point's mean difference from the truth, which no tracker can know.",
        _TWO_STAS,
        *_video_notes(shown, TALKING),
        *(
            f"Ours: {count:,} frames, the paper's {published.TALKING_FACE_FRAMES:,}."
            for count in sorted(counts)
        ),
    ]
    return Table(5, "NRMSE on Talking Face, 7 points, %", columns, tuple(rows), tuple(notes))


def _all_points(shown: Sequence[VideoResults]) -> Table:
    rows: _Rows = [
        (_PUBLISHED, name, *(number(value, 2) for value in values))
        for name, values in published.VIDEOS_68_NRMSE.items()
    ]
    for source, each in _video_blocks(shown):
        rows += [(source, *cells) for cells in _scenario_rows(each, ALL_POINTS, (_nrmse,), chr=True)]
    notes = (_TWO_STAS, *_video_notes(shown, VIDEOS))
    return Table(6, "NRMSE on 300-VW, 68 points, %", _scenario_columns("NRMSE"), tuple(rows), notes)


# ------------------------------------------------------------------------------------ blocks and notes


def _blocks(shown: Sequence[AnyResults]) -> list[tuple[str, AnyResults]]:
    """Results, each with the name of its block, which also says what is incomplete."""
    named = []
    for label, each in zip(labels(shown), shown, strict=True):
        title = "HELEN test, ours" if each.benchmark is HELEN else "ours"
        gap = f" ({each.incomplete})" if each.incomplete else ""
        named.append((f"{title}, {label}{gap}", each))
    return named


def _video_blocks(shown: Sequence[VideoResults]) -> Sequence[tuple[str, VideoResults | None]]:
    """`_blocks`, or one block without results."""
    return _blocks(shown) or [("ours", None)]


def _on_helen(shown: Sequence[ImageResults]) -> bool:
    return any(each.benchmark is HELEN for each in shown)


def _image_notes(shown: Sequence[ImageResults]) -> list[str]:
    notes = []
    if _on_helen(shown):
        notes.append(
            "HELEN test is another and easier data set than the private test: not to be compared with it."
        )
    if not shown or _on_helen(shown):
        notes.append(_no_results(PRIVATE))
    for label, each in zip(labels(shown), shown, strict=True):
        rows = [row for row in each.rows if row.reading in _decoders(each)]
        notes += [*_gaps(each, label), *_not_found(each, label, rows, "faces")]
    return notes


def _video_notes(shown: Sequence[VideoResults], benchmark: VideoBenchmark) -> list[str]:
    notes = [] if shown else [_no_results(benchmark)]
    for label, each in zip(labels(shown), shown, strict=True):
        rows = [row for row in each.rows if row.method in _methods(each)]
        notes += [*_gaps(each, label), *_not_found(each, label, rows, "frames")]
        notes += [f"{each.title}, {label}: frames not scored, {each.not_scored}."] if each.not_scored else []
    return notes


def _no_results(benchmark: Benchmark) -> str:
    return f"No results of {benchmark.title} were given to this table."


def _gaps(results: Results, label: str) -> list[str]:
    """Notes on what a result lacks."""
    gaps = (("missing", results.lacking), ("left out", results.left_out))
    return [
        f"{results.title}, {label}, is over {results.amount}: {gap} {text}." for gap, text in gaps if text
    ]


def _not_found(results: Results, label: str, rows: Sequence[Row], noun: str) -> list[str]:
    """Note on rows that lack faces, by group of items."""
    worst: dict[str, Row] = {}
    for row in rows:
        if row.found < row.of:
            worst[row.group_title] = min(row, worst.get(row.group_title, row), key=lambda each: each.found)
    where = "; ".join(
        f"{row.found:,} of {row.of:,}" + (f" in {group}" if group else "") for group, row in worst.items()
    )
    return [f"{results.title}, {label}: NRMSE is over the {noun} with a face, {where}."] if where else []


# --------------------------------------------------------------------------------------- rows and cells


def _nrmse(row: VideoRow) -> float:
    return row.nrmse_interocular


def _stability(row: VideoRow) -> float:
    return row.stability_interocular


def _decoders(results: ImageResults | None) -> dict[Reading | None, str]:
    """Rows of images that stand in a table, with their names there; None for a decoder not yet known."""
    titles: dict[Reading | None, str] = {CHR: "CHR (argmax), ours", FHR: "FHR, ours"}
    titles.setdefault(results.run.decoder if results else None, f"{_default(results)}, ours")
    return titles


def _methods(results: VideoResults | None) -> Mapping[Method, str]:
    """Rows of videos that stand in a table, with their names there."""
    default = "default" if results is None else results.run.decoder
    return {
        RAW_CHR: "CHR (argmax), ours",
        RAW_FHR: "FHR, ours",
        RAW: f"{_default(results)}, ours",
        STA: f"{default} + sta, ours",
        STA_PAPER: f"{default} + sta-paper, ours",
    }


def _default(results: Results | None) -> str:
    return "default decoder" if results is None else f"{results.run.decoder} (default)"


def _decoder_rows(results: ImageResults) -> _Rows:
    out: _Rows = []
    for reading, title in _decoders(results).items():
        if reading and (row := results.row(reading)):
            faces = f"{row.of}" if row.found == row.of else f"{row.found} of {row.of}"
            figures = published.Accuracy(row.nrmse_interocular, row.auc, row.failure)
            out.append((title, faces, *_accuracy(figures)))
    return out


def _scenario_rows(results: VideoResults | None, points: int, figures: _Figures, *, chr: bool) -> _Rows:
    out: _Rows = []
    for method, title in _methods(results).items():
        if method == RAW_CHR and not chr:
            continue
        cells = []
        for scenario in NUMBERS:
            row = None if results is None else results.row(method, scenario, points)
            cells += [NOT_RUN if row is None else number(figure(row), 2) for figure in figures]
        out.append((title, *cells))
    return out


def _scenario_columns(*heads: str) -> tuple[str, ...]:
    return ("source", "method", *(f"S{scenario} {head}" for scenario in NUMBERS for head in heads))


def _accuracy(figures: published.Accuracy) -> tuple[str, str, str]:
    return number(figures.nrmse, 2), number(figures.auc, 1), number(figures.failure, 2)


def _steadiness(scenarios: Iterable[published.Steadiness]) -> list[str]:
    return [number(value, 2) for each in scenarios for value in (each.nrmse, each.stability)]


def _scale_cells(
    interocular: float | None, chr: float | None, fhr: float | None, default: float | None
) -> tuple[str, ...]:
    gain = None if chr is None or fhr is None else chr - fhr
    return tuple(number(value, 2) for value in (interocular, chr, fhr, gain, default))


def _scale_error(results: ImageResults, reading: Reading, scale: int) -> float | None:
    row = results.row(reading)
    return None if row is None or row.rmse_px_by_scale is None else row.rmse_px_by_scale[scale]
