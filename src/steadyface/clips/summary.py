"""Result of tracking one input, for people and for programs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from steadyface.video import display_name
from steadyface.wording import counted


@dataclass(frozen=True)
class ClipSummary:
    """Result of tracking one input.

    Args:
        source: the input.
        frames, frames_with_face, faces: counts; a face that is only held counts for no frame.
        seconds: wall time.
        jitter_raw, jitter: `metrics.jitter` of raw and stabilised points in the frames in which the network
            ran, % of inter-ocular distance; NaN where none moves, and of photographs.
        delay: frames by which the stabilised points lag the raw ones; NaN likewise.
        files: the files written, or found whole.
        problems: one line each: an interrupt, a damaged video, no face at all, a file that cannot be written.
        interrupted: by a signal, such as Ctrl-C.
        notes: one line each about what was left out or done otherwise; no problem.
        skipped: nothing was tracked, since the results of an earlier run are whole.
    """

    source: Path
    frames: int
    frames_with_face: int
    faces: int
    seconds: float
    jitter_raw: float
    jitter: float
    delay: float
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    skipped: bool = False

    @classmethod
    def failed(cls, source: str | Path, problem: str, interrupted: bool = False) -> ClipSummary:
        """Summary of an input of which no frame was tracked."""
        nan = math.nan
        return cls(Path(display_name(source)), 0, 0, 0, 0.0, nan, nan, nan, (), (problem,), interrupted)

    @property
    def frames_per_second(self) -> float:
        """Speed of the whole work, with drawing and writing."""
        return self.frames / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.source.name}: whole already, {counted(self.frames, 'frame')}"
        share = 100 * self.frames_with_face / max(self.frames, 1)
        parts = [
            f"{counted(self.frames, 'frame')}, {self.frames_with_face:,} with a face ({share:.1f} %)",
            counted(self.faces, "face"),
            f"{self.seconds:.1f} s, {self.frames_per_second:.1f} frames/s",
        ]
        if not math.isnan(self.jitter_raw):
            parts.append(f"jitter {self.jitter_raw:.3f} → {self.jitter:.3f} % of the inter-ocular distance")
        return f"{self.source.name}: {', '.join(parts)}"

    def as_json(self) -> str:
        """One line of JSON; unknown figures are null."""
        values = {
            "source": str(self.source),
            "frames": self.frames,
            "frames_with_face": self.frames_with_face,
            "faces": self.faces,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames_per_second, 2),
            "jitter_raw_percent": _finite_or_none(self.jitter_raw),
            "jitter_percent": _finite_or_none(self.jitter),
            "delay_frames": _finite_or_none(self.delay),
            "files": [str(file) for file in self.files],
            "problems": list(self.problems),
            "notes": list(self.notes),
            "interrupted": self.interrupted,
            "skipped": self.skipped,
        }
        return json.dumps(values)


def _finite_or_none(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
