"""Predictions → figures. No network runs here; the stabilisers, which take microseconds a frame, do."""

from __future__ import annotations

from pathlib import Path

from steadyface.errors import DataError
from steadyface.evaluation.predictions import RUN, PredictionFolder
from steadyface.evaluation.protocols import find_protocol
from steadyface.evaluation.results import Results
from steadyface.evaluation.score.images import score_images
from steadyface.evaluation.score.motion import score_motion
from steadyface.evaluation.score.videos import score_videos


def score(predictions: str | Path) -> Results:
    """The figures of a folder that `predict` wrote.

    An item that `predict` was to predict and did not, since it was stopped, counts as missing.

    Raises:
        DataError: no run there, a broken prediction, or not one item.
    """
    folder = PredictionFolder(Path(predictions))
    run = folder.read_run()
    if run is None:
        raise DataError(predictions, "no predictions of steadyface predict")
    if absent := {"protocol", "decoder", "items", "missing"} - run.keys():
        raise DataError(folder.root / RUN, f"lacks {min(absent)!r}: run steadyface predict again")
    rules, asked, decoder = find_protocol(run["protocol"]), run["items"], run["decoder"]
    there = [name for name in asked if folder.has(name)]
    skipped = {name: why for name, why in folder.skipped().items() if name in asked}
    left = [f"{name}, not predicted yet" for name in asked if name not in {*there, *skipped}]
    if not there:
        reasons = "; ".join([*sorted(set(skipped.values())), *left][:3])
        raise DataError(predictions, f"not one item to score: {reasons or 'none was asked for'}")
    loaded = ((name, folder.read(name)) for name in there)
    if rules.kind == "images":
        scored = score_images(dict(loaded), decoder)
    elif rules.kind == "videos":
        scored = score_videos(loaded, decoder, rules.points)
    else:
        scored = score_motion(loaded, decoder)
    return Results(
        protocol=run["protocol"],
        title=rules.title,
        box=rules.box,
        run={key: value for key, value in run.items() if key not in ("protocol", "items", "missing")},
        used=len(there),
        skipped=skipped,
        missing=[*run["missing"], *left],
        **vars(scored),
    )
