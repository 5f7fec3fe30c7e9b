"""A report in a real browser, and what it says of each face: names, portraits, cursor, moments, figures."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scenes
from html_outline import outline_of
from test_report import FPS, tiles, tracks_of, written

from steadyface.correction import correct_points, read_corrections
from steadyface.geometry import Region
from steadyface.measures import MEAN_FACE, head_pose
from steadyface.report import report_tracks
from steadyface.report.figures import figures_of
from steadyface.report.moments import PORTRAIT, portrait
from steadyface.tracks import Tracks
from steadyface.tracks.timeline import ClipTimeline

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")


def named(tracks: Tracks, *names: str) -> Tracks:
    """Give the faces names, in order of their numbers."""
    tracks = replace(tracks, meta={**tracks.meta, "people": sorted(set(names) - {"unknown"})})
    return tracks.named({face: (name, 0.7) for face, name in enumerate(names)})


class TestContents:
    def test_a_face_begins_with_jitter_over_time(self, tmp_path: Path) -> None:
        texts = outline_of(written(tracks_of({0: [range(60)]}), tmp_path)).texts
        heads = ["Jitter and score over time", "Trajectories, raw and stabilised", "Head pose"]
        assert sorted(heads, key=texts.index) == heads

    def test_two_faces_are_in_the_cards(self, tmp_path: Path) -> None:
        tracks = tracks_of({0: [range(200)], 1: [range(150)]})
        figures = tiles(outline_of(written(tracks, tmp_path)))
        delays = [tracks.of_face(face).delay() for face in (0, 1)]
        assert figures["Delay, frames"] == ", ".join(f"{delay:.2f}" for delay in delays)
        assert re.fullmatch(r"\d+, \d+", figures["Blinks"])

    def test_names_stand_in_headings_and_lanes(self, tmp_path: Path) -> None:
        tracks = named(tracks_of({0: [range(60)], 1: [range(50)]}), "anna <b>", "unknown")
        texts = outline_of(written(tracks, tmp_path)).texts
        assert "anna <b> (face 0)" in texts  # escaped in the page
        assert "Face 1" in texts
        assert {"anna <b>", "face 1"} <= set(texts)

    def test_names_in_any_script_are_kept(self, tmp_path: Path) -> None:
        names = ("安娜", "Анна", "آنا", "Zoë")
        tracks = named(tracks_of({face: [range(20)] for face in range(4)}), *names)
        assert {f"{name} (face {face})" for face, name in enumerate(names)} <= set(
            outline_of(written(tracks, tmp_path)).texts
        )
        for suffix in ("csv", "json", "parquet"):
            found = Tracks.load(tracks.save(tmp_path / f"tracks.{suffix}"))
            assert tuple(found.names.values()) == names

    def test_without_a_face_it_says_what_may_help(self, tmp_path: Path) -> None:
        texts = outline_of(written(tracks_of({}, frames=90), tmp_path)).texts
        assert "No face was found" in texts
        assert any("--min-face" in text for text in texts)
        assert "No face was found" not in outline_of(written(tracks_of({0: [range(9)]}), tmp_path)).texts

    def test_every_face_has_a_portrait(self, tmp_path: Path) -> None:
        clip = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(20))
        tracks = tracks_of({0: [range(20)], 1: [range(5, 20)]}, size=[scenes.WIDTH, scenes.HEIGHT])
        tags = outline_of(written(tracks, tmp_path, clip=clip)).tags
        assert sum(attrs.get("class") == "portrait" for _, attrs in tags) == 2

    def test_a_portrait_is_clear_and_from_the_front(self) -> None:
        tracks = tracks_of({0: [range(40)]})
        tracks.scores[:] = 0.9
        tracks.scores[[7, 30]] = 1.0
        turned = MEAN_FACE @ [[np.cos(0.8), 0.0], [0.0, 1.0], [np.sin(0.8), 0.0]]
        tracks.points[30] = turned + tracks.points[30].mean(axis=0)
        (face,) = figures_of(tracks)
        assert (portrait(face).frame, portrait(face).kind) == (7, PORTRAIT)

    def test_pose_is_that_of_the_points_and_unknown_without_a_size(self) -> None:
        tracks = tracks_of({0: [range(10)]})
        (face,) = figures_of(tracks)
        expected = np.degrees(head_pose(tracks.points.astype(float), 640, 360).rotation)
        np.testing.assert_allclose(face.pose, expected)
        (bare,) = figures_of(replace(tracks, timeline=ClipTimeline.of_rows(tracks.frame, tracks.seconds)))
        assert np.isnan(bare.pose).all()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium on the path")
    with playwright.sync_playwright() as player:
        found = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def tracks() -> Tracks:
    return tracks_of({0: [range(250)], 1: [range(20, 200)]}, size=[scenes.WIDTH, scenes.HEIGHT])


@pytest.fixture
def page(browser: Any, tracks: Tracks, tmp_path: Path) -> Iterator[Any]:
    clip = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(250))
    path = report_tracks(tracks, tmp_path / "talk.html", clip=clip)
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(path.as_uri())
    yield opened
    opened.close()
    assert problems == []


def test_one_cursor_tells_the_values_of_all_charts(page: Any, tracks: Tracks) -> None:
    field = page.locator(".person[open] .chart .field").first
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 20)
    cursors = page.locator(".person[open] .chart:not([hidden]) .cursor:visible")
    said = [text.splitlines() for text in cursors.all_inner_texts()]
    seconds = float(said[0][0].removesuffix(" s"))
    assert seconds == pytest.approx(0.4 * 249 / FPS, abs=0.05)
    (face, _) = figures_of(tracks)
    row = round(seconds * FPS)
    # a px of the chart is a thousandth of the height, and the pointer may lie between two frames
    near = slice(row - 1, row + 2)
    for text, values in zip(said[0][1:], (face.shaking_raw, face.shaking), strict=True):
        assert np.abs(values.mean(axis=1)[near] - float(text)).min() < 0.02 * values.mean(axis=1)[1:-1].max()
    assert np.abs(face.scores[near] - float(said[1][1])).min() < 2e-3
    assert len({part[0] for part in said}) == 1
    assert len(said) >= 5
    page.mouse.move(5, 5)
    assert page.locator(".cursor:visible").count() == 0


def test_a_moment_is_enlarged_and_says_its_time(page: Any) -> None:
    moment = page.locator(".person[open] .enlarge").first
    small = moment.bounding_box()["width"]
    moment.click()
    assert page.locator("#enlarged img").bounding_box()["width"] > 2 * small
    assert re.match(r"\d+\.\d\d s, frame \d+, ", page.text_content("#enlarged p"))
    page.keyboard.press("Escape")
    page.wait_for_selector("#enlarged", state="hidden")


def test_the_cursor_stays_at_the_enlarged_moment_until_a_chart_is_pointed_at(page: Any) -> None:
    moment = page.locator(".person[open] .enlarge").first
    moment.click()
    page.keyboard.press("Escape")
    page.wait_for_selector("#enlarged", state="hidden")
    box = moment.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)  # the pointer goes on, over what is no chart
    seconds = f"{float(moment.get_attribute('data-seconds')):.2f} s"
    cursors = page.locator(".person[open] .cursor:visible")
    assert {text.splitlines()[0] for text in cursors.all_inner_texts()} == {seconds}
    page.mouse.move(5, 5)
    assert cursors.count() > 0
    page.locator(".person[open] .chart .field").first.hover()
    page.mouse.move(5, 5)
    assert cursors.count() == 0


def drag(page: Any, point: int, by: tuple[float, float]) -> None:
    """Drag a point of the enlarged moment by px of the screen."""
    box = page.locator("#enlarged circle").nth(point).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2)
    page.mouse.move(x + by[0], y + by[1])
    page.mouse.up()


def test_dragged_points_are_saved_as_corrections_of_the_clip(
    page: Any, tracks: Tracks, tmp_path: Path
) -> None:
    moment = page.locator(".person[open] .enlarge[data-place]").first
    moment.click()
    frame = int(re.findall(r"frame (\d+)", page.text_content("#enlarged p"))[0])
    scale = (
        Region.around_points(tracks.of_face(0).points[frame], margin=2.0).side
        / (page.locator("#enlarged svg").bounding_box()["width"])
    )  # px of the frame per px of the screen
    drag(page, 8, (-30.0, 40.0))
    drag(page, 30, (60.0, 0.0))
    page.click("#enlarged .undo")
    page.keyboard.press("Escape")
    moment.click()  # corrections stay
    assert page.locator("#enlarged circle.corrected").count() == 1
    assert page.text_content("#enlarged output") == "1 correction"
    drag(page, 8, (10.0, 0.0))
    with page.expect_download() as download:
        page.click("#enlarged .save")
    assert download.value.suggested_filename == "talk.mp4.corrections.json"
    download.value.save_as(tmp_path / "corrections.json")
    (found,) = read_corrections(tmp_path / "corrections.json")
    assert (found.frame, found.face, found.point) == (frame, 0, 8)
    expected = tracks.of_face(0).points[frame, 8] + scale * np.array([-20.0, 40.0])
    np.testing.assert_allclose([found.x, found.y], expected, rtol=0, atol=scale)  # a px of the screen
    corrected = correct_points(tracks, [found], tmp_path / "talk.mp4")
    row = np.flatnonzero((tracks.frame == frame) & (tracks.face == 0))[0]
    assert corrected.corrected_points is not None
    np.testing.assert_allclose(corrected.corrected_points[row, 8], [found.x, found.y], atol=1e-3)


def test_a_lost_face_has_no_points_to_drag(browser: Any, tmp_path: Path) -> None:
    clip = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(30))
    gone = tracks_of({0: [range(20)]}, frames=30, size=[scenes.WIDTH, scenes.HEIGHT])
    opened = browser.new_page()
    opened.goto(report_tracks(gone, tmp_path / "talk.html", clip=clip).as_uri())
    opened.locator(".enlarge:not([data-place])").first.click()
    assert opened.locator("#enlarged img:visible").count() == 1
    assert opened.locator("#enlarged circle").count() == 0
    assert opened.locator("#enlarged .corrections:visible").count() == 0
    opened.close()


def test_the_figures_of_each_frame_can_be_had(page: Any, tracks: Tracks, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.click(".person[open] .csv")
    assert download.value.suggested_filename == "talk.mp4 face 0.csv"
    download.value.save_as(tmp_path / "face.csv")
    table = np.genfromtxt(tmp_path / "face.csv", delimiter=",", names=True)
    (face, _) = figures_of(tracks)
    np.testing.assert_array_equal(table["frame"], face.tracks.frame)
    np.testing.assert_allclose(table["seconds"], face.tracks.seconds, atol=1e-3)
    # values are kept in 65,534 steps of their range
    np.testing.assert_allclose(table["score"], face.scores, atol=1e-5)
    np.testing.assert_allclose(table["jitter_percent"], face.shaking.mean(axis=1), atol=1e-3)
    np.testing.assert_allclose(table["turn_degrees"], face.pose[:, 1], atol=1e-2)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_clipped(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for closed in page.locator(".person:not([open]) > summary").all():
        closed.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = """() => [...document.querySelectorAll("main *:not(.field *):not(option):not(script)")]
        .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
        .map((each) => each.outerHTML)"""
    assert page.evaluate(beyond) == []
