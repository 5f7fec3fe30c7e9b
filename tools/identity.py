"""Make the network that tells people apart: src/steadyface/weights/identity.onnx.

    python tools/identity.py MODEL DATA

MODEL is the folder `model` of the npm package @vladmandic/face-api, which holds dlib's face recognition
network (Davis King, CC0) with weights of 8 bits. DATA holds extra/fgnet and extra/profiles, from whose people
of odd number a linear map of the descriptors is fitted, so that age and pose count less; those of even number
are left to `benchmarks/people.py`. Needs the extra `export`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from steadyface.datasets.extra import find_extra
from steadyface.detector import FaceFinder
from steadyface.identity import SIDE, aligned_region
from steadyface.images import crop_region
from steadyface.landmarker import Landmarker
from steadyface.models import IDENTITY, model_path

NAME = "face_recognition_model"
STAGES = {32: 3, 64: 3, 128: 2, 256: 2}
"""Channels → residual blocks, after one that halves the picture in all stages but the first."""

MEAN_RGB, SCALE = (122.782, 117.001, 104.298), 256.0
SHRINKAGE = 0.5  # of the scatter within people towards a sphere: half on held-out people, coarsely searched
OPSET = 18


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Read the weights by name; convolutions are height × width × in × out."""
    manifest = json.loads((folder / f"{NAME}-weights_manifest.json").read_text())
    data, at, weights = (folder / f"{NAME}.bin").read_bytes(), 0, {}
    for entry in manifest[0]["weights"]:
        coded = entry.get("quantization")
        stored = np.dtype(np.uint8 if coded else np.float32)
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(data, stored, count, at).reshape(entry["shape"]).astype(np.float32)
        at += count * stored.itemsize
        weights[entry["name"]] = values * coded["scale"] + coded["min"] if coded else values
    return weights


class Graph:
    """Nodes and stored arrays of the network, in order."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights, self.nodes, self.stored = weights, list[onnx.NodeProto](), list[onnx.TensorProto]()

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Append a node; returns the name of its output."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def store(self, values: np.ndarray | list) -> str:
        """Store an array; lists of whole numbers are shapes and axes."""
        array = np.asarray(values, np.int64) if isinstance(values, list) else values
        name = f"stored_{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(array, name))
        return name

    def convolve(self, x: str, layer: str, stride: int = 1) -> str:
        """Convolve and scale. The weights have 8 bits and a step per output channel."""
        scale, bias = (self.weights[f"{layer}/scale/{each}"] for each in ("weights", "biases"))
        kernel = self.weights[f"{layer}/conv/filters"].transpose(3, 2, 0, 1) * scale[:, None, None, None]
        bias = bias + self.weights[f"{layer}/conv/bias"] * scale
        step = np.abs(kernel).max(axis=(1, 2, 3)) / 127
        whole = np.round(kernel / step[:, None, None, None]).astype(np.int8)
        weight = self.add("DequantizeLinear", *map(self.store, (whole, step)), axis=0)
        pad = kernel.shape[-1] // 2 if stride == 1 else 0
        stored = self.store(bias.astype(np.float32))
        return self.add("Conv", x, weight, stored, strides=[stride] * 2, pads=[pad] * 4)

    def block(self, x: str, layer: str, stride: int = 1, more: int = 0, lacking: int = 0) -> str:
        """Add a residual block.

        Args:
            x: input.
            layer: its name in the weights.
            stride: 2 halves the picture.
            more: channels that the input lacks.
            lacking: rows and columns by which the halved picture falls short of the averaged input.
        """
        y = self.add("Relu", self.convolve(x, f"{layer}/conv1", stride))
        y = self.convolve(y, f"{layer}/conv2")
        if stride == 2:
            x = self.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        if more:
            x = self.add("Pad", x, self.store([0, 0, 0, 0, 0, more, 0, 0]))
        if lacking:
            y = self.add("Pad", y, self.store([0, 0, 0, 0, 0, 0, lacking, lacking]))
        return self.add("Relu", self.add("Add", x, y))

    def network(self, crops: str) -> str:
        """Add the network from crops, as they are and mirrored, to unit vectors of 128 numbers."""
        x = self.add("Transpose", self.add("Cast", crops, to=onnx.TensorProto.FLOAT), perm=[0, 3, 1, 2])
        mean = np.array(MEAN_RGB, np.float32).reshape(1, 3, 1, 1)
        x = self.add("Div", self.add("Sub", x, self.store(mean)), self.store(np.float32([SCALE])))
        mirrored = self.add("Slice", x, *map(self.store, ([-1], [-SIDE - 1], [3], [-1])))
        x = self.add("Concat", x, mirrored, axis=0)
        x = self.add("Relu", self.convolve(x, "conv32_down", 2))
        x = self.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        for channels, blocks in STAGES.items():
            if channels > 32:
                x = self.block(x, f"conv{channels}_down", 2, channels // 2, int(channels == 256))
            for number in range(1, blocks + 1):
                x = self.block(x, f"conv{channels}_{number}")
        x = self.block(x, "conv256_down_out", 2, lacking=1)
        x = self.add("ReduceMean", x, self.store([2, 3]), keepdims=0)
        x = self.add("LpNormalization", self.add("MatMul", x, self.store(self.weights["fc"])), axis=1)
        x = self.add(
            "ReduceSum", self.add("Reshape", x, self.store([2, -1, 128])), self.store([0]), keepdims=0
        )
        return self.add("LpNormalization", x, axis=1)


def build(weights: dict[str, np.ndarray], mean: np.ndarray, spread: np.ndarray) -> onnx.ModelProto:
    """Build the model: the network, less `mean` (128), times `spread` (128, 128), of unit length."""
    graph = Graph(weights)
    x = graph.add("Sub", graph.network("crops"), graph.store(mean.astype(np.float32)))
    x = graph.add("MatMul", x, graph.store(spread.astype(np.float32)))
    graph.nodes.append(helper.make_node("LpNormalization", [x], ["descriptors"], axis=1))
    ends = (
        helper.make_tensor_value_info("crops", onnx.TensorProto.UINT8, ["faces", SIDE, SIDE, 3]),
        helper.make_tensor_value_info("descriptors", onnx.TensorProto.FLOAT, ["faces", 128]),
    )
    whole = helper.make_graph(graph.nodes, IDENTITY, ends[:1], ends[1:], graph.stored)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    helper.set_model_props(model, {"kind": "steadyface.identity", "name": IDENTITY})
    model.doc_string = "Identity of faces: dlib's network (CC0), then a map fitted on FG-NET and CFP"
    onnx.checker.check_model(model)
    return model


def training_crops(data: str) -> tuple[np.ndarray, np.ndarray]:
    """Cut out the faces of the people of odd number that the finder finds; also who each is."""
    finder, landmarker, crops, people = FaceFinder(), Landmarker(), [], []
    for part in ("fgnet", "profiles"):
        for sample in find_extra(Path(data) / "extra", part):
            image, _ = sample.load()
            boxes = finder(image) if int(sample.person) % 2 else []
            if len(boxes):
                region = aligned_region(landmarker.predict(image, boxes[0]).points)
                crops.append(crop_region(image, region, SIDE)[0])
                people.append(f"{part} {sample.person}")
    return np.stack(crops), np.array(people)


def fit(vectors: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the mean, and the map that whitens the scatter of each person's vectors around their mean."""
    groups = [vectors[people == each] for each in np.unique(people)]
    inner = np.concatenate([group - group.mean(axis=0) for group in groups])
    scatter = inner.T @ inner / (len(inner) - len(groups))
    sphere = np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    values, axes = np.linalg.eigh((1 - SHRINKAGE) * scatter + SHRINKAGE * sphere)
    return vectors.mean(axis=0), (axes / np.sqrt(values)) @ axes.T


def main(folder: str, data: str) -> None:
    import onnxruntime

    weights = read_weights(Path(folder))
    plain = build(weights, np.zeros(128), np.eye(128)).SerializeToString()
    crops, people = training_crops(data)
    session = onnxruntime.InferenceSession(plain, providers=["CPUExecutionProvider"])
    parts = np.array_split(crops, len(crops) // 32)
    vectors = np.concatenate([session.run(None, {"crops": part})[0] for part in parts])
    model = build(weights, *fit(vectors, people))
    path = model_path("compact").with_name(f"{IDENTITY}.onnx")
    path.write_bytes(model.SerializeToString())
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, from {len(crops)} faces of {len(set(people))} people")


if __name__ == "__main__":
    main(*sys.argv[1:])
