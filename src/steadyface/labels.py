"""Pseudo-labels: faces without annotation, labelled by a trained network to train another.

Each face is predicted plain and mirrored at three scales; if these views disagree, it is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steadyface import markup
from steadyface.arrays import Frame, Points
from steadyface.datasets.face_boxes import INDEX, FaceBox, read_boxes
from steadyface.errors import ConfigError, DataError
from steadyface.files import make_folder
from steadyface.geometry import Region, face_size, flip_points
from steadyface.images import crop_region, read_image, write_image
from steadyface.landmarker import Landmarker
from steadyface.pts import write_pts
from steadyface.tracking import Tracker
from steadyface.video import Frames, open_frames
from steadyface.wording import counted

LARGEST_SPREAD = 0.02
"""Largest spread of the views of a face at which its label is kept, relative to the face's size."""

_SCALES = (0.88, 1.0, 1.12)
_SMALLEST = 56.0  # px of a face's box
_MARGIN = 1.8  # side of the written image over that of the face's box
_SIDE = 300  # px of the written image, at most


@dataclass(frozen=True)
class Label:
    """Mean of several views of one face.

    Args:
        points: (68, 2) mean over the views, image px.
        spread: standard deviation of a point over the views, relative to the face's size.
    """

    points: Points
    spread: float


def label_face(landmarker: Landmarker, image: Frame, region: Region) -> Label:
    """Label one face by its plain and mirrored views at three scales (test-time augmentation).

    Args:
        landmarker: the teacher.
        image: RGB uint8.
        region: of the face, image px; the views are centred on the points that it gives.
    """
    first = landmarker.predict_regions(image, [region])[0].points
    centred = Region.around_points(first, region.roll)
    size = landmarker.input_size
    crops, maps = [], []
    for scale in _SCALES:
        view = Region(centred.x, centred.y, centred.side * scale, centred.roll)
        crop, to_crop = crop_region(image, view, size)
        crops += [crop, crop[:, ::-1]]
        maps.append(to_crop.inverse)
    found = landmarker.predict_crops(np.stack(crops)).points
    views = []
    for i, to_image in enumerate(maps):
        views += [to_image(found[2 * i]), to_image(flip_points(found[2 * i + 1], size, markup.FLIP))]
    points = np.mean(views, axis=0)
    deviation = np.sqrt(np.square(views - points).sum(-1).mean(0)).mean()
    return Label(points, float(deviation / face_size(points)))


@dataclass(frozen=True)
class LabelCount:
    """Result of labelling one source.

    Args:
        kept: faces of which a label was written.
        seen: faces in the frames that were labelled.
        damage: None, or one line about what of the source could not be read.
    """

    kept: int
    seen: int
    damage: str | None = None


def write_labels(source: Path, out: Path, tracker: Tracker, every: int = 12) -> LabelCount:
    """Label the faces of one source and write `out`/NAME.jpg and `out`/NAME.pts for each that is kept.

    Args:
        source: a folder of photographs with a `faces.json`, whose faces not marked as annotated are labelled;
            or a video, an image, or a folder of images, tracked.
        out: folder; made if missing.
        tracker: finds the faces of clips, and its landmarker labels them.
        every: every so many frames of a clip are labelled.

    Raises:
        ConfigError: `every` is below 1, or the tracker has a landmark model of another kind.
        DataError, VideoError: the source cannot be read, or a file not written. Photographs that cannot be
            read are no error: they are told by `LabelCount.damage`, and the others labelled.
    """
    if every < 1:
        raise ConfigError(f"every must be at least 1 frame, got {every}")
    teacher = tracker.landmarker
    if not isinstance(teacher, Landmarker):
        raise ConfigError(f"labelling needs a Landmarker, got {type(teacher).__name__}")
    make_folder(out)
    if (source / INDEX).is_file():
        lost: list[DataError] = []
        photographs = read_boxes(source)
        counts = _write_all(_faces_of_photographs(source, photographs, lost.append), out, teacher)
        return LabelCount(*counts, _told(source, lost, len(photographs)))
    with open_frames(source) as frames:
        counts = _write_all(_faces_of_clip(frames, source.stem, tracker, every), out, teacher)
        return LabelCount(*counts, frames.damage)


def _write_all(found: Iterator[tuple[str, Frame, Region]], out: Path, teacher: Landmarker) -> tuple[int, int]:
    """Write the labels of faces on which the views agree; returns their count and that of all faces."""
    kept = seen = 0
    for name, image, region in found:
        label = label_face(teacher, image, region)
        seen += 1
        if label.spread <= LARGEST_SPREAD:
            _write(out / name, image, label.points)
            kept += 1
    return kept, seen


def _told(folder: Path, lost: Sequence[DataError], count: int) -> str | None:
    """`LabelCount.damage` of a folder of so many photographs, some of which cannot be read."""
    if not lost:
        return None
    share = f"{len(lost)} of {counted(count, 'photograph')} cannot be read"
    return f"{folder}: {share}, the first is {lost[0]}"


def _faces_of_photographs(
    folder: Path, photographs: Mapping[str, Sequence[FaceBox]], on_bad: Callable[[DataError], object]
) -> Iterator[tuple[str, Frame, Region]]:
    """Yield name, image and region of each face that is large enough and not annotated.

    A photograph that cannot be read is left out, and `on_bad` called with the error.
    """
    for file, faces in photographs.items():
        wanted = [
            (i, face.box)
            for i, face in enumerate(faces)
            if not face.annotated and (face.box[2:] - face.box[:2]).max() >= _SMALLEST
        ]
        if not wanted:
            continue
        try:
            image = read_image(folder / file)
        except DataError as error:
            on_bad(error)
            continue
        for i, box in wanted:
            yield f"{Path(file).stem}_{i}", image, Region.around_box(box)


def _faces_of_clip(
    frames: Frames, stem: str, tracker: Tracker, every: int
) -> Iterator[tuple[str, Frame, Region]]:
    """Yield name, image and region of each tracked face in every `every`-th frame."""
    tracker.reset()
    for frame in frames:
        for face in tracker.step(frame.image, frame.seconds):
            if frame.index % every == 0 and not face.held:
                name = f"{stem}_{frame.index:06d}_{face.face_id}"
                yield name, frame.image, Region.around_points(face.raw_points)


def _write(stem: Path, image: Frame, points: Points) -> None:
    """Write the face's surroundings and its points, as in 300-W."""
    region = Region.around_points(points, margin=_MARGIN)
    crop, to_crop = crop_region(image, region, min(_SIDE, round(region.side)))
    write_image(stem.with_name(f"{stem.name}.jpg"), crop)
    write_pts(stem.with_name(f"{stem.name}.pts"), to_crop(points))
