"""How results are told: their numbers, what they are called, and what they lack."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steadyface.datasets.annotated_videos import SCENARIOS
from steadyface.evaluation import published
from steadyface.evaluation.protocols import HELEN, PRIVATE, SCENARIO_GROUPS, VIDEOS, find_protocol
from steadyface.evaluation.results import RAW, Results

NONE = "–"

_ITEMS, _VIDEOS = 12, 64  # that are named: items in general, and all test videos of 300-VW

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
    return _listed([f"{name} ({reason})" for name, reason in results.skipped.items()], _ITEMS)


def missing(results: Results) -> str:
    """How much of what the protocol asks for was not there, and what; empty if all was."""
    return _listed(results.missing, _VIDEOS)


def unscored(results: Results) -> str:
    """Of how many videos some frames have no truth to be compared with, and why; empty if of none."""
    return _listed([f"{name} ({reason})" for name, reason in results.unscored.items()], _VIDEOS)


def _listed(entries: Sequence[str], most: int) -> str:
    """How many there are, and the first of them."""
    more = len(entries) - most
    named = [*entries[:most], *([f"and {more:,} more, all in results.json"] if more > 0 else [])]
    return f"{len(entries):,}: {'; '.join(named)}" if entries else ""


def incomplete(results: Results) -> str:
    """What is not all there, to stand beside every figure; empty for a complete result."""
    if results.protocol == VIDEOS:
        rows = (results.row(RAW, group) for group in SCENARIO_GROUPS)
        there = [0 if row is None else row.items for row in rows]
        asked = [len(SCENARIOS[i]) for i in (1, 2, 3)]
        counts = " + ".join(f"{part} of {whole}" for part, whole in zip(there, asked, strict=True))
        return "" if there == asked else f"incomplete: {counts} videos"
    wanted = {PRIVATE: published.PRIVATE_FACES, HELEN: published.HELEN_FACES}.get(results.protocol, 0)
    whole = max(wanted, results.used + len(results.skipped))
    parts = [f"{results.used:,} of {whole:,} used"] if results.used < whole else []
    parts += [f"{len(results.missing):,} missing"] if results.missing else []
    return f"incomplete: {', '.join(parts)}" if parts else ""
