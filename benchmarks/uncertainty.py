"""Honesty of a network about its points: coverage of its standard deviations, and of what it calls visible.

    python benchmarks/uncertainty.py DATA [WEIGHTS …]

DATA holds `300w/helen/testset` and `extra`. WEIGHTS are names of bundled networks or `.onnx` files; left out:
compact and tiny. Faces are predicted in the box of their annotated points.

- coverage: errors along the axes of the covariance that are below one and below two standard deviations, %; a
  Gaussian's are 68.3 and 95.4. Profiles are those that neither training nor the calibration of the
  covariances has seen. The last three rows are of HELEN test with an object over the mouth: all points, those
  behind it, and the others.
- objects: a black, a textured and a hand-like one over the mouth of each HELEN test face. Of the points
  behind it, % whose `visible` falls below 0.5 and whose σ at least doubles; of the others, % whose `visible`
  and σ change by at most 20 %: all of them, and those further than 0.2 inter-ocular distances from the
  object. σ is the geometric mean of both standard deviations.
- sight: annotated visibility that `visible` agrees with at 0.5, in sight and hidden, %, without objects:
  HELEN test (whose points all count as in sight), profiles, and AFLW's faces that training held out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from steadyface import markup
from steadyface.arrays import FacePoints, Frame
from steadyface.datasets.extra import ExtraSample, find_extra
from steadyface.datasets.three_hundred_w import find_samples, hold_out
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.metrics import interocular
from steadyface.synthetic.cover import skin_colour
from steadyface.synthetic.occluder import Occluder, OccluderKind, draw_object

OBJECTS = ("black", "textured", "hand")
HELD_OUT_ONE_IN = 16
"""Profiles that training held out (one in 8) and of them the half that did not calibrate the covariances."""

_FAR = 0.2  # inter-ocular distances from an object
_PALM = 0.3  # of a hand below the middle of its picture, inter-ocular distances
_SAME = 0.2


@dataclass(frozen=True)
class Seen:
    """Predictions for one face and what is true of them.

    Args:
        found: of the network, image px.
        points: annotated, image px; NaN where not.
        visible: 1 in sight, 0 hidden, NaN where nobody said.
    """

    found: Landmarks
    points: FacePoints
    visible: Float[np.ndarray, "68"]

    @property
    def sigma(self) -> Float[np.ndarray, "68"]:
        """Geometric mean of both standard deviations, px."""
        return np.linalg.det(self.found.covariances) ** 0.25

    def errors(self, chosen: Bool[np.ndarray, "68"]) -> Float[np.ndarray, "n"]:
        """Errors of the chosen points along the axes of their covariances, in standard deviations."""
        chosen = chosen & ~np.isnan(self.points).any(axis=1)
        factor = np.linalg.cholesky(self.found.covariances[chosen].astype(float))
        away = (self.found.points - self.points)[chosen]
        return np.abs(np.linalg.solve(factor, away[..., None])).ravel()


@dataclass(frozen=True)
class Covered:
    """One face without and with an object over its mouth.

    Args:
        plain, hidden: predictions without and with it.
        covered: points behind the object.
        distance: of each point from the object, inter-ocular distances.
    """

    plain: Seen
    hidden: Seen
    covered: Bool[np.ndarray, "68"]
    distance: Float[np.ndarray, "68"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", nargs="*", default=["compact", "tiny"])
    options = parser.parse_args()
    data, landmarkers = options.data, {}
    for name in options.weights:
        landmarkers[name] = Landmarker(name, device="cpu", threads=1)
        if not landmarkers[name].tells_visibility:
            sys.exit(f"{name}: the network does not tell which points are visible")
    for name, landmarker in landmarkers.items():
        helen = list(plain_faces(landmarker, data))
        objects = {kind: list(covered_faces(landmarker, data, kind)) for kind in OBJECTS}
        profiles = list(extra_faces(landmarker, data, "profiles"))
        aflw = list(extra_faces(landmarker, data, "aflw80", one_in=8))
        print(f"\n{name}\n")
        print_coverage(
            {"HELEN test": helen, "profiles": profiles, "AFLW": aflw},
            [face for faces in objects.values() for face in faces],
        )
        print_objects(objects)
        print_sight({"HELEN test": helen, "profiles": profiles, "AFLW": aflw})


def plain_faces(landmarker: Landmarker, data: Path) -> Iterator[Seen]:
    for sample in find_samples(data / "300w", ["helen-test"]):
        image, points = sample.load()
        yield look(landmarker, image, points, points, np.ones(markup.COUNT))


def covered_faces(landmarker: Landmarker, data: Path, kind: str) -> Iterator[Covered]:
    for seed, sample in enumerate(find_samples(data / "300w", ["helen-test"])):
        image, points = sample.load()
        thing = over_mouth(kind, image, points, seed)
        covered = thing.covers(points, 0.0)
        plain = look(landmarker, image, points, points, np.ones(markup.COUNT))
        distance = away_from(thing, image, points) / float(interocular(points))
        image = image.copy()
        thing.draw(image, 0.0)
        hidden = look(landmarker, image, points, points, np.where(covered, 0.0, 1.0))
        yield Covered(plain, hidden, covered, distance)


def extra_faces(
    landmarker: Landmarker, data: Path, part: str, one_in: int = HELD_OUT_ONE_IN
) -> Iterator[Seen]:
    samples: list[ExtraSample] = find_extra(data / "extra", part)
    _, held_out = hold_out(samples, 8)
    calibrating = {sample.photo for sample in hold_out(samples, one_in)[1]} if one_in != 8 else set()
    for sample in held_out:
        if sample.photo not in calibrating:
            image, points = sample.load()
            known = points[~np.isnan(points).any(axis=1)]
            yield look(landmarker, image, known, points, sample.visible)


def look(
    landmarker: Landmarker, image: Frame, known: np.ndarray, points: FacePoints, visible: np.ndarray
) -> Seen:
    box = np.concatenate([known.min(axis=0), known.max(axis=0)])
    return Seen(landmarker.predict(image, box), points, visible)


def over_mouth(kind: str, image: Frame, points: FacePoints, seed: int) -> Occluder:
    """An object of 0.9 × 1.1 inter-ocular distances before the mouth, or a hand whose palm lies on it."""
    rng = np.random.default_rng(seed)
    eyes = float(interocular(points))
    mouth = points[list(markup.GROUPS["outer_lips"])].mean(axis=0)
    angle = float(rng.uniform(-15, 15))
    if kind != "hand":
        picture, opacity = draw_object(OccluderKind.PATCH, eyes, np.zeros(3), rng)
        content = picture if kind == "textured" else np.zeros_like(picture)
        return Occluder(content, opacity, mouth, angle=angle)
    angle += float(rng.choice([-90.0, 90.0]))
    turn = np.radians(angle)
    palm = _PALM * eyes * np.array([-np.sin(turn), np.cos(turn)])
    picture, opacity = draw_object(OccluderKind.HAND, eyes, skin_colour(image, points), rng)
    return Occluder(picture, opacity, mouth - palm, angle=angle)


def away_from(thing: Occluder, image: Frame, points: FacePoints) -> Float[np.ndarray, "68"]:
    """Distance of each point from the object, px; 0 inside."""
    height, width = image.shape[:2]
    free = (~thing.mask(0.0, height, width)).astype(np.uint8)
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 5)
    x, y = np.clip(np.round(points).astype(int), 0, [width - 1, height - 1]).T
    return np.asarray(distance[y, x], float)


def print_coverage(sets: dict[str, list[Seen]], objects: Sequence[Covered]) -> None:
    everything = np.ones(markup.COUNT, bool)
    rows = {
        **{name: [face.errors(everything) for face in faces] for name, faces in sets.items()},
        "with an object": [face.hidden.errors(everything) for face in objects],
        "behind it": [face.hidden.errors(face.covered) for face in objects],
        "beside it": [face.hidden.errors(~face.covered) for face in objects],
    }
    print("| coverage | points | 1 σ, % | 2 σ, % |\n|---|---|---|---|")
    for name, errors in rows.items():
        sizes = np.concatenate(errors)
        one, two = (100 * float((sizes < k).mean()) for k in (1, 2))
        print(f"| {name} | {len(sizes) // 2} | {one:.1f} | {two:.1f} |")


def print_objects(objects: dict[str, list[Covered]]) -> None:
    behind = "visible below .5, % | σ doubled, %"
    beside = "visible within 20 %, % | σ within 20 %, % | the same, further off, %"
    print(f"\n| object | points behind | {behind} | others: {beside} |\n|{7 * '---|'}")
    for kind, faces in objects.items():
        covered = np.array([face.covered for face in faces])
        far = np.array([face.distance for face in faces]) > _FAR
        before, after = (np.array([each.found.visible for each in pair]) for pair in _sides(faces))
        growth = np.divide(*(np.array([each.sigma for each in pair]) for pair in reversed(_sides(faces))))
        kept = np.abs(after / before - 1) <= _SAME
        steady = np.abs(growth - 1) <= _SAME
        figures = [
            (after < 0.5)[covered],
            (growth >= 2)[covered],
            kept[~covered],
            steady[~covered],
            steady[~covered & far],
        ]
        cells = " | ".join(f"{100 * float(values.mean()):.1f}" for values in figures)
        print(f"| {kind} | {covered.sum()} | {cells} |")


def _sides(faces: Sequence[Covered]) -> tuple[list[Seen], list[Seen]]:
    return [face.plain for face in faces], [face.hidden for face in faces]


def print_sight(sets: dict[str, list[Seen]]) -> None:
    print(
        "\n| without objects | in sight | predicted so, % | hidden | predicted so, % |\n|---|---|---|---|---|"
    )
    for name, faces in sets.items():
        truth = np.array([face.visible for face in faces])
        told = np.array([face.found.visible for face in faces])
        sight, hidden = told[truth == 1] >= 0.5, told[truth == 0] < 0.5
        second = f"{100 * hidden.mean():.1f}" if len(hidden) else ""
        print(f"| {name} | {len(sight)} | {100 * sight.mean():.1f} | {len(hidden)} | {second} |")


if __name__ == "__main__":
    main()
