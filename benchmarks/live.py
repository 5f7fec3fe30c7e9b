"""Speed of the live page in a real browser: frames/s, delay, frames dropped, memory.

    python benchmarks/live.py [SECONDS] [CLIP]

Starts `steadyface live` and a headless Chromium whose camera shows CLIP (by default the bundled portrait
under a moving camera) at 640 × 480 and 30 frames/s. Without a graphics card the browser draws on the same
cores. The delay runs from taking a frame to having drawn its points, JPEG and waiting included. It needs
playwright and Chromium (`$CHROMIUM`, else `chromium` on the path).
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil
from playwright.sync_api import sync_playwright

from steadyface.arrays import Frame
from steadyface.demo import portrait
from steadyface.video import VideoFrame, open_frames

WIDTH, HEIGHT, FRAMES, WARM_UP = 640, 480, 300, 5
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
WATCH = """async () => {
  const { figures } = await import("/main.js");
  const add = figures.add.bind(figures);
  window.seen = [];
  figures.add = (answer) => {
    window.seen.push([answer.drawn, answer.delay, answer.sent, answer.milliseconds, answer.dropped]);
    add(answer);
  };
}"""


def main(seconds: float = 120.0, clip: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.mjpeg"
        write_camera(camera, open_frames(clip) if clip else scene())
        command = [sys.executable, "-m", "steadyface", "live", "--no-open", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            try:
                watch(address, camera, seconds, psutil.Process(server.pid))
            finally:
                server.terminate()


def scene() -> Iterable[VideoFrame]:
    return replace(portrait(), width=WIDTH, height=HEIGHT, zoom=1.7, fps=30, seconds=FRAMES / 30)


def write_camera(path: Path, frames: Iterable[VideoFrame]) -> None:
    """A file that Chromium plays as its camera, over and over."""
    with path.open("wb") as file:
        for frame in itertools.islice(frames, FRAMES):
            bgr = cv2.cvtColor(cover(frame.image), cv2.COLOR_RGB2BGR)
            file.write(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def cover(image: Frame) -> Frame:
    """The middle of the image, at the camera's size."""
    scale = max(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    size = max(WIDTH, round(image.shape[1] * scale)), max(HEIGHT, round(image.shape[0] * scale))
    large = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    x, y = (size[0] - WIDTH) // 2, (size[1] - HEIGHT) // 2
    return large[y : y + HEIGHT, x : x + WIDTH]


def watch(address: str, camera: Path, seconds: float, server: psutil.Process) -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(address)
        page.wait_for_selector("#connection[data-state=ready]")
        page.click("#camera")
        time.sleep(WARM_UP)
        page.evaluate(WATCH)
        began, load = worked(server), os.getloadavg()[0]
        sizes = [memory(server)]
        for _ in range(2):
            time.sleep(seconds / 2)
            sizes.append(memory(server))
        seen, ended = np.array(page.evaluate("window.seen")), worked(server)
        browser.close()
    report(seen, load)
    for name, work in zip(("server", "browser"), np.subtract(ended, began), strict=True):
        print(f"{name}: {work / seconds:.2f} cores, {1000 * work / len(seen):.1f} ms of one for a frame")
    for name, values in zip(("server", "page"), zip(*sizes, strict=True), strict=True):
        print(
            f"memory of the {name} at start, middle and end: {', '.join(f'{size:.0f}' for size in values)} MB"
        )


def worked(server: psutil.Process) -> tuple[float, float]:
    """Seconds of the processor that the server and the browser have had."""
    times = [process.cpu_times() for process in chromium_of(server)]
    own = server.cpu_times()
    return own.user + own.system, sum(time.user + time.system for time in times)


def chromium_of(server: psutil.Process) -> list[psutil.Process]:
    """The browser's processes: all that this one started, but for the server."""
    return [each for each in psutil.Process().children(recursive=True) if each.pid != server.pid]


def memory(server: psutil.Process) -> tuple[float, float]:
    """MB of the server and of the browser's process for the page."""
    browser = chromium_of(server)
    pages = [process.memory_info().rss for process in browser if "--type=renderer" in process.cmdline()]
    return server.memory_info().rss / 2**20, max(pages) / 2**20


def report(seen: np.ndarray, load: float) -> None:
    drawn, delay, sent, server_ms, dropped = seen.T
    span = (drawn[-1] - drawn[0]) / 1000
    speed = (len(seen) - 1) / span
    print(f"{span:.0f} s, {len(seen)} frames, {speed:.1f} frames/s; load of the machine {load:.1f}")
    for name, values in (
        ("taken → drawn", delay),
        ("sent → drawn", sent),
        ("decoding and tracking", server_ms),
    ):
        print(f"{name:<22} median {np.median(values):6.1f} ms, 95 % {np.percentile(values, 95):6.1f} ms")
    print(f"dropped {dropped[-1] - dropped[0]:.0f} of {len(seen) + dropped[-1] - dropped[0]:.0f} frames")


if __name__ == "__main__":
    main(*(float(argument) for argument in sys.argv[1:2]), *sys.argv[2:3])
