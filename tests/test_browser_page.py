"""The package for browsers in Chromium: its faces and points are Python's, and it asks no other server."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scenes
from browser_package import NODE, PACKAGE, is_there, needs_node

from steadyface.datasets.three_hundred_w import find_samples
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.geometry import Affine, Region, bounding_box
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.stabilizer import load_stabilizer
from steadyface.tracking import CutConfig, TrackedFace, Tracker, TrackerConfig

pytestmark = [is_there, needs_node]

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
SWITCHES = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
LOADED = "#message:not(:has-text('Loading'))"
SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
CLOSE = 0.05
"""px: kernels of another processor may round otherwise; crops are the same."""
ROUNDED = 5e-3
"""The same for scores and probabilities."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Address of the example, served by its own server."""
    if not (PACKAGE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("onnxruntime-web is not installed: make browser")
    subprocess.run([str(NODE), "prepack.js"], cwd=PACKAGE, check=True)
    command = [str(NODE), "example/serve.js", "0"]
    with subprocess.Popen(command, cwd=PACKAGE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture(scope="module")
def page(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The example's page in a browser whose camera shows the portrait."""
    api = pytest.importorskip("playwright.sync_api", reason="the browser's test needs playwright")
    if CHROMIUM is None:
        pytest.skip("the browser's test needs chromium on the path")
    film = tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    film.write_bytes(b"".join(coded(frame, ".jpg") for frame in scenes.frames(5)))
    with api.sync_playwright() as player:
        switches = [*SWITCHES, "--disable-gpu", f"--use-file-for-fake-video-capture={film}"]
        browser = player.chromium.launch(executable_path=CHROMIUM, args=switches)
        page = open_page(browser, address)
        yield page
        assert page.problems == []
        browser.close()


def open_page(browser: Any, address: str) -> Any:
    page = browser.new_page()
    page.set_default_timeout(300_000)  # a busy machine compiles the runtime for minutes
    page.problems, page.requested = [], []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto(address)
    page.wait_for_selector(LOADED)
    assert page.text_content("#message").startswith("Start the webcam")
    page.evaluate(PREPARE)
    return page


PREPARE = """async () => {
    const ort = await import("onnxruntime-web");
    const { FaceFinder, Landmarker, Tracker } = await import("../index.js");
    const read = async (coded) => {
        const image = new Image();
        image.src = `data:image/png;base64,${coded}`;
        await image.decode();
        const pencil = new OffscreenCanvas(image.width, image.height).getContext("2d");
        pencil.drawImage(image, 0, 0);
        return pencil.getImageData(0, 0, image.width, image.height);
    };
    const plain = (values) => values && Array.from(values);
    const flat = ({ points, rawPoints, scores, covariances, visible, ...rest }) => ({
        points: plain(points), rawPoints: plain(rawPoints), scores: plain(scores),
        covariances: plain(covariances), visible: plain(visible), ...rest,
    });
    window.find = async (image, options) => (await FaceFinder.load(ort, options)).find(await read(image));
    window.landmarkers = {};
    window.predict = async (model, image, box) => {
        landmarkers[model] ??= await Landmarker.load(ort, model);
        return flat(await landmarkers[model].predict(await read(image), box));
    };
    window.track = async (images, fps, options) => {
        const tracker = await Tracker.load(ort, options);
        const [frames, runs] = [[], []];
        const predict = tracker.landmarker.predictRegions.bind(tracker.landmarker);
        tracker.landmarker.predictRegions = (image, regions) => {
            if (regions.length) runs.push(regions);
            return predict(image, regions);
        };
        for (const [t, image] of images.entries()) {
            frames.push((await tracker.step(await read(image), t / fps)).map(flat));
        }
        return { frames, runs };
    };
}"""


def coded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def as_png(image: np.ndarray) -> str:
    return base64.b64encode(coded(image)).decode()


def shaped(values: Sequence[float], *shape: int) -> np.ndarray:
    return np.reshape(np.array(values, float), shape)


# ------------------------------------------------------------------------------------- faces and points


def crowd() -> np.ndarray:
    """The portrait's face at three sizes, one of them tilted."""
    still, canvas = portrait().still, np.full((720, 1280, 3), 90, np.uint8)
    for x, y, scale, roll in ((100, 60, 1.0, 0.0), (600, 20, 1.7, 0.35), (950, 480, 0.55, 0.0)):
        cos, sin = scale * np.cos(roll), scale * np.sin(roll)
        size = (int(330 * scale), int(300 * scale))
        matrix = np.array([[cos, -sin, 40 * roll * scale], [sin, cos, -40 * roll * scale]])
        part = cv2.warpAffine(still[:300, 60:390], matrix, size)[: 720 - y, : 1280 - x]
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas


@pytest.mark.parametrize("min_face", [None, 20])
def test_faces_found_are_python_s(page: Any, min_face: int | None) -> None:
    image = crowd()
    boxes, scores = FaceFinder(min_face=min_face, device="cpu").find(image)
    assert len(boxes) == 3
    found = page.evaluate(
        "([image, options]) => find(image, options)", [as_png(image), {"minFace": min_face}]
    )
    np.testing.assert_allclose([face["box"] for face in found], boxes, rtol=0, atol=CLOSE)
    np.testing.assert_allclose([face["score"] for face in found], scores, rtol=0, atol=ROUNDED)


def hold(page: Any, model: str, image: np.ndarray, box: np.ndarray) -> None:
    """The browser's points of a face are Python's."""
    found = page.evaluate(
        "([model, image, box]) => predict(model, image, box)", [model, as_png(image), box.tolist()]
    )
    expected = Landmarker(f"{model}-float32", device="cpu", threads=1).predict(image, box)
    np.testing.assert_allclose(shaped(found["points"], 68, 2), expected.points, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=0, atol=ROUNDED)
    np.testing.assert_allclose(found["visible"], expected.visible, rtol=0, atol=ROUNDED)
    spread = np.trace(expected.covariances, axis1=-2, axis2=-1)[:, None, None]
    covariances = shaped(found["covariances"], 68, 2, 2)
    np.testing.assert_allclose(covariances / spread, expected.covariances / spread, rtol=0, atol=0.02)


@pytest.mark.parametrize("model", ["nano", "tiny", "compact"])
@pytest.mark.parametrize("seed", range(3))
def test_points_of_the_portrait_are_python_s(page: Any, model: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = portrait()
    scale, roll = rng.uniform(0.8, 4.0), rng.normal(0, 0.25)
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    linear = np.array([[cos, -sin], [sin, cos]])
    there = Affine(np.column_stack([linear, rng.normal([320, 240], 20) - linear @ scene.centre]))
    image = cv2.warpAffine(scene.still, there.matrix, (640, 480))
    middle = there(np.array(scene.centre))
    reach = 55 * scale * rng.uniform(0.9, 1.1)
    hold(page, model, image, np.concatenate([middle - reach, middle + reach]))


def test_points_of_real_faces_are_python_s(page: Any, data_dir: Path) -> None:
    for sample in find_samples(data_dir / "300w", ("helen-test",))[::33]:
        image, points = sample.load()
        hold(page, "tiny", image, bounding_box(points))


def test_points_are_python_s_where_there_is_a_gpu(page: Any, address: str) -> None:
    """A GPU in software: some of the runtime's kernels are wrong there, and then it is not used."""
    launch = page.context.browser.browser_type.launch
    with launch(executable_path=CHROMIUM, args=[*SWITCHES, *SOFTWARE_GPU]) as browser:
        gpu = open_page(browser, address)
        if not gpu.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this browser has no WebGPU, not even in software")
        scene = portrait()
        middle = np.array(scene.centre)
        hold(gpu, "nano", scene.still, np.concatenate([middle - 55, middle + 55]))


# ----------------------------------------------------------------------------------------------- tracks


class Replay:
    """Python's network in the browser's regions, which are to be those that the tracker asks for.

    A crop that lies 1/32 px elsewhere gives other points, and these the next region; so two tracks drift
    apart by a part of the network's jitter however little the first boxes differ, in Python too.
    """

    def __init__(self, runs: Sequence[Sequence[dict[str, float]]]) -> None:
        self._landmarker = Landmarker("tiny-float32", device="cpu", threads=1)
        self._runs = iter(runs)

    def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
        theirs = [Region(**region) for region in next(self._runs)]
        asked = [[region.x, region.y, region.side, region.roll] for region in regions]
        given = [[region.x, region.y, region.side, region.roll] for region in theirs]
        np.testing.assert_allclose(given, asked, rtol=0, atol=CLOSE / 10)  # px; radians
        return self._landmarker.predict_regions(image, theirs)


NO_CUTS = TrackerConfig(cuts=CutConfig(min_novelty=2, possible_novelty=2, dissolve_novelty=2))
"""The browser's tracker does not look for cuts; no picture is as novel."""


def hold_tracks(page: Any, images: Sequence[np.ndarray]) -> list[list[TrackedFace]]:
    """The browser's faces of a clip are Python's; returns these."""
    given = [[as_png(image) for image in images], scenes.FPS, {"model": "tiny"}]
    found = page.evaluate("([images, fps, options]) => track(images, fps, options)", given)
    stabilizer = load_stabilizer("sta", "tiny")
    ours = Tracker(Replay(found["runs"]), stabilizer=stabilizer, config=NO_CUTS, motion=False)
    expected = [ours.step(image, t / scenes.FPS) for t, image in enumerate(images)]
    for theirs, faces in zip(found["frames"], expected, strict=True):
        assert [(face["id"], face["held"]) for face in theirs] == [
            (face.face_id, face.held) for face in faces
        ]
        for face, other in zip(theirs, faces, strict=True):
            np.testing.assert_allclose(shaped(face["points"], 68, 2), other.points, rtol=0, atol=CLOSE)
            np.testing.assert_allclose(shaped(face["rawPoints"], 68, 2), other.raw_points, rtol=0, atol=CLOSE)
            np.testing.assert_allclose(face["box"], other.box, rtol=0, atol=CLOSE)
            np.testing.assert_allclose(face["scores"], other.scores, rtol=0, atol=ROUNDED)
    return expected


def test_a_tracked_clip_is_python_s(page: Any) -> None:
    faces = hold_tracks(page, scenes.frames(25))
    assert all(len(each) == 1 for each in faces)
    travelled = faces[-1][0].points - faces[0][0].points
    assert np.abs(travelled.mean(axis=0)).max() > 5  # px


def test_a_face_that_is_lost_and_returns_is_python_s(page: Any) -> None:
    frames = scenes.frames(25)
    faces = hold_tracks(page, [*frames[:6], *scenes.empty(12), *frames[6:12]])
    assert [face.held for face in faces[6]] == [True]
    assert faces[17] == []
    assert [(face.face_id, face.held) for face in faces[-1]] == [(0, False)]


def test_tracks_of_two_faces_are_python_s(page: Any) -> None:
    left = scenes.frames(25)[:10]
    right = [frame[:, ::-1] for frame in scenes.frames(25)[10:20]]
    faces = hold_tracks(page, [np.hstack(pair) for pair in zip(left, right, strict=True)])
    assert [face.face_id for face in faces[-1]] == [0, 1]


# --------------------------------------------------------------------------------------------- the page


def test_the_page_tracks_a_photograph_and_the_camera(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "portrait.png"
    path.write_bytes(coded(portrait().still))
    page.set_input_files("#file", path)
    page.wait_for_selector("#message:text-is('1 face')")
    assert page.text_content("#figures") == "WebAssembly"
    page.click("#camera")
    page.wait_for_selector("#figures:has-text(' frames/s')")
    assert page.text_content("#message") == "1 face"
    page.select_option("#model", "nano")
    page.wait_for_selector("#figures:text-is('WebAssembly')")
    page.wait_for_selector("#figures:has-text(' frames/s')")
    page.click("#stop")


def test_a_file_that_is_no_picture_is_told(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    page.set_input_files("#file", path)
    page.wait_for_selector("#message:has-text('notes.png cannot be shown')")


def test_no_other_server_is_asked(page: Any, address: str) -> None:
    """Of all tests before, and of a load from the start."""
    page.reload()
    page.wait_for_selector(LOADED)
    names = [url.rsplit("/", 1)[-1] for url in page.requested]
    assert {"finder.onnx", "tiny.onnx", "sta-tiny.json", "index.js"} <= set(names)
    strangers = [url for url in page.requested if not url.startswith((address, "blob:", "data:"))]
    assert strangers == []
