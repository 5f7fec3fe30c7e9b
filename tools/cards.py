"""Measure the bundled networks and write what `steadyface models` lists: src/steadyface/weights/cards.json.

    python tools/cards.py DATA

DATA holds 300w/helen/testset and faces. Needs the extra `train`, which counts parameters and operations.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch.utils.flop_counter import FlopCounterMode

from steadyface import metrics
from steadyface.checkpoint import Network, build_from
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.detector import FaceFinder
from steadyface.geometry import bounding_box
from steadyface.identity import SIDE
from steadyface.landmarker import Landmarker
from steadyface.models import FINDER, IDENTITY, bundled_models, model_path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from finder import held_out, match, summary, upright, views

LICENCE = "research only (300-W)"
LICENCE_OF_IDENTITY = "CC0; its linear map research only (FG-NET, CFP)"


def measure(name: str, data: str) -> dict[str, object]:
    """A network's card."""
    net, parameters, gflop = cost(name)
    landmarker = Landmarker(name, device="cpu")
    errors = []
    for sample in find_samples(f"{data}/300w", ["helen-test"]):
        image, truth = sample.load()
        points = landmarker.predict(image, bounding_box(truth)).points
        errors.append(float(metrics.nrmse_interocular(points, truth)))
    return {
        "input_size": net.config.input_size,
        "map_size": net.config.map_size,
        "parameters": parameters,
        "gflop": gflop,
        "helen_nrmse": round(float(np.mean(errors)), 3),
        "helen_failure": round(metrics.failure_rate(np.array(errors)), 2),
        "licence": LICENCE,
    }


def measure_finder(data: str) -> dict[str, object]:
    """The finder's card."""
    net, parameters, gflop = cost(FINDER)
    finder, faces = FaceFinder(device="cpu"), held_out(Path(data) / "faces")
    found = [match(finder(image), boxes, marks) for image, boxes, marks in views(faces, upright)]
    recall, false, _ = summary(found)
    return {
        "side": net.config.input_size,
        "parameters": parameters,
        "gflop": gflop,
        "recall": round(recall, 2),
        "false_per_photo": round(false, 3),
        "licence": LICENCE,
    }


def measure_identity() -> dict[str, object]:
    """The card of the network of identities; `benchmarks/people.py` tells how often names are right."""
    weights = onnx.load(model_path(IDENTITY)).graph.initializer
    parameters = sum(int(np.prod(each.dims)) for each in weights)
    return {"side": SIDE, "parameters": parameters, "licence": LICENCE_OF_IDENTITY}


def cost(name: str) -> tuple[Network, int, float]:
    """The network of a bundled file, with fresh weights; its parameters and GFLOP."""
    metadata = {entry.key: entry.value for entry in onnx.load(model_path(name)).metadata_props}
    net = build_from(metadata["network"], metadata["config"])
    counter, size = FlopCounterMode(display=False), net.config.input_size
    with counter, torch.no_grad():
        net.eval()(torch.zeros(1, 3, size, size))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return net, parameters, round(counter.get_total_flops() / 1e9, 3)


def main(data: str) -> None:
    cards = {name: measure(name, data) for name in bundled_models()}
    cards[FINDER] = measure_finder(data)
    cards[IDENTITY] = measure_identity()
    text = json.dumps(cards, indent=2) + "\n"
    model_path(FINDER).with_name("cards.json").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
