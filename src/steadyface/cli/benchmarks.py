"""Commands that run benchmarks: predictions and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import say
from steadyface.progress import show_progress


@dataclass(frozen=True)
class NetworkOptions:
    """Networks that are evaluated.

    Args:
        weights: Name of a bundled landmark network, or an exported .onnx file.
        device: auto, cpu or cuda.
        detector: The bundled finder, or an exported .onnx file of another one.
    """

    weights: str = "compact"
    device: str = "auto"
    detector: str = "finder"


Networks = Annotated[NetworkOptions, Parameter(name="*")]
Protocol = Annotated[
    str,
    Parameter(
        help="300w-private, 300w-common, 300w-challenge, 300w-full, 300w-helen, folder (any with .pts), "
        "profiles, closed-eyes, ages, small-faces, 300vw, talking-face, known-motion, occlusion or zoom-roll."
    ),
]
Data = Annotated[
    Path,
    Parameter(
        help="Folder that holds 300w/, extra/, 300vw/ (or 300VW_Dataset_2015_12_14/) or talking_face/, or "
        "the data set's own folder."
    ),
]


def predict(
    protocol: Protocol,
    *,
    data: Data,
    out: Path,
    networks: Networks = NetworkOptions(),
    quiet: bool = False,
) -> int:
    """Run a network over a benchmark's images or videos and save its predictions.

    A run that was stopped or killed continues when it is started again.

    Parameters
    ----------
    out
        Folder for the predictions.
    quiet
        Print no progress.
    """
    from steadyface.evaluation.evaluate import predict as run

    with show_progress(protocol, quiet, "items") as progress:
        folder = run(protocol, data, out, **vars(networks), progress=progress)
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
    protocol: Protocol,
    *,
    data: Data,
    out: Path | None = None,
    networks: Networks = NetworkOptions(),
    quiet: bool = False,
) -> int:
    """Predict and score: print a benchmark's figures in one command.

    Parameters
    ----------
    out
        Folder for predictions and results.json. Left out: steadyface-eval/PROTOCOL-WEIGHTS.
    quiet
        Print no progress.
    """
    out = out or Path("steadyface-eval") / f"{protocol}-{Path(networks.weights).stem}"
    predict(protocol, data=data, out=out, networks=networks, quiet=quiet)
    return score(out)
