"""The package for browsers beside this one: its modules, run by node."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

PACKAGE = Path(__file__).parents[1] / "browser"
NODE = shutil.which("node")

is_there = pytest.mark.skipif(not PACKAGE.is_dir(), reason="browser/ is not part of this distribution")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node on the path")


def run_node(script: str, given: object) -> Any:
    """Return the result of a module's `answer(given)`; NaN goes as null."""
    module = f"""
        import {{ readFileSync }} from "node:fs";
        const given = JSON.parse(readFileSync(0, "utf-8"));
        {script}
        process.stdout.write(JSON.stringify(await answer(given)));
    """
    command = [str(NODE), "--input-type=module", "--eval", module]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, cwd=PACKAGE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_rgba(image: np.ndarray) -> dict[str, Any]:
    """An image as a browser gives it, its bytes in base64."""
    rgba = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    coded = base64.b64encode(rgba.tobytes()).decode()
    return {"width": image.shape[1], "height": image.shape[0], "data": coded}


READ_IMAGE = """
    const readImage = ({ width, height, data }) =>
        ({ width, height, data: Uint8Array.from(Buffer.from(data, "base64")) });
    const coded = (data) => Buffer.from(data).toString("base64");
"""


def read_pixels(coded: str, height: int, width: int) -> np.ndarray:
    """RGB that node returned in base64."""
    return np.frombuffer(base64.b64decode(coded), np.uint8).reshape(height, width, 3)
