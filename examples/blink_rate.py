"""Blinks of every face in a clip or in saved tracks: when, how long, how deep, and how many a minute.

    python examples/blink_rate.py CLIP_OR_TRACKS

A blink is a fall of the eyes' openness (the eye aspect ratio, mean of both eyes) to below 0.65 of what is
usual for this person, and back within 0.8 s, in the network's own points: `Tracks.blinks`. It needs 25
frames/s or more; a blink lasts 0.1 to 0.4 s.
"""

from __future__ import annotations

from pathlib import Path

import steadyface
from steadyface.cli.terminal import run_script
from steadyface.tracks import FORMATS
from steadyface.wording import counted


def main(source: str) -> None:
    saved = Path(source).suffix.removeprefix(".") in FORMATS
    tracks = steadyface.Tracks.load(source) if saved else steadyface.track(source)
    for face, blinks in tracks.blinks().items():
        rows = tracks.of_face(face).without_held()
        minutes = len(rows) / tracks.meta.get("fps", 25.0) / 60
        count, rate = counted(len(blinks), "blink"), len(blinks) / minutes
        print(f"face {face}: {count} in {60 * minutes:.1f} s, {rate:.1f} a minute")
        for blink in blinks:
            length = 1e3 * (blink.end - blink.start)
            print(f"  {blink.start:8.2f} s   {length:4.0f} ms   {100 * blink.depth:3.0f} % closed")


if __name__ == "__main__":
    run_script(main, __doc__)
