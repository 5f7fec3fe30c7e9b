"""Tracked faces as rows of a table, and back."""

from __future__ import annotations

from steadyface.tracking.people import Namer
from steadyface.tracking.track import TrackedFace
from steadyface.tracks import Tracks, TracksBuilder
from steadyface.video import VideoFrame


def add_rows(
    rows: TracksBuilder, frame: VideoFrame, faces: list[TrackedFace], namer: Namer | None = None
) -> None:
    """Append a frame and its faces to a table.

    Args:
        rows: the table.
        frame: the frame.
        faces: tracked in it.
        namer: that named the faces; None if they have no names.
    """
    persons = {name: number for number, name in enumerate(namer.people.persons if namer else [])}
    size = frame.picture.width, frame.picture.height
    rows.add_frame(frame.index, frame.seconds, size, frame.file)
    for face in faces:
        rows.add(
            frame=frame.index,
            seconds=frame.seconds,
            face=face.face_id,
            points=face.points,
            raw_points=face.raw_points,
            scores=face.scores,
            box=face.box,
            held=face.held,
            visible=face.visible,
            covariances=face.covariances,
            person=persons.get(face.name or "", -1),
            similarity=face.similarity,
            carried=face.carried,
        )


def tracked_faces(tracks: Tracks) -> dict[int, list[TrackedFace]]:
    """List the faces of each frame of a table, the inverse of `add_rows`."""
    faces: dict[int, list[TrackedFace]] = {}
    names = tracks.name
    for row, frame in enumerate(tracks.frame.tolist()):
        face = TrackedFace(
            face_id=int(tracks.face[row]),
            points=tracks.points[row],
            raw_points=tracks.raw_points[row],
            scores=tracks.scores[row],
            box=tracks.box[row],
            held=bool(tracks.held[row]),
            visible=tracks.visible[row],
            covariances=tracks.covariances[row],
            name=str(names[row]) or None,
            similarity=float(tracks.similarity[row]),
            carried=bool(tracks.carried[row]),
        )
        faces.setdefault(frame, []).append(face)
    return faces
