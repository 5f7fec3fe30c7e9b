"""Source of an export: a float32 graph and the outputs that every form of it must reproduce."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from steadyface.errors import ConfigError, WeightsError
from steadyface.export.packing import unpack_weights
from steadyface.models import model_kind, model_path

Run = Callable[..., list[np.ndarray]]
"""From a graph's inputs to all of its outputs, in order."""


@dataclass(frozen=True)
class Source:
    """A network as a float32 graph.

    Args:
        model: with weights as plain float32 numbers.
        facts: its metadata.
        run: the outputs to compare with.
        by: name of their origin, for messages.
    """

    model: onnx.ModelProto
    facts: dict[str, str]
    run: Run
    by: str

    @property
    def is_finder(self) -> bool:
        """Whether it is a face finder."""
        return self.facts["kind"] == "steadyface.finder"

    @property
    def input_size(self) -> int:
        """Side of a landmark network's crops, px."""
        return int(json.loads(self.facts["config"])["input_size"])


def open_graph(model: str | Path, name: str | None = None) -> Source:
    """Open the graph of a bundled model or an exported file.

    Args:
        model: float32.
        name: new name in its metadata; None keeps the old one.

    Raises:
        WeightsError: no such model, or not one of this package.
        ConfigError: its weights are not float32 any more.
    """
    path = model_path(model, "float32")
    if model_kind(path) not in ("landmarks", "finder"):
        raise WeightsError(f"{model}: neither a landmark network nor a finder exported by steadyface")
    graph = onnx.load(path)
    run = runner(graph)
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    if facts.get("precision", "float32") != "float32":
        raise ConfigError(f"{path} is {facts['precision']} already; give the float32 model it was made from")
    unpack_weights(graph.graph)
    return Source(graph, facts | ({"name": name} if name else {}), run, str(model))


def runner(model: onnx.ModelProto) -> Run:
    """Return a function that runs the graph on the CPU; inputs in the graph's order."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_inputs()]
    return lambda *inputs: session.run(None, dict(zip(names, inputs, strict=True)))
