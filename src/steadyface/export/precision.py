"""Conversion to 8 and 16 bits of the network between its first and last convolution.

The normalisation, the first layer (whose input has only three channels), the last layer (whose log-heatmaps
hold the fraction of a cell) and the decoder stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.float16 import convert_float_to_float16

from steadyface.arrays import Crops
from steadyface.datasets.three_hundred_w import find_folder, load_each
from steadyface.images import crop_region

_CALIBRATION_FACES = 64

_QUANTISED = ("Conv", "Add", "Clip", "Resize", "Concat")


class _Crops(CalibrationDataReader):
    """Iterator over crops in the form that the calibration reads."""

    def __init__(self, crops: Crops) -> None:
        self._remaining = iter(crops)

    def get_next(self) -> dict[str, np.ndarray] | None:
        crop = next(self._remaining, None)
        return None if crop is None else {"crops": crop[None]}


def calibration_crops(folder: str | Path, size: int) -> Crops:
    """Read plain crops of up to 64 annotated faces, spread over a folder of images with `.pts`.

    Raises:
        DataError: nothing there, or an image or annotation that cannot be used.
    """
    samples = find_folder(folder)
    chosen = np.unique(np.linspace(0, len(samples) - 1, _CALIBRATION_FACES).round().astype(int))
    faces = load_each(samples[i] for i in chosen)
    return np.stack([crop_region(image, sample.region(points), size)[0] for sample, image, points in faces])


def to_int8(model: onnx.ModelProto, crops: Crops) -> onnx.ModelProto:
    """Quantise the network to 8 bits, with the activations' ranges on the crops.

    Weights are signed, with a step per output channel (`_weight_steps`). Activations are unsigned, with the
    least and greatest values seen as their range.
    """
    inner = {node.name for node in _inner_nodes(model.graph)}
    add_pre_process_metadata(model)  # weights are plain and constants folded, which is all there is to do
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _Crops(crops),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_quantize=[
                node.name for node in model.graph.node if node.name in inner and node.op_type in _QUANTISED
            ],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"TensorQuantOverrides": _weight_steps(model.graph, inner)},
        )
        return onnx.load(path)


def _weight_steps(graph: onnx.GraphProto, names: set[str]) -> dict[str, list[dict[str, object]]]:
    """Return the step of each output channel of the named convolutions, as the quantiser takes it.

    CPUs without VNNI add the products of two neighbouring inputs in 16 bits, which overflows for two weights
    of 127 and activations of 255. A step that keeps the sum of two neighbours' sizes below 128 prevents that,
    and is finer than the usual 7 bits. Depthwise convolutions add in 32 bits.
    """
    stored = {weight.name: weight for weight in graph.initializer}
    steps = {}
    for node in graph.node:
        if node.op_type != "Conv" or node.name not in names:
            continue
        weight = onnx.numpy_helper.to_array(stored[node.input[1]])
        sizes = np.abs(weight).reshape(len(weight), weight.shape[1], -1)
        step = sizes.max(axis=(1, 2)) / 127
        if sizes.shape[1] > 1:
            even = np.pad(sizes, ((0, 0), (0, sizes.shape[1] % 2), (0, 0)))
            step = np.maximum(step, (even[:, ::2] + even[:, 1::2]).max(axis=(1, 2)) / 127.5)
        fixed = {"quant_type": QuantType.QInt8, "axis": 0, "zero_point": np.array(0, np.int8)}
        least = np.finfo(np.float32).tiny
        steps[node.input[1]] = [{**fixed, "scale": np.array(max(each, least), np.float32)} for each in step]
    return steps


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert the network to float16; inputs and outputs keep their types."""
    inner = {node.name for node in _inner_nodes(model.graph)}
    kept = [node.name for node in model.graph.node if node.name not in inner]
    return convert_float_to_float16(model, keep_io_types=True, node_block_list=kept)


def _inner_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes between the first convolution and the last, which gives `logits`, both excluded."""
    network = _before(graph, ["logits"])
    first = next(node for node in network if node.op_type == "Conv")
    outer = {node.name for node in _before(graph, first.output)}
    return [node for node in network if node.name not in outer and "logits" not in node.output]


def _before(graph: onnx.GraphProto, values: Iterable[str]) -> list[onnx.NodeProto]:
    """Return the nodes on which some values depend, in the graph's order."""
    wanted, found = set(values), []
    for node in reversed(graph.node):  # a node's inputs are computed by nodes before it
        if wanted & set(node.output):
            wanted |= set(node.input)
            found.append(node)
    return found[::-1]
