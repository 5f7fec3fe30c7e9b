"""Page for corrections: frames in any order, a drag that is carried, undone and saved, and who may ask."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import scenes
from live_server import until
from test_report import tracks_of

from steadyface.correction import Correction, corrections_of, read_corrections
from steadyface.editor.pictures import Pictures
from steadyface.editor.server import make_app
from steadyface.editor.session import Editor
from steadyface.errors import DataError, VideoError
from steadyface.live.server import listen, quiet_server
from steadyface.tracks import Tracks
from steadyface.video import VideoReader

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FRAMES = 40
TOKEN = "secret"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("clip") / "talk.mp4", scenes.frames(FRAMES))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Tracks of two faces, of which one is seen in a part of the clip."""
    tracks = tracks_of(
        {0: [range(FRAMES)], 1: [range(10, 20)]}, frames=FRAMES, size=[scenes.WIDTH, scenes.HEIGHT]
    )
    return tracks.save(tmp_path / "talk.npz")


@pytest.fixture
def editor(path: Path, clip: Path) -> Iterator[Editor]:
    made = Editor(path, clip)
    yield made
    made.pictures.close()


@pytest.fixture
def address(editor: Editor) -> Iterator[str]:
    """Address of a page of that editor, without its token."""
    with listen(0) as listening:
        port = listening.getsockname()[1]
        server = quiet_server(make_app(editor, port, TOKEN))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        until(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


class TestPictures:
    def test_any_frame_in_any_order(self, clip: Path, editor: Editor) -> None:
        with VideoReader(clip) as reader:
            images = [frame.image.astype(float) for frame in reader]
        for number in (30, 3, 4, 5, 39, 0, 0):
            found = cv2.imdecode(np.frombuffer(editor.pictures.jpeg(number), np.uint8), cv2.IMREAD_COLOR)
            away = [np.abs(cv2.cvtColor(found, cv2.COLOR_BGR2RGB) - image).mean() for image in images]
            assert int(np.argmin(away)) == number

    def test_a_frame_that_is_not_there(self, clip: Path, path: Path) -> None:
        tracks = Tracks.load(path)
        longer = replace(tracks.timeline, frame=tracks.timeline.frame + 1)
        pictures = Pictures(clip, replace(tracks, timeline=longer, frame=tracks.frame + 1), 25.0)
        with pytest.raises(VideoError, match="ends before it or cannot be read"):
            pictures.jpeg(FRAMES)
        pictures.close()


def test_tracks_without_a_face_are_refused(clip: Path, tmp_path: Path) -> None:
    path = tracks_of({}, frames=FRAMES).save(tmp_path / "none.npz")
    with pytest.raises(DataError, match=r"none\.npz: has no face to correct"):
        Editor(path, clip)


class TestServer:
    def test_only_who_knows_the_address_is_answered(self, address: str) -> None:
        assert httpx.get(f"{address}/{TOKEN}/clip").json()["frames"] == list(range(FRAMES))
        assert httpx.get(f"{address}/clip").status_code == 404
        assert httpx.get(f"{address}/guess/frames/0.jpg").status_code == 404
        foreign = {"Origin": "http://example.org"}
        assert httpx.put(f"{address}/{TOKEN}/corrections", json=[], headers=foreign).status_code == 403

    @pytest.mark.parametrize("body", ["{", "[1]", '[{"frame": 0}]', '[{"frame": 0, "face": 0, "point": 99}]'])
    def test_what_is_no_list_of_corrections_is_refused(self, address: str, body: str, editor: Editor) -> None:
        answer = httpx.put(f"{address}/{TOKEN}/corrections", content=body)
        assert answer.status_code == 400
        assert editor.tracks.corrected_points is None

    def test_a_face_that_is_not_seen_is_told(self, address: str) -> None:
        given = [Correction(30, 1, 8, 100.0, 100.0).values()]
        answer = httpx.put(f"{address}/{TOKEN}/corrections", json=given, timeout=60)
        assert answer.json() == {"error": "face 1 is not seen in frame 30: nothing to correct there"}
        assert httpx.get(f"{address}/{TOKEN}/faces/30").json()[0]["face"] == 0


def test_the_command_keeps_what_was_not_saved(path: Path, clip: Path) -> None:
    command = [sys.executable, "-m", "steadyface", "correct", str(path), str(clip), "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    page = process.stdout.readline().split()[0]
    given = [Correction(12, 0, 30, 200.0, 150.0).values()]
    assert httpx.put(f"{page}corrections", json=given, timeout=60).status_code == 200
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    kept = path.with_name("talk.corrections.json")
    assert said.startswith(f"{kept}: corrections that were not saved")
    assert [each.values() for each in read_corrections(kept)] == given
    assert Tracks.load(path).corrected_points is None


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium on the path")
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        opened.goto(f"{address}/{TOKEN}/")
        opened.wait_for_selector("#picture[data-frame='0'] circle")
        yield opened
        browser.close()
        assert problems == []


def go(page: Any, frame: int) -> None:
    page.locator("#place").fill(str(frame))
    page.wait_for_selector(f"#picture[data-frame='{frame}'] circle")


def drag(page: Any, point: int, by: tuple[float, float]) -> None:
    """Drag a point of face 0 by px of the screen."""
    box = page.locator(f"circle[data-face='0'][data-point='{point}']").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0], y + by[1], steps=3)
    page.mouse.up()


def said(page: Any, text: str) -> None:
    page.wait_for_function("text => document.querySelector('#said').textContent.startsWith(text)", arg=text)


def test_a_point_of_any_frame_is_dragged_carried_undone_and_saved(
    page: Any, editor: Editor, path: Path
) -> None:
    go(page, 23)
    page.select_option("#view", "0")
    scale = page.evaluate("1 / document.querySelector('#picture').getScreenCTM().a")  # px of the frame
    before = editor.tracks.points[editor.tracks.frame == 23][0, 8]
    drag(page, 8, (40.0, 30.0))
    said(page, "1 correction")
    (found,) = corrections_of(editor.tracks)
    assert (found.frame, found.face, found.point) == (23, 0, 8)
    # a px of the screen, to which the mouse is rounded
    np.testing.assert_allclose([found.x, found.y], before + scale * np.array([40, 30]), rtol=0, atol=scale)
    assert page.locator("circle.corrected").count() == 1
    go(page, 24)
    place = page.locator("circle[data-face='0'][data-point='8']")
    assert editor.tracks.corrected_points is not None
    carried = editor.tracks.corrected_points[(editor.tracks.frame == 24) & (editor.tracks.face == 0)][0, 8]
    assert [float(place.get_attribute(name)) for name in ("cx", "cy")] == pytest.approx(carried, abs=0.01)
    assert not np.allclose(carried, editor.tracks.points[editor.tracks.frame == 24][0, 8])
    drag(page, 30, (25.0, 0.0))
    said(page, "2 corrections")
    page.click("#undo")
    said(page, "1 correction")
    assert corrections_of(editor.tracks) == [found]
    assert Tracks.load(path).corrected_points is None
    page.click("#save")
    said(page, "saved in")
    assert Tracks.load(path) == editor.tracks
    assert page.is_disabled("#save")
    assert editor.keep() is None


def test_arrow_keys_go_from_frame_to_frame(page: Any) -> None:
    for key, frame in (("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10)):
        page.keyboard.press(key)
        page.wait_for_selector(f"#picture[data-frame='{frame}']")
    assert page.locator("circle").count() == 2 * 68
    assert page.locator("#view option").all_inner_texts() == ["whole frame", "face 0", "face 1"]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_clipped(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
