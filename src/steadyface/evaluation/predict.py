"""Run a network over a protocol's items and keep what it says; a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from steadyface import heatmap
from steadyface._version import __version__
from steadyface.datasets.annotated_videos import AnnotatedVideo
from steadyface.datasets.three_hundred_w import Sample
from steadyface.detector import Detector, FaceFinder
from steadyface.errors import ConfigError, DataError, VideoError
from steadyface.evaluation.predictions import Prediction, PredictionFolder
from steadyface.evaluation.protocols import CHR, FHR, OWN_BOX_GROUP, Item, KnownMotion, find_protocol
from steadyface.fitting.sequences import follow_known
from steadyface.geometry import bounding_box, change_grid, flip_points, iou
from steadyface.images import Frame, crop_region
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.markup import COUNT, FLIP
from steadyface.models import DEFAULT_MODEL
from steadyface.pipeline import TrackingOptions, build
from steadyface.synthetic.talking_still import TalkingStill

FLIPPED, FINDER, SECOND_LOOK = "flipped", "finder", "second look"
"""Ways beside the decoders: the mean of the plain and the mirrored crop; in the face finder's box; once more
in the box of the points found there."""

LEAST_OVERLAP = 0.3
"""Overlap of a found box with the true one from which on it is the annotated face's."""

Progress = Callable[[int, int], object]

_AROUND = 7  # cells to each side of the peak that a mean heatmap shows


def predict(
    protocol: str,
    data: str | Path,
    out: str | Path,
    *,
    weights: str | Path = DEFAULT_MODEL,
    device: str = "auto",
    progress: Progress | None = None,
) -> PredictionFolder:
    """Predict every item of a protocol that `out` does not hold yet.

    Args:
        protocol: a name of `protocols.PROTOCOLS`.
        data: folder of the data.
        out: folder of the predictions; made if missing.
        weights: bundled model or `.onnx` file.
        device: `auto`, `cpu` or `cuda`.
        progress: is told the number of items done and of all.

    Raises:
        ConfigError: unknown protocol, or `out` holds another run's predictions.
        DataError: no data for the protocol, or `out` cannot be written. An item that cannot be used is no
            error: it is left out, with the reason kept.
    """
    rules = find_protocol(protocol)
    found = rules.find(Path(data))
    runner = _Runner(weights, device, Landmarker(weights, device=device), FaceFinder(device=device))
    folder = PredictionFolder(Path(out))
    run = {
        "protocol": protocol,
        "weights": runner.landmarker.name,
        "weights_sha256": hashlib.sha256(runner.landmarker.path.read_bytes()).hexdigest(),
        "decoder": runner.landmarker.decoder,
        "version": __version__,
        "items": [item.name for item in found.items],
        "missing": found.missing,
    }
    _check_same(folder, run)
    folder.write_run(run)
    for count, item in enumerate(found.items):
        if progress:
            progress(count, len(found.items))
        if folder.has(item.name):
            continue
        try:
            prediction = runner.predict(item)
        except (DataError, VideoError) as error:
            folder.skip(item.name, str(error))
        else:
            folder.write(item.name, prediction)
    if progress:
        progress(len(found.items), len(found.items))
    return folder


def _check_same(folder: PredictionFolder, run: dict[str, Any]) -> None:
    before = folder.read_run()
    for key in ("protocol", "weights_sha256", "decoder", "version"):
        if before is not None and before.get(key) != run[key]:
            raise ConfigError(
                f"{folder.root} holds predictions of another run: {key} {before.get(key)}, not {run[key]}"
            )


@dataclass(frozen=True)
class _Runner:
    """A network and the finder, applied to items."""

    weights: str | Path
    device: str
    landmarker: Landmarker
    finder: FaceFinder

    @cached_property
    def landmarkers(self) -> list[Landmarker]:
        """One per decoder whose points in videos are compared."""
        others = [Landmarker(self.weights, decoder, self.device) for decoder in (CHR, FHR)]
        return [each for each in others if each.decoder != self.landmarker.decoder] + [self.landmarker]

    def predict(self, item: Item) -> Prediction:
        if isinstance(item.source, Sample):
            return self._image(item.source, item.group)
        if isinstance(item.source, KnownMotion):
            return self._motion(item.source, item.group)
        return self._video(item.source, item.group)

    def _image(self, sample: Sample, group: str) -> Prediction:
        image, truth = sample.load()
        size = self.landmarker.input_size
        crop, to_crop = crop_region(image, sample.region(truth), size)
        back = to_crop.inverse
        logits = self.landmarker.predict_logits(crop[None])
        rows: dict[str, Landmarks | None] = {}
        for method in heatmap.METHODS:
            read = heatmap.decode_logits(logits, sigma=self.landmarker.sigma, method=method)
            points = back(change_grid(read.points[0], size / self.landmarker.map_size))
            rows[method] = Landmarks(points, read.scores[0], read.covariances[0])
        plain, mirrored = (
            self.landmarker.predict_crops(np.ascontiguousarray(view)[None]) for view in (crop, crop[:, ::-1])
        )
        both = (plain.points[0] + flip_points(mirrored.points[0], size, FLIP)) / 2
        scores = (plain.scores[0] + mirrored.scores[0][FLIP]) / 2
        rows[FLIPPED] = Landmarks(back(both), scores, plain.covariances[0])
        box = self._box(image, truth)
        rows[FINDER] = None if box is None else self.landmarker.predict(image, box)
        rows[SECOND_LOOK] = None if box is None else self._again(image, rows[FINDER])
        nothing = np.full((COUNT, 2), np.nan)
        return Prediction(
            tuple(rows),
            np.stack([nothing if found is None else found.points for found in rows.values()])[:, None],
            np.stack([nothing[:, 0] if found is None else found.scores for found in rows.values()])[:, None],
            truth[None],
            np.zeros(1),
            group,
            _mean_heatmap(logits[0]),
        )

    def _box(self, image: Frame, truth: np.ndarray) -> np.ndarray | None:
        boxes = self.finder(image)
        shares = iou(boxes, bounding_box(truth)[None])[:, 0]
        return boxes[shares.argmax()] if shares.max(initial=0) >= LEAST_OVERLAP else None

    def _again(self, image: Frame, found: Landmarks | None) -> Landmarks:
        assert found is not None
        return self.landmarker.predict(image, bounding_box(found.points))

    def _video(self, video: AnnotatedVideo, group: str) -> Prediction:
        """The tracker's raw points by three decoders, in one pass, with the network one frame ahead."""
        known = np.zeros((0, 4))
        told: Detector = lambda _: known  # noqa: E731
        detector = self.finder if group == OWN_BOX_GROUP else told
        options = TrackingOptions(stabilizer="none", max_faces=1)
        trackers = [build(options, landmarker=net, detector=detector).tracker for net in self.landmarkers]
        rows, seconds = [], []
        for (frame, annotated), (upcoming, _) in pairwise(chain(video, [(None, None)])):
            assert frame is not None
            truth = np.full((COUNT, 2), np.nan) if annotated is None else annotated
            known = np.zeros((0, 4)) if annotated is None else bounding_box(truth)[None]
            points, scores = (
                np.full((len(trackers), COUNT, 2), np.nan),
                np.full((len(trackers), COUNT), np.nan),
            )
            for i, tracker in enumerate(trackers):
                for face in tracker.step(frame.image, frame.seconds, upcoming):
                    if face.held:
                        continue
                    points[i], scores[i] = face.raw_points, face.scores
            rows.append((points, scores, truth))
            seconds.append(frame.seconds)
        points, scores, truth = (np.stack(parts) for parts in zip(*rows, strict=True))
        return Prediction(
            tuple(landmarker.decoder for landmarker in self.landmarkers),
            points.swapaxes(0, 1),
            scores.swapaxes(0, 1),
            truth,
            np.array(seconds),
            group,
        )

    def _motion(self, known: KnownMotion, group: str) -> Prediction:
        still, points = known.sample.load()
        scene = TalkingStill(still, points, seed=known.seed)
        seconds = np.arange(len(scene)) / scene.fps
        truth = np.stack([scene.truth(float(time)) for time in seconds])
        raw, scores = follow_known(scene, truth[0], self.landmarker)
        return Prediction((self.landmarker.decoder,), raw[None], scores[None], truth, seconds, group)


def _mean_heatmap(logits: Float[np.ndarray, "landmarks h w"]) -> Float[np.ndarray, "n n"]:
    """The mean of the heatmaps around their peaks, each of height 1 there (the paper's Figure 4)."""
    padded = np.pad(
        logits.astype(float), ((0, 0), (_AROUND, _AROUND), (_AROUND, _AROUND)), constant_values=-np.inf
    )
    span = 2 * _AROUND + 1
    total = np.zeros((span, span))
    for own, wide in zip(logits, padded, strict=True):
        y, x = np.unravel_index(own.argmax(), own.shape)
        total += np.exp(wide[y : y + span, x : x + span] - own.max())
    return total / len(logits)
