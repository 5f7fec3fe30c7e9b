"""Timeline of all identities: bars over the time in which each is tracked or coasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steadyface.report.charts import clock, time_labels
from steadyface.report.figures import FaceFigures
from steadyface.tracks import Tracks
from steadyface.tracks.timeline import runs_of
from steadyface.wording import counted

_LANES = 40
_JOINED = 0.001  # of the clip's length: a shorter gap is too narrow to see


@dataclass(frozen=True)
class Bar:
    """Stretch of a lane; left edge and width in % of the lane, `kind` is the CSS class."""

    kind: str
    left: float
    width: float
    title: str


@dataclass(frozen=True)
class Timeline:
    """A lane for each identity, in order of appearance, from 0 s to the clip's end.

    Args:
        faces: all identities, the one seen longest first; at most 40 get a lane.
        end: of the clip, s.
    """

    faces: Sequence[FaceFigures]
    end: float

    @property
    def lanes(self) -> list[tuple[str, list[Bar]]]:
        """Name of each identity with its bars."""
        return [(face.name, _bars(face, self.end)) for face in self._shown]

    @property
    def left_out(self) -> str:
        """Count of identities without a lane; empty for none."""
        count = len(self.faces) - len(self._shown)
        return counted(count, "identity", "identities") if count else ""

    @property
    def any_held(self) -> bool:
        """Whether a lane has a hatched bar."""
        return any(len(face.held) for face in self._shown)

    @property
    def time_labels(self) -> list[tuple[str, float]]:
        """Labels of the time axis."""
        return time_labels(0.0, self.end)

    @property
    def _shown(self) -> list[FaceFigures]:
        return sorted(self.faces[:_LANES], key=lambda face: face.face)


def presence(rows: Tracks, end: float) -> list[tuple[float, float]]:
    """Start and end of each run of frames, s; gaps too short to see are closed.

    Args:
        rows: at most one of each frame.
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


def _bars(face: FaceFigures, end: float) -> list[Bar]:
    parts = (("seen", face.tracks), ("held", face.held))
    return [_bar(kind, *times, end) for kind, rows in parts for times in presence(rows, end)]


def _bar(kind: str, start: float, stop: float, end: float) -> Bar:
    length = max(end, 1e-9)
    title = f"{kind} from {clock(round(start, 2), end)} to {clock(round(stop, 2), end)}"
    return Bar(kind, round(100 * start / length, 3), round(100 * min(stop - start, end) / length, 3), title)
