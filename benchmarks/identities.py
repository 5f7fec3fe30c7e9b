"""Ids of faces in real clips, and in scenes in which two people of real clips meet.

    python benchmarks/identities.py DATA [CLIP...]

DATA holds videos/; CLIP names some of them, by default all. The first table gives for each clip the frames in
which a face is tracked and in which one coasts (`held`), the losses, the ids, the checks by the face finder
and how many of them failed, the searches, and the frames with a cut. `hamilton` has three cuts and several
people, `no_face` has nobody; each other clip shows one person, who must keep one id.

The second table gives the cost: median ms of CPU time of each part, on one thread.

In the third table the face of each clip meets that of the next (`meetings.py`), at known positions.
`switches` counts a person's changes of id, `ids` all ids given, and `found` is the fraction of a person's
visible frames in which a face is tracked at their position.

A line above it is of edits of each clip and another one, A B A B in shots of up to 40 frames; the clip that
is not shown goes on. It counts the people who have their id again after the other one's shot, and the edits
in which two people share one.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from meetings import FPS, HEIGHT, WIDTH, Meeting, meetings, person

from steadyface.detector import FaceFinder
from steadyface.landmarker import Landmarker
from steadyface.tracking import TrackedFace, Tracker, appearance
from steadyface.tracking.shots import CutDetector, Transition
from steadyface.tracking.verifier import FaceVerifier
from steadyface.video import VideoReader

CROWDED = {"hamilton", "no_face"}
"""Clips that show several people, or nobody."""

EDITED = 40  # frames of a shot

PARTS: dict[str, tuple[Any, str]] = {
    "landmark network, all faces": (Landmarker, "predict_regions"),
    "detector": (FaceFinder, "search"),
    "cut detection": (CutDetector, "step"),
    "verification, a face": (FaceVerifier, "verify"),
    "finder in it, when due": (FaceFinder, "candidates"),
    "appearance, a face": (appearance, "describe"),
    "whole step": (Tracker, "step"),
}


class Clock:
    """Times the calls of the parts and records their results."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.results: dict[str, list[Any]] = defaultdict(list)

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
        def timed(*arguments: Any, **keywords: Any) -> Any:
            began = time.thread_time()
            result = call(*arguments, **keywords)
            self.seconds[part].append(time.thread_time() - began)
            self.results[part].append(result)
            return result

        return timed


def main(data: str, *names: str) -> None:
    clips = sorted(path for path in (Path(data) / "videos").iterdir() if not names or path.stem in names)
    tracker, clock = Tracker(Landmarker(threads=1), FaceFinder(threads=1)), Clock()
    with clock.running():
        print(
            f"{'clip':<14} {'frames':>6} {'tracked':>7} {'held':>5} {'lost':>4} {'ids':>3} "
            f"{'checks':>6} {'failed':>6} {'searches':>8}  cuts"
        )
        wrong = [clip.stem for clip in clips if not real_clip(clip, tracker, clock)]
    print("more than one id for one person:", ", ".join(wrong) or "nowhere")
    costs(clock)
    alone = [clip for clip in clips if clip.stem not in CROWDED]
    edits(alone, tracker)
    people = [person(clip, FaceFinder(threads=1)) for clip in alone]
    totals: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    for one, other in zip(people, people[1:] + people[:1], strict=True):
        for name, scene in meetings(one, other).items():
            totals[name].append(meeting(scene, tracker))
            switches, ids, found = totals[name][-1]
            if switches or ids > 2 or found < 0.9:
                note = f"{switches} switches, {ids} ids, found {found:.2f}"
                print(f"  {one.name} and {other.name}, {name}: {note}", flush=True)
    print(f"\n{'meeting':<20} {'scenes':>6} {'switches':>8} {'of scenes':>9} {'ids':>5} {'found':>6}")
    for name, rows in totals.items():
        switches, ids, found = np.array(rows).T
        print(
            f"{name:<20} {len(rows):6d} {int(switches.sum()):8d} {int((switches > 0).sum()):9d} "
            f"{ids.mean():5.2f} {found.mean():6.3f}"
        )


def edits(clips: list[Path], tracker: Tracker) -> None:
    """Print how many people have their ids again in edits of two clips each."""
    again = shared = 0
    for one, other in zip(clips, clips[5:] + clips[:5], strict=True):
        sources = [letterboxed(one), letterboxed(other)]
        length = min(EDITED, *(len(source) // 4 for source in sources))
        ids: list[set[int]] = []
        tracker.reset()
        for shot in range(4):
            faces = [
                tracker.step(image, (shot * length + i) / FPS)
                for i, image in enumerate(sources[shot % 2][shot * length : (shot + 1) * length])
            ]
            ids.append({face.face_id for step in faces for face in step if not face.held})
        again += sum(bool(ids[shot] & ids[shot + 2]) for shot in (0, 1))
        shared += bool((ids[0] | ids[2]) & (ids[1] | ids[3]))
    print(f"\nedits: {again} of {2 * len(clips)} people have their id again, {shared} edits share one")


def letterboxed(clip: Path) -> list[np.ndarray]:
    """First frames of a clip, within one size for all."""
    images = []
    with VideoReader(clip) as reader:
        for frame in islice(reader, 4 * EDITED):
            scale = min(WIDTH / frame.image.shape[1], HEIGHT / frame.image.shape[0])
            image = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            across, down = WIDTH - image.shape[1], HEIGHT - image.shape[0]
            borders = down // 2, down - down // 2, across // 2, across - across // 2
            images.append(cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT))
    return images


def real_clip(clip: Path, tracker: Tracker, clock: Clock) -> bool:
    """Print a clip's row; return False if a person who is alone has several ids."""
    tracker.reset()
    clock.results.clear()
    tracked, held, lost, ids, before = 0, 0, 0, set(), set()
    with VideoReader(clip) as reader:
        for frame in reader:
            faces = tracker.step(frame.image, frame.seconds)
            now = {face.face_id for face in faces if not face.held}
            tracked, held = tracked + bool(now), held + any(face.held for face in faces)
            lost, ids, before = lost + len(before - now), ids | now, now
    checks, cut_results = clock.results["finder in it, when due"], clock.results["cut detection"]
    failed = sum(track.miss_count > 0 for track in clock.results["verification, a face"])
    cuts = [index for index, cut in enumerate(cut_results) if cut is Transition.CUT]
    print(
        f"{clip.stem:<14} {len(cut_results):6d} {tracked:7d} {held:5d} {lost:4d} {len(ids):3d} "
        f"{len(checks):6d} {failed:6d} {len(clock.results['detector']):8d}  "
        f"{', '.join(map(str, cuts))}",
        flush=True,
    )
    return clip.stem in CROWDED or len(ids) == 1


def meeting(scene: Meeting, tracker: Tracker) -> tuple[int, int, float]:
    """Count switches and ids, and compute the fraction of visible people that are found."""
    tracker.reset()
    known: dict[int, int] = {}
    switches, ids, found, visible = 0, set(), 0, 0
    for frame in scene:
        faces = [face for face in tracker.step(frame.image, frame.seconds) if not face.held]
        ids |= {face.face_id for face in faces}
        for who, (seen, position) in enumerate(
            zip(scene.visible(frame.index), scene.positions(frame.index), strict=True)
        ):
            if not seen:
                continue
            visible += 1
            face = at(faces, position, scene.people[who].face / 2)
            if face is not None:
                found += 1
                switches += known.get(who, face.face_id) != face.face_id
                known[who] = face.face_id
    return switches, len(ids), found / visible


def at(faces: list[TrackedFace], position: tuple[float, float], reach: float) -> TrackedFace | None:
    """Find the face nearest to a position, within reach, px."""
    distances = [float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - position)) for face in faces]
    return faces[int(np.argmin(distances))] if distances and min(distances) < reach else None


def costs(clock: Clock) -> None:
    """Print the CPU time of each part."""
    print(f"\n{'median ms':<32} {'of a call':>9} {'calls a frame':>13}")
    frames = len(clock.seconds["whole step"])
    for part, seconds in clock.seconds.items():
        print(f"{part:<32} {1e3 * np.median(seconds):9.3f} {len(seconds) / frames:13.3f}")
    parts = ("cut detection", "verification, a face", "appearance, a face")
    added = sum(np.sum(clock.seconds[part]) for part in parts)
    print(f"cut detection, verification and appearance: {1e3 * added / frames:.3f} ms a frame on average\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
