"""Predict and score any benchmark; a stopped run resumes, and scoring runs no network."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

from steadyface import files
from steadyface.errors import ConfigError, DataError, VideoError
from steadyface.evaluation.extra import AGES, CLOSED_EYES, PROFILES, SMALL
from steadyface.evaluation.images import CHALLENGE, COMMON, FOLDER, FULL, HELEN, PRIVATE
from steadyface.evaluation.inputs import Network
from steadyface.evaluation.known_motion import MOTION
from steadyface.evaluation.occlusion import OCCLUSION
from steadyface.evaluation.predictions import PlannedRun, PredictionFolder, Run
from steadyface.evaluation.results import Benchmark, Results, Scope, from_json
from steadyface.evaluation.videos import TALKING, VIDEOS
from steadyface.evaluation.zoom_roll import ZOOM_ROLL
from steadyface.models import DEFAULT_MODEL, FINDER
from steadyface.progress import ReportProgress

BENCHMARKS: dict[str, Benchmark] = {
    each.name: each
    for each in (
        *(PRIVATE, COMMON, CHALLENGE, FULL, HELEN, FOLDER),
        *(PROFILES, CLOSED_EYES, AGES, SMALL),
        *(VIDEOS, TALKING, MOTION, OCCLUSION, ZOOM_ROLL),
    )
}
"""By name. Those of 300-W and of rendered scenes read DATA/300w, or DATA itself; those of faces that 300-W
lacks DATA/extra; 300-VW and the Talking Face video DATA/300vw and DATA/talking_face."""

_FORM = "results of steadyface score"


def find_benchmark(name: str) -> Benchmark:
    """Find a benchmark by its name.

    Raises:
        ConfigError: unknown.
    """
    if name not in BENCHMARKS:
        raise ConfigError.choice("protocol", name, BENCHMARKS)
    return BENCHMARKS[name]


def predict(
    protocol: str,
    data: str | Path,
    out: str | Path,
    *,
    weights: str | Path = DEFAULT_MODEL,
    device: str = "auto",
    detector: str | Path = FINDER,
    progress: ReportProgress | None = None,
) -> PredictionFolder:
    """Predict every item of a benchmark that `out` does not hold yet.

    Args:
        protocol: a name of `BENCHMARKS`.
        data: folder of the data.
        out: folder of the predictions; made if missing.
        weights: bundled model or `.onnx` file.
        device: `auto`, `cpu` or `cuda`.
        detector: the bundled `finder`, or an `.onnx` file of another one.
        progress: called with the number of items done and of all.

    Raises:
        ConfigError: unknown benchmark, or `out` holds another run's predictions.
        DataError: no such folder, no data for the benchmark, or `out` cannot be written. An item that cannot
            be used is no error: it is left out, and the reason kept.
    """
    benchmark = find_benchmark(protocol)
    if not Path(data).is_dir():
        raise DataError(data, "no such folder")
    found = benchmark.find(Path(data))
    network, folder = Network(weights, device, detector), PredictionFolder(Path(out))
    run = network.run(protocol)
    _check_same(folder, run)
    folder.write_run(
        PlannedRun(**vars(run), items=[item.name for item in found.items], missing=found.missing)
    )
    for count, item in enumerate(found.items):
        if progress:
            progress(count, len(found.items))
        if folder.has(item.name):
            continue
        try:
            prediction = benchmark.predict(item, network)
        except (DataError, VideoError) as error:
            folder.skip(item.name, str(error))
        else:
            folder.write(item.name, prediction)
    if progress:
        progress(len(found.items), len(found.items))
    return folder


def score(predictions: str | Path) -> Results:
    """Compute the figures of a folder that `predict` wrote.

    An item that a stopped run has not predicted counts as missing. If a prediction has no displacements, its
    measured motion counts as missing too, and no row with measured motion is computed.

    Raises:
        DataError: no run there, a broken prediction, or not one item.
        ConfigError: predictions of an unknown benchmark.
    """
    folder = PredictionFolder(Path(predictions))
    run = folder.read_run()
    if run is None:
        raise DataError(predictions, "no predictions of steadyface predict")
    benchmark = find_benchmark(run.protocol)
    predicted = [name for name in run.items if folder.has(name)]
    skipped = {name: reason for name, reason in folder.skipped().items() if name in run.items}
    missing = [f"{name}, not predicted yet" for name in run.items if name not in {*predicted, *skipped}]
    if not predicted:
        reasons = "; ".join([*sorted(set(skipped.values())), *missing][:3])
        raise DataError(predictions, f"not one item to score: {reasons or 'none was asked for'}")
    unmeasured = [name for name in predicted if benchmark.measures_motion and not folder.has_motion(name)]
    missing += [f"{name}, measured motion" for name in unmeasured]
    loaded = ((name, folder.read(name)) for name in predicted)
    if unmeasured:  # rows over only some of the items could not be compared with the others
        loaded = ((name, replace(prediction, motion=None)) for name, prediction in loaded)
    scope = Scope(run=run.run, skipped=skipped, missing=[*run.missing, *missing])
    return benchmark.score(loaded, scope)


def load_results(path: str | Path) -> Results:
    """Read what `Results.save` wrote.

    Raises:
        DataError: missing, not such a file, or of an earlier version.
    """
    values = files.read_json(path, _FORM)
    with files.reading(path, _FORM):
        benchmark = find_benchmark(values["protocol"])
        if "errors" not in values:
            raise DataError(path, "results of an earlier version: run steadyface score on its folder again")
        hints = get_type_hints(benchmark.results)
        names = [each.name for each in fields(benchmark.results) if each.name in values]
        known = {name: from_json(hints[name], values[name]) for name in names}
        return benchmark.results(benchmark=benchmark, **known)


def _check_same(folder: PredictionFolder, run: Run) -> None:
    """Refuse to add predictions to those of another run.

    Raises:
        ConfigError: the folder holds predictions of another run.
    """
    before = folder.read_run()
    if before is None:
        return
    for key in ("protocol", "weights_sha256", "decoder", "version", "finder"):
        if getattr(before, key) != getattr(run, key):
            if key == "weights_sha256":
                old, new = (f"{each.weights} ({each.weights_sha256[:12]})" for each in (before, run))
            else:
                old, new = getattr(before, key), getattr(run, key)
            differs = f"{key.removesuffix('_sha256')} {old}, not {new}; use another folder"
            raise ConfigError(f"{folder.root} holds predictions of another run: {differs}")
