"""The live page in a real browser whose camera shows the portrait."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from live_server import Running, until

from steadyface.demo import portrait
from steadyface.landmarker import Landmarker
from steadyface.live.session import Networks
from steadyface.metrics import jitter, nrmse_interocular
from steadyface.tracking import Tracker
from steadyface.tracks import Tracks

playwright = pytest.importorskip("playwright.sync_api", reason="the page's test needs playwright")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the page's test needs chromium on the path")

SCENE = replace(portrait(), width=640, height=480, zoom=1.7, fps=30, seconds=1 / 30)
FRAMES = [frame.image for seed in range(8) for frame in replace(SCENE, seed=seed)]
"""A face that rests before a noisy camera: what is found does not depend on which frames are dropped."""

QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
RAW, STEADY = (255, 180, 84), (69, 230, 200)  # as in overlay.js

Launch = Callable[..., Any]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running(Networks())
    yield server
    server.stop()


@pytest.fixture(scope="module")
def launch(running: Running) -> Iterator[Launch]:
    """Opens the page in a fresh browser with the given switches."""
    browsers = []
    with playwright.sync_playwright() as player:

        def new(*switches: str) -> Any:
            browser = player.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *switches])
            browsers.append(browser)
            return open_page(browser, running)

        yield new
        for browser in browsers:
            browser.close()


@cache
def landmarker() -> Landmarker:
    return Landmarker(threads=1)


def open_page(browser: Any, running: Running) -> Any:
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)
    page.goto(f"http://{running.address}")
    page.wait_for_selector("#connection[data-state=ready]")
    return page


@pytest.fixture(scope="module")
def camera(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The page of a browser whose camera shows the scene, over and over."""
    path = tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    pictures = (cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in FRAMES)
    path.write_bytes(b"".join(cv2.imencode(".jpg", each, quality)[1].tobytes() for each in pictures))
    return launch(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    )


@pytest.fixture
def filming(camera: Any) -> Iterator[Any]:
    camera.click("#camera")
    until(lambda: figure(camera, "#rate"))
    yield camera
    camera.click("#stop")
    assert camera.problems == []


def figure(page: Any, place: str) -> int:
    """The first number in a text of the page, 0 where there is none."""
    number = re.search(r"\d+", page.text_content(place))
    return int(number[0]) if number else 0


def record(page: Any, path: Path, rows: int = 12) -> Tracks:
    page.click("#record")
    until(lambda: figure(page, "#record") >= rows)
    with page.expect_download() as download:
        page.click("#record")
    download.value.save_as(path)
    with page.expect_download() as download:
        page.click("#message a[href$='.meta.json']")
    download.value.save_as(path.with_suffix(".meta.json"))
    return Tracks.load(path)


def drawn(page: Any, colour: tuple[int, int, int]) -> bool:
    """Whether the overlay shows a colour that the scene does not have."""
    count = page.evaluate(
        """colour => {
          const canvas = document.getElementById("overlay");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let count = 0;
          for (let i = 0; i < data.length; i += 4)
            count += colour.every((value, channel) => Math.abs(data[i + channel] - value) <= 3);
          return count;
        }""",
        colour,
    )
    return count > 20


def test_the_points_fit_the_face(filming: Any, tmp_path: Path) -> None:
    tracks = record(filming, tmp_path / "live.csv")
    assert tracks.face_ids == [0]
    assert tracks.meta["size"] == [640, 480]
    assert (np.diff(tracks.seconds) > 0).all()
    (face,) = Tracker(Landmarker(threads=1), stabilizer="none").step(FRAMES[0])
    truth = np.broadcast_to(face.raw_points, tracks.raw_points.shape)
    raw, steady = tracks.raw_points.astype(float), tracks.points.astype(float)
    # noise and two passes of JPEG cost about half a percent; a wrong pixel centre, half a px in the mean
    assert nrmse_interocular(raw, truth).max() < 1.5
    assert (np.abs((raw - truth).mean(axis=(0, 1))) < 0.25).all()
    assert jitter(steady) < jitter(raw)


def test_raw_and_stabilised_points_are_drawn_as_chosen(filming: Any) -> None:
    for choice, wanted in {"raw": [True, False], "steady": [False, True], "both": [True, True]}.items():
        filming.check(f"input[value={choice}]", force=True)
        until(lambda wanted=wanted: [drawn(filming, RAW), drawn(filming, STEADY)] == wanted)


def test_stabiliser_and_decoder_take_effect(filming: Any, tmp_path: Path) -> None:
    filming.click("#advanced")
    filming.select_option("#stabilizer", "none")
    filming.select_option("#decoder", "argmax")
    tracks = record(filming, tmp_path / "live.csv")
    assert (tracks.meta["options"]["stabilizer"], tracks.meta["options"]["decoder"]) == ("none", "argmax")
    assert np.array_equal(tracks.points, tracks.raw_points)
    filming.select_option("#stabilizer", "sta")
    filming.select_option("#decoder", "dark")
    filming.click("#advanced")


def test_a_click_chooses_the_nearest_point_which_has_a_name(filming: Any) -> None:
    filming.check("input[value=steady]", force=True)
    until(lambda: drawn(filming, STEADY))
    (face,) = Tracker(landmarker(), stabilizer="none").step(FRAMES[0])
    picture = filming.locator("#overlay").bounding_box()
    scale = picture["width"] / FRAMES[0].shape[1]
    mirrored = filming.is_checked("#mirror")
    for landmark, name in ((8, "chin"), (36, "outer corner of the right eye"), (30, "tip of the nose")):
        x, y = face.points[landmark]
        across = FRAMES[0].shape[1] - 1 - x if mirrored else x
        filming.mouse.click(picture["x"] + (across + 0.5) * scale, picture["y"] + (y + 0.5) * scale)
        assert filming.input_value("#landmark") == str(landmark)
        assert filming.text_content("#landmark option:checked") == name
    filming.select_option("#axis", "0")
    until(lambda: "px" in filming.text_content("#scale"))


def test_both_are_shown_magnified_beside_each_other(filming: Any) -> None:
    """In the lower corners: raw points at the left alone, stabilised ones at the right alone."""
    filming.check("input[value=both]", force=True)
    counts = """([raw, steady]) => {
      const canvas = document.getElementById("overlay"), side = Math.round(0.2 * canvas.width);
      const count = (x, colour) => {
        const { data } = canvas.getContext("2d").getImageData(x, canvas.height - side, side, side);
        let found = 0;
        for (let i = 0; i < data.length; i += 4)
          found += colour.every((value, channel) => Math.abs(data[i + channel] - value) <= 3);
        return found > 20;
      };
      return [0, canvas.width - side].map((x) => [count(x, raw), count(x, steady)]);
    }"""
    until(lambda: filming.evaluate(counts, [RAW, STEADY]) == [[True, False], [False, True]])
    filming.check("input[value=steady]", force=True)


def test_the_sample_plays(launch: Launch) -> None:
    page = launch()
    page.click("#sample")
    page.wait_for_selector("body[data-state=running]", timeout=60_000)
    until(lambda: figure(page, "#rate"))
    until(lambda: drawn(page, STEADY))
    until(lambda: re.fullmatch(r"[\d.]+ ms", page.text_content("#computing")))
    assert page.problems == []
    page.close()


def test_a_recording_has_a_name_with_its_time_and_a_report(filming: Any) -> None:
    filming.click("#record")
    until(lambda: figure(filming, "#record") >= 5)
    with filming.expect_download() as download:
        filming.click("#record")
    name = r"steadyface-webcam-\d{4}-\d\d-\d\d-\d{6}"
    assert re.fullmatch(rf"{name}\.csv", download.value.suggested_filename)
    with filming.expect_download() as download:
        filming.click("#message a[href$='.json']:not([href*=meta])")
    assert re.fullmatch(rf"{name}\.json", download.value.suggested_filename)
    with filming.context.expect_page() as opened:
        filming.click("#message a[href$='.report.html']")
    report = opened.value
    report.wait_for_load_state()  # only then does its script listen
    report.wait_for_selector(".person .chart")
    box = report.locator(".chart .field").first.bounding_box()
    report.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    report.wait_for_selector(".cursor:visible")  # its script runs
    report.close()


def test_when_the_server_has_gone_the_picture_is_dimmed_and_the_recording_kept(
    camera: Any, tmp_path: Path
) -> None:
    server = Running(Networks(), out=tmp_path)
    page = open_page(camera.context.browser, server)
    page.click("#sample")
    until(lambda: figure(page, "#rate"))
    page.click("#record")
    until(lambda: figure(page, "#record") >= 3)
    server.stop()
    page.wait_for_selector("body[data-lost]")
    (kept,) = tmp_path.glob("*.csv")
    page.wait_for_function("document.querySelector('#message').textContent.includes('is kept')")
    assert str(kept) in page.text_content("#message")
    assert "brightness" in page.evaluate("getComputedStyle(document.getElementById('overlay')).filter")
    assert len(Tracks.load(kept)) >= 3
    page.close()


def test_a_second_tab_and_its_end(filming: Any, running: Running, tmp_path: Path) -> None:
    second = open_page(filming.context.browser, running)
    second.click("#camera")
    until(lambda: figure(second, "#rate"))
    assert len(running.sessions) == 2
    second.close()
    until(lambda: len(running.sessions) == 1)
    assert len(record(filming, tmp_path / "live.csv")) >= 12


def test_the_keyboard_is_enough(camera: Any, running: Running) -> None:
    page = open_page(camera.context.browser, running)
    wanted = ["camera", "choose", "sample", "steady", "stabilizer", "mirror", "advanced", "landmark", "axis"]
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert reached == wanted
    page.focus("#camera")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-state=running]")
    page.close()


def test_what_is_missing_is_said(launch: Launch, tmp_path: Path) -> None:
    page = launch()
    assert page.get_attribute("body", "data-state") == "idle"
    page.click("#camera")
    page.wait_for_selector("body[data-state=missing]")
    assert page.text_content("#notice-title") == "No camera found"
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    page.set_input_files("#file", tmp_path / "text.mp4")
    page.wait_for_selector("body[data-state=unreadable]")
    assert page.problems == []


def test_a_camera_that_is_not_allowed(launch: Launch) -> None:
    page = launch("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    page.click("#camera")
    page.wait_for_selector("body[data-state=denied]")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
