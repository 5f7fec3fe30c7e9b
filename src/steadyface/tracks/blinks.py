"""Blinks of tracked faces, from the network's points: no stabiliser makes them shallower or fewer."""

from __future__ import annotations

from steadyface.measures import Blink, find_blinks, visible_eye_openness
from steadyface.tracks.schema import Columns, identities, seen_rows
from steadyface.tracks.timeline import runs_of


def blinks_by_face(columns: Columns) -> dict[int, list[Blink]]:
    """Find the blinks of each identity, in order of appearance, in each run of frames in which it is seen.

    Args:
        columns: of a table; `points` and `box` are not used.
    """
    found: dict[int, list[Blink]] = {}
    for face in identities(columns):
        rows = seen_rows(columns, face)
        openness = visible_eye_openness(columns["raw_points"][rows].astype(float), columns["visible"][rows])
        seconds, runs = columns["seconds"][rows], runs_of(columns["frame"][rows])
        found[face] = [blink for run in runs for blink in find_blinks(openness[run], seconds[run])]
    return found
