"""Names of people in composed meetings, by one reference photograph each.

    python benchmarks/people.py DATA

DATA holds 300w/helen/testset and extra/fgnet. A meeting shows four heads that sway and change their size for
three seconds: two people of HELEN and two of FG-NET, of which one each is known by a photograph and the other
a stranger. The folder of photographs holds four more people who are not there. A person of FG-NET is shown by
another photograph than the one they are known by, taken within three years; of HELEN's people there is just
one photograph, so that the scene shows it mirrored, in other light and blurred. Nothing that tells people
apart was fitted on these: HELEN's test set, and FG-NET's people of even number.

`right` are the frames in which somebody known has their own name, in % of those in which they are tracked,
`wrong` those with another's; `unknown` the frames in which a stranger has no name.

The second table compares all photographs of FG-NET's people of even number: pairs of one person within three
years, in % of them, that are more alike than all but 1 % of the pairs of two people.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from meetings import FPS, HEIGHT, WIDTH, backdrop, paste

from steadyface.datasets.extra import ExtraSample, find_extra
from steadyface.geometry import Region, bounding_box
from steadyface.identity import IdentityEncoder
from steadyface.images import crop_region, read_image, write_image
from steadyface.landmarker import Landmarker
from steadyface.pts import read_pts
from steadyface.tracking import TrackedFace, Tracker

MEETINGS, FRAMES, SIDE, MARGIN = 20, 75, 230, 2.0
YEARS = 3
GROUPS = ("FG-NET, under 12", "FG-NET, 16 and older")
CENTRES = [(WIDTH * (2 * column + 1) / 8, HEIGHT / 2) for column in range(4)]


@dataclass(frozen=True)
class Head:
    """Photograph by which somebody is known, and the head that the scene shows; RGB uint8."""

    group: str
    photograph: np.ndarray
    head: np.ndarray


def head_of(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Cut out the head around a box of landmarks."""
    return crop_region(image, Region.around_box(box, MARGIN), SIDE, cv2.BORDER_REPLICATE)[0]


def helen(data: Path, rng: np.random.Generator) -> list[Head]:
    """People of HELEN's test set, in other light, mirrored and blurred."""
    found, seen = [], set()
    for path in sorted((data / "300w/helen/testset").glob("*.pts")):
        photo = path.stem.rsplit("_", 1)[0]
        if photo not in seen:  # two faces of one photograph may be one person, and so may two photographs
            seen.add(photo)
            image, box = read_image(path.with_suffix(".jpg")), bounding_box(read_pts(path))
            shown = head_of(image, box)[:, ::-1].astype(float) * rng.uniform(0.7, 1.2) + rng.uniform(-15, 15)
            shown = cv2.GaussianBlur(shown.clip(0, 255).astype(np.uint8), (0, 0), rng.uniform(0.5, 1.2))
            found.append(Head("HELEN", head_of(image, box), shown))
    return found


def fgnet(data: Path, adults: bool) -> list[tuple[int, ExtraSample]]:
    """Photographs of FG-NET's people of even number, each with the age."""
    ages = np.load(data / "extra/fgnet/points.npz")["age"].tolist()
    return [
        (age, sample)
        for sample, age in zip(find_extra(data / "extra", "fgnet"), ages, strict=True)
        if int(sample.person) % 2 == 0 and (age >= 16 if adults else age < 12)
    ]


def fgnet_heads(data: Path, rng: np.random.Generator, adults: bool) -> list[Head]:
    """People of FG-NET by two photographs taken within three years."""
    of_person = defaultdict(list)
    for age, sample in fgnet(data, adults):
        of_person[sample.person].append((age, sample))
    found = []
    for photographs in of_person.values():
        pairs = [
            (one, other)
            for age, one in photographs
            for later, other in photographs
            if one is not other and abs(age - later) <= YEARS
        ]
        if pairs:
            both = pairs[rng.integers(len(pairs))]
            found.append(
                Head(GROUPS[adults], *(head_of(each.load()[0], np.array(each.box)) for each in both))
            )
    return found


def alike(data: Path, adults: bool, landmarker: Landmarker) -> tuple[int, float]:
    """Number of pairs of one person, and the % of them more alike than 99 % of the pairs of two people."""
    encoder, vectors, people, ages = IdentityEncoder(threads=1), [], [], []
    for age, sample in fgnet(data, adults):
        image, _ = sample.load()
        points = landmarker.predict(image, np.array(sample.box)).points
        vectors.append(encoder.describe(image, [points])[0])
        people.append(sample.person)
        ages.append(age)
    pairs = np.triu_indices(len(ages), 1)
    cosines = (np.array(vectors) @ np.array(vectors).T)[pairs]
    same = np.equal.outer(people, people)[pairs]
    near = (np.abs(np.subtract.outer(ages, ages)) <= YEARS)[pairs]
    ours, limit = cosines[same & near], np.quantile(cosines[~same], 0.99)
    return len(ours), 100 * float((ours > limit).mean())


def frames(heads: list[np.ndarray], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Render heads beside each other that sway, turn and change their size."""
    wall, phases = backdrop(), rng.uniform(0, 2 * np.pi, (4, len(heads)))
    for index in range(FRAMES):
        canvas, t = wall.copy(), 2 * np.pi * index / FRAMES
        for head, (x, y), (p, q, r, s) in zip(heads, CENTRES, phases.T, strict=True):
            turn = cv2.getRotationMatrix2D(
                (SIDE / 2, SIDE / 2), 8 * np.sin(t + r), 0.85 + 0.1 * np.sin(t + s)
            )
            moved = cv2.warpAffine(head, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
            paste(canvas, moved, x + 15 * np.sin(t + p), y + 60 * np.sin(t + q))
        yield canvas


def meeting(pools: list[list[Head]], landmarker: Landmarker, rng: np.random.Generator, counts: dict) -> None:
    """Compose a meeting of two people of each pool, and count the frames with each name."""
    chosen = [[pool[i] for i in rng.permutation(len(pool))[:4]] for pool in pools]
    known = [people[0] for people in chosen]
    strangers = [people[1] for people in chosen]
    absent = [head for people in chosen for head in people[2:]]
    shown = [head for pair in zip(known, strangers, strict=True) for head in pair]
    with TemporaryDirectory() as folder:
        for i, head in enumerate([*known, *absent]):
            write_image(Path(folder) / f"person {i}.png", head.photograph)
        tracker = Tracker(landmarker, people=folder)
    names = ["person 0", "unknown", "person 1", "unknown"]
    for index, frame in enumerate(frames([head.head for head in shown], rng)):
        faces = [face for face in tracker.step(frame, index / FPS) if not face.held]
        for head, name, centre in zip(shown, names, CENTRES, strict=True):
            face = nearest(faces, centre)
            if face is not None:
                kind = "unknown" if name == "unknown" else "known"
                counts[head.group, kind].append((face.name == name, face.name not in (name, "unknown")))


def nearest(faces: list[TrackedFace], centre: tuple[float, float]) -> TrackedFace | None:
    """The face in a column of the scene."""
    for face in faces:
        if abs((face.box[0] + face.box[2]) / 2 - centre[0]) < WIDTH / 8:
            return face
    return None


def main(data: str) -> None:
    rng, landmarker = np.random.default_rng(0), Landmarker(threads=1)
    everybody = helen(Path(data), rng)
    print(f"{'people':<38} {'frames':>6} {'right %':>8} {'wrong %':>8} {'unknown %':>9}")
    for adults in (True, False):
        counts = defaultdict(list)
        pools = [everybody, fgnet_heads(Path(data), rng, adults)]
        for _ in range(MEETINGS):
            meeting(pools, landmarker, rng, counts)
        groups = [(pool[0].group,) for pool in pools]
        for group in [*groups, tuple(name for (name,) in groups)]:
            known, unknown = (
                np.array([pair for name in group for pair in counts[name, kind]])
                for kind in ("known", "unknown")
            )
            right, wrong = 100 * known.mean(axis=0)
            row = (
                f"{len(known) + len(unknown):6d} {right:8.1f} {wrong:8.1f} {100 * unknown[:, 0].mean():9.1f}"
            )
            print(f"{' and '.join(group):<38} {row}", flush=True)
    print(f"\n{'photographs of':<38} {'pairs':>6} {'alike %':>8}")
    for adults in (True, False):
        pairs, percent = alike(Path(data), adults, landmarker)
        print(f"{GROUPS[adults]:<38} {pairs:6d} {percent:8.1f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
