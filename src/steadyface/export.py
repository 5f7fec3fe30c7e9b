"""Write a network as one ONNX file and check it against its source.

The graph holds everything between pixels and points, or boxes: normalisation, network, sub-pixel decoding.
Its metadata say what it is, so that `Landmarker` and `FaceFinder` need no second file. Weights are stored in
16 bits, which halves the file, and computed with in float32.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from steadyface import heatmap
from steadyface.checkpoint import Config, Network, describe
from steadyface.demo import portrait
from steadyface.errors import ExportError
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.nets import FinderNet
from steadyface.nets.graph import FinderGraph, LandmarkGraph

OUTPUTS = ("points", "scores", "covariances", "logits")
TOLERANCE_PX = 0.05
"""How far a point or a box of the graph may lie from the torch network's, in px of its input."""

_LONGEST = 1 << 14  # px of a finder's frame


def export_onnx(
    net: Network, path: str | Path, *, name: str, method: str = heatmap.DEFAULT_METHOD, opset: int = 18
) -> float:
    """Write the network to `path` and return its largest difference from torch, in px of its input.

    Args:
        net: in evaluation mode.
        path: of the ONNX file.
        name: of the model, kept in its metadata.
        method: the decoder inside a landmark network's graph, one of `heatmap.METHODS`; a finder has its own.
        opset: ONNX operator set.

    Raises:
        ExportError: the file's points or boxes differ from torch's by more than `TOLERANCE_PX`.
    """
    if isinstance(net, FinderNet):
        return _export_finder(FinderGraph(net.eval()).eval(), Path(path), name, opset)
    graph = LandmarkGraph(net.eval(), method).eval()
    size, sigma = net.config.input_size, net.config.sigma
    _write(
        graph,
        {"crops": torch.zeros(2, size, size, 3, dtype=torch.uint8)},
        OUTPUTS,
        {"crops": {0: torch.export.Dim("batch", min=1, max=1024)}},
        Path(path),
        {"kind": "steadyface.landmarks", "name": name, "method": method, "sigma": repr(sigma)},
        net.config,
        "68 facial landmarks; trained on 300-W, for research use only",
        opset,
    )
    return _judge(_compare_points(graph, Path(path)), Path(path))


def _export_finder(graph: FinderGraph, path: Path, name: str, opset: int) -> float:
    rows, columns = (torch.export.Dim(name, min=1, max=_LONGEST) for name in ("height", "width"))
    _write(
        graph,
        {"image": torch.zeros(256, 320, 3, dtype=torch.uint8), "threshold": torch.tensor(0.5)},
        ("boxes", "scores"),
        {"image": {0: rows, 1: columns}, "threshold": None},
        path,
        {"kind": "steadyface.finder", "name": name},
        graph.net.config,
        "Face boxes, tight around 68 landmarks; trained on 300-W's photographs, for research use only",
        opset,
    )
    return _judge(_compare_boxes(graph, path), path)


def _write(
    graph: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_shapes: Mapping[str, object],
    path: Path,
    metadata: Mapping[str, str],
    config: Config,
    doc: str,
    opset: int,
) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        graph,
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=dynamic_shapes,
        opset_version=opset,
        dynamo=True,
        optimize=True,
        verbose=False,
    )
    model = program.model_proto
    _store_short(model.graph)
    _forget_source(model.graph)
    kind, numbers = describe(config)
    onnx.helper.set_model_props(model, {**metadata, "network": kind, "config": numbers})
    model.doc_string = doc
    onnx.save_model(model, str(path))


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


def _forget_source(graph: onnx.GraphProto) -> None:
    """Drop what the exporter notes of each node: source lines, paths, shapes; a quarter of the file."""
    for part in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        del part.metadata_props[:]
    del graph.value_info[:], graph.metadata_props[:]


def _judge(worst: float, path: Path) -> float:
    if not worst <= TOLERANCE_PX:
        raise ExportError(
            f"{path}: points differ from torch's by {worst:.3f} px; allowed are {TOLERANCE_PX} px"
        )
    return worst


def _compare_points(graph: LandmarkGraph, path: Path) -> float:
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
    return worst


def _compare_boxes(graph: FinderGraph, path: Path) -> float:
    """The largest distance of torch's best boxes from the file's, px, on parts of the bundled portrait."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    still = portrait().still
    worst = 0.0
    for height, width in ((300, 320), (200, 317), (97, 400)):
        image = np.ascontiguousarray(still[:height, :width])
        with torch.inference_mode():
            boxes, scores = (part.numpy() for part in graph(torch.from_numpy(image), torch.tensor(0.0)))
        threshold = np.array(scores[0] / 2, np.float32)
        found = session.run(["boxes"], {"image": image, "threshold": threshold})[0]
        for box in boxes[scores > 0.75 * scores[0]]:
            worst = max(worst, float(np.abs(found - box).max(axis=1).min(initial=np.inf)))
    return worst


def _portrait_crop(rng: np.random.Generator, size: int) -> UInt8[np.ndarray, "size size 3"]:
    scene = portrait()
    x, y = scene.centre + rng.normal(0, 8, 2)
    region = Region(float(x), float(y), rng.uniform(110, 170), rng.normal(0, 0.2))
    return crop_region(scene.still, region, size)[0]
