"""Conversion of a torch network to a float32 ONNX graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from steadyface import heatmap
from steadyface.checkpoint import Config, Network, describe
from steadyface.export.check import Deviation
from steadyface.export.source import Source
from steadyface.export.writing import OPSET, Form, write
from steadyface.nets import FinderNet
from steadyface.nets.graph import FinderGraph, LandmarkGraph

_LONGEST = 1 << 14  # px of a finder's frame


def export_onnx(
    net: Network, path: str | Path, *, name: str, method: str = heatmap.DEFAULT_METHOD
) -> Deviation:
    """Export a network in memory, as `export.export_model` does a checkpoint.

    Raises:
        ExportError: the file's points or boxes differ from torch's by more than `check.TOLERANCE_PX`.
    """
    return write(trace(net, name, method), path, Form())


def trace(net: Network, name: str, method: str = heatmap.DEFAULT_METHOD) -> Source:
    """Trace the network and its decoder into a graph for any number of crops, or frames of any size.

    Args:
        net: put into evaluation mode.
        name: of the model, kept in its metadata.
        method: the decoder of a landmark network, one of `heatmap.METHODS`; a finder has its own.
    """
    return _trace_finder(net, name) if isinstance(net, FinderNet) else _trace_landmarks(net, name, method)


def _trace_landmarks(net: nn.Module, name: str, method: str) -> Source:
    graph = LandmarkGraph(net.eval(), method).eval()
    size = net.config.input_size
    model = _to_onnx(
        graph,
        {"crops": torch.zeros(2, size, size, 3, dtype=torch.uint8)},
        graph.outputs,
        {"crops": {0: torch.export.Dim("batch", min=1, max=1024)}},
        "68 facial landmarks; trained on 300-W, for research use only",
    )
    facts = {"kind": "steadyface.landmarks", "name": name, "method": method, "sigma": repr(net.config.sigma)}
    return _source(graph, model, facts, net.config)


def _trace_finder(net: FinderNet, name: str) -> Source:
    graph = FinderGraph(net.eval()).eval()
    rows, columns = (torch.export.Dim(name, min=1, max=_LONGEST) for name in ("height", "width"))
    model = _to_onnx(
        graph,
        {"image": torch.zeros(256, 320, 3, dtype=torch.uint8), "threshold": torch.tensor(0.5)},
        ("boxes", "scores"),
        {"image": {0: rows, 1: columns}, "threshold": None},
        "Face boxes, tight around 68 landmarks; trained on 300-W's photographs, for research use only",
    )
    return _source(graph, model, {"kind": "steadyface.finder", "name": name}, net.config)


def _source(graph: nn.Module, model: onnx.ModelProto, facts: dict[str, str], config: Config) -> Source:
    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [output.numpy() for output in graph(*map(torch.from_numpy, inputs))]

    kind, numbers = describe(config)
    return Source(model, {**facts, "network": kind, "config": numbers}, run, "torch")


def _to_onnx(
    graph: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_shapes: Mapping[str, object],
    doc: str,
) -> onnx.ModelProto:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch's own exporter uses what torch itself deprecates.
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
        program = torch.onnx.export(
            graph,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=dynamic_shapes,
            opset_version=OPSET,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    model = program.model_proto
    model.doc_string = doc
    return model
