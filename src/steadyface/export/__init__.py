"""Write a network as one ONNX file and check it against its source.

The graph holds everything between pixels and points, or boxes: normalisation, network, sub-pixel decoding.
Its metadata say what it is, so that `Landmarker` and `FaceFinder` need no second file. Nothing is written
before the file's points have been compared with its source's.
"""

from __future__ import annotations

from pathlib import Path

from steadyface import heatmap
from steadyface.errors import ConfigError
from steadyface.export.check import Deviation
from steadyface.export.source import open_graph
from steadyface.export.writing import OPSET, Form, write

__all__ = ["OPSET", "Deviation", "Form", "export_model"]


def export_model(
    model: str | Path, path: str | Path, *, name: str | None = None, method: str | None = None, form: Form
) -> Deviation:
    """Export a network and measure how far its points are from the source's.

    Args:
        model: a `.safetensors` checkpoint, a bundled model's name, or an `.onnx` file that was exported with
            float32 weights.
        path: of the ONNX file.
        name: of the model, kept in its metadata; None keeps the graph's own, or takes the file's.
        method: the decoder inside a landmark network's graph, one of `heatmap.METHODS`; only of a checkpoint.
        form: precision and operator set of the file.

    Returns:
        px of the network's input; against torch for a checkpoint, else against the graph it was made from.

    Raises:
        ExportError: the points differ by more than `check.limit` allows.
        WeightsError: not a model of this package.
        ConfigError: the model cannot be exported in that form, or with that decoder.
        DataError: the calibration images cannot be used, or the file cannot be written.
    """
    if method is not None and method not in heatmap.METHODS:
        raise ConfigError.choice("decoder", method, heatmap.METHODS)
    if Path(model).suffix == ".safetensors":
        from steadyface.checkpoint import load_network
        from steadyface.export.network import trace
        from steadyface.nets import FinderNet

        net = load_network(model)
        if method is not None and isinstance(net, FinderNet):
            raise _finder_has_its_own(model, method)
        return write(trace(net, name or Path(path).stem, method or heatmap.DEFAULT_METHOD), path, form)
    source = open_graph(model, name)
    if method is not None and source.is_finder:
        raise _finder_has_its_own(model, method)
    if method not in (None, source.facts.get("method")):
        raise ConfigError(
            f"{model} decodes by {source.facts.get('method')!r} inside; another decoder, such as {method!r}, "
            "needs the network's .safetensors file"
        )
    return write(source, path, form)


def _finder_has_its_own(model: str | Path, method: str) -> ConfigError:
    return ConfigError(f"{model} is a face finder, which has its own decoder; {method!r} is for landmarks")
