"""The rules of each benchmark: which faces, which box, which points, which normaliser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from steadyface.datasets.annotated_videos import SCENARIOS, AnnotatedVideo, find_300vw, talking_face
from steadyface.datasets.three_hundred_w import (
    PARTS,
    Sample,
    find_folder,
    find_samples,
    without_points,
)
from steadyface.errors import ConfigError, DataError

PRIVATE, HELEN = "300w-private", "300w-helen"
VIDEOS, TALKING, MOTION = "300vw", "talking-face", "known-motion"
"""Names of the protocols that tables and figures ask for."""

CHR, FHR = "argmax", "fhr"
"""The paper's two ways of reading a heatmap, by the decoders' names."""

FAILURE = 8.0
"""NRMSE above which a face counts as failed, %."""

STILLS = 24
"""Faces that the known-motion protocol sets in motion."""


@dataclass(frozen=True)
class KnownMotion:
    """An annotated still that is made to move; `seed` draws its motion."""

    sample: Sample
    seed: int


Source = Sample | AnnotatedVideo | KnownMotion


@dataclass(frozen=True)
class Item:
    """What is predicted at a time: the face of an image, or a whole video.

    Args:
        name: unique within the protocol.
        group: subset or scenario.
        source: where image or frames and their annotation come from.
    """

    name: str
    group: str
    source: Source


@dataclass(frozen=True)
class Found:
    """What of a protocol's data is there.

    Args:
        items: to be predicted.
        missing: what the protocol asks for and the folder does not hold.
    """

    items: list[Item]
    missing: list[str]


@dataclass(frozen=True)
class Protocol:
    """One benchmark.

    Args:
        title: for people.
        kind: `images`, `videos` or `motion`.
        box: how the face's place is made known to the landmark network.
        points: which subsets of the points are scored, `68` and `7`.
        find: folder → its items.
    """

    title: str
    kind: str
    box: str
    points: tuple[str, ...]
    find: Callable[[Path], Found]


_TRUTH_BOX = "square of 1.3 × the larger side of the true points' box"
_FIRST_BOX = "the true points' box in the first frame and after a loss, else the tracker's own"
_OWN_BOX = "the tracker's own, from the face finder on"

OWN_BOX_GROUP = "talking face"
"""The group of videos whose face the tracker has to find by itself."""

_ARCHIVE = "300VW_Dataset_2015_12_14"  # the folder that 300-VW unpacks to

SCENARIO_GROUPS = tuple(f"scenario {number}" for number in (1, 2, 3))


def _images(parts: Sequence[str]) -> Callable[[Path], Found]:
    def find(data: Path) -> Found:
        root = _find_300w(data, parts)
        samples = find_samples(root, parts)
        there = {sample.points_path.parent for sample in samples}
        missing = []
        for folder in (folder for part in parts for folder in PARTS[part]):
            missing += [] if root / folder in there else [f"300-W {folder}"]
            missing += [f"{folder}/{path.name}: no .pts" for path in without_points(root / folder)]
        return Found([_of_image(sample, sample.part) for sample in samples], missing)

    return find


def _of_image(sample: Sample, group: str) -> Item:
    return Item(f"{sample.part}_{sample.points_path.stem}", group, sample)


def _folder(data: Path) -> Found:
    missing = [f"{path.name}: no .pts" for path in without_points(data)]
    return Found([_of_image(sample, "folder") for sample in find_folder(data)], missing)


def _videos(data: Path) -> Found:
    names = ("300vw", f"300vw/{_ARCHIVE}", _ARCHIVE)
    root = _root(data, names, [name for group in (1, 2, 3) for name in SCENARIOS[group]])
    items, missing = [], []
    for number, group in enumerate(SCENARIO_GROUPS, start=1):
        try:
            videos = find_300vw(root, number)
        except DataError:
            missing.append(f"300-VW {group}, all {len(SCENARIOS[number])} videos")
            continue
        items += [Item(video.name, group, video) for video in videos]
        there = {video.name for video in videos}
        missing += [f"300-VW {group}, video {name}" for name in SCENARIOS[number] if name not in there]
    if not items:
        raise DataError(root, "no folder of a test video of 300-VW, such as 114/vid.avi")
    return Found(items, missing)


def _talking_face(data: Path) -> Found:
    video = talking_face(_root(data, ["talking_face"], ["images"]))
    return Found([Item("talking_face", OWN_BOX_GROUP, video)], [])


def _known_motion(data: Path) -> Found:
    samples = find_samples(_find_300w(data, ["helen-test"]), ["helen-test"])
    chosen = samples[:: max(1, len(samples) // STILLS)][:STILLS]
    items = [
        Item(sample.points_path.stem, "known motion", KnownMotion(sample, 1000 + i))
        for i, sample in enumerate(chosen)
    ]
    missing = [f"{STILLS - len(items)} of {STILLS} stills"] if len(items) < STILLS else []
    return Found(items, missing)


def _find_300w(data: Path, parts: Sequence[str]) -> Path:
    return _root(data, ["300w"], [folder for part in parts for folder in PARTS[part]])


def _root(data: Path, names: Sequence[str], folders: Sequence[str]) -> Path:
    """The first of DATA/name that holds one of the folders, else DATA itself.

    By what it holds, since `300w` and the private test's own `300W` are one folder where case does not count.
    """
    roots = (data / name for name in names)
    return next((root for root in roots if any((root / folder).is_dir() for folder in folders)), data)


PROTOCOLS: dict[str, Protocol] = {
    PRIVATE: Protocol("300-W private test", "images", _TRUTH_BOX, ("68",), _images(["private"])),
    "300w-common": Protocol(
        "300-W common (LFPW test, HELEN test)",
        "images",
        _TRUTH_BOX,
        ("68",),
        _images(["lfpw-test", "helen-test"]),
    ),
    "300w-challenge": Protocol("300-W challenge (iBUG)", "images", _TRUTH_BOX, ("68",), _images(["ibug"])),
    "300w-full": Protocol(
        "300-W full (common and challenge)",
        "images",
        _TRUTH_BOX,
        ("68",),
        _images(["lfpw-test", "helen-test", "ibug"]),
    ),
    HELEN: Protocol("HELEN test", "images", _TRUTH_BOX, ("68",), _images(["helen-test"])),
    "folder": Protocol("a folder of images with .pts", "images", _TRUTH_BOX, ("68",), _folder),
    VIDEOS: Protocol("300-VW test", "videos", _FIRST_BOX, ("68", "7"), _videos),
    TALKING: Protocol("Talking Face", "videos", _OWN_BOX, ("7",), _talking_face),
    MOTION: Protocol(
        f"exactly known motion in full HD, {STILLS} HELEN test faces",
        "motion",
        _FIRST_BOX,
        ("68",),
        _known_motion,
    ),
}
"""By name. The 300-W protocols and known motion read DATA/300w, or DATA itself; 300-VW and the Talking Face
video DATA/300vw and DATA/talking_face."""


def find_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ConfigError: unknown.
    """
    if name not in PROTOCOLS:
        raise ConfigError.choice("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
