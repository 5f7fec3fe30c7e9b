"""Partly annotated faces of kinds that 300-W lacks: profiles, closed eyes, children, small faces.

Each set is a folder with `images/` and `points.npz`, which holds `names` (N), `points` (N, 68, 2) in 0-based
image px, NaN where not annotated, and for some sets `person` (N), `age` (N) and `visibility` (N, 68).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface import markup, metrics
from steadyface.arrays import Box, FacePoints, FaceStack, Frame
from steadyface.errors import ConfigError, DataError
from steadyface.files import read_arrays, reading
from steadyface.geometry import Region, bounding_box, box_of_pixels, face_size
from steadyface.images import read_image
from steadyface.landmarker import Landmarker
from steadyface.measures import eye_openness

PARTS = ("profiles", "closed_eyes", "fgnet", "aflw80", "helen256")
"""Names of the sets, which are those of their folders.

- profiles: the visible half. The brow's ends, annotated a little beside iBUG's positions, are left out.
- closed_eyes: no point at all; both eyes are closed.
- fgnet: children to old people, in another markup (`markup.FGNET_TO_IBUG`).
- aflw80: small faces; points that the face itself hides are NaN.
- helen256: photographs of HELEN; those without points are left out.
"""

HELD_OUT_ONE_IN = 8
"""One person of this many is held out of a set."""

_BROW_ENDS = [markup.GROUPS[brow][end] for brow in ("right_brow", "left_brow") for end in (0, -1)]
_INDEX = "points.npz"
_VISIBLE = 2  # code of a visible point; 0 is hidden by the face, 1 by an object, as the pictures show
_PASSES = 2  # predictions on a picture that a face fills, after which its box hardly changes


@dataclass(frozen=True, eq=False)
class ExtraSample:
    """One face of which any of the points may be annotated.

    Args:
        image_path: its image.
        points: image px, 0-based; NaN where not annotated.
        part: one of `PARTS`.
        person: name of the person, or else of the photograph; validation splits by it.
        box: (x0, y0, x1, y1) of the face, image px; None leaves that of the annotated points.
        visible: 1 for a visible point, 0 for one that the face or an object hides, NaN where unknown.
        age: in years; None where it is not known.
    """

    image_path: Path
    points: FacePoints
    part: str
    person: str
    box: tuple[float, float, float, float] | None = None
    visible: Float[np.ndarray, "68"] = field(default_factory=lambda: np.full(markup.COUNT, np.nan))
    age: int | None = None

    @property
    def photo(self) -> str:
        """Name of the group that is held out together: the person."""
        return self.person

    @property
    def points_path(self) -> Path:
        """The file of the annotations."""
        return self.image_path.parent.parent / _INDEX

    def load(self) -> tuple[Frame, FacePoints]:
        """Load the image (RGB uint8) and its points.

        Raises:
            DataError: the image is missing or broken.
        """
        return read_image(self.image_path), self.points

    def region(self, points: FacePoints) -> Region:
        """The upright square of the plain crop, image px: around `box` or else the annotated points.

        Args:
            points: image px; NaN where not annotated.
        """
        if self.box is not None:
            return Region.around_box(np.array(self.box))
        return Region.around_points(points[~np.isnan(points).any(axis=1)])


def find_extra(root: str | Path, part: str) -> list[ExtraSample]:
    """Find the faces of a set, in the order of its file; none if its folder is missing.

    Args:
        root: folder of the sets.
        part: one of `PARTS`.

    Raises:
        ConfigError: an unknown set.
        DataError: its `points.npz` is missing or of another form.
    """
    if part not in PARTS:
        raise ConfigError.choice("set of extra faces", part, PARTS)
    folder = Path(root) / part
    if not folder.is_dir():
        return []
    names, points, people, ages, codes = _read(folder / _INDEX)
    visible = _visibility(part, points, codes)
    if part == "profiles":
        points[:, _BROW_ENDS] = np.nan
    elif part == "helen256":
        people = [name.rsplit("_", 1)[0] for name in people]  # NAME_1 and NAME_2 are of one photograph
    samples = [
        ExtraSample(folder / "images" / name, face, part, person, visible=is_visible, age=age)
        for name, face, person, is_visible, age in zip(names, points, people, visible, ages, strict=True)
    ]
    if part == "closed_eyes":
        return samples
    samples = [sample for sample in samples if not np.isnan(sample.points).any(axis=1).all()]
    return [_from_fgnet(sample) for sample in samples] if part == "fgnet" else samples


def box_of(sample: ExtraSample, image: Frame, landmarker: Landmarker) -> Box:
    """Box of a partly annotated face: its own, else that of its annotated points, else that of found points.

    A face without any annotation fills its picture: the network predicts its points in the whole picture, and
    then in the box of these points.

    Args:
        sample: the face.
        image: of the sample, RGB uint8.
        landmarker: finds points where none are annotated.
    """
    if sample.box is not None:
        return np.array(sample.box)
    known = ~np.isnan(sample.points).any(axis=1)
    if known.any():
        return bounding_box(sample.points[known])
    box = box_of_pixels(0, 0, image.shape[1], image.shape[0])
    for _ in range(_PASSES):
        box = bounding_box(landmarker.predict(image, box).points.astype(float))
    return box


def face_errors(part: str, points: FaceStack, truth: FaceStack) -> Float[np.ndarray, "faces"]:
    """Measure the error of each face of a set in %; NaN for a face that was not found or has no normaliser.

    The error is the mean distance of the annotated points over `normaliser`; for closed eyes it is the
    openness of the eyes over their width, ideally 0.

    Args:
        part: one of `PARTS`.
        points: found, image px.
        truth: annotated, image px; NaN where not.
    """
    if part == "closed_eyes":
        return 100 * np.asarray(eye_openness(points))
    known = ~np.isnan(truth).any(axis=-1)
    distances = np.where(known, np.linalg.norm(points - truth, axis=-1), 0.0).sum(axis=1) / known.sum(axis=1)
    sizes = normaliser(part, truth)
    return 100 * distances / np.where(sizes > 0, sizes, np.nan)


def normaliser(part: str, truth: FaceStack) -> Float[np.ndarray, "faces"]:
    """Length of each face, px, that its errors are divided by; NaN or 0 where its points do not tell it.

    - profiles: distance from the visible ear to the tip of the nose.
    - aflw80: √(width · height) of the annotated points' box.
    - fgnet, helen256: distance of the outer eye corners.

    Args:
        part: one of `PARTS` that has annotated points.
        truth: annotated, image px; NaN where not.
    """
    if part == "profiles":
        reach = np.linalg.norm(truth[:, markup.EARS] - truth[:, [markup.NOSE_TIP]], axis=-1)
        return np.fmax(*reach.T)
    if part == "aflw80":
        return np.array([face_size(face[~np.isnan(face).any(axis=1)]) for face in truth])
    return np.asarray(metrics.interocular(truth))


def set_error(part: str, points: FaceStack, truth: FaceStack) -> float:
    """Mean of the `face_errors` of a set; of closed eyes their median. Faces without an error are left out.

    Raises:
        DataError: no face has one.
    """
    errors = face_errors(part, points, truth)
    if np.isnan(errors).all():
        raise DataError(part, "no face has the points that its error is measured by")
    return float((np.nanmedian if part == "closed_eyes" else np.nanmean)(errors))


def _visibility(part: str, points: FaceStack, codes: np.ndarray) -> Float[np.ndarray, "n 68"]:
    """`ExtraSample.visible` of each face: by the codes if there are any, else annotated points are visible.

    Of a profile, the points that mirror annotated ones are hidden by the head itself.
    """
    if codes.size:
        return np.where(codes == _VISIBLE, 1.0, 0.0)
    annotated = ~np.isnan(points).any(axis=-1) & (part != "fgnet")
    hidden = annotated[:, markup.FLIP] & ~annotated & (part == "profiles")
    return np.where(annotated, 1.0, np.where(hidden, 0.0, np.nan))


def _from_fgnet(sample: ExtraSample) -> ExtraSample:
    """The same face with the points that agree with iBUG's alone, in iBUG's order, and the box of all."""
    theirs, ours = (list(numbers) for numbers in zip(*markup.FGNET_TO_IBUG.items(), strict=True))
    agreeing = np.full_like(sample.points, np.nan)
    agreeing[ours] = sample.points[theirs]
    x0, y0, x1, y1 = bounding_box(sample.points).tolist()
    return replace(sample, points=agreeing, box=(x0, y0, x1, y1))


def _read(path: Path) -> tuple[list[str], FaceStack, list[str], list[int | None], np.ndarray]:
    """Read names of the images, points (NaN where there are none), people (else photographs), ages, codes.

    The codes of visibility, (N, 68), are empty if the file has none.
    """
    arrays = read_arrays(path, "a file of annotated faces")
    with reading(path, "a file of annotated faces"):
        names = [str(name) for name in arrays["names"]]
        points = arrays.get("points", np.full((len(names), markup.COUNT, 2), np.nan))
        people = arrays.get("person", np.array([Path(name).stem for name in names]))
        ages = [None if np.isnan(age) else int(age) for age in arrays.get("age", np.full(len(names), np.nan))]
        codes = arrays.get("visibility", np.zeros((len(names), 0)))
        if points.shape != (len(names), markup.COUNT, 2) or len(people) != len(names):
            raise ValueError(f"points of shape {points.shape}, {len(people)} people, {len(names)} names")
        whole = np.isfinite(points).all(axis=-1) | np.isnan(points).all(axis=-1)
        if not whole.all():
            name = names[int(np.flatnonzero(~whole.all(axis=1))[0])]
            raise ValueError(f"points of {name} that are neither finite nor NaN in both coordinates")
        if len(ages) != len(names):
            raise ValueError(f"{len(ages)} ages, {len(names)} names")
        if codes.shape not in ((len(names), 0), points.shape[:2]):
            raise ValueError(f"visibility of shape {codes.shape} for {len(names)} names")
    return names, points.astype(float), [str(person) for person in people], ages, codes
