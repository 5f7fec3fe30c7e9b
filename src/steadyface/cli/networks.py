"""Commands for networks: list, train, fit their uncertainty, label, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from steadyface.cli.terminal import complain, import_extra, print_table, say
from steadyface.errors import ConfigError, DataError, VideoError
from steadyface.wording import counted


def models() -> int:
    """List the bundled networks: size, cost, accuracy and licence."""
    from steadyface.models import DEFAULT_MODEL, FINDER, IDENTITY, finder_card, identity_card, model_cards

    size = ("parameters", "GFLOP", "MB")
    print_table(
        ("name", "input, px", "heatmap, px", *size, "HELEN NRMSE", "over 8 %", "licence"),
        [
            (
                *(card.name, f"{card.input_size}", f"{card.map_size}"),
                *_cost(card.parameters, card.gflop, card.megabytes),
                *(f"{card.helen_nrmse:.2f} %", f"{card.helen_failure:.2f} %", card.licence),
            )
            for card in model_cards()
        ],
    )
    say(f"default: {DEFAULT_MODEL}; a bare name is its int8 form on a CPU, float32 on CUDA")
    say("to use another: steadyface track clip.mp4 --weights NAME")
    finder = finder_card()
    cost = _cost(finder.parameters, finder.gflop, finder.megabytes)
    found = (f"{finder.recall:.2f} %", f"{finder.false_per_photo:.3f}")
    say()
    print_table(
        ("name", "side, px", *size, "faces found", "false boxes/photo", "licence"),
        [(FINDER, f"{finder.side}", *cost, *found, finder.licence)],
    )
    who = identity_card()
    parameters, _, megabytes = _cost(who.parameters, 0.0, who.megabytes)
    say()
    print_table(
        ("name", "side, px", "parameters", "MB", "asked by", "licence"),
        [(IDENTITY, f"{who.side}", parameters, megabytes, "--people", who.licence)],
    )
    return 0


def _cost(parameters: int, gflop: float, megabytes: float) -> tuple[str, str, str]:
    return f"{parameters / 1e6:.2f} M", f"{gflop:.2f}", f"{megabytes:.1f}"


def train(
    recipe: str,
    *,
    data: Path,
    out: Path,
    start: Path | None = None,
    teacher: Path | None = None,
    extra: Path | None = None,
    skip_bad: bool = False,
    devices: int = 1,
    resume: bool = False,
) -> int:
    """Train a landmark network on 300-W and extra sets of faces, or the face finder on photographs.

    Parameters
    ----------
    recipe
        compact, tiny or nano (the bundled landmark networks), finder (the bundled face finder), paper (the
        stacked hourglass of Tai et al. 2019, with their training), or smoke (one short epoch, to check that
        training works).
    data
        Folder that holds 300w/ (LFPW, HELEN, AFW in the original layout), faces/ (photographs with a
        faces.json of all their face boxes) and, if you have them, sets of faces with a part of the points in
        extra/ (docs/training.md lists them); finder needs faces/ alone.
    out
        Folder for last.pt, best.safetensors and log.csv.
    start
        A .safetensors file to start from, for nano also tiny's; otherwise a landmark network's or a finder's
        encoder starts from ImageNet.
    teacher
        A .safetensors file of a network to imitate in addition to the annotations, or where there are none:
        faces with closed eyes need it. Not with finder.
    extra
        Folder of more images with .pts, such as `steadyface label` writes. Not with finder.
    skip_bad
        List bad annotations and images and continue without them; otherwise the first one ends the run.
    devices
        Number of GPUs, or of processes where there is no GPU.
    resume
        Continue from OUT/last.pt.
    """
    training = import_extra("steadyface.training", "train")
    if recipe not in training.RECIPES:
        raise ConfigError.choice("recipe", recipe, training.RECIPES)
    if devices < 1:
        raise ConfigError(f"devices must be at least 1, got {devices}")
    best = training.train(
        training.RECIPES[recipe],
        data,
        out,
        start=start,
        teacher=teacher,
        extra=extra,
        skip_bad=skip_bad,
        devices=devices,
        resume=resume,
        report=say,
    )
    say(best)
    return 0


def fit_uncertainty(checkpoint: Path, *, data: Path, out: Path) -> int:
    """Teach a trained network which of its points are visible and how far off each may be.

    Adds a small head to a compact network, whose points stay exactly as they are.

    Parameters
    ----------
    checkpoint
        A .safetensors file written by `steadyface train`. A head that it has is replaced.
    data
        Folder that holds 300w/ and, if you have them, profiles, aflw80 and helen256 in extra/
        (docs/training.md).
    out
        The .safetensors file.
    """
    uncertainty = import_extra("steadyface.training.uncertainty", "train")
    say(uncertainty.fit_uncertainty(checkpoint, data, out, report=say))
    return 0


def label(
    *inputs: Annotated[Path, Parameter(negative=())], out: Path, every: int = 12, weights: str = "compact"
) -> int:
    """Label the faces of clips and photographs by a network, as training data for another.

    Writes OUT/NAME.jpg and OUT/NAME.pts for each face on which plain and mirrored views agree. Pass OUT to
    `steadyface train --extra`.

    Parameters
    ----------
    inputs
        Videos, images, or folders. In a folder with a faces.json, faces without annotation are labelled.
    out
        Folder for the images and points.
    every
        Label every n-th frame of a clip.
    weights
        Name of a bundled landmark network, or an exported .onnx file.
    """
    from steadyface.clips import check_names
    from steadyface.datasets.face_boxes import INDEX
    from steadyface.labels import write_labels
    from steadyface.pipeline import TrackingOptions, build

    if not inputs:
        raise ConfigError("nothing to label: name at least one video, image or folder")
    check_names((source for source in inputs if not (source / INDEX).is_file()), suffix="_000000_0.jpg")
    tracker = build(TrackingOptions(weights=weights, stabilizer="none")).tracker
    problems: list[str] = []
    for source in inputs:
        try:
            labels = write_labels(source, out, tracker, every)
        except (DataError, VideoError) as error:
            problems.append(str(error))
            continue
        say(f"{source.name}: {labels.kept} of {counted(labels.seen, 'face')} labelled")
        if labels.damage:
            problems.append(labels.damage)
    for problem in problems:
        complain(problem)
    return 1 if problems else 0


def export(
    model: str,
    *,
    out: Path,
    to: Literal["onnx"] = "onnx",
    name: str | None = None,
    decoder: str | None = None,
    int8: Annotated[bool, Parameter(negative=())] = False,
    fp16: Annotated[bool, Parameter(negative=())] = False,
    calibration: Path | None = None,
    opset: int = 18,
) -> int:
    """Write a network as one ONNX file for any runtime, and verify it against its source.

    Parameters
    ----------
    model
        A .safetensors file written by `steadyface train`, a bundled model's name, or an .onnx file written by
        this command.
    out
        The ONNX file.
    to
        Format of the file.
    name
        Name kept in the file. Left out: the model's own, or the file's.
    decoder
        Decoder built into the graph of a .safetensors file. Left out: dark.
    int8
        Compute in 8 bits, for CPUs, at half the size. Needs --calibration.
    fp16
        Compute in 16 bits, for GPUs.
    calibration
        Folder of training images with .pts, such as 300w/lfpw/trainset; never a test set.
    opset
        ONNX operator set, 17 to 21.
    """
    exporting = import_extra("steadyface.export", "export")
    if int8 and fp16:
        raise ConfigError("--int8 and --fp16 exclude each other")
    if model.endswith(".safetensors"):
        import_extra("steadyface.checkpoint", "train")
    form = exporting.Form("int8" if int8 else "float16" if fp16 else "float32", opset, calibration)
    found = exporting.export_model(model, out, name=name, method=decoder, form=form)
    say(
        f"{out}: {form.precision}, {out.stat().st_size / 1e6:.1f} MB, points within {found.worst:.4f} px "
        f"of the source's, {found.mean:.4f} px on average"
    )
    return 0
