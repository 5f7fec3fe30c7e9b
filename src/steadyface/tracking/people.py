"""People known by name: reference photographs, and the names of tracked faces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface.detector import Detector
from steadyface.errors import ConfigError, DataError
from steadyface.files import list_shown, read_bytes
from steadyface.identity import Descriptor, IdentityEncoder
from steadyface.images import SUFFIXES, read_image
from steadyface.landmarker import LandmarkModel
from steadyface.picture import Picture, as_picture
from steadyface.tracking.config import NamingConfig, TrackerConfig
from steadyface.tracking.detection import confirm_faces, detect_boxes, predict_in_boxes
from steadyface.tracking.matching import assign
from steadyface.tracking.track import Match, TrackedFace
from steadyface.tracks.schema import UNKNOWN
from steadyface.wording import as_utf8


@dataclass(frozen=True)
class People:
    """People known by name, each by one descriptor a photograph.

    Args:
        names: of the photographs, one each; a person may have several.
        descriptors: (photographs, 128) of unit length.
        key: text that changes with the photographs and their names.
    """

    names: tuple[str, ...]
    descriptors: Float[np.ndarray, "photographs descriptor"]
    key: str = ""

    @property
    def persons(self) -> list[str]:
        """Each name once, in alphabetical order."""
        return sorted(set(self.names))

    def similarities(self, descriptor: Descriptor) -> Float[np.ndarray, "persons"]:
        """Largest cosine with each person's photographs, in the order of `persons`."""
        cosines = self.descriptors @ descriptor
        names = np.array(self.names)
        return np.array([cosines[names == person].max() for person in self.persons])


def find_photographs(folder: str | Path) -> list[tuple[str, Path]]:
    """List name and file of each photograph: FOLDER/NAME.jpg, and all images in FOLDER/NAME/; none hidden.

    Raises:
        DataError: no such folder, or no image in it or in one of a person.
        ConfigError: somebody is called `unknown`.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(root, "not a folder of people's photographs")
    found = []
    for entry in list_shown(root):
        if entry.is_dir():
            inside = list_shown(entry, SUFFIXES)
            if not inside:
                raise DataError(entry, f"no photograph of {entry.name}")
            found += [(as_utf8(entry.name), path) for path in inside]
        elif entry.suffix.lower() in SUFFIXES:
            found.append((as_utf8(entry.stem), entry))
    if not found:
        raise DataError(root, "no photograph: NAME.jpg, or a folder NAME of images, is a person")
    if any(name == UNKNOWN for name, _ in found):
        raise ConfigError(f"{root}: nobody can be called {UNKNOWN}, the name of all others")
    return found


def people_key(folder: str | Path) -> str:
    """Text that changes with the photographs of a folder and their names.

    Raises:
        as `find_photographs`.
    """
    digest = hashlib.sha256()
    for name, path in find_photographs(folder):
        digest.update(f"{name}\0{hashlib.sha256(read_bytes(path)).hexdigest()}\0".encode())
    return f"{Path(folder).name} sha256:{digest.hexdigest()[:16]}"


def load_people(
    folder: str | Path, landmarker: LandmarkModel, detector: Detector, encoder: IdentityEncoder
) -> People:
    """Read a folder of photographs; of each the largest face counts.

    Args:
        folder: FOLDER/NAME.jpg, or FOLDER/NAME/ with several photographs of a person.
        landmarker, detector: find the faces.
        encoder: describes them.

    Raises:
        DataError: no such folder, no image, or an image that cannot be read or shows no face.
        ConfigError: somebody is called `unknown`.
    """
    names, descriptors = [], []
    config = TrackerConfig()
    config = replace(config, accept=config.keep)
    for name, path in find_photographs(folder):
        frame = as_picture(read_image(path))
        [candidates] = predict_in_boxes(landmarker, [frame], [detect_boxes(detector, frame)])
        faces = confirm_faces(frame, candidates, np.zeros((0, 68, 2)), config)
        if not faces:
            raise DataError(path, f"shows no face by which {name} could be known")
        names.append(name)
        descriptors.append(encoder.describe(frame, [faces[0].points])[0])
    return People(tuple(names), np.stack(descriptors), people_key(folder))


@dataclass(frozen=True)
class Evidence:
    """Mean of the descriptors of one identity.

    Args:
        mean: (128,), of unit length.
        count: number of descriptors.
        due_seconds: time of the next one.
    """

    mean: Descriptor
    count: int
    due_seconds: float

    def add(self, descriptor: Descriptor, seconds: float, config: NamingConfig) -> Evidence:
        """Take another descriptor into the mean, the less often the more there are."""
        weight = max(1 / (self.count + 1), config.least_weight)
        mean = (1 - weight) * self.mean + weight * descriptor
        interval = min(config.interval_seconds * 2**self.count, config.longest_interval_seconds)
        return Evidence(mean / max(float(np.linalg.norm(mean)), 1e-9), self.count + 1, seconds + interval)


class Namer:
    """Name tracked faces by the people that they are most like.

    An identity is described when it is first seen unoccluded and again at growing intervals; the mean of its
    descriptors is compared with the photographs. No two faces of a frame get the same name (assignment of
    greatest similarity), and a face that is less than `min_similarity` like everybody is `unknown`.

    Args:
        people: reference photographs.
        encoder: describes faces.
        config: intervals and the limit.
    """

    def __init__(self, people: People, encoder: IdentityEncoder, config: NamingConfig | None = None) -> None:
        self.people, self._encoder = people, encoder
        self.config = config or NamingConfig()
        self.reset()

    def reset(self) -> None:
        """Forget all faces."""
        self._evidence: dict[int, Evidence] = {}
        self._met: set[tuple[int, int]] = set()

    def step(
        self, frame: Picture, matches: Sequence[Match], faces: Sequence[TrackedFace], seconds: float
    ) -> list[TrackedFace]:
        """Name the faces of the next frame.

        Args:
            frame: the picture.
            matches: tracks and their observations in the frame.
            faces: of the frame, also those that coast.
            seconds: time of the frame.
        """
        self._observe(frame, matches, seconds)
        ids = [face.face_id for face in faces]
        self._met |= {(one, other) for one in ids for other in ids if one < other}
        named = self._assign(ids)
        return [
            replace(face, name=named[face.face_id][0], similarity=named[face.face_id][1]) for face in faces
        ]

    def _observe(self, frame: Picture, matches: Sequence[Match], seconds: float) -> None:
        """Describe the unoccluded faces that are due."""
        due = [
            (track.face_id, observation.points)
            for track, observation in matches
            if observation.unoccluded and self._is_due(track.face_id, seconds)
        ]
        descriptors = self._encoder.describe(frame, [points for _, points in due])
        for (face_id, _), descriptor in zip(due, descriptors, strict=True):
            self._learn(face_id, descriptor, seconds)

    def _learn(self, face_id: int, descriptor: Descriptor, seconds: float) -> None:
        before = self._evidence.get(face_id, Evidence(descriptor, 0, seconds))
        self._evidence[face_id] = before.add(descriptor, seconds, self.config)

    def _is_due(self, face_id: int, seconds: float) -> bool:
        return face_id not in self._evidence or seconds >= self._evidence[face_id].due_seconds

    def _assign(self, ids: Sequence[int]) -> dict[int, tuple[str, float]]:
        """Name identities that are seen together, with the similarity to that person or to the nearest."""
        known = [face_id for face_id in ids if face_id in self._evidence]
        named = dict.fromkeys(ids, (UNKNOWN, float("nan")))
        table = self._similarities(known)
        named |= {face_id: (UNKNOWN, float(row.max())) for face_id, row in zip(known, table, strict=True)}
        for row, column in assign(1 - table, 1 - self.config.min_similarity):
            named[known[row]] = self.people.persons[column], float(table[row, column])
        return named

    def names(self) -> Mapping[int, tuple[str, float]]:
        """Name each identity by all its descriptors, with the similarity.

        Identities that were never seen together may be one person; of those that were, the one most like the
        person gets the name.
        """
        ids = list(self._evidence)
        table = self._similarities(ids)
        named = {face_id: (UNKNOWN, float(row.max())) for face_id, row in zip(ids, table, strict=True)}
        for cell in np.argsort(-table, axis=None, kind="stable").tolist():
            row, column = divmod(cell, table.shape[1])
            face_id, person = ids[row], self.people.persons[column]
            if table[row, column] < self.config.min_similarity:
                break
            namesakes = [other for other, (name, _) in named.items() if name == person]
            is_another_person = any(self._have_met(face_id, other) for other in namesakes)
            if named[face_id][0] == UNKNOWN and not is_another_person:
                named[face_id] = person, float(table[row, column])
        return named

    def _have_met(self, one: int, other: int) -> bool:
        return (min(one, other), max(one, other)) in self._met

    def _similarities(self, ids: Sequence[int]) -> Float[np.ndarray, "identities persons"]:
        rows = [self.people.similarities(self._evidence[face_id].mean) for face_id in ids]
        return np.array(rows).reshape(len(ids), len(self.people.persons))
