"""Benchmarks of held-out faces of kinds that 300-W lacks: profiles, closed eyes, other ages, small faces."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from steadyface.arrays import Box, FacePoints, FaceStack, Frame, Scores
from steadyface.datasets.extra import HELD_OUT_ONE_IN, ExtraSample, box_of, face_errors, find_extra
from steadyface.datasets.three_hundred_w import PARTS, TRAIN_PARTS, Sample, find_samples, hold_out
from steadyface.errors import ConfigError, DataError
from steadyface.evaluation.images import find_300w
from steadyface.evaluation.inputs import Found, Item, Network, first_root
from steadyface.evaluation.predictions import Prediction, Reading
from steadyface.evaluation.readings import image_prediction, in_found_box
from steadyface.evaluation.results import Benchmark, Column, Headline, Results, Row, Scope, percent
from steadyface.evaluation.text import number
from steadyface.geometry import as_box, bounding_box
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.measures import eye_openness
from steadyface.metrics import mean_known, scale_groups
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.verifier import is_certain

LEAST_IOU = 0.5
"""Least intersection over union with the annotated box at which a found box is that face's."""

AGE_GROUPS = {"0 to 5": 0, "6 to 12": 6, "13 to 19": 13, "20 to 39": 20, "40 and older": 40}
"""Age groups by their names, with the least age of each in years."""

CLOSED, OPEN = "closed", "open"
"""Groups of `CLOSED_EYES`."""

DARK = "darkest quarter"
"""Group of the faces with the darkest skin in the picture, beside those by age."""

_BOXES = {Reading.FINDER: "finder's box", Reading.SECOND_LOOK: "second look"}

Accepted = Annotated[float | None, Column("accepted, %", 1)]
"""Fraction of the faces, %, that a tracker would accept by the scores of the second look; None elsewhere."""


@dataclass(frozen=True, kw_only=True)
class ExtraRow(Row):
    """Figures of one way to place the crop on one group of faces; means are over the faces found.

    Args:
        reading: way to place the crop; the network's own decoder in the annotated box.
        group: of the faces; empty for all.
    """

    head: ClassVar[str] = "points in the"

    reading: Reading
    group: str

    @property
    def label(self) -> str:
        """The box."""
        return _BOXES.get(self.reading, "annotated box")


@dataclass(frozen=True, kw_only=True)
class PartialRow(ExtraRow):
    """Errors of annotated points.

    Args:
        error: mean over the faces, in the benchmark's unit.
        error_q90: error that nine tenths of the faces do not exceed.
        accepted: see `Accepted`.
    """

    error: Annotated[float, Column("mean")]
    error_q90: Annotated[float, Column("90 %")]
    accepted: Accepted = None

    @property
    def label(self) -> str:
        """The box, and the group of faces with their number."""
        return f"{super().label}, {self.group} ({self.of})" if self.group else super().label


@dataclass(frozen=True, kw_only=True)
class LidRow(ExtraRow):
    """Openness of the eyes, both together, in % of their width.

    Args:
        openness: median over the faces.
        true_openness: the same of the truth; 0 for closed eyes.
        error: mean absolute error.
        accepted: see `Accepted`.
    """

    openness: Annotated[float, Column("openness", 2)]
    true_openness: Annotated[float, Column("true", 2)]
    error: Annotated[float, Column("error", 2)]
    accepted: Accepted = None

    @property
    def group_title(self) -> str:
        """The kind of eyes."""
        return f"{self.group} eyes"


@dataclass(frozen=True, kw_only=True)
class ExtraResults(Results, ABC):
    """Results on faces that 300-W lacks."""

    benchmark: ExtraBenchmark
    rows: Sequence[ExtraRow]

    def row(self, reading: Reading, group: str = "") -> ExtraRow | None:
        """Row of a way to place the crop on a group of faces."""
        return next((row for row in self.rows if (row.reading, row.group) == (reading, group)), None)


@dataclass(frozen=True, kw_only=True)
class PartialResults(ExtraResults):
    """Errors of annotated points."""

    rows: Sequence[PartialRow]

    def headlines(self) -> list[Headline]:
        """Error in the finder's box, and how many faces it finds."""
        return [
            Headline(
                f"Error, {self.title}",
                percent(row.error, 2),
                f"{row.found} of {row.of} found, {number(row.accepted, 1)} % accepted by the tracker",
            )
            for row in self.rows
            if row.reading is Reading.SECOND_LOOK and not row.group
        ]


@dataclass(frozen=True, kw_only=True)
class LidResults(ExtraResults):
    """Openness of closed and of open eyes."""

    rows: Sequence[LidRow]

    def headlines(self) -> list[Headline]:
        """Median openness of closed eyes in the finder's box."""
        return [
            Headline(
                f"Openness of {row.group} eyes",
                percent(row.openness, 1),
                f"true {number(row.true_openness, 1)}; {row.found} of {row.of} found",
            )
            for row in self.rows
            if row.reading is Reading.SECOND_LOOK
        ]


@dataclass(frozen=True, kw_only=True)
class ExtraBenchmark(Benchmark, ABC):
    """A set of `datasets.extra`, of which only the people that training held out count.

    Args:
        part: one of `datasets.extra.PARTS`.
    """

    noun: ClassVar[str] = "face"

    part: str

    def find(self, data: Path) -> Found[ExtraSample | Sample]:
        """Find the held-out faces under DATA/extra, or in DATA itself, which may also be the set's folder."""
        root = first_root(data, ["extra"], [self.part])
        if not (root / self.part).is_dir() and data.absolute().name == self.part:
            root = data.absolute().parent
        _, held_out = hold_out(find_extra(root, self.part), HELD_OUT_ONE_IN)
        if not held_out:
            raise DataError(root / self.part, "no faces that training held out")
        return Found([Item(sample.image_path.stem, sample, self._group(sample)) for sample in held_out], [])

    def predict(self, item: Item[ExtraSample | Sample], network: Network) -> Prediction:
        """Predict the points in the annotated box, in the finder's box, and in the box of these points.

        For a face whose annotation gives no box, the box is the one on which the network settles when it
        starts from the whole picture.

        Raises:
            DataError: the image cannot be read, or the annotated points span no box.
        """
        image, truth = item.source.load()
        landmarker = network.landmarker
        box = _box(item.source, image, truth, landmarker)
        readings = {Reading(landmarker.decoder): landmarker.predict(image, box)}
        found = in_found_box(image, box, network, LEAST_IOU)
        return image_prediction({**readings, **found}, image, truth, item.group)

    def _group(self, sample: ExtraSample) -> str:
        return ""


@dataclass(frozen=True, kw_only=True)
class PartialBenchmark(ExtraBenchmark):
    """A set with annotated points."""

    results: ClassVar[type[Results]] = PartialResults

    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> PartialResults:
        """Compute a row per box, of all faces and, where there are ages, of each group."""
        faces = _Faces.collect(predictions, lambda points, truth: face_errors(self.part, points, truth))
        rows = [
            PartialRow(
                **faces.counts(reading, chosen),
                reading=reading,
                group=group,
                error=float(mean_known(errors[chosen])),
                error_q90=_quantile(errors[chosen], 0.9),
                accepted=faces.accepted(reading, chosen),
            )
            for reading, errors in faces.figures.items()
            for group, chosen in self._groups(faces).items()
        ]
        return PartialResults(**vars(scope), benchmark=self, rows=rows, errors=faces.figures_by_name())

    def _group(self, sample: ExtraSample) -> str:
        if sample.age is None:
            return ""
        return [name for name, least in AGE_GROUPS.items() if sample.age >= least][-1]

    def _groups(self, faces: _Faces) -> dict[str, Bool[np.ndarray, "faces"]]:
        """All faces, those of each age, and the darkest; only all in a set without ages."""
        groups = {"": np.ones(len(faces.names), bool)}
        groups |= {name: faces.groups == name for name in AGE_GROUPS if (faces.groups == name).any()}
        if len(groups) > 1 and not np.isnan(faces.lightness).any():
            groups[DARK] = scale_groups(faces.lightness, 4) == 0
        return groups


@dataclass(frozen=True, kw_only=True)
class LidBenchmark(ExtraBenchmark):
    """Closed eyes, and the open ones of 300-W's faces that training held out."""

    results: ClassVar[type[Results]] = LidResults

    def find(self, data: Path) -> Found[ExtraSample | Sample]:
        """Find faces with closed eyes, and those of 300-W's training sets under DATA/300w."""
        closed = super().find(data)
        root = find_300w(data, TRAIN_PARTS)
        there = [part for part in TRAIN_PARTS if (root / PARTS[part][0]).is_dir()]
        _, held_out = hold_out(find_samples(root, there)) if there else ([], [])
        for sample in held_out:
            closed.items.append(Item(f"{sample.part}_{sample.points_path.stem}", sample, OPEN))
        return Found(closed.items, [f"300-W {part}" for part in TRAIN_PARTS if part not in there])

    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> LidResults:
        """Compute a row per group and box."""
        faces = _Faces.collect(predictions, lambda points, truth: 100 * np.asarray(eye_openness(points)))
        truth = np.where(faces.groups == CLOSED, 0.0, 100 * np.asarray(eye_openness(faces.truth)))
        rows = [
            LidRow(
                **faces.counts(reading, chosen),
                reading=reading,
                group=group,
                openness=_quantile(openness[chosen], 0.5),
                true_openness=_quantile(truth[chosen], 0.5),
                error=float(mean_known(np.abs(openness - truth)[chosen])),
                accepted=faces.accepted(reading, chosen),
            )
            for group in (CLOSED, OPEN)
            if (chosen := faces.groups == group).any()
            for reading, openness in faces.figures.items()
        ]
        return LidResults(**vars(scope), benchmark=self, rows=rows, errors=faces.figures_by_name())

    def _group(self, sample: ExtraSample) -> str:
        return CLOSED


PROFILES = PartialBenchmark(
    name="profiles",
    title="profiles of CFP that training held out",
    part="profiles",
    normaliser="distance from the visible ear to the tip of the nose",
    unit="% of the distance from ear to nose",
)
CLOSED_EYES = LidBenchmark(
    name="closed-eyes",
    title="faces that training held out: CEW, closed eyes; 300-W, open ones",
    part="closed_eyes",
    normaliser="width of each eye",
    unit="% of the eye's width",
)
AGES = PartialBenchmark(
    name="ages",
    title="FG-NET, children to old people that training held out, 13 points",
    part="fgnet",
)
SMALL = PartialBenchmark(
    name="small-faces",
    title="AFLW at 80 px, faces that training held out",
    part="aflw80",
    normaliser="√(width · height) of the annotated points' box",
    unit="% of √(width · height)",
)


@dataclass(frozen=True)
class _Faces:
    """Predictions of a set, one entry per face in each array; NaN for a face that was not found.

    Args:
        names, groups: of the faces.
        truth: image px.
        lightness: `Prediction.lightness`.
        figures: by reading, %: the error of each face, or the openness of its eyes.
        certain: whether a tracker would accept the face by its second look.
    """

    names: list[str]
    groups: np.ndarray
    truth: FaceStack
    lightness: Float[np.ndarray, "faces"]
    figures: dict[Reading, Float[np.ndarray, "faces"]]
    certain: Bool[np.ndarray, "faces"]

    @classmethod
    def collect(
        cls,
        predictions: Iterable[tuple[str, Prediction]],
        measure: Callable[[FaceStack, FaceStack], Float[np.ndarray, "faces"]],
    ) -> _Faces:
        """Put predictions together; `measure` computes the figures of points, given the truth."""
        named = dict(predictions)
        loaded = list(named.values())
        truth = np.concatenate([each.truth for each in loaded])
        points = {
            reading: np.concatenate([each.points_by(reading) for each in loaded])
            for reading in loaded[0].rows
        }
        scores = np.concatenate([each.scores_by(Reading.SECOND_LOOK) for each in loaded])
        return cls(
            list(named),
            np.array([each.group for each in loaded]),
            truth,
            np.array([each.lightness for each in loaded]),
            {reading: measure(found, truth) for reading, found in points.items()},
            np.array(list(map(_is_taken, points[Reading.SECOND_LOOK], scores))),
        )

    def counts(self, reading: Reading, chosen: Bool[np.ndarray, "faces"]) -> dict[str, int]:
        """`items`, `found` and `of` of the row of a reading of some faces."""
        found = int(np.isfinite(self.figures[reading][chosen]).sum())
        return {"items": int(chosen.sum()), "found": found, "of": int(chosen.sum())}

    def accepted(self, reading: Reading, chosen: Bool[np.ndarray, "faces"]) -> float | None:
        """`ExtraRow.accepted` of some faces."""
        return 100 * float(self.certain[chosen].mean()) if reading is Reading.SECOND_LOOK else None

    def figures_by_name(self) -> dict[str, dict[str, float]]:
        """`Results.errors`; infinite where a face was not found."""
        found = {reading.value: np.nan_to_num(each, nan=np.inf) for reading, each in self.figures.items()}
        return {
            name: {reading: float(figures[i]) for reading, figures in found.items()}
            for i, name in enumerate(self.names)
        }


def _box(sample: ExtraSample | Sample, image: Frame, truth: FacePoints, landmarker: Landmarker) -> Box:
    """Box of an annotated face.

    Raises:
        DataError: its points span none, since they are not finite or coincide.
    """
    try:
        if isinstance(sample, ExtraSample):
            return as_box(box_of(sample, image, landmarker))
        return as_box(bounding_box(truth))
    except ConfigError as error:
        path = sample.image_path or sample.points_path
        raise DataError(path, f"its annotated points give no face: {error}") from error


def _is_taken(points: FacePoints, scores: Scores) -> bool:
    """Whether a tracker would accept the face as a new one; False for a face that was not found."""
    config = TrackerConfig()
    found = not np.isnan(points).any()
    face = Landmarks.of_points(points, scores)
    return found and is_certain(face, config.accept, config.verifier.min_size)


def _quantile(values: Float[np.ndarray, "faces"], level: float) -> float:
    """Quantile over the faces found; NaN without one."""
    known = values[~np.isnan(values)]
    return float(np.quantile(known, level)) if len(known) else float("nan")
