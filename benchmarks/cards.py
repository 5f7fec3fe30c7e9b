"""Measure the bundled networks and write what `steadyface models` lists: src/steadyface/weights/cards.json.

    python benchmarks/cards.py DATA

DATA holds 300w/helen/testset. Needs the extra `train`, which counts parameters and operations.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import torch
from torch.utils.flop_counter import FlopCounterMode

from steadyface import metrics
from steadyface.checkpoint import build_from
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.geometry import bounding_box
from steadyface.landmarker import Landmarker
from steadyface.models import bundled_models, model_path

LICENCE = "research only (300-W)"


def measure(name: str, data: str) -> dict[str, object]:
    """A network's card."""
    metadata = {entry.key: entry.value for entry in onnx.load(model_path(name)).metadata_props}
    net = build_from(metadata["network"], metadata["config"])
    counter = FlopCounterMode(display=False)
    size = net.config.input_size
    with counter, torch.no_grad():
        net.eval()(torch.zeros(1, 3, size, size))
    landmarker = Landmarker(name)
    errors = []
    for sample in find_samples(f"{data}/300w", ["helen-test"]):
        image, truth = sample.load()
        points = landmarker.predict(image, bounding_box(truth)).points
        errors.append(float(metrics.nrmse_interocular(points, truth)))
    return {
        "input_size": size,
        "map_size": net.config.map_size,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "gflop": round(counter.get_total_flops() / 1e9, 3),
        "helen_nrmse": round(float(np.mean(errors)), 3),
        "helen_failure": round(metrics.failure_rate(np.array(errors)), 2),
        "licence": LICENCE,
    }


def main(data: str) -> None:
    cards = {name: measure(name, data) for name in bundled_models()}
    text = json.dumps(cards, indent=2) + "\n"
    model_path("compact").with_name("cards.json").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
