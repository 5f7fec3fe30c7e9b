"""Who is who: identities in real clips, and in scenes where two people of real clips meet.

    python benchmarks/identities.py DATA [CLIP...]

DATA holds videos/; CLIP names some of them, all unless given. The first table says of each clip in how many
frames a face is tracked or held, how often one was lost, how many identities there were, in which frames a
cut was found, and how often the witness was asked and saw no face. `hamilton` has three cuts and several
people, `no_face` nobody; everybody else is alone and has to keep one number.

Then each clip's face meets the next clip's (`meetings.py`), where it is known who is where. `switches`
counts how often a person comes under another number than before, `numbers` those given in all, `found` is
the share of a person's frames in sight in which a face is tracked there. Between the two, what it costs:
median ms of CPU time of each part, on one thread.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from meetings import Meeting, meetings, person

from steadyface.detector import FaceFinder
from steadyface.landmarker import Landmarker
from steadyface.tracking import TrackedFace, Tracker, faces
from steadyface.tracking.shots import SceneCuts
from steadyface.tracking.verifier import Witness
from steadyface.video import VideoReader

CROWDED = {"hamilton", "no_face"}
"""Clips that do not show one person alone."""

PARTS: dict[str, tuple[Any, str]] = {
    "landmark network, all faces": (Landmarker, "predict_regions"),
    "detector": (FaceFinder, "__call__"),
    "cut": (SceneCuts, "step"),
    "witness, when asked": (Witness, "confidence"),
    "look, when learnt": (faces, "look_at"),
    "whole step": (Tracker, "step"),
}


class Clock:
    """Times the parts' calls and keeps what they gave."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.given: dict[str, list[Any]] = defaultdict(list)

    @contextmanager
    def running(self) -> Iterator[None]:
        patches = [
            patch.object(owner, name, self._timed(part, getattr(owner, name)))
            for part, (owner, name) in PARTS.items()
        ]
        for each in patches:
            each.start()
        try:
            yield
        finally:
            for each in patches:
                each.stop()

    def _timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.thread_time()
            given = call(*arguments)
            self.seconds[part].append(time.thread_time() - began)
            self.given[part].append(given)
            return given

        return timed


def main(data: str, *names: str) -> None:
    clips = sorted(path for path in (Path(data) / "videos").iterdir() if not names or path.stem in names)
    follower, clock = Tracker(Landmarker(threads=1), FaceFinder(threads=1)), Clock()
    with clock.running():
        print(
            f"{'clip':<14} {'frames':>6} {'tracked':>7} {'held':>5} {'lost':>4} {'numbers':>7} "
            f"{'asked':>5} {'doubts':>6} {'searches':>8}  cuts"
        )
        wrong = [clip.stem for clip in clips if not real_clip(clip, follower, clock)]
    print("more than one number for one person:", ", ".join(wrong) or "nowhere")
    costs(clock)
    alone = [clip for clip in clips if clip.stem not in CROWDED]
    people = [person(clip, FaceFinder(threads=1)) for clip in alone]
    totals: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    for one, other in zip(people, people[1:] + people[:1], strict=True):
        for name, scene in meetings(one, other).items():
            totals[name].append(meeting(scene, follower))
            switches, numbers, found = totals[name][-1]
            if switches or numbers > 2 or found < 0.9:
                note = f"{switches} switches, {numbers} numbers, found {found:.2f}"
                print(f"  {one.name} and {other.name}, {name}: {note}", flush=True)
    print(f"\n{'meeting':<20} {'scenes':>6} {'switches':>8} {'of scenes':>9} {'numbers':>7} {'found':>6}")
    for name, rows in totals.items():
        switches, numbers, found = np.array(rows).T
        print(
            f"{name:<20} {len(rows):6d} {int(switches.sum()):8d} {int((switches > 0).sum()):9d} "
            f"{numbers.mean():7.2f} {found.mean():6.3f}"
        )


def real_clip(clip: Path, follower: Tracker, clock: Clock) -> bool:
    """Print a clip's row; whether one person alone has one number."""
    follower.reset()
    clock.given.clear()
    tracked, held, lost, numbers, before = 0, 0, 0, set(), set()
    with VideoReader(clip) as reader:
        for frame in reader:
            faces = follower.step(frame.image, frame.seconds)
            now = {face.face for face in faces if not face.held}
            tracked, held = tracked + bool(now), held + any(face.held for face in faces)
            lost, numbers, before = lost + len(before - now), numbers | now, now
    doubts = sum(value < follower.config.confirm for value in clock.given["witness, when asked"])
    cuts = [index for index, cut in enumerate(clock.given["cut"]) if cut]
    print(
        f"{clip.stem:<14} {len(clock.given['cut']):6d} {tracked:7d} {held:5d} {lost:4d} {len(numbers):7d} "
        f"{len(clock.given['witness, when asked']):5d} {doubts:6d} {len(clock.given['detector']):8d}  "
        f"{', '.join(map(str, cuts))}",
        flush=True,
    )
    return clip.stem in CROWDED or len(numbers) == 1


def meeting(scene: Meeting, follower: Tracker) -> tuple[int, int, float]:
    """Switches, numbers given, and share of the people in sight that are found."""
    follower.reset()
    known: dict[int, int] = {}
    switches, numbers, found, sights = 0, set(), 0, 0
    for frame in scene:
        faces = [face for face in follower.step(frame.image, frame.seconds) if not face.held]
        numbers |= {face.face for face in faces}
        for who, (seen, place) in enumerate(
            zip(scene.in_sight(frame.index), scene.places(frame.index), strict=True)
        ):
            if not seen:
                continue
            sights += 1
            face = at(faces, place, scene.people[who].face / 2)
            if face is not None:
                found += 1
                switches += known.get(who, face.face) != face.face
                known[who] = face.face
    return switches, len(numbers), found / sights


def at(faces: list[TrackedFace], place: tuple[float, float], reach: float) -> TrackedFace | None:
    """The face nearest to a place, within reach."""
    away = [float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - place)) for face in faces]
    return faces[int(np.argmin(away))] if away and min(away) < reach else None


def costs(clock: Clock) -> None:
    print(f"\n{'median ms':<32} {'of a call':>9} {'calls a frame':>13}")
    frames = len(clock.seconds["whole step"])
    for part, seconds in clock.seconds.items():
        print(f"{part:<32} {1e3 * np.median(seconds):9.3f} {len(seconds) / frames:13.3f}")
    added = sum(np.sum(clock.seconds[part]) for part in ("cut", "witness, when asked", "look, when learnt"))
    print(f"cut, witness and looks: {1e3 * added / frames:.3f} ms a frame on average\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
