"""The browser's example beside Python: the same crops, points and steady sequences."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from steadyface.datasets.three_hundred_w import find_samples
from steadyface.demo import portrait
from steadyface.geometry import Affine, Region, bounding_box
from steadyface.images import crop_region
from steadyface.landmarker import Landmarker
from steadyface.stabilizer import load_stabilizer, stabilizer_path

EXAMPLE = Path(__file__).parents[1] / "examples" / "browser"
NODE = shutil.which("node")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)

needs_node = pytest.mark.skipif(NODE is None, reason="needs node on the path")
pytestmark = pytest.mark.skipif(not EXAMPLE.is_dir(), reason="examples/ is not part of this distribution")


def run_node(script: str, given: object) -> Any:
    """Return the result of a module's `answer(given)`; NaN goes as null."""
    module = f"""
        import {{ readFileSync }} from "node:fs";
        const given = JSON.parse(readFileSync(0, "utf-8"));
        {script}
        process.stdout.write(JSON.stringify(answer(given)));
    """
    command = [str(NODE), "--input-type=module", "--eval", module]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, cwd=EXAMPLE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ------------------------------------------------------------------------------------- the stabiliser


def troubled_face(seed: int, frames: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (image px), seconds and scores of a face that sways, with all that can go wrong."""
    rng = np.random.default_rng(seed)
    face = np.array([500, 300]) + rng.uniform(0, 300, (68, 2))
    seconds = np.cumsum(rng.uniform(0.01, 0.06, frames))
    seconds[80:] += 1.7  # a gap
    seconds[160:] += 40.0
    sway = np.stack([80 * np.sin(seconds), 40 * np.sin(1.7 * seconds)], axis=-1)
    points = face + sway[:, None] + rng.normal(0, 1.0, (frames, 68, 2))
    scores = rng.uniform(0.2, 1.0, (frames, 68))
    points[0, 3] = np.nan
    for t in rng.integers(2, frames, 25):  # landmarks thrown off, or missing
        points[t, rng.integers(68, size=rng.integers(1, 12))] += rng.normal(0, 100, 2)
        points[rng.integers(2, frames), rng.integers(68, size=3), 0] = np.nan
    points[30:45, 8] += 120  # one that stays elsewhere
    points[60:64] = np.nan
    points[100:] += 500  # a cut
    points[130:133] += rng.normal(0, 150, (3, 68, 2))  # frames that say nothing
    points[200:] = rng.uniform(0, 300, (68, 2)) + 900 + rng.normal(0, 1.0, (frames - 200, 68, 2))
    return points, seconds, scores


@needs_node
@pytest.mark.parametrize("scored", [True, False])
def test_the_stabiliser_is_python_s(scored: bool) -> None:
    path = stabilizer_path("sta", "tiny")
    stabilizer = load_stabilizer(path)
    points, seconds, scores = troubled_face(seed=7)
    states = list(stabilizer.states(points, seconds, scores if scored else None))
    screened = [state.screened for state in states if state is not None]
    assert sum(frame.restarts for frame in screened) >= 3
    assert sum(frame.rejected for frame in screened) >= 7
    assert sum(frame.outlier_frames is not None for frame in screened) >= 20
    script = """
        import { Stabilizer } from "./stabilizer.js";
        function answer({ parameters, points, seconds, scores }) {
          const stabilizer = new Stabilizer(parameters);
          let state = null;
          return points.map((frame, t) => {
            const raw = frame.map((value) => value ?? NaN);
            const dt = t ? seconds[t] - seconds[t - 1] : undefined;
            state = stabilizer.step(state, raw, dt, scores && scores[t]);
            return state && Array.from(state.points);
          });
        }
    """
    given = {
        "parameters": json.loads(path.read_text(encoding="utf-8")),
        "points": [
            [value if np.isfinite(value) else None for value in frame.ravel().tolist()] for frame in points
        ],
        "seconds": seconds.tolist(),
        "scores": scores.tolist() if scored else None,
    }
    found = run_node(script, given)
    assert [frame is None for frame in found] == [state is None for state in states]
    for frame, state in zip(found, states, strict=True):
        if state is not None:
            # px: both compute in float64; sums run in another order.
            np.testing.assert_allclose(np.reshape(frame, (68, 2)), state.points, rtol=0, atol=1e-6)


@needs_node
def test_the_stabiliser_refuses_other_kinds() -> None:
    script = """
        import { Stabilizer } from "./stabilizer.js";
        function answer(parameters) {
          try { new Stabilizer(parameters); } catch (error) { return error.message; }
        }
    """
    said = run_node(script, {"version": 2, "kind": "one-euro"})
    assert said == "a stabiliser of kind sta, version 2, is needed; got one-euro, 2"


# -------------------------------------------------------------------------------------------- crops


def regions(seed: int) -> list[Region]:
    """Upright and turned, inside and beyond the border, smaller and up to eight times larger than a crop."""
    rng = np.random.default_rng(seed)
    places = rng.uniform([-10, 0], [330, 300], (12, 2))
    sides = np.geomspace(20, 520, 12)
    rolls = rng.normal(0, 0.4, 12) * rng.integers(0, 2, 12)
    return [
        Region(float(x), float(y), float(side), float(roll))
        for (x, y), side, roll in zip(places, sides, rolls, strict=True)
    ]


@needs_node
def test_crops_are_python_s() -> None:
    still = portrait().still[:300, :330]
    rgba = cv2.cvtColor(still, cv2.COLOR_RGB2RGBA)
    script = """
        import { cropRegion } from "./crop.js";
        function answer({ data, width, height, regions, size }) {
          const image = { width, height, data: Uint8Array.from(Buffer.from(data, "base64")) };
          return regions.map((region) => Buffer.from(cropRegion(image, region, size)).toString("base64"));
        }
    """
    given = {
        "data": base64.b64encode(rgba.tobytes()).decode(),
        "width": still.shape[1],
        "height": still.shape[0],
        "regions": [vars(region) for region in regions(0)],
        "size": 64,
    }
    for region, coded in zip(regions(0), run_node(script, given), strict=True):
        crop = np.frombuffer(base64.b64decode(coded), np.uint8).reshape(64, 64, 3)
        np.testing.assert_array_equal(crop, crop_region(still, region, 64)[0])


@pytest.mark.parametrize(("model", "parameters"), [("tiny", "sta-tiny"), ("compact", "sta")])
def test_the_page_gets_the_parameters_for_its_model(
    model: str, parameters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)
    from serve import serve

    with serve(model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urlopen(f"http://127.0.0.1:{server.server_port}/stabilizer.json") as answer:
            served = answer.read()
        server.shutdown()
    assert served == (stabilizer_path("sta").parent / f"{parameters}.json").read_bytes()


# ------------------------------------------------------------------------------------- in the browser


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """The example's page in a browser, with the bundled tiny network, in float32."""
    api = pytest.importorskip("playwright.sync_api", reason="the browser's test needs playwright")
    if CHROMIUM is None:
        pytest.skip("the browser's test needs chromium on the path")
    if not (EXAMPLE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("onnxruntime-web is not installed: make browser")
    sys.path.insert(0, str(EXAMPLE))
    from serve import serve

    server = serve("tiny-float32")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with api.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page()
        page.set_default_timeout(300_000)  # a busy machine compiles the runtime for minutes
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function("document.querySelector('#said').textContent === 'Open a file.'")
        yield page
        assert page.problems == []
        browser.close()
    server.shutdown()
    server.server_close()
    sys.path.remove(str(EXAMPLE))


PREDICT = """async ([png, box]) => {
    const ort = await import("onnxruntime-web/wasm");
    const { Landmarker } = await import("./landmarker.js");
    window.landmarker ??= await Landmarker.load(ort, "model.onnx");
    const image = new Image();
    image.src = png;
    await image.decode();
    const pencil = new OffscreenCanvas(image.width, image.height).getContext("2d");
    pencil.drawImage(image, 0, 0);
    const found = await window.landmarker.predict(pencil.getImageData(0, 0, image.width, image.height), box);
    return [Array.from(found.points), Array.from(found.scores)];
}"""


def hold(page: Any, image: np.ndarray, box: np.ndarray) -> None:
    """The browser's points of a face are Python's."""
    png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    points, scores = page.evaluate(PREDICT, [address, box.tolist()])
    expected = Landmarker("tiny-float32", device="cpu").predict(image, box)
    side = 1.3 * (box[2:] - box[:2]).max()
    # Crops are the same; 0.05 px of the network's input are what kernels of other processors may differ by.
    tolerance = 0.05 * max(1.0, side / 128)
    np.testing.assert_allclose(np.reshape(points, (68, 2)), expected.points, rtol=0, atol=tolerance)
    np.testing.assert_allclose(scores, expected.scores, rtol=0, atol=5e-3)


@pytest.mark.parametrize("seed", range(10))
def test_points_of_the_portrait_are_python_s(page: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = portrait()
    scale, roll = rng.uniform(0.8, 4.0), rng.normal(0, 0.25)
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    linear = np.array([[cos, -sin], [sin, cos]])
    there = Affine(np.column_stack([linear, rng.normal([320, 240], 20) - linear @ scene.centre]))
    image = cv2.warpAffine(scene.still, there.matrix, (640, 480))
    middle = there(np.array(scene.centre))
    reach = 55 * scale * rng.uniform(0.9, 1.1)
    hold(page, image, np.concatenate([middle - reach, middle + reach]))


def test_points_of_real_faces_are_python_s(page: Any, data_dir: Path) -> None:
    for sample in find_samples(data_dir / "300w", ("helen-test",))[::33]:
        image, points = sample.load()
        hold(page, image, bounding_box(points))


def test_the_page_shows_the_points_of_the_box_that_is_drawn(page: Any, tmp_path: Path) -> None:
    scene = portrait()
    path = tmp_path / "portrait.png"
    cv2.imwrite(str(path), cv2.cvtColor(scene.still, cv2.COLOR_RGB2BGR))
    page.set_input_files("#file", path)
    page.wait_for_function("document.querySelector('#said').textContent.startsWith('Drag')")
    frame = page.locator("#picture").bounding_box()
    scale = frame["width"] / scene.still.shape[1]
    x, y = (frame[side] + scale * at for side, at in zip("xy", scene.centre, strict=True))
    page.mouse.move(x - 55 * scale, y - 55 * scale)
    page.mouse.down()
    page.mouse.move(x + 55 * scale, y + 55 * scale)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#said').textContent.startsWith('68 points')")
    score = float(page.text_content("#said").split()[-1])
    assert score > 0.5
