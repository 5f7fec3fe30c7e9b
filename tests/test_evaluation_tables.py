"""Tables of results: each figure stands where it should, and what is lacking is said."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steadyface.evaluation import published
from steadyface.evaluation.evaluate import BENCHMARKS
from steadyface.evaluation.images import SCALES, ImageBenchmark, ImageResults, ImageRow, MeanHeatmaps
from steadyface.evaluation.known_motion import MOTION, MotionResults, MotionRow
from steadyface.evaluation.predictions import Reading, Run
from steadyface.evaluation.tables import NOT_RUN, paper_tables
from steadyface.evaluation.text import Table, to_csv, to_latex, to_markdown
from steadyface.evaluation.trajectories import (
    RAW,
    RAW_CHR,
    RAW_FHR,
    SECOND_ORDER,
    STA,
    STA_PAPER,
    Excerpt,
    LandmarkErrors,
    Method,
)
from steadyface.evaluation.trajectories import (
    Path as Trajectory,
)
from steadyface.evaluation.videos import SEVEN_POINTS, VideoBenchmark, VideoResults, VideoRow

SPEC = Path(__file__).parents[2] / "shared" / "spec" / "paper.txt"
LANDMARKS = 68
STABILITY = {
    RAW_CHR: 2.0,
    RAW_FHR: 0.8,
    RAW: 0.4,
    STA: 0.2,
    STA_PAPER: 0.25,
    SECOND_ORDER: 0.3,
    Method(stabilizer="sta", lag=2): 0.15,
}
"""By method, in the made-up results."""


def common(protocol: str, count: int, weights: str = "compact", **values: Any) -> dict[str, Any]:
    """Return the fields that all results have, over `count` items."""
    run = Run(protocol, weights, "0123456789abcdef" * 4, Reading.DARK, "0.1.0")
    errors = {f"item_{i}": {"raw": 3.0} for i in range(count)}
    return {"run": run, "skipped": {}, "missing": [], "errors": errors} | values


def image_results(protocol: str = "300w-helen", faces: int = 330, **values: Any) -> ImageResults:
    """Three decoders and the finder, which misses nine faces."""
    benchmark = BENCHMARKS[protocol]
    assert isinstance(benchmark, ImageBenchmark)
    errors = {Reading.ARGMAX: 3.4567, Reading.FHR: 3.1054, Reading.DARK: 2.9912, Reading.FINDER: 3.042}
    rows = [
        ImageRow(
            items=faces,
            found=faces - 9 * (reading is Reading.FINDER),
            of=faces,
            nrmse_interocular=nrmse,
            reading=reading,
            part="",
            auc=100 - 12.512 * nrmse,
            failure=0.303,
            score=0.812,
            nrmse_interpupil=1.4 * nrmse,
            nrmse_box=0.6 * nrmse,
            rmse_px=float("nan"),
            rmse_px_by_scale=[nrmse * (i + 1) for i in range(len(SCALES))],
        )
        for reading, nrmse in errors.items()
    ]
    scales = [0.5 + i % 11 / 10 for i in range(faces)]
    own = {
        f"face_{i}": {name: each * scale for name, each in errors.items()} for i, scale in enumerate(scales)
    }
    own["face_0"][Reading.FINDER] = float("nan")
    ring = np.exp(-(np.arange(-7, 8) ** 2) / 8)
    heat = np.outer(ring, ring).tolist()
    parts = {
        "interocular_px_by_scale": [60.0, 90.0, 120.0, 180.0, 300.0],
        "heatmaps": MeanHeatmaps(heat, heat),
        "errors": own,
    }
    return ImageResults(benchmark=benchmark, rows=rows, **common(protocol, faces, **(parts | values)))


def video_results(
    protocol: str = "300vw", videos: Mapping[int | None, int] | None = None, **values: Any
) -> VideoResults:
    """Every method on each scenario, given with its number of videos; figures grow with the scenario."""
    benchmark = BENCHMARKS[protocol]
    assert isinstance(benchmark, VideoBenchmark)
    counts = {1: 31, 2: 19, 3: 14} if videos is None else videos
    rows = [
        VideoRow(
            items=count,
            found=100 * count,
            of=100 * count,
            nrmse_interocular=3 + i + stability,
            method=method,
            scenario=scenario,
            points=points,
            nrmse_interocular_without_offsets=1.234 if points == SEVEN_POINTS else None,
            stability_interocular=stability,
            delay_frames=0.021,
            stability_of_raw=stability / 0.4,
            stability_of_fhr=stability / 0.8,
            auc=61.234,
            failure=0.456,
        )
        for points in benchmark.points
        for i, (scenario, count) in enumerate(counts.items())
        for method, stability in STABILITY.items()
    ]
    count = sum(counts.values())
    return VideoResults(benchmark=benchmark, rows=rows, **(pictures() | common(protocol, count, **values)))


def motion_results(**values: Any) -> MotionResults:
    rows = [
        MotionRow(
            items=24,
            found=3600,
            of=3600,
            nrmse_interocular=0.609,
            method=method,
            stability_interocular_still=still,
            stability_interocular_moving=moving,
            delay_frames=0.05,
            blink_depth=blinks,
            blink_depth_of_raw=blinks,
        )
        for method, still, moving, blinks in (
            (RAW, 0.196, 0.382, 1.0),
            (SECOND_ORDER, 0.11, 0.34, 0.9),
            (STA, 0.076, 0.201, 0.97),
        )
    ]
    return MotionResults(benchmark=MOTION, rows=rows, **(pictures() | common("known-motion", 24) | values))


def pictures() -> dict[str, Any]:
    """An excerpt with an unknown first frame, and errors by landmark."""
    random, seconds = np.random.default_rng(3), np.arange(150) / 30
    truth = np.stack([400 + 90 * np.sin(3 * seconds), 300 + 9 * np.cos(5 * seconds)], axis=-1)
    noise = {RAW: 0.9, RAW_FHR: 1.4, SECOND_ORDER: 0.5, STA: 0.3}
    paths = [
        Trajectory(method, (truth + random.normal(0, size, truth.shape)).tolist())
        for method, size in noise.items()
    ]
    motion = {method: size * (1 + random.random(LANDMARKS)) for method, size in noise.items()}
    return {
        "trajectory": Excerpt("525", 40, seconds.tolist(), [[float("nan")] * 2, *truth[1:].tolist()], paths),
        "by_landmark": [
            LandmarkErrors(method, sizes.tolist(), (30 * sizes).tolist()) for method, sizes in motion.items()
        ],
    }


def of_number(found: list[Table], number: int) -> Table:
    return next(table for table in found if table.number == number)


def rows_of(table: Table, source: str) -> dict[str, tuple[str, ...]]:
    """The cells of each row of the block whose name begins so."""
    return {row[1]: row[2:] for row in table.rows if row[0].startswith(source)}


def table_rows(text: str, start: str = "") -> list[list[str]]:
    """The cells of the first Markdown table from `start` on: heads, then rows."""
    lines = text[text.index(start) :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = list(takewhile(lambda line: line.startswith("|"), lines[first:]))
    assert set(table[1]) <= set("|-: ")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (table[0], *table[2:])]


class TestText:
    def test_image_rows_hold_their_figures(self) -> None:
        text = image_results().as_text()
        assert text.splitlines()[0] == "HELEN test, 330 images, compact: % of inter-ocular distance"
        heads, argmax, _, dark, finder = table_rows(text)
        assert heads[:5] == ["decoder", "NRMSE", "AUC", "over 8 %", "score"]
        assert heads[5:] == ["by pupils", "by box", "RMSE, px", "found"]
        assert argmax[:5] == ["argmax", "3.457", "56.75", "0.30", "0.812"]
        assert dark[:5] == ["dark", "2.991", "62.57", "0.30", "0.812"]
        assert dark[-2:] == ["–", ""]
        assert finder[-1] == "321 of 330"

    def test_sizes_have_their_own_table(self) -> None:
        rows = table_rows(image_results().as_text(), "RMSE by face size, px")
        assert rows[1] == ["inter-ocular distance", "60.00", "90.00", "120.00", "180.00", "300.00"]
        assert rows[3] == ["fhr", "3.105", "6.211", "9.316", "12.422", "15.527"]

    def test_video_rows_hold_their_figures(self) -> None:
        text = video_results("talking-face", {None: 1}).as_text()
        assert text.splitlines()[0] == "Talking Face, 1 video, 7 points, compact: % of inter-ocular distance"
        heads, *rows = table_rows(text)
        assert heads[1:5] == ["NRMSE", "without offsets", "stability", "delay"]
        assert heads[5:] == ["of raw", "of FHR", "AUC", "over 8 %"]
        sta = next(row for row in rows if row[0] == "sta")
        assert sta[1:] == ["3.200", "1.234", "0.200", "0.021", "0.500", "0.250", "61.23", "0.46"]

    def test_each_scenario_and_point_set_has_its_table(self) -> None:
        text = video_results().as_text()
        for scenario, count in zip((1, 2, 3), (31, 19, 14), strict=True):
            for points in ("68", "7"):
                title = f"300-VW test, scenario {scenario}, {count} videos, {points} points, compact"
                assert ("without offsets" in table_rows(text, title)[0]) == (points == "7")

    def test_known_motion(self) -> None:
        heads, *rows = table_rows(motion_results().as_text())
        assert heads == ["stabiliser", "NRMSE", "still", "moving", "delay", "blinks", "of raw"]
        assert rows[2] == ["sta", "0.609", "0.076", "0.201", "0.050", "0.97", "0.97"]

    def test_it_says_what_it_was_measured_on(self) -> None:
        lacking = image_results(
            faces=328, skipped={"a": "a.pts: no image", "b": "b.pts: 3 points"}, missing=["300-W ibug"]
        )
        text = lacking.as_text()
        assert "used: 328 images" in text
        assert "left out: 2: a (a.pts: no image); b (b.pts: 3 points)" in text
        assert "missing: 1: 300-W ibug" in text
        assert f"box: {lacking.benchmark.box.value}" in text
        assert "normaliser: distance of the outer eye corners" in text
        assert "weights: compact, sha256 0123456789ab" in text

    def test_frames_that_were_not_scored_are_named_where_there_are_any(self) -> None:
        assert "frames not scored" not in video_results().as_text()
        partly = video_results(unscored={"401": "2 known to be annotated wrongly, of 9 frames"})
        said = "1: 401 (2 known to be annotated wrongly, of 9 frames)"
        assert f"frames not scored: {said}" in partly.as_text().splitlines()
        assert (
            f"300-VW test, compact: frames not scored, {said}." in of_number(paper_tables([partly]), 6).notes
        )

    def test_many_items_left_out_are_counted(self) -> None:
        text = image_results(skipped={f"{i:03}": "broken" for i in range(40)}).as_text()
        assert "left out: 40: 000 (broken)" in text
        assert "and 28 more, all in results.json" in text


class TestPaperTables:
    def test_published_figures_are_those_of_the_paper(self) -> None:
        """The paper's own text, as extracted from its PDF, row by row."""
        if not SPEC.is_file():
            pytest.skip(f"no text of the paper at {SPEC}")
        text = SPEC.read_text(encoding="utf-8")
        private = published.PRIVATE_TEST.values()
        assert numbers(text, r"NRMSE (5\.83.*)") == [each.nrmse for each in private]
        assert numbers(text, r"AUC (36.*)") == [each.auc for each in private]
        assert numbers(text, r"Failure (13.*)") == [each.failure for each in private]
        for title, scale in published.FACE_SCALES.items():
            values = numbers(text, rf"^{title.capitalize()} (\d.*)\(")
            assert values == [scale.interocular, scale.chr, scale.fhr]
        for i in range(3):
            found = [numbers(line, "(.*)") for line in re.findall(rf"^Scenario{i + 1} (.*)$", text, re.M)]
            assert found[0] == flat(published.VIDEOS_68, i)
            assert found[1] == flat(published.VIDEOS_7, i)
            assert found[2] == [values[i] for values in published.VIDEOS_68_NRMSE.values()]
        assert numbers(text, r"NRMSE (3\.52.*)") == list(published.TALKING_FACE.values())

    def test_tables_of_one_paper_agree(self) -> None:
        for name in (published.FHR, published.FHR_STA):
            nrmse = tuple(each.nrmse for each in published.VIDEOS_68[name])
            assert nrmse == published.VIDEOS_68_NRMSE[name]

    def test_without_results_all_of_ours_is_not_run(self) -> None:
        found = paper_tables([])
        assert [table.number for table in found] == [1, 2, 3, 4, 5, 6]
        for table in found:
            ours = rows_of(table, "ours")
            assert ours
            assert {cell for cells in ours.values() for cell in cells} <= {NOT_RUN, "not run"}
            assert any("No results of" in note for note in table.notes)
            assert len({len(row) for row in table.rows}) == 1 == len({len(table.columns)})

    def test_private_test(self) -> None:
        table = of_number(paper_tables([image_results("300w-private", 600)]), 1)
        assert rows_of(table, "published in")["FHR"] == ("600", "3.80", "55.9", "1.33")
        assert rows_of(table, "published later")["HRNet-W18"] == ("600", "3.85", "–", "–")
        ours = rows_of(table, "ours, compact")
        assert ours["CHR (argmax), ours"] == ("600", "3.46", "56.7", "0.30")
        assert ours["dark (default), ours"] == ("600", "2.99", "62.6", "0.30")
        assert NOT_RUN not in {cell for row in table.rows for cell in row}

    def test_helen_test_never_passes_for_the_private_test(self) -> None:
        table = of_number(paper_tables([image_results()]), 1)
        assert rows_of(table, "ours")["FHR, ours"] == (NOT_RUN,) * 4
        assert rows_of(table, "HELEN test, ours, compact")["FHR, ours"][:2] == ("330", "3.11")
        assert rows_of(table, "HELEN test, from published")["SPIGA (2022)"][1] == "2.52"
        assert any("not to be compared" in note for note in table.notes)
        both = of_number(paper_tables([image_results(), image_results("300w-private", 600)]), 1)
        assert not rows_of(both, "HELEN")

    def test_face_scales(self) -> None:
        table = of_number(paper_tables([image_results("300w-private", 600)]), 2)
        assert rows_of(table, "published")["large"] == ("179.55", "7.59", "7.11", "0.48", "–")
        assert rows_of(table, "ours")["small"] == ("90.00", "6.91", "6.21", "0.70", "5.98")

    def test_fifths_of_three_faces(self) -> None:
        few = image_results("300w-private", 3)
        nan = float("nan")
        for row in few.rows:
            assert row.rmse_px_by_scale
            row.rmse_px_by_scale[2] = row.rmse_px_by_scale[4] = nan
        few = replace(few, interocular_px_by_scale=[60.0, 90.0, nan, 180.0, nan])
        ours = rows_of(of_number(paper_tables([few]), 2), "ours")
        assert ours["large"][:2] == ("180.00", "13.83")
        assert ours["medium"] == ("–",) * 5

    def test_ablation_marks_what_was_never_fitted(self) -> None:
        table = of_number(paper_tables([video_results()]), 3)
        ours = rows_of(table, "ours, compact")
        assert ours["FHR, ours"] == ("3.80", "0.80", "4.80", "0.80", "5.80", "0.80")
        assert ours["dark + sta, ours"][:2] == ("3.20", "0.20")
        assert ours["FHR+STA, λ2=0, ours"] == ("not run",) * 6
        assert rows_of(table, "published")["FHR+STA"][4:] == ("5.98", "2.74")

    def test_all_points_of_the_videos(self) -> None:
        table = of_number(paper_tables([video_results()]), 6)
        assert table.columns[2:] == ("S1 NRMSE", "S2 NRMSE", "S3 NRMSE")
        assert rows_of(table, "ours")["CHR (argmax), ours"] == ("5.00", "6.00", "7.00")

    def test_talking_face(self) -> None:
        table = of_number(paper_tables([video_results("talking-face", {None: 1})]), 5)
        assert rows_of(table, "ours")["FHR, ours"] == ("100", "3.80", "1.23", "0.80")
        assert rows_of(table, "published")["TSTN (2017)"] == ("5000", "2.13", "–", "–")
        assert "Ours: 100 frames, the paper's 5,000." in table.notes

    def test_missing_videos_are_said_and_a_missing_scenario_is_not_run(self) -> None:
        missing = ["300-VW scenario 2, video 550", "300-VW scenario 3, all 14 videos"]
        part = video_results(videos={1: 30, 2: 18}, missing=missing, skipped={"546": "546/vid.avi: no frame"})
        for number in (3, 4, 6):
            table = of_number(paper_tables([part]), number)
            source = next(source for source, _ in table.blocks() if source.startswith("ours"))
            assert source.endswith("(incomplete: 30 of 31 + 18 of 19 + 0 of 14 videos)")
            assert rows_of(table, "ours")["FHR, ours"][-1] == NOT_RUN
            note = next(note for note in table.notes if "missing 2:" in note)
            assert all(name in note for name in [*missing, "48 videos"])
            assert any("left out 1: 546 (546/vid.avi: no frame)" in note for note in table.notes)

    def test_a_single_scenario_stands_in_its_column(self) -> None:
        one = video_results(videos={3: 1})
        ours = rows_of(of_number(paper_tables([one]), 6), "ours")
        assert ours["FHR, ours"] == (NOT_RUN, NOT_RUN, "3.80")

    def test_lost_faces_are_said(self) -> None:
        whole = video_results()
        rows = [replace(row, found=row.of - 7) if row.scenario == 3 else row for row in whole.rows]
        lossy = replace(whole, rows=rows)
        notes = of_number(paper_tables([lossy]), 3).notes
        assert any("1,393 of 1,400 in scenario 3" in note for note in notes)

    def test_left_out_images_are_said(self) -> None:
        table = of_number(paper_tables([image_results("300w-private", 598, skipped={"x": "broken"})]), 1)
        source = next(source for source, _ in table.blocks() if source.startswith("ours"))
        assert source == "ours, compact (incomplete: 598 of 600 used)"
        assert any("left out 1: x (broken)" in note for note in table.notes)

    def test_two_networks_stand_apart(self) -> None:
        pair = [
            image_results("300w-private", 600),
            image_results("300w-private", 600, weights="tiny"),
        ]
        sources = [source for source, _ in of_number(paper_tables(pair), 1).blocks()]
        assert sources[2:] == ["ours, compact", "ours, tiny"]
        twice = [source for source, _ in of_number(paper_tables([pair[0], pair[0]]), 1).blocks()]
        assert twice[2:] == ["ours, compact (1)", "ours, compact (2)"]


class TestFormats:
    def test_csv_reads_back(self) -> None:
        for table in paper_tables([image_results(), video_results(skipped={"a,b": 'say "no"\nplease'})]):
            read = list(csv.reader(io.StringIO(to_csv(table))))
            assert [tuple(row) for row in read] == [table.columns, *table.rows]

    def test_markdown_has_a_line_per_row_and_block(self) -> None:
        table = Table(9, "A|B", ("source", "method", "NRMSE"), (("ours_1", "x*y", "1.00"),), ("a <note>",))
        assert to_markdown(table).splitlines() == [
            "**Table 9.** A\\|B",
            "",
            "| method | NRMSE |",
            "| --- | ---: |",
            "| **ours\\_1** |  |",
            "| x\\*y | 1.00 |",
            "",
            "- a \\<note\\>",
        ]

    def test_latex_is_escaped(self) -> None:
        table = Table(
            9,
            "100 % & more",
            ("source", "method", "a", "b"),
            (("ours_1", "λ3 = ∞ #1", NOT_RUN, NOT_RUN), ("ours_1", "x ~ {y} ^ \\z $", "1.00", "–")),
            ("a_b.pts: 5 < 6",),
        )
        text = to_latex(table)
        assert "100 \\% \\& more" in text
        assert "\\emph{ours\\_1}" in text
        assert "$\\lambda$3 = $\\infty$ \\#1 & \\multicolumn{2}{c}{\\emph{not run: no data}} \\\\" in text
        assert (
            "x \\textasciitilde{} \\{y\\} \\textasciicircum{} \\textbackslash{}z \\$ & 1.00 & -- \\\\" in text
        )
        assert "a\\_b.pts: 5 \\textless{} 6" in text
        assert text.isascii()

    def test_latex_of_every_table_is_balanced_ascii(self) -> None:
        for table in paper_tables([image_results(), video_results(), motion_results()]):
            text = to_latex(table)
            assert text.isascii()
            assert text.count("\\begin{") == text.count("\\end{") == 2
            assert text.count("\\toprule") == text.count("\\bottomrule") == 1


def numbers(text: str, pattern: str) -> list[float]:
    found = re.search(pattern, text, re.M)
    assert found, pattern
    return [float(value) for value in re.findall(r"\d+\.?\d*", found[1])]


def flat(methods: Mapping[str, tuple[published.Steadiness, ...]], scenario: int) -> list[float]:
    return [value for each in methods.values() for value in vars(each[scenario]).values()]
