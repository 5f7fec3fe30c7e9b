"""Commands that run benchmarks: predictions and figures."""

from __future__ import annotations

from pathlib import Path

from steadyface.cli.terminal import say
from steadyface.progress import show_progress


def predict(
    protocol: str,
    *,
    data: Path,
    out: Path,
    weights: str = "compact",
    device: str = "auto",
    detector: str = "finder",
    quiet: bool = False,
) -> int:
    """Run a network over a benchmark's images or videos and save its predictions.

    A run that was stopped or killed continues when it is started again.

    Parameters
    ----------
    protocol
        300w-private, 300w-common, 300w-challenge, 300w-full, 300w-helen, folder (any with .pts), profiles,
        closed-eyes, ages, small-faces, 300vw, talking-face, known-motion, occlusion or zoom-roll.
    data
        Folder that holds 300w/, extra/, 300vw/ (or 300VW_Dataset_2015_12_14/) or talking_face/, or the data
        set's own folder.
    out
        Folder for the predictions.
    weights
        Name of a bundled landmark network, or an exported .onnx file.
    device
        auto, cpu or cuda.
    detector
        The bundled finder, or an exported .onnx file of another one.
    quiet
        Print no progress.
    """
    from steadyface.evaluation.evaluate import predict as run

    with show_progress(protocol, quiet, "items") as progress:
        folder = run(
            protocol, data, out, weights=weights, device=device, detector=detector, progress=progress
        )
    say(f"{folder.root}: {len(folder.names())} predicted, {len(folder.skipped())} left out")
    return 0


def score(predictions: Path) -> int:
    """Print the figures of predictions as Markdown and write results.json.

    Parameters
    ----------
    predictions
        Folder written by `steadyface predict`.
    """
    from steadyface.evaluation.evaluate import score as compute

    results = compute(predictions)
    results.save(predictions / "results.json")
    say(*results.as_text().splitlines())
    return 0


def evaluate(
    protocol: str,
    *,
    data: Path,
    out: Path | None = None,
    weights: str = "compact",
    device: str = "auto",
    detector: str = "finder",
    quiet: bool = False,
) -> int:
    """Predict and score: print a benchmark's figures in one command.

    Parameters
    ----------
    protocol
        300w-private, 300w-common, 300w-challenge, 300w-full, 300w-helen, folder (any with .pts), profiles,
        closed-eyes, ages, small-faces, 300vw, talking-face, known-motion, occlusion or zoom-roll.
    data
        Folder that holds 300w/, extra/, 300vw/ (or 300VW_Dataset_2015_12_14/) or talking_face/, or the data
        set's own folder.
    out
        Folder for predictions and results.json. Left out: steadyface-eval/PROTOCOL-WEIGHTS.
    weights
        Name of a bundled landmark network, or an exported .onnx file.
    device
        auto, cpu or cuda.
    detector
        The bundled finder, or an exported .onnx file of another one.
    quiet
        Print no progress.
    """
    out = out or Path("steadyface-eval") / f"{protocol}-{Path(weights).stem}"
    predict(protocol, data=data, out=out, weights=weights, device=device, detector=detector, quiet=quiet)
    return score(out)
