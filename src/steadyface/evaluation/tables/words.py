"""How results are told: their numbers, what they are called, and what they lack."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steadyface.datasets.annotated_videos import SCENARIOS
from steadyface.evaluation import published
from steadyface.evaluation.protocols import HELEN, PRIVATE, VIDEOS, find_protocol
from steadyface.evaluation.results import RAW, SCALES, Results

NONE = "–"

_NAMED = 12  # items left out that are named with their reason

NOUNS = {"images": "image", "videos": "video", "motion": "clip"}
"""What a protocol of each kind counts."""


def labels(results: Sequence[Results]) -> list[str]:
    """One name per result: its weights, numbered where two of one protocol bear the same name."""
    keys = [(each.protocol, each.weights) for each in results]
    return [
        weights if keys.count((protocol, weights)) == 1 else f"{weights} ({keys[: i + 1].count(keys[i])})"
        for i, (protocol, weights) in enumerate(keys)
    ]


def number(value: float | None, decimals: int) -> str:
    """A figure as text; a dash where there is none.

    >>> number(3.14159, 2), number(float("nan"), 2)
    ('3.14', '–')
    """
    return NONE if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "video"), counted(2, "video")
    ('1 video', '2 videos')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def amount(results: Results) -> str:
    """How many items were used, such as "61 videos"."""
    return counted(results.used, NOUNS[find_protocol(results.protocol).kind])


def left_out(results: Results) -> str:
    """How many items could not be used, and why; empty if all could."""
    if not results.skipped:
        return ""
    named = [f"{name} ({reason})" for name, reason in list(results.skipped.items())[:_NAMED]]
    more = len(results.skipped) - len(named)
    rest = [f"and {more:,} more, all in results.json"] if more else []
    return f"{len(results.skipped):,}: {'; '.join([*named, *rest])}"


def missing(results: Results) -> str:
    """How much of what the protocol asks for was not there, and what; empty if all was."""
    return f"{len(results.missing):,}: {'; '.join(results.missing)}" if results.missing else ""


def incomplete(results: Results) -> str:
    """What is not all there, to stand beside every figure; empty for a complete result."""
    if results.protocol == VIDEOS:
        there = [0 if (row := results.scenario(RAW, i + 1)) is None else row.items for i in range(3)]
        asked = [len(SCENARIOS[i]) for i in (1, 2, 3)]
        counts = " + ".join(f"{part} of {whole}" for part, whole in zip(there, asked, strict=True))
        return "" if there == asked else f"incomplete: {counts} videos"
    wanted = {PRIVATE: published.PRIVATE_FACES, HELEN: published.HELEN_FACES}.get(results.protocol, 0)
    whole = max(wanted, results.used + len(results.skipped))
    parts = [f"{results.used:,} of {whole:,} used"] if results.used < whole else []
    parts += [f"{len(results.missing):,} missing"] if results.missing else []
    return f"incomplete: {', '.join(parts)}" if parts else ""


def eyes_by_scale(results: Results) -> dict[str, float]:
    """Mean inter-ocular distance of each fifth of the faces, px; a fifth of fewer than five may be empty."""
    there = {key for row in results.rows for key in row.figures}
    scales = [scale for scale in SCALES if f"rmse_px, {scale}" in there]
    eyes = results.curves.get("interocular by scale", [])
    return dict(zip(scales, eyes, strict=True)) if len(eyes) == len(scales) else {}
