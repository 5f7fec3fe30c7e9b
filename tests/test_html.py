"""Pages: names stay text, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import scenes
from html_outline import Outline, asks_nobody, outline_of
from test_evaluation_tables import image_results, motion_results, video_results
from test_report import tracks_of

import steadyface
from steadyface.evaluation.predictions import Reading, Run
from steadyface.html.rendering import render
from steadyface.report import report_tracks

PACKAGE = Path(steadyface.__file__).parent
SCRIPT = "<script>alert(1)</script>.mp4"
QUOTES = "a & <b> \"c\" 'd' --> {{ e }}"


def markup(page: str) -> list[str]:
    """Tags of a page with the names of their attributes."""
    return [f"{tag} {' '.join(attributes)}" for tag, attributes in outline_of(page).tags]


class TestNames:
    def test_of_a_clip(self, tmp_path: Path) -> None:
        def page(source: str, other: str) -> str:
            tracks = tracks_of(
                {0: [range(30)], 1: [range(20)]},
                held={0: [range(30, 33)]},
                source=source,
                size=[scenes.WIDTH, scenes.HEIGHT],
                weights=other,
                version=other,
                damage=other,
                options={"stabilizer": other},
            )
            clip = scenes.write_clip(tmp_path / source, scenes.frames(33))
            return report_tracks(tracks, tmp_path / "x.html", clip=clip).read_text(encoding="utf-8")

        picture = "<img src=x onerror=alert(1)>.mp4"
        hostile = page(picture, QUOTES)
        assert markup(hostile) == markup(page("talk.mp4", "compact"))
        texts = outline_of(hostile).texts
        assert f"{picture}: steadyface report" in texts
        assert texts.count(picture) == 2  # heading and settings
        assert texts.count(QUOTES) == 4
        assert f"steadyface {QUOTES}" in texts
        assert asks_nobody(hostile)

    def test_of_results(self, tmp_path: Path) -> None:
        report = pytest.importorskip(
            "steadyface.evaluation.report", reason="needs matplotlib: pip install 'steadyface[plots]'"
        )

        def page(name: str, item: str) -> str:
            run = Run("any", name, name, Reading.DARK, name)
            gaps = {"run": run, "skipped": {item: item}, "missing": [item]}
            results = [image_results(**gaps), video_results(**gaps), motion_results(**gaps)]
            return report.write_report(results, tmp_path).read_text(encoding="utf-8")

        hostile = page(QUOTES, SCRIPT)
        assert markup(hostile) == markup(page("compact", "talk.mp4"))
        texts = outline_of(hostile).texts
        assert f"steadyface {QUOTES}" in texts
        assert f"HELEN test, {QUOTES}" in texts
        assert f"1: {SCRIPT} ({SCRIPT})" in texts
        assert asks_nobody(hostile)

    def test_of_the_live_page(self) -> None:
        """Its scripts set text, never HTML."""
        for script in (PACKAGE / "live/page").glob("*.js"):
            code = script.read_text(encoding="utf-8")
            assert not any(
                word in code for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write")
            )


class TestTemplates:
    def test_a_name_that_is_not_given_is_an_error(self) -> None:
        with pytest.raises(jinja2.UndefinedError):
            render("html/base.html")

    def test_the_base_page_is_whole_and_runs_no_script(self) -> None:
        page = render("html/base.html", title="t")
        assert isinstance(outline_of(page), Outline)
        assert asks_nobody(page)
        assert "script" not in page
