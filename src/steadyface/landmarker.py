"""Landmarks of faces whose regions are known, by an ONNX network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface import heatmap
from steadyface.arrays import Crops
from steadyface.errors import ConfigError
from steadyface.geometry import Affine, Region, change_grid
from steadyface.images import as_rgb, crop_region
from steadyface.models import DEFAULT_MODEL, open_model


@dataclass(frozen=True)
class Landmarks:
    """Points of one face or, with a leading axis, of several.

    Args:
        points: (…, 68, 2) x, y in image px.
        scores: (…, 68) in [0, 1]: the network's own probability that the point is right.
        covariances: (…, 68, 2, 2) image px²: of the error of each point, or the spread of its heatmap's peak
            if the network does not tell its error (`Landmarker.tells_visibility`).
        visible: (…, 68) in [0, 1]: probability that neither the face nor an object hides the point; NaN if
            the network does not tell.
    """

    points: Float[np.ndarray, "*faces landmarks 2"]
    scores: Float[np.ndarray, "*faces landmarks"]
    covariances: Float[np.ndarray, "*faces landmarks 2 2"]
    visible: Float[np.ndarray, "*faces landmarks"]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, face: int) -> Landmarks:
        return Landmarks(self.points[face], self.scores[face], self.covariances[face], self.visible[face])

    def __iter__(self) -> Iterator[Landmarks]:
        return (self[face] for face in range(len(self)))


class Landmarker:
    """Predict the 68 points of faces whose boxes are known.

    Args:
        weights: name of a bundled model (`models.bundled_models()`) or path of an exported `.onnx` file.
            `compact` and `tiny` mean their int8 form on the CPU and float32 on CUDA.
        decoder: one of `heatmap.METHODS`; None takes the one inside the model's graph.
        device: `cpu`, `cuda`, or `auto` (CUDA where ONNX Runtime has it).
        threads: of the network on the CPU; None takes one for a small bundled network, else the default of
            ONNX Runtime. With 1, a `Tracker` uses one thread in all.

    Attributes:
        tells_visibility: whether the network tells which points are visible, and covariances of their error.

    Raises:
        WeightsError: no such model, or not a landmark model of this package.
        ConfigError: unknown decoder, or a device that is not there.
    """

    def __init__(
        self,
        weights: str | Path = DEFAULT_MODEL,
        decoder: str | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        if decoder is not None and decoder not in heatmap.METHODS:
            raise ConfigError.choice("decoder", decoder, heatmap.METHODS)
        self.path, self._session, metadata = open_model(weights, "landmarks", device, threads)
        self.device, self.threads = device, threads
        self.name: str = metadata["name"]
        self.sigma = float(metadata["sigma"])
        self.input_size = int(json.loads(metadata["config"])["input_size"])
        self.map_size = int(self._session.get_outputs()[-1].shape[-1])
        self.decoder: str = decoder or metadata["method"]
        self._decodes_inside = self.decoder == metadata["method"]
        self.tells_visibility = any(output.name == "visible" for output in self._session.get_outputs())

    def predict(self, image: np.ndarray, box: np.ndarray | Sequence[float]) -> Landmarks:
        """Predict the points of one face.

        Args:
            image: RGB uint8 (H, W, 3).
            box: x0, y0, x1, y1 around the face's landmarks (brows to chin, ear to ear), image px.

        Returns:
            points (68, 2), scores (68,), covariances (68, 2, 2), visible (68,), in image px.

        Raises:
            ConfigError: the image is not RGB uint8, or the box is empty or not finite.
        """
        box = np.asarray(box, float)
        if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
            raise ConfigError(
                f"box must be finite x0, y0, x1, y1 with x0 < x1 and y0 < y1, got {box.tolist()}"
            )
        return self.predict_regions(image, [Region.around_box(box)])[0]

    def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
        """Predict the points of several faces in one run of the network.

        Args:
            image: RGB uint8 (H, W, 3).
            regions: one square per face, image px, upright or turned with the head.

        Returns:
            points (N, 68, 2), scores (N, 68), covariances (N, 68, 2, 2), visible (N, 68), in image px.
        """
        image = as_rgb(image)
        pairs = [crop_region(image, region, self.input_size) for region in regions]
        if not pairs:
            nothing = np.zeros((0, 68))
            return Landmarks(np.zeros((0, 68, 2)), nothing, np.zeros((0, 68, 2, 2)), nothing)
        crops, maps = zip(*pairs, strict=True)
        return _to_image(self.predict_crops(np.stack(crops)), maps)

    def predict_crops(self, crops: Crops) -> Landmarks:
        """Predict the points of ready crops (RGB, `input_size` px a side), in crop px."""
        told = ["covariances", "visible"] if self.tells_visibility else ["covariances"]
        if self._decodes_inside:
            points, scores, *uncertainty = self._session.run(["points", "scores", *told], {"crops": crops})
        else:
            logits, *uncertainty = self._session.run(["logits", *told], {"crops": crops})
            read = heatmap.decode_logits(logits, sigma=self.sigma, method=self.decoder)
            points, scores = change_grid(read.points, self.input_size / logits.shape[-1]), read.scores
        visible = uncertainty[1] if self.tells_visibility else np.full_like(scores, np.nan)
        return Landmarks(points, scores, uncertainty[0], visible)

    def predict_logits(self, crops: Crops) -> Float[np.ndarray, "faces landmarks h w"]:
        """Predict the log-heatmaps of ready crops, without decoding."""
        return self._session.run(["logits"], {"crops": crops})[0]


def _to_image(crop: Landmarks, to_crops: Sequence[Affine]) -> Landmarks:
    """Move points and covariances from each face's crop to the image."""
    back = [to_crop.inverse for to_crop in to_crops]
    linear = np.stack([affine.matrix[:, :2] for affine in back])
    points = np.stack([affine(points) for affine, points in zip(back, crop.points, strict=True)])
    linear = linear[:, None]
    covariances = linear @ crop.covariances @ linear.swapaxes(-1, -2)
    return Landmarks(points, crop.scores, covariances, crop.visible)
