"""Benchmarks of images: a row per decoder and per way to place the crop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from steadyface import heatmap, metrics
from steadyface.arrays import FaceStack
from steadyface.datasets.three_hundred_w import PARTS, Sample, find_folder, find_samples, without_points
from steadyface.evaluation import published
from steadyface.evaluation.inputs import CHR, FAILURE, FHR, Found, Item, Network, first_root
from steadyface.evaluation.predictions import Prediction, Reading
from steadyface.evaluation.readings import image_prediction, in_found_box
from steadyface.evaluation.results import (
    Benchmark,
    Column,
    Headline,
    NrmseRow,
    Results,
    Scope,
    incomplete_of,
    percent,
)
from steadyface.evaluation.text import aligned, number
from steadyface.geometry import bounding_box, change_grid, flip_points
from steadyface.images import crop_region
from steadyface.landmarker import Landmarks
from steadyface.markup import FLIP
from steadyface.wording import counted

SCALES = ("very small", "small", "medium", "large", "very large")
"""Fifths of the faces by inter-ocular distance, as in Table 2 of the paper."""

LIGHTNESS = ("darkest", "dark", "middling", "light", "lightest")
"""Fifths of the faces by the lightness of their skin in the picture."""

LEAST_IOU = 0.3
"""Least intersection over union with the true box at which a found box is the annotated face's."""

_AROUND = 7  # cells to each side of the peak that a mean heatmap shows


@dataclass(frozen=True, kw_only=True)
class ImageRow(NrmseRow):
    """Figures of one way of reading; means are over the faces found, which `auc` and `failure` count too.

    Args:
        reading: decoder, or way to place the crop.
        part: of 300-W; empty for all faces.
        auc: area under the cumulative error curve up to 8 %, %.
        failure: share of faces above 8 %, %.
        score: in [0, 1].
        nrmse_interpupil: % of the distance of the eyes' centres.
        nrmse_box: % of √(width · height) of the true points' box.
        rmse_px: image px.
        rmse_px_by_scale: image px, for each of `SCALES`; None for a part of the faces.
        nrmse_by_lightness: NRMSE of each of `LIGHTNESS`; None for a part of the faces, and for predictions
            of versions that did not measure lightness.
    """

    head: ClassVar[str] = "decoder"

    reading: Reading
    part: str
    auc: Annotated[float, Column("AUC", 2)]
    failure: Annotated[float, Column("over 8 %", 2)]
    score: Annotated[float, Column("score")]
    nrmse_interpupil: Annotated[float, Column("by pupils")]
    nrmse_box: Annotated[float, Column("by box")]
    rmse_px: Annotated[float, Column("RMSE, px")]
    rmse_px_by_scale: list[float] | None = None
    nrmse_by_lightness: list[float] | None = None

    @property
    def label(self) -> str:
        """The reading's name."""
        return self.reading.value

    @property
    def group_title(self) -> str:
        """The part of 300-W."""
        return self.part


@dataclass(frozen=True)
class MeanHeatmaps:
    """Mean of the heatmaps around their peaks, each scaled to a peak of 1.

    Args:
        easy: of the quarter of the faces with the smallest errors.
        hard: of the quarter with the largest.
    """

    easy: list[list[float]]
    hard: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class ImageResults(Results):
    """Results on images.

    Args:
        interocular_px_by_scale: mean inter-ocular distance of each of `SCALES`, image px.
        heatmaps: by the network's own decoder; None where there are none.
        lightness: mean lightness of each of `LIGHTNESS`, CIELAB L*; None where it was not measured.
    """

    benchmark: ImageBenchmark
    rows: Sequence[ImageRow]
    interocular_px_by_scale: list[float]
    heatmaps: MeanHeatmaps | None = None
    lightness: list[float] | None = None

    def row(self, reading: Reading) -> ImageRow | None:
        """Row of one way of reading, over all faces."""
        return next((row for row in self.rows if row.reading is reading and not row.part), None)

    @property
    def incomplete(self) -> str:
        """Warning to stand beside every figure; empty for a complete result."""
        return incomplete_of(self, max(self.benchmark.faces, self.used + len(self.skipped)))

    def headlines(self) -> list[Headline]:
        """NRMSE by the network's own decoder."""
        row = self.row(self.run.decoder)
        if row is None:
            return []
        others = [
            f"{title} {number(found.nrmse_interocular, 2)}"
            for reading, title in ((FHR, "FHR decoder"), (CHR, "argmax"))
            if reading is not row.reading and (found := self.row(reading))
        ]
        text = [
            counted(row.of, "face"),
            f"AUC {number(row.auc, 1)}",
            f"{number(row.failure, 2)} % above 8 %",
            *others,
        ]
        if self.benchmark is PRIVATE:
            text.append(f"the paper's FHR {number(published.PRIVATE_TEST[published.FHR].nrmse, 2)}")
        return [Headline(f"NRMSE, {self.title}", percent(row.nrmse_interocular, 2), "; ".join(text))]

    def tables(self) -> list[str]:
        """Format the tables of all results, RMSE by face size, and NRMSE by lightness."""
        eyes = ["inter-ocular distance", *_numbers(self.interocular_px_by_scale, 2)]
        lines = [[row.label, *_numbers(row.rmse_px_by_scale)] for row in self.rows if row.rmse_px_by_scale]
        by_scale = aligned([ImageRow.head, *SCALES], [eyes, *lines])
        tables = [*super().tables(), f"RMSE by face size, px\n\n{by_scale}"]
        if self.lightness is None:
            return tables
        shades = ["lightness, L*", *_numbers(self.lightness, 1)]
        lines = [
            [row.label, *_numbers(row.nrmse_by_lightness)] for row in self.rows if row.nrmse_by_lightness
        ]
        by_lightness = aligned([ImageRow.head, *LIGHTNESS], [shades, *lines])
        return [*tables, f"NRMSE by the lightness of the skin in the picture\n\n{by_lightness}"]


@dataclass(frozen=True, kw_only=True)
class ImageBenchmark(Benchmark):
    """A benchmark of annotated images.

    Args:
        parts: of 300-W; none for any folder of images with `.pts`.
        faces: number in the whole test set; 0 where it is not known.
    """

    noun: ClassVar[str] = "image"
    results: ClassVar[type[Results]] = ImageResults

    parts: tuple[str, ...] = ()
    faces: int = 0

    def find(self, data: Path) -> Found[Sample]:
        """Find the annotated faces under DATA/300w, or in DATA itself."""
        names = [name for part in self.parts for name in PARTS[part]] or [""]
        root = find_300w(data, self.parts) if self.parts else data
        samples = find_samples(root, self.parts) if self.parts else find_folder(root)
        there = {sample.points_path.parent for sample in samples}
        missing = []
        for name in names:
            missing += [] if root / name in there else [f"300-W {name}"]
            missing += [f"{Path(name, path.name)}: no .pts" for path in without_points(root / name)]
        items = [Item(f"{sample.part}_{sample.points_path.stem}", sample, sample.part) for sample in samples]
        return Found(items, missing)

    def predict(self, item: Item[Sample], network: Network) -> Prediction:
        """Predict the points of the annotated face by every reading."""
        image, truth = item.source.load()
        landmarker = network.landmarker
        size = landmarker.input_size
        crop, to_crop = crop_region(image, item.source.region(truth), size)
        to_image = to_crop.inverse
        logits = landmarker.predict_logits(crop[None])
        plain, mirrored = (
            landmarker.predict_crops(np.ascontiguousarray(view)[None]) for view in (crop, crop[:, ::-1])
        )
        visible = plain.visible[0]
        rows: dict[Reading, Landmarks | None] = {}
        for method in heatmap.METHODS:
            read = heatmap.decode_logits(logits, sigma=landmarker.sigma, method=method)
            points = to_image(change_grid(read.points[0], size / landmarker.map_size))
            rows[Reading(method)] = Landmarks(points, read.scores[0], read.covariances[0], visible)
        both = (plain.points[0] + flip_points(mirrored.points[0], size, FLIP)) / 2
        scores = (plain.scores[0] + mirrored.scores[0][FLIP]) / 2
        rows[Reading.FLIPPED] = Landmarks(to_image(both), scores, plain.covariances[0], visible)
        rows |= in_found_box(image, bounding_box(truth), network, LEAST_IOU)
        return image_prediction(rows, image, truth, item.group, _mean_heatmap(logits[0]))

    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> ImageResults:
        """Compute a row per way of reading, for all faces and, where there are several parts, for each."""
        named = dict(predictions)
        loaded = list(named.values())
        truth = np.concatenate([prediction.truth for prediction in loaded])
        parts = np.array([prediction.group for prediction in loaded])
        eyes = np.asarray(metrics.interocular(truth))
        scale = metrics.scale_groups(eyes)
        lightness = np.array([prediction.lightness for prediction in loaded])
        shade = None if np.isnan(lightness).any() else metrics.scale_groups(lightness)
        rows: list[ImageRow] = []
        errors: dict[str, dict[str, float]] = {name: {} for name in named}
        heatmaps = None
        for reading in loaded[0].rows:
            points = np.concatenate([prediction.points_by(reading) for prediction in loaded])
            scores = np.array([prediction.scores_by(reading).mean() for prediction in loaded])
            face_errors = _errors(points, truth)
            for part, chosen in _groups(parts):
                row = _row(reading, part, points[chosen], truth[chosen], scores[chosen])
                if not part:
                    row = replace(row, rmse_px_by_scale=_by_fifth(metrics.rmse(points, truth), scale))
                if not part and shade is not None:
                    by_shade = _by_fifth(metrics.nrmse_interocular(points, truth), shade)
                    row = replace(row, nrmse_by_lightness=by_shade)
                rows.append(row)
            for name, error in zip(named, face_errors, strict=True):
                errors[name][reading.value] = float(error)
            if reading is scope.run.decoder:
                heatmaps = _mean_heatmaps(loaded, face_errors)
        return ImageResults(
            **vars(scope),
            benchmark=self,
            rows=sorted(rows, key=lambda row: row.part),
            errors=errors,
            interocular_px_by_scale=_by_fifth(eyes, scale),
            heatmaps=heatmaps,
            lightness=None if shade is None else _by_fifth(lightness, shade),
        )


PRIVATE = ImageBenchmark(
    name="300w-private", title="300-W private test", parts=("private",), faces=published.PRIVATE_FACES
)
COMMON = ImageBenchmark(
    name="300w-common", title="300-W common (LFPW test, HELEN test)", parts=("lfpw-test", "helen-test")
)
CHALLENGE = ImageBenchmark(name="300w-challenge", title="300-W challenge (iBUG)", parts=("ibug",))
FULL = ImageBenchmark(
    name="300w-full", title="300-W full (common and challenge)", parts=("lfpw-test", "helen-test", "ibug")
)
HELEN = ImageBenchmark(
    name="300w-helen", title="HELEN test", parts=("helen-test",), faces=published.HELEN_FACES
)
FOLDER = ImageBenchmark(name="folder", title="a folder of images with .pts")


def find_300w(data: Path, parts: Sequence[str]) -> Path:
    """Find the folder of 300-W: DATA/300w, or DATA itself."""
    return first_root(data, ["300w"], [folder for part in parts for folder in PARTS[part]])


def _mean_heatmap(logits: Float[np.ndarray, "landmarks h w"]) -> Float[np.ndarray, "n n"]:
    """Mean of the heatmaps around their peaks, each scaled to a peak of 1.

    Source: Tai et al. 2019, Figure 4.
    """
    padded = np.pad(
        logits.astype(float), ((0, 0), (_AROUND, _AROUND), (_AROUND, _AROUND)), constant_values=-np.inf
    )
    span = 2 * _AROUND + 1
    total = np.zeros((span, span))
    for own, wide in zip(logits, padded, strict=True):
        y, x = np.unravel_index(own.argmax(), own.shape)
        total += np.exp(wide[y : y + span, x : x + span] - own.max())
    return total / len(logits)


def _mean_heatmaps(loaded: Sequence[Prediction], errors: Float[np.ndarray, "n"]) -> MeanHeatmaps:
    """Mean heatmaps of the quarters of the faces with the smallest and with the largest errors."""
    order, quarter = np.argsort(errors, kind="stable"), max(1, len(errors) // 4)
    easy, hard = (
        np.mean([loaded[i].heatmap for i in part], axis=0).round(5).tolist()
        for part in (order[:quarter], order[-quarter:])
    )
    return MeanHeatmaps(easy, hard)


def _groups(parts: np.ndarray) -> Iterator[tuple[str, Bool[np.ndarray, "n"]]]:
    """Yield all faces, under an empty name, then those of each part where there are several."""
    yield "", np.ones(len(parts), bool)
    if len(names := sorted(set(parts.tolist()))) > 1:
        yield from ((name, parts == name) for name in names)


def _errors(points: FaceStack, truth: FaceStack) -> Float[np.ndarray, "n"]:
    """NRMSE of each face, % of the inter-ocular distance; infinite where it was not found."""
    return np.nan_to_num(metrics.nrmse_interocular(points, truth), nan=np.inf)


def _row(
    reading: Reading,
    part: str,
    points: FaceStack,
    truth: FaceStack,
    scores: Float[np.ndarray, "faces"],
) -> ImageRow:
    errors = _errors(points, truth)
    return ImageRow(
        items=len(truth),
        found=int(np.isfinite(errors).sum()),
        of=len(truth),
        nrmse_interocular=_mean(metrics.nrmse_interocular(points, truth)),
        reading=reading,
        part=part,
        auc=metrics.auc(errors, FAILURE),
        failure=metrics.failure_rate(errors, FAILURE),
        score=_mean(scores),
        nrmse_interpupil=_mean(metrics.nrmse_interpupil(points, truth)),
        nrmse_box=_mean(metrics.nrmse_box(points, truth)),
        rmse_px=_mean(metrics.rmse(points, truth)),
    )


def _by_fifth(
    values: Float[np.ndarray | np.floating, "faces"], fifth: Int[np.ndarray, "faces"]
) -> list[float]:
    """Mean of each fifth of the faces; NaN for one without a face."""
    return [_mean(np.asarray(values)[fifth == group]) for group in range(len(SCALES))]


def _numbers(values: Sequence[float], decimals: int = 3) -> list[str]:
    return [number(value, decimals) for value in values]


def _mean(values: Float[np.ndarray, "faces"] | np.floating) -> float:
    """Mean over the faces found; NaN without one."""
    return float(metrics.mean_known(np.asarray(values)))
