"""Landmarks of faces whose regions are known, by an ONNX network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from steadyface import heatmap, markup
from steadyface.arguments import check_class
from steadyface.arrays import Crops
from steadyface.errors import ConfigError
from steadyface.geometry import Affine, Region, as_box, bounding_box, change_grid
from steadyface.models import DEFAULT_MODEL, open_model
from steadyface.picture import Picture, as_picture, for_model

_TOGETHER = 32  # faces in one run of the network: more cost memory and save no time


@dataclass(frozen=True, eq=False)
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

    @classmethod
    def of_points(
        cls,
        points: Float[np.ndarray, "*faces landmarks 2"],
        scores: Float[np.ndarray, "*faces landmarks"],
    ) -> Landmarks:
        """Landmarks of a model that gives neither covariances nor visibility, which are NaN then."""
        unknown = np.full(scores.shape, np.nan)
        return cls(points, scores, np.full((*scores.shape, 2, 2), np.nan), unknown)

    @classmethod
    def stack(cls, faces: Sequence[Landmarks]) -> Landmarks:
        """Stack single faces along a leading axis, also none."""
        if not faces:
            return cls.of_points(np.zeros((0, markup.COUNT, 2)), np.zeros((0, markup.COUNT)))
        return cls(
            np.stack([face.points for face in faces]),
            np.stack([face.scores for face in faces]),
            np.stack([face.covariances for face in faces]),
            np.stack([face.visible for face in faces]),
        )

    @classmethod
    def join(cls, runs: Sequence[Landmarks]) -> Landmarks:
        """Join the faces of several runs of a network, also of none."""
        return runs[0] if len(runs) == 1 else cls.stack([face for run in runs for face in run])

    @cached_property
    def box(self) -> Float[np.ndarray, "*faces 4"]:
        """(…, 4) x0, y0, x1, y1 of the points, image px."""
        return bounding_box(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, face: int) -> Landmarks:
        return Landmarks(self.points[face], self.scores[face], self.covariances[face], self.visible[face])

    def __iter__(self) -> Iterator[Landmarks]:
        return (self[face] for face in range(len(self)))


@runtime_checkable
class LandmarkModel(Protocol):
    """A landmark network of any kind, for `Tracker` and `track`; `Landmarker` is one."""

    def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
        """Predict the points of several faces.

        Args:
            image: RGB uint8 (H, W, 3).
            regions: one square per face, image px; `Region.to_crop` maps the image to the network's crop.

        Returns:
            points (N, 68, 2) in the iBUG markup, image px, and scores (N, 68) in [0, 1], whose mean is 0.9 or
            more on a face. A model that gives only these returns `Landmarks.of_points(points, scores)`.
        """


def predict_faces(model: LandmarkModel, image: Picture, regions: Sequence[Region]) -> Landmarks:
    """Predict the points of several faces by any model, and check their shapes.

    Raises:
        ConfigError: the model gives another number of faces, landmarks or scores.
    """
    if not regions:
        return Landmarks.stack([])
    expected = len(regions), markup.COUNT
    found = model.predict_regions(for_model(model, image), regions)
    if found.points.shape != (*expected, 2) or found.scores.shape != expected:
        raise ConfigError(
            f"{type(model).__name__} gave points {found.points.shape} and scores {found.scores.shape}; "
            f"a tracker needs {(*expected, 2)} and {expected}, in the iBUG markup"
        )
    return found


class Landmarker:
    """Predict the 68 points of faces whose boxes are known.

    Args:
        weights: name of a bundled model (`models.bundled_models()`) or path of an exported `.onnx` file.
            `compact`, `tiny` and `nano` mean their int8 form on the CPU and float32 on CUDA.
        decoder: one of `heatmap.METHODS`; None takes the one inside the model's graph.
        device: `cpu`, `cuda`, or `auto` (CUDA where ONNX Runtime has it).
        threads: of the network on the CPU; None takes one for a small bundled network, else the default of
            ONNX Runtime. With 1, a `Tracker` uses one thread in all.

    Attributes:
        tells_visibility: whether the network tells which points are visible, and covariances of their error.
        takes_pictures: whether `predict_regions` takes a `Picture` in place of an image.

    Raises:
        WeightsError: no such model, or not a landmark model of this package.
        ConfigError: unknown decoder, or a device that is not there.
    """

    takes_pictures = True

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
        return self.predict_regions(image, [Region.around_box(as_box(box))])[0]

    def predict_regions(self, image: np.ndarray | Picture, regions: Sequence[Region]) -> Landmarks:
        """Predict the points of several faces in one run of the network.

        Args:
            image: RGB uint8 (H, W, 3), or a picture.
            regions: one square per face, image px, upright or turned with the head.

        Returns:
            points (N, 68, 2), scores (N, 68), covariances (N, 68, 2, 2), visible (N, 68), in image px.

        Raises:
            ConfigError: the image is not RGB uint8, or a region is not a `Region`.
        """
        picture = as_picture(image)
        check_class("regions", regions, Iterable, "a list of geometry.Region")
        return self.predict_pairs([(picture, region) for region in regions])

    def predict_pairs(self, pairs: Sequence[tuple[np.ndarray | Picture, Region]]) -> Landmarks:
        """Predict the points of faces of several images, `_TOGETHER` in each run of the network.

        Args:
            pairs: for each face an image, RGB uint8 (H, W, 3), or a picture, and the square around the face
                in px of that image.

        Returns:
            As `predict_regions`, one face per pair, each in px of its image.

        Raises:
            ConfigError: as of `predict_regions`, or what is no pair.
        """
        check_class("pairs", pairs, Sequence, "a list of an image and a geometry.Region for each face")
        for pair in pairs:
            if not isinstance(pair, Sequence) or len(pair) != 2:
                raise ConfigError(
                    f"pairs must hold an image and a geometry.Region each, got {type(pair).__name__}"
                )
            if not isinstance(pair[1], Region):
                given = f"regions must be geometry.Region, got {type(pair[1]).__name__}"
                raise ConfigError(f"{given}; Region.around_box(box) makes one of a box")
        cut = self.cut_faces(pairs)
        return Landmarks.join([to_image(self.predict_crops(crops), to_crops) for crops, to_crops in cut])

    def cut_faces(
        self, pairs: Sequence[tuple[np.ndarray | Picture, Region]]
    ) -> Iterator[tuple[Crops, Sequence[Affine]]]:
        """Cut the faces out of images, `_TOGETHER` at a time.

        Args:
            pairs: as for `predict_pairs`.

        Yields:
            Crops for `predict_crops`, and for `to_image` the map from image px to crop px of each.
        """
        for start in range(0, len(pairs), _TOGETHER):
            batch = pairs[start : start + _TOGETHER]
            cut = (as_picture(image).crop(region, self.input_size) for image, region in batch)
            crops, to_crops = zip(*cut, strict=True)
            yield np.stack(crops), to_crops

    def predict_crops(self, crops: Crops) -> Landmarks:
        """Predict the points of ready crops, in crop px.

        Args:
            crops: RGB uint8 (N, S, S, 3) with S = `input_size` px.

        Raises:
            ConfigError: another type or shape.
        """
        self._check_crops(crops)
        others = ["covariances", "visible"] if self.tells_visibility else ["covariances"]
        if self._decodes_inside:
            points, scores, covariances, *visible = self._session.run(
                ["points", "scores", *others], {"crops": crops}
            )
        else:
            logits, covariances, *visible = self._session.run(["logits", *others], {"crops": crops})
            decoded = heatmap.decode_logits(logits, sigma=self.sigma, method=self.decoder)
            points = change_grid(decoded.points, self.input_size / logits.shape[-1])
            scores = decoded.scores
        return Landmarks(points, scores, covariances, visible[0] if visible else np.full_like(scores, np.nan))

    def predict_logits(self, crops: Crops) -> Float[np.ndarray, "faces landmarks h w"]:
        """Predict the log-heatmaps of ready crops, without decoding.

        Args:
            crops: as for `predict_crops`.

        Raises:
            ConfigError: another type or shape.
        """
        self._check_crops(crops)
        return self._session.run(["logits"], {"crops": crops})[0]

    def _check_crops(self, crops: object) -> None:
        """Refuse what is no crops of this network's size.

        Raises:
            ConfigError: another type or shape.
        """
        side = self.input_size
        given = (crops.dtype, crops.shape[1:]) if isinstance(crops, np.ndarray) else None
        if given != (np.uint8, (side, side, 3)):
            got = f"{crops.dtype} {crops.shape}" if isinstance(crops, np.ndarray) else type(crops).__name__
            raise ConfigError(f"crops must be RGB uint8 (N, {side}, {side}, 3), got {got}")


def to_image(crop: Landmarks, to_crops: Sequence[Affine]) -> Landmarks:
    """Move points and covariances from each face's crop to the image."""
    back = [to_crop.inverse for to_crop in to_crops]
    linear = np.stack([affine.matrix[:, :2] for affine in back])
    points = np.stack([affine(points) for affine, points in zip(back, crop.points, strict=True)])
    linear = linear[:, None]
    covariances = linear @ crop.covariances @ linear.swapaxes(-1, -2)
    return Landmarks(points, crop.scores, covariances, crop.visible)
