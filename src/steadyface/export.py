"""Write a landmark network as one ONNX file and check it against its source.

The graph holds everything between a crop and its points: normalisation, network, sub-pixel decoding. Its
metadata say what it is, so that `landmarker.Landmarker` needs no second file. Weights are stored in 16 bits,
which halves the file, and computed with in float32.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import UInt8

from steadyface import heatmap
from steadyface.checkpoint import describe
from steadyface.demo import portrait
from steadyface.errors import ExportError
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.nets import LandmarkNet
from steadyface.nets.graph import LandmarkGraph

OUTPUTS = ("points", "scores", "covariances", "logits")
TOLERANCE_PX = 0.05
"""How far a point of the graph may lie from the torch network's, in px of the crop."""


def export_onnx(
    net: LandmarkNet, path: str | Path, *, name: str, method: str = heatmap.DEFAULT_METHOD, opset: int = 18
) -> float:
    """Write the network to `path` and return its largest difference from torch, in crop px.

    Args:
        net: in evaluation mode.
        path: of the ONNX file.
        name: of the model, kept in its metadata.
        method: the decoder inside the graph, one of `heatmap.METHODS`.
        opset: ONNX operator set.

    Raises:
        ExportError: the file's points differ from torch's by more than `TOLERANCE_PX`.
    """
    graph = LandmarkGraph(net.eval(), method).eval()
    size = net.config.input_size
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        graph,
        (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
        input_names=["crops"],
        output_names=list(OUTPUTS),
        dynamic_shapes={"crops": {0: torch.export.Dim("batch", min=1, max=1024)}},
        opset_version=opset,
        dynamo=True,
        optimize=True,
        verbose=False,
    )
    model = program.model_proto
    _store_short(model.graph)
    kind, config = describe(net.config)
    metadata = {
        "kind": "steadyface.landmarks",
        "name": name,
        "method": method,
        "sigma": repr(net.config.sigma),
        "network": kind,
        "config": config,
    }
    onnx.helper.set_model_props(model, metadata)
    model.doc_string = "68 facial landmarks; trained on 300-W, for research use only"
    onnx.save_model(model, str(path))
    return _verify(graph, Path(path))


def _store_short(graph: onnx.GraphProto) -> None:
    """Keep every large weight as int16 and a step per output channel; runtimes fold this away on loading.

    A float16 is as small but eight times coarser, enough to move a point by more than `TOLERANCE_PX`.
    """
    unpack = []
    for weight in list(graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < 256:
            continue
        name = weight.name
        step = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 32767
        step = np.maximum(step, np.finfo(np.float32).tiny).astype(np.float32)
        short = np.round(values / step).astype(np.int16)
        weight.CopyFrom(onnx.numpy_helper.from_array(short, f"{name}.short"))
        graph.initializer.append(onnx.numpy_helper.from_array(step, f"{name}.step"))
        cast = onnx.helper.make_node("Cast", [f"{name}.short"], [f"{name}.cast"], to=onnx.TensorProto.FLOAT)
        unpack += [cast, onnx.helper.make_node("Mul", [f"{name}.cast", f"{name}.step"], [name])]
    nodes = [*unpack, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _verify(graph: LandmarkGraph, path: Path) -> float:
    """The largest difference of any point from torch's, crop px, on varied crops of the bundled portrait."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch in (1, 7):
        crops = np.stack([_portrait_crop(rng, graph.net.config.input_size) for _ in range(batch)])
        with torch.inference_mode():
            expected = graph(torch.from_numpy(crops))[0].numpy()
        points = session.run(["points"], {"crops": crops})[0]
        worst = max(worst, float(np.abs(points - expected).max()))
    if not worst <= TOLERANCE_PX:
        raise ExportError(
            f"{path}: points differ from torch's by {worst:.3f} px; allowed are {TOLERANCE_PX} px"
        )
    return worst


def _portrait_crop(rng: np.random.Generator, size: int) -> UInt8[np.ndarray, "size size 3"]:
    scene = portrait()
    x, y = scene.centre + rng.normal(0, 8, 2)
    region = Region(float(x), float(y), rng.uniform(110, 170), rng.normal(0, 0.2))
    return crop_region(scene.still, region, size)[0]
