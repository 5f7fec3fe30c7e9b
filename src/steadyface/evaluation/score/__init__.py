"""Predictions → figures. No network runs here; the stabilisers, which take microseconds a frame, do."""

from __future__ import annotations

from pathlib import Path

from steadyface.errors import DataError
from steadyface.evaluation.predictions import PredictionFolder
from steadyface.evaluation.protocols import find_protocol
from steadyface.evaluation.results import Results
from steadyface.evaluation.score.images import score_images
from steadyface.evaluation.score.motion import score_motion
from steadyface.evaluation.score.videos import score_videos


def score(predictions: str | Path) -> Results:
    """The figures of a folder that `predict` wrote.

    Raises:
        DataError: no run there, a broken prediction, or not one item.
    """
    folder = PredictionFolder(Path(predictions))
    run = folder.read_run()
    if run is None or "protocol" not in run:
        raise DataError(predictions, "no predictions of steadyface predict")
    rules = find_protocol(str(run["protocol"]))
    loaded = {name: folder.read(name) for name in folder.names()}
    skipped = folder.skipped()
    if not loaded:
        reasons = "; ".join(sorted(set(skipped.values()))[:3]) or "none was predicted"
        raise DataError(predictions, f"not one item to score: {reasons}")
    decoder = str(run["decoder"])
    if rules.kind == "images":
        scored = score_images(loaded, decoder)
    elif rules.kind == "videos":
        scored = score_videos(loaded, decoder, rules.points)
    else:
        scored = score_motion(loaded, decoder)
    return Results(
        protocol=str(run["protocol"]),
        title=rules.title,
        box=rules.box,
        run={key: value for key, value in run.items() if key not in ("protocol", "missing")},
        used=len(loaded),
        skipped=skipped,
        missing=list(run.get("missing", [])),
        **vars(scored),
    )
