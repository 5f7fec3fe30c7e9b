"""Figures and the page of results: drawn from what is there, whole in itself, honest about the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from html_outline import Outline, asks_nobody, outline_of
from test_evaluation_tables import image_results, motion_results, video_results

from steadyface.errors import DataError, MissingExtraError
from steadyface.evaluation.evaluate import load_results
from steadyface.evaluation.plots import draw_all
from steadyface.evaluation.predictions import Reading
from steadyface.evaluation.report import write_report
from steadyface.evaluation.results import Results

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'steadyface[plots]'")

FIGURES = ("3a", "3b", "3c", "4", "5", "6", "7")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    """One result of each kind, from its file; the private test was not run and a video is missing."""
    videos = video_results(
        missing=["300-VW scenario 1, video 546"], skipped={"410": "410/vid.avi: <cut> & gone"}
    )
    made = [image_results(), videos, video_results("talking-face", {None: 1}), motion_results()]
    path = tmp_path_factory.mktemp("results") / "results.json"
    loaded = []
    for each in made:
        each.save(path)
        loaded.append(load_results(path))
    return loaded


@pytest.fixture(scope="module")
def folder(given: list[Results], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "new"
    assert write_report(given, out) == out / "report.html"
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return outline_of(page)


class TestPage:
    def test_it_is_whole_in_itself(self, page: str) -> None:
        assert asks_nobody(page)
        assert "<script" not in page

    def test_its_links_arrive(self, outline: Outline) -> None:
        assert len(outline.ids) == len(set(outline.ids))
        assert {target[1:] for target in outline.targets if target.startswith("#")} <= set(outline.ids)

    def test_headline_figures(self, outline: Outline) -> None:
        assert {"2.99 %", "0.200 %", "0.076 %", "3.20 %"} <= set(outline.texts)

    def test_headlines_of_an_incomplete_result_say_so(self, tmp_path: Path) -> None:
        part = video_results(videos={1: 30}, missing=["300-VW scenario 1, video 546"])
        text = write_report([part], tmp_path).read_text(encoding="utf-8")
        tiles = text[text.index('<ul class="tiles">') : text.index('<h2 id="benchmarks">')]
        assert "incomplete: 30 of 31 + 0 of 19 + 0 of 14 videos" in tiles

    def test_cards_say_what_was_used_and_what_not(self, outline: Outline, given: list[Results]) -> None:
        text = " ".join(outline.texts)
        for each in given:
            assert each.benchmark.box.value in text
        assert "410 (410/vid.avi: <cut> & gone)" in text
        assert "300-VW scenario 1, video 546" in text
        assert "compact, sha256 0123456789ab" in text

    def test_tables_and_figures_are_there(self, page: str, outline: Outline) -> None:
        wanted = [f"table-{number}" for number in range(1, 7)] + [f"figure-{name}" for name in FIGURES]
        assert set(wanted) <= set(outline.ids)
        assert page.count("<svg") == len(FIGURES)
        assert '<td class="none" colspan="4">not run: no data</td>' in page
        assert "Not drawn" not in page

    def test_files_beside_it(self, folder: Path) -> None:
        names = {path.name for path in folder.iterdir()}
        tables = {f"table-{number}{kind}" for number in range(1, 7) for kind in (".md", ".csv", ".tex")}
        figures = {f"figure-{name}{kind}" for name in FIGURES for kind in (".png", ".svg")}
        assert names == {"report.html"} | tables | figures

    def test_a_page_of_nothing_lists_what_is_not_drawn(self, tmp_path: Path) -> None:
        text = write_report([], tmp_path).read_text(encoding="utf-8")
        assert text.count("<svg") == 0
        for name in FIGURES:
            assert f"<b>Figure {name}." in text

    def test_a_folder_that_cannot_be_written_is_one_line(self, tmp_path: Path) -> None:
        taken = tmp_path / "file"
        taken.touch()
        with pytest.raises(DataError, match=r"^[^\n]*file: cannot be made: [^\n]+$"):
            write_report([], taken)


def draw_into(folder: Path) -> list[Path]:
    """The files of all figures that results of images allow."""
    folder.mkdir(exist_ok=True)
    return [
        path for plot in draw_all([image_results()]) if plot.figure is not None for path in plot.save(folder)
    ]


class TestPlots:
    def test_only_what_the_results_hold_is_drawn(self, tmp_path: Path) -> None:
        paths = draw_into(tmp_path)
        assert {path.name for path in paths} == {f"figure-{n}{k}" for n in "45" for k in (".png", ".svg")}
        assert all(path.stat().st_size > 0 for path in paths)
        reasons = {plot.name: plot.caption for plot in draw_all([image_results()]) if plot.figure is None}
        assert "300vw or known-motion" in reasons["figure-3b"]

    def test_helen_test_is_named_beside_published_figures(self) -> None:
        plot = next(plot for plot in draw_all([image_results()]) if plot.name == "figure-5")
        assert "HELEN test is another and easier data set" in plot.caption
        texts = [text.get_text() for text in plot.figure.axes[0].get_legend().get_texts()]
        assert texts[-3:] == [
            "published, 300-W private test:",
            "CHR (2016): AUC 50.9, failure 2.33",
            "FHR: AUC 55.9, failure 1.33",
        ]

    def test_curves_end_at_the_share_of_faces_below(self) -> None:
        plot = next(plot for plot in draw_all([image_results()]) if plot.name == "figure-5")
        curve = next(line for line in plot.figure.axes[0].lines if line.get_label().startswith("default"))
        own = [errors[Reading.DARK] for errors in image_results().errors.values()]
        assert curve.get_ydata()[-1] == pytest.approx(100 * sum(error <= 10 for error in own) / len(own))

    def test_published_points_stand_in_their_scenario(self) -> None:
        plot = next(plot for plot in draw_all([video_results()]) if plot.name == "figure-6")
        third = plot.figure.axes[2]
        places = {
            mark.get_label(): tuple(mark.get_offsets()[0]) for mark in third.collections if mark.get_label()
        }
        assert places["FHR+STA, published"] == (2.74, 5.98)
        assert places["sta"] == (0.2, 5.2)

    def test_without_heatmaps_the_figure_is_left_out(self) -> None:
        bare = image_results(heatmaps=None)
        plot = next(plot for plot in draw_all([bare]) if plot.name == "figure-4")
        assert plot.figure is None
        assert plot.caption == "no result of an image protocol holds mean heatmaps"

    def test_same_results_same_files(self, tmp_path: Path) -> None:
        first, second = (draw_into(tmp_path / name) for name in "ab")
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]

    def test_without_matplotlib_it_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(MissingExtraError, match=r"steadyface\[plots\]"):
            write_report([], tmp_path)
