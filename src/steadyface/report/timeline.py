"""Which identity is there when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steadyface.report.charts import clock, x_ticks
from steadyface.report.figures import FaceFigures, runs_of
from steadyface.tracks import Tracks

_LANES = 40
_JOINED = 0.001  # of the whole time: a shorter gap cannot be seen


def timeline_html(faces: Sequence[FaceFigures], end: float) -> str:
    """A lane for each identity, from 0 to the clip's end, in order of appearance.

    Args:
        faces: all of them; those that are there longest are shown where there are very many.
        end: of the clip, s.
    """
    shown = sorted(faces[:_LANES], key=lambda face: face.face)
    lanes = "".join(
        f'<div class="lane"><span>face {face.face}</span><div class="field">{_bars(face, end)}</div></div>'
        for face in shown
    )
    left = len(faces) - len(shown)
    held = any(len(face.held) for face in shown)
    legend = "<p>Hatched: lost, its last shape held.</p>" if held else ""
    more = f"<p>{left} more are there for shorter times.</p>" if left else ""
    axis = f'<div class="lane"><div class="x">{x_ticks(0.0, end)}</div></div>'
    return f'<section class="sheet">{legend}{lanes}{axis}{more}</section>'


def _bars(face: FaceFigures, end: float) -> str:
    parts = (("seen", face.tracks), ("held", face.held))
    return "".join(_bar(kind, *times, end) for kind, rows in parts for times in presence(rows, end))


def presence(rows: Tracks, end: float) -> list[tuple[float, float]]:
    """From when to when the rows of one face last, s; gaps too short to be seen are closed.

    Args:
        rows: one of each frame at most.
        end: of the clip, s.
    """
    seconds = rows.seconds
    frame = float(np.diff(seconds).min()) if len(seconds) > 1 else 0.0
    times: list[tuple[float, float]] = []
    for run in runs_of(rows.frame):
        start, stop = float(seconds[run[0]]), float(seconds[run[-1]]) + frame
        if times and start - times[-1][1] < _JOINED * end:
            start = times.pop()[0]
        times.append((start, stop))
    return times


def _bar(kind: str, start: float, stop: float, end: float) -> str:
    wide = max(end, 1e-9)
    title = f"{kind} from {clock(round(start, 2), end)} to {clock(round(stop, 2), end)}"
    return (
        f'<i class="{kind}" style="left:{100 * start / wide:.3f}%;'
        f'width:{100 * min(stop - start, end) / wide:.3f}%" title="{title}"></i>'
    )
