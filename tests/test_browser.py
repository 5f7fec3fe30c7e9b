"""The package for browsers beside this one, without a browser: crops, regions, steady points, its files."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser_package import NODE, PACKAGE, READ_IMAGE, as_rgba, is_there, needs_node, read_pixels, run_node
from stabilizer_cases import tilting

import steadyface
from steadyface.demo import portrait
from steadyface.geometry import Region
from steadyface.images import crop_region, resize_to
from steadyface.models import model_path
from steadyface.stabilizer import load_stabilizer, stabilizer_path
from steadyface.tracking import (
    MatchingConfig,
    MotionConfig,
    OcclusionConfig,
    RoiConfig,
    TrackerConfig,
    VerifierConfig,
)

pytestmark = [is_there, needs_node]


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
    points[110:128] = tilting(points[110:128], turn=0.1, growth=1.03)
    scores = rng.uniform(0.97, 1.0, (frames, 68))
    for t in rng.integers(2, frames, 25):  # landmarks thrown off, or missing
        points[t, rng.integers(68, size=rng.integers(1, 12))] += rng.normal(0, 100, 2)
        points[rng.integers(2, frames), rng.integers(68, size=3), 0] = np.nan
    points[30:45, 8] += 120  # one that stays elsewhere
    scores[20:24, :9], scores[24:26] = 0.3, 0.99  # guesses at first
    points[20:24, :9] += 90
    points[60:64] = np.nan
    points[100:] += 500  # a cut
    points[130:133] += rng.normal(0, 150, (3, 68, 2))  # frames that say nothing
    points[200:] = rng.uniform(0, 300, (68, 2)) + 900 + rng.normal(0, 1.0, (frames - 200, 68, 2))
    return points, seconds, scores


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
        import { Stabilizer } from "./index.js";
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


def test_the_stabiliser_refuses_other_kinds() -> None:
    script = """
        import { Stabilizer } from "./index.js";
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


def test_the_stabiliser_refuses_what_is_no_face() -> None:
    script = """
        import { Stabilizer } from "./index.js";
        function answer(parameters) {
          const [stabilizer, points] = [new Stabilizer(parameters), Array(136).fill(0)];
          const tried = [[Array(196).fill(0)], [Array(136).fill([0, 0])], [null]];
          tried.push([points, NaN], [points, "a"], [points, 0.04, [1, 1]]);
          return tried.map((given) => {
            try { stabilizer.step(null, ...given); } catch (error) { return String(error); }
          });
        }
    """
    said = run_node(script, json.loads(stabilizer_path("sta").read_text(encoding="utf-8")))
    numbers = "RangeError: points must be 136 numbers x₀, y₀, x₁, …, got"
    times = "RangeError: dt must be a number of seconds, got"
    assert said == [
        *(f"{numbers} {count}" for count in (196, 136, "undefined")),
        *(f"{times} {value}" for value in ("NaN", "a")),
        "RangeError: scores must be 68 numbers, got 2",
    ]


def test_crops_are_python_s() -> None:
    still = portrait().still[:300, :330]
    script = """
        import { cropRegion } from "./index.js";
        function answer({ image, regions, size }) {
          return regions.map((region) => coded(cropRegion(readImage(image), region, size)));
        }
    """
    given = {"image": as_rgba(still), "regions": [vars(region) for region in regions(0)], "size": 64}
    for region, coded in zip(regions(0), run_node(READ_IMAGE + script, given), strict=True):
        np.testing.assert_array_equal(read_pixels(coded, 64, 64), crop_region(still, region, 64)[0])


@pytest.mark.parametrize("width", [320, 640, 960, 1280, 1920, 500, 1003])
@pytest.mark.parametrize("height", [180, 711])
def test_shrunk_images_are_python_s(width: int, height: int) -> None:
    image = cv2.resize(portrait().still, (width, height))
    script = """
        import { shrink } from "./lib/crop.js";
        function answer({ image, side }) {
          const { width, height, data, back } = shrink(readImage(image), side);
          return { width, height, back, pixels: coded(data) };
        }
    """
    side = min(320, max(width, height))
    found = run_node(READ_IMAGE + script, {"image": as_rgba(image), "side": side})
    small, to_small = resize_to(image, side)
    np.testing.assert_allclose(np.reshape(found["back"], (2, 3)), to_small.inverse.matrix, rtol=0, atol=1e-9)
    pixels = read_pixels(found["pixels"], found["height"], found["width"]).astype(int)
    # OpenCV sums fractions of pixels in single precision: a mean beside a half may round the other way.
    assert np.abs(pixels - small).max() <= 1
    assert (pixels != small).mean() < 1e-3


# ------------------------------------------------------------------------------------------ the package

IN_PACKAGE = {
    *("LICENSE", "README.md", "package.json", "index.js", "index.d.ts"),
    *("example/index.html", "example/page.js", "example/serve.js"),
    *(f"lib/{path.name}" for path in (PACKAGE / "lib").glob("*.js")),
    *(f"weights/{name}.onnx" for name in ("finder", "nano", "tiny", "compact")),
    *(f"weights/{name}.json" for name in ("sta", "sta-tiny", "sta-nano")),
    "weights/MODEL_CARD.md",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project into which the packed package has been installed."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm on the path")
    folder = tmp_path_factory.mktemp("project")
    modules = folder / "node_modules"
    modules.mkdir()
    command = ["npm", "pack", "--silent", "--offline", "--pack-destination", str(folder)]
    cache = {**os.environ, "npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false"}
    subprocess.run(command, cwd=PACKAGE, env=cache, check=True, capture_output=True)
    with tarfile.open(folder / f"steadyface-{steadyface.__version__}.tgz") as packed:
        packed.extractall(modules, filter="data")
    (modules / "package").rename(modules / "steadyface")
    return folder


def test_the_package_holds_what_it_needs_and_no_more(project: Path) -> None:
    installed = project / "node_modules" / "steadyface"
    assert {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()} == IN_PACKAGE
    for name in ("nano", "tiny", "compact"):
        assert (installed / f"weights/{name}.onnx").read_bytes() == model_path(name, "float32").read_bytes()
    assert (installed / "weights/finder.onnx").read_bytes() == model_path("finder").read_bytes()


@pytest.mark.parametrize("network", ["nano", "tiny", "compact", None])
def test_the_stabiliser_gets_the_parameters_for_its_network(project: Path, network: str | None) -> None:
    script = """
        import { readFile } from "node:fs/promises";
        import { Stabilizer } from "steadyface";
        globalThis.fetch = async (url) => new Response(await readFile(url));
        const { noise } = await Stabilizer.load({ network: NETWORK });
        console.log(JSON.stringify(noise));
    """.replace("NETWORK", json.dumps(network))
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    parameters = json.loads(stabilizer_path("sta", network).read_text(encoding="utf-8"))
    assert json.loads(done.stdout) == parameters["noise"]


def test_the_example_s_server_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE / "example", tmp_path / "example")
    (tmp_path / "package.json").write_text('{"type": "module"}')

    def refused(port: object) -> str:
        command = [str(NODE), "example/serve.js", str(port)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        return done.stderr

    assert refused(0) == "onnxruntime-web is not installed: npm install onnxruntime-web@1.30.0\n"
    runtime = tmp_path / "node_modules" / "onnxruntime-web"
    runtime.mkdir(parents=True)
    (runtime / "package.json").write_text('{"name": "onnxruntime-web", "main": "index.js"}')
    (runtime / "index.js").touch()
    for port in ("abc", "99999", "-1"):
        assert refused(port) == f"a port is a number from 0 to 65535, got {port}\n"
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert refused(port) == f"port {port} of 127.0.0.1 cannot be used: EADDRINUSE\n"


def test_an_installed_package_exports_what_its_types_declare(project: Path) -> None:
    script = "import * as all from 'steadyface'; console.log(JSON.stringify(Object.keys(all)))"
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    types = (PACKAGE / "index.d.ts").read_text(encoding="utf-8")
    assert set(json.loads(done.stdout)) == set(
        re.findall(r"^export (?:class|function|const) (\w+)", types, re.M)
    )


def test_the_readme_s_code_fits_the_types(project: Path) -> None:
    compiler = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.is_file():
        pytest.skip("typescript is not installed: make browser")
    for name in ("onnxruntime-web", "onnxruntime-common"):
        (project / "node_modules" / name).symlink_to(PACKAGE / "node_modules" / name)
    readme = (PACKAGE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```ts\n(.*?)^```$", readme, re.M | re.S)
    assert len(blocks) == 2
    names = [f"block{number}.mts" for number in range(len(blocks))]
    for name, block in zip(names, blocks, strict=True):
        (project / name).write_text(block, encoding="utf-8")
    strict = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom"]
    done = subprocess.run(
        ["node", str(compiler), *strict, *names], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


SETTINGS = {
    "DEFAULTS": TrackerConfig(),
    "MOTION": MotionConfig(),
    "ROI": RoiConfig(),
    "MATCHING": (MatchingConfig(), OcclusionConfig()),
    "VERIFIER": VerifierConfig(),
}


def test_settings_are_python_s() -> None:
    script = """
        import * as config from "./lib/config.js";
        function answer() { return config; }
    """
    found = run_node(script, None)
    assert set(found) == set(SETTINGS)
    for group, ours in SETTINGS.items():
        parts = ours if isinstance(ours, tuple) else (ours,)
        values = {key: value for part in parts for key, value in vars(part).items()}
        for name, value in found[group].items():
            assert value == values[re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)], name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_faces": 2}, "no setting max_faces; there are maxFaces"),
        ({"maxFaces": 0}, "maxFaces must be at least 1, got 0"),
        ({"accept": -1}, "accept must be at least 0, got -1"),
        ({"keep": None}, "keep must be at least 0, got null"),
    ],
)
def test_wrong_settings_are_told(changes: dict[str, object], said: str) -> None:
    script = """
        import { settings } from "./lib/config.js";
        function answer(changes) {
          try { settings(changes); } catch (error) { return error.message; }
        }
    """
    assert run_node(script, changes).startswith(said)


def test_the_version_is_python_s() -> None:
    package = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == steadyface.__version__
