"""Weights stored in 16 bits, which halves the file; the computation stays in float32."""

from __future__ import annotations

import numpy as np
import onnx

_LEAST = 256  # numbers, below which packing saves nothing


def pack_weights(graph: onnx.GraphProto) -> None:
    """Store every large weight as int16 with a step per output channel; runtimes unfold it on loading.

    A float16 is as small but eight times coarser, enough to move a point by more than `check.TOLERANCE_PX`.
    """
    unpack = []
    for weight in list(graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST:
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


def unpack_weights(graph: onnx.GraphProto) -> None:
    """Undo `pack_weights`: restore every weight to float32."""
    stored = {weight.name: weight for weight in graph.initializer}
    for short in [weight for weight in graph.initializer if weight.name.endswith(".short")]:
        name = short.name.removesuffix(".short")
        step = stored[f"{name}.step"]
        values = onnx.numpy_helper.to_array(short).astype(np.float32) * onnx.numpy_helper.to_array(step)
        short.CopyFrom(onnx.numpy_helper.from_array(values, name))
        graph.initializer.remove(step)
    weights = {weight.name for weight in graph.initializer}
    for node in list(graph.node):
        made = node.output[0].removesuffix(".cast")
        if made in weights:
            graph.node.remove(node)


def forget_source(graph: onnx.GraphProto) -> None:
    """Drop the exporter's notes on each node (source lines, paths, shapes): a quarter of the file."""
    for part in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        del part.metadata_props[:]
    del graph.value_info[:], graph.metadata_props[:]
