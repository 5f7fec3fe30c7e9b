"""Faces that 300-W lacks: profiles, closed eyes, children, small faces; with a part of the points, or none.

Each set is a folder with `images/` and `points.npz`, which holds `names` (N), `points` (N, 68, 2) in 0-based
image px, NaN where not annotated, and for some sets `person` (N) and `visibility` (N, 68).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import FacePoints, FaceStack, Frame
from steadyface.errors import ConfigError
from steadyface.files import read_arrays, reading
from steadyface.geometry import Region, bounding_box
from steadyface.images import read_image

PARTS = ("profiles", "closed_eyes", "fgnet", "aflw80", "helen256")
"""Names of the sets, which are those of their folders.

- profiles: the visible half. The brow's ends, annotated a little off iBUG's, are left out.
- closed_eyes: no point at all; both eyes are closed.
- fgnet: children to old people, in another markup (`markup.FGNET_TO_IBUG`).
- aflw80: small faces; points that the face itself hides are NaN.
- helen256: photographs of HELEN; those without points are left out.
"""

_BROW_ENDS = [17, 21, 22, 26]
_INDEX = "points.npz"
_VISIBLE = 2  # code of a point in sight; 0 is hidden by the face, 1 by an object, as the pictures show


@dataclass(frozen=True, eq=False)
class ExtraSample:
    """One face of which any of the points may be annotated.

    Args:
        image_path: its image.
        points: image px, 0-based; NaN where not annotated.
        part: one of `PARTS`.
        person: who it is, or else which photograph: validation splits by it.
        box: (x0, y0, x1, y1) of the face, image px; None leaves that of the annotated points.
        visible: 1 for a point in sight, 0 for one that the face or an object hides, NaN where nobody said.
    """

    image_path: Path
    points: FacePoints
    part: str
    person: str
    box: tuple[float, float, float, float] | None = None
    visible: Float[np.ndarray, "68"] = field(default_factory=lambda: np.full(markup.COUNT, np.nan))

    @property
    def photo(self) -> str:
        """Name of what is held out together: the person."""
        return self.person

    @property
    def points_path(self) -> Path:
        """The file of the annotations."""
        return self.image_path.parent.parent / _INDEX

    def load(self) -> tuple[Frame, FacePoints]:
        """The image (RGB uint8) and its points.

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
    """The faces of a set in the order of its file; none if its folder is missing.

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
    names, points, people, codes = _read(folder / _INDEX)
    visible = _visibility(part, points, codes)
    if part == "profiles":
        points[:, _BROW_ENDS] = np.nan
    elif part == "helen256":
        people = [name.rsplit("_", 1)[0] for name in people]  # NAME_1 and NAME_2 are of one photograph
    samples = [
        ExtraSample(folder / "images" / name, face, part, person, visible=seen)
        for name, face, person, seen in zip(names, points, people, visible, strict=True)
    ]
    if part == "closed_eyes":
        return samples
    samples = [sample for sample in samples if not np.isnan(sample.points).all()]
    return [_from_fgnet(sample) for sample in samples] if part == "fgnet" else samples


def _visibility(part: str, points: FaceStack, codes: np.ndarray) -> Float[np.ndarray, "n 68"]:
    """Read `ExtraSample.visible`: from codes if there are any, else annotated points are in sight.

    Of a profile, the points that mirror annotated ones are hidden by the head itself.
    """
    if codes.size:
        return np.where(codes == _VISIBLE, 1.0, 0.0)
    annotated = ~np.isnan(points).any(axis=-1) & (part != "fgnet")
    hidden = annotated[:, markup.FLIP] & ~annotated & (part == "profiles")
    return np.where(annotated, 1.0, np.where(hidden, 0.0, np.nan))


def _from_fgnet(sample: ExtraSample) -> ExtraSample:
    """The same face with the points that agree with iBUG's, in iBUG's order, and the box of all."""
    theirs, ours = (list(numbers) for numbers in zip(*markup.FGNET_TO_IBUG.items(), strict=True))
    agreeing = np.full_like(sample.points, np.nan)
    agreeing[ours] = sample.points[theirs]
    x0, y0, x1, y1 = bounding_box(sample.points).tolist()
    return replace(sample, points=agreeing, box=(x0, y0, x1, y1))


def _read(path: Path) -> tuple[list[str], FaceStack, list[str], np.ndarray]:
    """Names of the images, points (all NaN where the file has none), people (else the photographs), codes.

    The codes of visibility, (N, 68), are empty where the file has none.
    """
    arrays = read_arrays(path, "a file of annotated faces")
    with reading(path, "a file of annotated faces"):
        names = [str(name) for name in arrays["names"]]
        points = arrays.get("points", np.full((len(names), markup.COUNT, 2), np.nan))
        people = arrays.get("person", np.array([Path(name).stem for name in names]))
        codes = arrays.get("visibility", np.zeros((len(names), 0)))
        if points.shape != (len(names), markup.COUNT, 2) or len(people) != len(names):
            raise ValueError(f"points of shape {points.shape}, {len(people)} people, {len(names)} names")
        if codes.shape not in ((len(names), 0), points.shape[:2]):
            raise ValueError(f"visibility of shape {codes.shape} for {len(names)} names")
    return names, points.astype(float), [str(person) for person in people], codes
