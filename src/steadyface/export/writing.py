"""Conversion of a float32 graph to the exported file: operator set, precision, check, metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.version_converter

from steadyface.errors import ConfigError, ExportError
from steadyface.export.check import Deviation, compare_boxes, compare_points, judge, limit
from steadyface.export.packing import forget_source, pack_weights
from steadyface.export.precision import calibration_crops, to_float16, to_int8
from steadyface.export.source import Source, runner
from steadyface.files import write_bytes

OPSET = 18
OPSETS = range(17, 22)
PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Form:
    """Form of an exported file.

    Args:
        precision: one of `PRECISIONS`, of the network; its decoder always computes in float32.
        opset: ONNX operator set, one of `OPSETS`.
        calibration: folder of face images with `.pts`, from which `int8` learns the ranges of activations;
            training images, never those of a test set.

    Raises:
        ConfigError: unknown precision or operator set, or int8 without calibration images.
    """

    precision: str = "float32"
    opset: int = OPSET
    calibration: Path | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError.choice("precision", self.precision, PRECISIONS)
        if self.opset not in OPSETS:
            raise ConfigError.choice("opset", self.opset, OPSETS)
        if (self.precision == "int8") != (self.calibration is not None):
            raise ConfigError(
                "int8 needs a folder of training images with .pts for its calibration, and nothing else does"
            )


def write(source: Source, path: str | Path, form: Form) -> Deviation:
    """Write the graph in this form after checking it against its source.

    Returns:
        px of the network's input.

    Raises:
        ExportError: it differs by more than `check.limit` allows, or an operator has no form in the operator
            set; nothing is written.
        ConfigError: a finder in another precision than float32.
        DataError: the calibration images cannot be used, or the file cannot be written.
    """
    model = _formed(source, form)
    if source.is_finder:
        found, side = compare_boxes(runner(model), source.run), 0
    else:
        side = source.input_size
        found = compare_points(runner(model), source.run, side)
    judge(found, limit(form.precision, side), f"{path}: points differ from those of {source.by}")
    figures = {"deviation_mean_px": f"{found.mean:.4f}", "deviation_worst_px": f"{found.worst:.4f}"}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {**source.facts, "precision": form.precision, **figures})
    write_bytes(path, model.SerializeToString())
    return found


def _formed(source: Source, form: Form) -> onnx.ModelProto:
    """Return the model in a form, without its metadata."""
    if source.is_finder and form.precision != "float32":
        raise ConfigError(f"{form.precision} is for landmark networks; a finder stays in float32")
    model = _convert(source.model, form.opset)
    if form.calibration is not None:
        model = to_int8(model, calibration_crops(form.calibration, source.input_size))
    elif form.precision == "float16":
        model = to_float16(model)
    pack_weights(model.graph)
    forget_source(model.graph)
    model.doc_string = source.model.doc_string
    return model


def _convert(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    if model.opset_import[0].version == opset:
        return model
    try:
        return onnx.version_converter.convert_version(model, opset)
    except RuntimeError as error:  # what onnx raises for an operator without an older form
        reason = str(error).rpartition(": ")[2]
        raise ExportError(f"the graph cannot be converted to opset {opset}: {reason}") from error
