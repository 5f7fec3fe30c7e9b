"""Frontal points, head pose and reprojection error of tracked faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from steadyface.arguments import check_class
from steadyface.arrays import FaceSequence
from steadyface.calibration import read_camera
from steadyface.camera import Camera, camera_for, check_camera
from steadyface.errors import ConfigError
from steadyface.frontal.fit import Fit, fit_faces
from steadyface.frontal.shape import FaceShape, bundled_shape
from steadyface.markup import GROUPS
from steadyface.measures import MEAN_FACE, HeadPose, head_pose
from steadyface.tracks import Meta, Tracks
from steadyface.tracks.table import check_tracks

_INNER = np.arange(len(GROUPS["jaw"]), len(MEAN_FACE))
_LEAST_WEIGHT = 0.05  # of a point that is hidden

Rows = Int[np.ndarray, "rows"]


@dataclass(frozen=True, eq=False)
class FrontalFaces:
    """Faces without their pose, one entry per row of a table; NaN where no face can be fitted.

    Args:
        points: (N, 68, 2) mm in the axes of `measures.MEAN_FACE`: the mean face with the expression of the
            row, seen from the front, x to the image's right, y down.
        pose: of the heads in the camera's axes.
        error: (N,) px, root mean square over the points inside the outline of the distance between the
            points and the fitted model in the picture.
    """

    points: FaceSequence
    pose: HeadPose
    error: Float[np.ndarray, "rows"]


def camera_values(focal: float | None = None, camera: str | Path | Camera | None = None) -> Meta | None:
    """Describe a camera for the `camera` of a table's meta; None for none.

    Raises:
        ConfigError: both are given, one is of another kind, or the focal length is not positive.
        DataError: the file cannot be read, or is not a calibration by OpenCV.
    """
    check_camera(focal, camera)
    check_class("camera", camera, Camera | str | PathLike | None, "a Camera or its file")
    if camera is not None:
        return (camera if isinstance(camera, Camera) else read_camera(camera)).values()
    return None if focal is None else {"focal": float(focal)}


def add_frontal(
    tracks: Tracks, *, focal: float | None = None, camera: str | Path | Camera | None = None
) -> Tracks:
    """Add the layers `frontal_points`, `head_pose` and `reprojection_error` to a table.

    A model of the 3-D shape of faces is fitted to the stabilised points: each person's shape over all frames,
    pose and expression of each frame. The frontal points are the mean face with that expression alone, so
    that they can be compared between poses and between people.

    Args:
        tracks: of a clip whose frames' size is known.
        focal: focal length of the camera, px; its axis meets the middle of the picture.
        camera: intrinsics, or the file of `calibration.read_camera`. Without both, the one in the tracks'
            meta is taken, else a view of 53° over the picture's longer side. Angles and expressions hardly
            depend on it, distances are proportional to the focal length.

    Raises:
        ConfigError: no table, the size of the frames is not known, the camera does not fit to it or is none,
            or two are given.
        DataError: the file of the camera cannot be read.
    """
    check_tracks(tracks)
    asked = camera_values(focal, camera) or tracks.meta.get("camera")
    faces = frontal_faces(tracks, asked)
    pose = np.concatenate([faces.pose.translation, faces.pose.rotation], axis=1)
    meta = tracks.meta if asked is None else {**tracks.meta, "camera": asked}
    return replace(
        tracks,
        frontal_points=faces.points.astype("float32"),
        head_pose=pose.astype("float32"),
        reprojection_error=faces.error.astype("float32"),
        meta=meta,
    )


def frontal_faces(tracks: Tracks, camera: Meta | None = None) -> FrontalFaces:
    """Fit the bundled model to the points of a table; `camera` is as of `camera_values`."""
    size = tracks.timeline.size_of(tracks.frame)
    if not size.all():
        raise ConfigError("the size of the frames is not known: track again, or give it to Tracks.of_points")
    model, count = bundled_shape(), len(tracks)
    points, error = np.full((count, *MEAN_FACE[:, :2].shape), np.nan), np.full(count, np.nan)
    rotation, translation = np.full((2, count, 3), np.nan)
    for rows, person_camera in _people(tracks, size, camera):
        observed = tracks.points[rows].astype(float)
        pose = head_pose(observed, 0, 0, camera=person_camera)
        usable = np.isfinite(pose.translation).all(axis=1) & (pose.translation[:, 2] > 0)
        rows, observed = rows[usable], observed[usable]
        if not len(rows):
            continue
        weights = np.clip(np.nan_to_num(tracks.visible[rows].astype(float), nan=1.0), _LEAST_WEIGHT, 1.0)
        directions = person_camera.directions(observed)
        fit = fit_faces(model, directions, weights, pose.matrix[usable], pose.translation[usable])
        found = HeadPose.of_matrix(fit.rotation, fit.translation)
        rotation[rows], translation[rows] = found.rotation, found.translation
        points[rows] = fit.frontal(model)[..., :2]
        error[rows] = _reprojection_error(model, fit, directions, person_camera)
    return FrontalFaces(points, HeadPose(rotation, translation), error)


def _people(
    tracks: Tracks, size: Int[np.ndarray, "rows 2"], camera: Meta | None
) -> Iterator[tuple[Rows, Camera]]:
    """Yield the rows of each person in pictures of one size, and their camera.

    In independent photographs each row is a person.
    """
    independent = bool(tracks.meta.get("options", {}).get("independent"))
    persons = np.arange(len(tracks)) if independent else tracks.face
    for person in np.unique(persons).tolist():
        rows = np.flatnonzero(persons == person)
        for width, height in np.unique(size[rows], axis=0).tolist():
            yield rows[(size[rows] == (width, height)).all(axis=1)], camera_for(camera, width, height)


def _reprojection_error(
    model: FaceShape, fit: Fit, directions: FaceSequence, camera: Camera
) -> Float[np.ndarray, "rows"]:
    """`FrontalFaces.error` of each row."""
    difference = (fit.directions(model) - directions)[:, _INNER] * camera.matrix[[0, 1], [0, 1]]
    return np.asarray(np.sqrt((difference**2).sum(axis=-1).mean(axis=-1)))
