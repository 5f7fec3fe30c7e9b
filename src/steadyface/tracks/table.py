"""Result of tracking: one table, a row per face and frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from steadyface.arguments import check_class, whole
from steadyface.errors import ConfigError, MissingExtraError
from steadyface.files import as_path
from steadyface.geometry import bounding_box
from steadyface.markup import COUNT
from steadyface.measures import Blink
from steadyface.metrics import jitter, lag
from steadyface.motion import Motion, SelectedMotion
from steadyface.shapes import as_shaped
from steadyface.stabilizer import Stabilizer, lowered_where_hidden
from steadyface.stabilizer.choice import require_smoother
from steadyface.tracks import formats
from steadyface.tracks.blinks import blinks_by_face
from steadyface.tracks.formats.tabular import head_poses, inside, to_flat
from steadyface.tracks.motion_rows import cuts
from steadyface.tracks.points import table_of_points
from steadyface.tracks.schema import (
    COLUMNS,
    LAYERS,
    PEOPLE,
    Columns,
    Meta,
    Table,
    default_columns,
    names_of,
)
from steadyface.tracks.timeline import ClipTimeline, runs_of
from steadyface.wording import counted

GAP = 0.5
"""Time after which a face that was lost starts a new run, s."""

_LISTED = 8  # identities in a repr


@dataclass(frozen=True, eq=False, repr=False)
class Tracks:
    """All faces of all frames; a row is one face in one frame, in order of frame and then face.

    Two tables are equal if their rows, their meta and their frames are.

    Args:
        frame: (N,) number of the frame, from 0.
        seconds: (N,) time of the frame in the stream.
        face: (N,) identity of the face.
        points: (N, 68, 2) float32, stabilised, image px.
        raw_points: (N, 68, 2) float32, from the network, image px; where `carried`, those of its last run,
            moved on with the skin.
        scores: (N, 68) float32 in [0, 1].
        box: (N, 4) float32 x0, y0, x1, y1 of the stabilised points, image px.
        held: (N,) bool, true where the face is lost and the row repeats its last shape.
        visible: (N, 68) float32 in [0, 1], probability that nothing hides the point; NaN where unknown.
        covariances: (N, 68, 2, 2) float32 px², of the error of `raw_points`; NaN where unknown.
        person: (N,) index of the name in `meta["people"]`; -1 if it is none of them, or none were given. None
            is -1 in every row.
        similarity: (N,) float32, cosine with that person's photograph, or with the most similar one of all;
            NaN where unknown.
        carried: (N,) bool, true where the network did not run in this frame, and measured motion moved the
            points (`network_every`). None is false in every row.
        meta: version, source, size, fps, frames, weights and options.
        timeline: frames of the clip, also those without a face; None lists the frames of the rows.
        corrected_points: (N, 68, 2) float32, stabilised and corrected by hand, image px; None without.
        frontal_points: (N, 68, 2) float32, mm in the axes of `measures.MEAN_FACE`: the mean face with this
            row's expression; None unless asked for, NaN where no face can be fitted. Likewise:
        head_pose: (N, 6) float32, translation in mm and rotation in radians, as of `measures.HeadPose`.
        reprojection_error: (N,) float32, px between the points and the model behind these.

    Raises:
        ValueError: a row's frame is not in the timeline.
    """

    frame: Int[np.ndarray, "rows"]
    seconds: Float[np.ndarray, "rows"]
    face: Int[np.ndarray, "rows"]
    points: Float[np.ndarray, "rows 68 2"]
    raw_points: Float[np.ndarray, "rows 68 2"]
    scores: Float[np.ndarray, "rows 68"]
    box: Float[np.ndarray, "rows 4"]
    held: Bool[np.ndarray, "rows"]
    visible: Float[np.ndarray, "rows 68"]
    covariances: Float[np.ndarray, "rows 68 2 2"]
    person: Int[np.ndarray, "rows"] = None  # type: ignore[assignment]  # filled in below
    similarity: Float[np.ndarray, "rows"] = None  # type: ignore[assignment]
    carried: Bool[np.ndarray, "rows"] = None  # type: ignore[assignment]
    meta: Meta = field(default_factory=dict)
    timeline: ClipTimeline = None  # type: ignore[assignment]  # filled in below
    corrected_points: Float[np.ndarray, "rows 68 2"] | None = None
    frontal_points: Float[np.ndarray, "rows 68 2"] | None = None
    head_pose: Float[np.ndarray, "rows 6"] | None = None
    reprojection_error: Float[np.ndarray, "rows"] | None = None

    def __post_init__(self) -> None:
        for name in ("person", "similarity", "carried"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, default_columns(len(self.frame))[name])
        if self.timeline is None:
            size = self.meta.get("size")
            object.__setattr__(self, "timeline", ClipTimeline.of_rows(self.frame, self.seconds, size))
        self.timeline.places(self.frame)

    def __len__(self) -> int:
        return len(self.frame)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tracks):
            return NotImplemented
        return (
            self.meta == other.meta
            and _equal(self.columns(), other.columns())
            and _equal(self.timeline.values(), other.timeline.values())
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Describe in one line, for instance `Tracks(250 rows, 125 frames, faces 0 1, clip.mp4)`."""
        ids = self.face_ids
        listed = " ".join(map(str, ids[:_LISTED])) + (" …" if len(ids) > _LISTED else "")
        parts = [
            counted(len(self), "row"),
            counted(len(np.unique(self.frame)), "frame"),
            f"faces {listed}" if ids else "",
        ]
        return f"Tracks({', '.join([part for part in [*parts, self.meta.get('source')] if part])})"

    def columns(self) -> Columns:
        """Arrays by name: `COLUMNS`, and the layers that are there."""
        layers = {name: getattr(self, name) for name in LAYERS if getattr(self, name) is not None}
        return {name: getattr(self, name) for name in COLUMNS} | layers

    @property
    def face_ids(self) -> list[int]:
        """List the identities, in order of appearance."""
        return list(dict.fromkeys(self.face.tolist()))

    @property
    def name(self) -> np.ndarray:
        """Name of each row's person, or `unknown`; empty texts if no people were given."""
        return names_of(self.person, self.meta)

    @property
    def names(self) -> dict[int, str]:
        """Name of each identity, that of most of its rows; empty if no people were given."""
        if PEOPLE not in self.meta:
            return {}
        return {face: _most(self.name[self.face == face]) for face in self.face_ids}

    def named(self, names: Mapping[int, tuple[str, float]]) -> Tracks:
        """Name identities; those that are not among `names` are unknown.

        Args:
            names: identity → name, one of `meta["people"]` or `unknown`, and similarity.

        Raises:
            ConfigError: the table has no people.
        """
        if PEOPLE not in self.meta:
            raise ConfigError("the table has no people: track again with photographs of them, people=FOLDER")
        places = {name: place for place, name in enumerate(self.meta[PEOPLE])}
        person, similarity = np.full(len(self), -1), np.full(len(self), np.nan, np.float32)
        for face, (name, cosine) in names.items():
            person[self.face == face], similarity[self.face == face] = places.get(name, -1), cosine
        return replace(self, person=person, similarity=similarity)

    def faces(self) -> Iterator[Tracks]:
        """Yield the rows of each identity, in order of appearance.

        >>> for face in tracks.faces():  # doctest: +SKIP
        ...     print(face.face[0], face.seconds[0], face.points.shape)
        """
        return (self.of_face(face) for face in self.face_ids)

    def frames(self) -> Iterator[Tracks]:
        """Yield the rows of each frame that has any, one row a face.

        >>> for frame in tracks.frames():  # doctest: +SKIP
        ...     print(frame.frame[0], frame.face, frame.points.shape)
        """
        starts = np.flatnonzero(np.diff(self.frame, prepend=-1))
        return (self._at(rows) for rows in np.split(np.arange(len(self)), starts[1:]) if len(rows))

    def of_face(self, face: int) -> Tracks:
        """Select the rows of one identity.

        Raises:
            ConfigError: it is no whole number.
        """
        return self._at(np.flatnonzero(self.face == whole("face", face)))

    def _at(self, rows: Int[np.ndarray, "chosen"]) -> Tracks:
        columns = {name: values[rows] for name, values in self.columns().items()}
        return Tracks(**columns, meta=self.meta, timeline=self.timeline)

    def without_held(self) -> Tracks:
        """Select the rows in which the face was seen."""
        return self._at(np.flatnonzero(~self.held))

    def without_carried(self) -> Tracks:
        """Select the rows in which the network ran, in which raw and stabilised points can be compared."""
        return self._at(np.flatnonzero(~self.carried))

    def held_only(self) -> Tracks:
        """Select the rows in which the face is lost and its last shape held."""
        return self._at(np.flatnonzero(self.held))

    def inside(self) -> Bool[np.ndarray, "rows 68"]:
        """Whether each point lies inside the picture: not every point of a face at its border does.

        Raises:
            ConfigError: the frames' size is not known.
        """
        size = self.timeline.size_of(self.frame)
        if not size.all():
            raise ConfigError(
                "the size of the frames is not known: track again, or give it to Tracks.of_points"
            )
        return inside(self.points, size)

    def poses(self) -> Float[np.ndarray, "rows 6"]:
        """Translation (mm) and rotation (radians) of the heads, as of `measures.HeadPose`.

        They are those of `head_pose`, else of `measures.head_pose` with the camera in the meta; NaN where the
        frames' size is not known.
        """
        size = self.timeline.size_of(self.frame)
        return head_poses(self.columns(), size, self.meta).astype(float)

    def jitter(self, column: str = "points") -> float:
        """Average `metrics.jitter` of `points` or `raw_points` over runs of successive frames, by length.

        Of `raw_points`, frames in which the network saw the face: carried ones shake as the skin does.

        Raises:
            ConfigError: a column that holds no points.
        """
        named = [name for name in self.columns() if name.endswith("points")]
        if column not in named:
            raise ConfigError.choice("column of points", column, named)
        shown = ~(self.held | self.carried) if column == "raw_points" else ~self.held
        return _average([(jitter(getattr(self, column)[run]), len(run)) for run in self._runs(shown)])

    def delay(self) -> float:
        """Average `metrics.lag` of `points` behind `raw_points`, as `jitter` does; NaN if none moves."""
        return _average(
            [(lag(self.points[run], self.raw_points[run]), len(run)) for run in self._runs(~self.held)]
        )

    def blinks(self) -> dict[int, list[Blink]]:
        """Find the blinks of each identity with `measures.find_blinks`, from `raw_points`.

        >>> for face, blinks in tracks.blinks().items():  # doctest: +SKIP
        ...     print(face, [(blink.start, blink.depth) for blink in blinks])
        """
        return blinks_by_face({name: getattr(self, name) for name in COLUMNS})

    def _runs(self, shown: Bool[np.ndarray, "rows"]) -> Iterator[Int[np.ndarray, "run"]]:
        """Yield the rows of each run of at least three successive frames in which a face is shown."""
        seen = np.flatnonzero(shown)
        for face in self.face_ids:
            own = seen[self.face[seen] == face]
            yield from (own[run] for run in runs_of(self.frame[own]) if len(run) >= 3)

    def with_points(self, points: Float[np.ndarray, "rows 68 2"]) -> Tracks:
        """Replace the stabilised points, image px, and their boxes.

        Layers, which stem from the points before, are dropped.

        Raises:
            ConfigError: no numbers, or another shape.
        """
        (points,) = as_shaped(points=(points, f"{len(self)} {COUNT} 2"))
        columns = {name: getattr(self, name) for name in COLUMNS}
        columns |= {"points": points.astype(np.float32), "box": bounding_box(points)}
        return Tracks(**columns, meta=self.meta, timeline=self.timeline)

    def smoothed(
        self, stabilizer: Stabilizer, lag: int | None = None, motion: Motion | None = None
    ) -> Tracks:
        """Recompute `points` from `raw_points`, with later frames; held rows repeat the last shape.

        Layers, which stem from the points before, are dropped.

        Args:
            stabilizer: one that can use later frames.
            lag: how many later frames each point may depend on; None means all, 0 makes it causal.
            motion: displacements measured in the picture, of each row since the face's row before, for a
                stabiliser that uses them; None without a picture.

        Raises:
            ConfigError: the stabiliser cannot.
        """
        smoother = require_smoother(stabilizer, lag)
        points = self.points.copy()
        for face in self.face_ids:
            known = np.flatnonzero(self.face == face)
            rows, apart = known[~self.held[known]], known[1:][np.diff(self.frame[known]) > 1]
            starts = np.flatnonzero(np.diff(self.seconds[rows]) > GAP) + 1
            for run in np.split(rows, sorted({*starts.tolist(), *cuts(rows, apart, motion)})):
                raw = self.raw_points[run]
                scores = lowered_where_hidden(self.scores[run], self.visible[run])
                moved = None if motion is None else SelectedMotion(motion, run)
                if moved is not None:  # what carried these says nothing that the displacements do not
                    raw[self.carried[run]] = np.nan
                points[run] = smoother.smooth(raw, self.seconds[run], scores, lag, moved)
            held = known[self.held[known]]
            if len(rows):
                points[held] = points[rows[np.maximum(np.searchsorted(rows, held) - 1, 0)]]
        return self.with_points(points)

    def to_pandas(self, all_frames: bool = True) -> Any:
        """Convert to a pandas DataFrame with the rows and columns of the `.csv`; `meta` is in its `attrs`.

        Args:
            all_frames: add a row for each frame without a face, whose `face_id` is -1.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("pandas", "pandas") from error
        frame = pandas.DataFrame(to_flat(self._table(all_frames)))
        frame.attrs.update(self.meta)
        return frame

    def save(self, path: str | Path, format: str | None = None, all_frames: bool = True) -> Path:
        """Write as the type that the path's ending names, such as .npz, .csv, .parquet, .json or .pts.

        For `.pts` the path becomes a folder with one file per face and frame, none for a held row. Beside
        NAME.csv, its meta is written to NAME.meta.json. A file has its name only once it is complete.

        Args:
            path: of the file.
            format: one of `FORMATS`; None goes by the ending.
            all_frames: in .csv and .parquet, also write a row for each frame without a face.

        Raises:
            ConfigError: no path, or unknown ending or format.
            DataError: the file cannot be written (a missing folder, no permission, a full disk).
        """
        formats.write(path := as_path("path", path), self._table(all_frames), format)
        return path

    @classmethod
    def of_points(
        cls,
        points: Float[np.ndarray, "frames 68 2"],
        seconds: Float[np.ndarray, "frames"] | None = None,
        scores: np.ndarray | None = None,
        *,
        fps: float = 25.0,
        size: tuple[int, int] | None = None,
    ) -> Tracks:
        """Make a table of one face's points of another origin, such as another program.

        Args:
            points: in iBUG's order, image px with pixel centres at integers; NaN where a point is missing. A
                frame without any point gets no row.
            seconds: of the frames; None means one after another at `fps`.
            scores: (frames, 68) in [0, 1], or (frames,) for all points of a frame; None means 1.
            fps: frames per second, if `seconds` is None.
            size: width and height of the frames, px, for poses and `inside`; None leaves it unknown.

        Raises:
            ConfigError: another shape, times that run backwards, scores outside [0, 1], a rate that is not
                positive, or a size that is not two whole numbers above 0.

        >>> from steadyface.measures import MEAN_FACE
        >>> Tracks.of_points(np.tile(MEAN_FACE[:, :2] + 100, (3, 1, 1)), fps=30)
        Tracks(3 rows, 3 frames, faces 0)
        """
        columns, timeline, meta = table_of_points(points, seconds, scores, fps, size)
        return cls(**columns, meta=meta, timeline=timeline)

    @classmethod
    def load(cls, path: str | Path) -> Tracks:
        """Read what `save` wrote as .npz, .csv, .parquet or .json, or OpenFace's own .csv.

        Of OpenFace's table, points are raw and stabilised ones in one, `scores` its confidence, and frames
        without success have no row.

        Raises:
            ConfigError: no path, or another suffix.
            DataError: missing, or not a file of tracks.
        """
        columns, timeline, meta = formats.read(as_path("path", path))
        return cls(**columns, meta=meta, timeline=timeline)

    def _table(self, all_frames: bool) -> Table:
        timeline = self.timeline if all_frames else self.timeline.with_rows(self.frame)
        return Table(self.columns(), timeline, self.meta)


def check_tracks(tracks: object) -> None:
    """Refuse what is no table.

    Raises:
        ConfigError: it is none.
    """
    check_class("tracks", tracks, Tracks, "of Tracks.of_points or Tracks.load")


def _equal(arrays: Columns, others: Columns) -> bool:
    """Whether named arrays are the same; NaN equals itself."""
    return arrays.keys() == others.keys() and all(
        np.array_equal(array, others[name], equal_nan=array.dtype.kind == "f")
        for name, array in arrays.items()
    )


def _most(names: np.ndarray) -> str:
    values, counts = np.unique(names, return_counts=True)
    return str(values[counts.argmax()])


def _average(weighted: list[tuple[float, int]]) -> float:
    known = [pair for pair in weighted if pair[0] == pair[0]]
    values, weights = np.array(known).reshape(-1, 2).T
    return float(np.average(values, weights=weights)) if len(values) else float("nan")
