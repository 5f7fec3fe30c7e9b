"""Parts and times that a caller brings to a tracker, and checks of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from steadyface.arrays import Points, Scores
from steadyface.errors import ConfigError
from steadyface.landmarker import Landmarker, LandmarkModel
from steadyface.motion import Displacements
from steadyface.stabilizer import Stabilizer
from steadyface.stabilizer.choice import choose_stabilizer

_FAR = 10.0  # s between frames
_TOO_MANY = 3  # steps as far apart in a row: no live stream pauses after every frame


@runtime_checkable
class FaceFilter(Protocol):
    """A causal filter of one face's points, for `Tracker(stabilizer=…)`; every `CausalFilter` is one.

    A class of your own needs only `step`. As a subclass of `stabilizer.CausalFilter` it gets the rejection of
    outliers, gaps and cuts, and defines `begin` and `advance`.
    """

    def step(
        self,
        state: Any,
        points: Points,
        dt: float | None = None,
        scores: Scores | None = None,
        motion: Displacements | None = None,
    ) -> tuple[Any, Points]:
        """Filter one frame.

        Args:
            state: as the last call returned it; None in a face's first frame.
            points: (68, 2) raw, image px; NaN in a frame in which the network did not run (only a filter that
                uses motion gets such frames).
            dt: seconds since the last frame with the face; None in its first frame.
            scores: (68,) in [0, 1].
            motion: displacements measured in the picture, if the filter's `uses_motion` is true; else None.

        Returns:
            State for the next call, and the filtered points (68, 2), image px.
        """


def check_parts(landmarker: object, detector: object, stabilizer: object) -> None:
    """Check that the parts of a tracker have the methods that it calls.

    Raises:
        ConfigError: one of them lacks its method, or is a class in place of an object of it.
    """
    if not isinstance(landmarker, LandmarkModel):
        named = isinstance(landmarker, str | Path)
        hint = f"; a network is opened by Landmarker({str(landmarker)!r})" if named else ""
        raise ConfigError(f"landmarker must have a method predict_regions, got {_kind(landmarker)}{hint}")
    if not callable(detector):
        raise ConfigError(f"detector must be a callable image → boxes, got {_kind(detector)}")
    if not isinstance(stabilizer, str | Path | Stabilizer | FaceFilter):
        raise ConfigError(f"stabilizer must be a name, or have a method step, got {_kind(stabilizer)}")
    for name, part in {"landmarker": landmarker, "detector": detector, "stabilizer": stabilizer}.items():
        if isinstance(part, type):
            raise ConfigError(f"{name} must be an object, got a class: {part.__name__}(…) makes one")


class FrameClock:
    """Times of a stream's frames.

    Args:
        fps: frame rate that is assumed where a frame has no time.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._seconds: float | None = None
        self._far_steps = 0

    def advance(self, seconds: float | None, by_reader: bool) -> float:
        """Check and keep the time of the next frame; None means one frame after the last.

        A `VideoReader` knows its frames' times, and slides may be far apart; if a caller's own times are as
        far apart again and again, they must be milliseconds.

        Raises:
            ConfigError: time does not move forward, or so fast that it must be milliseconds.
        """
        before = self._seconds
        if seconds is None:
            seconds = 0.0 if before is None else before + 1 / self._fps
        seconds = _as_seconds(seconds)
        if before is not None and seconds <= before:
            hint = "; of a camera pass time.monotonic()" if seconds == before else ""
            raise ConfigError(f"time runs backwards or stands: {seconds:.4f} s after {before:.4f} s{hint}")
        far = before is not None and seconds - before > _FAR and not by_reader
        self._far_steps = self._far_steps + 1 if far else 0
        if self._far_steps == _TOO_MANY:
            self._far_steps = 0
            raise ConfigError(
                f"seconds must be seconds, not milliseconds: the last {_TOO_MANY} frames are more than "
                f"{_FAR:g} s apart; for pictures as far apart as that use steadyface.detect"
            )
        self._seconds = seconds
        return seconds


def _as_seconds(value: Any) -> float:
    """Check the time of a frame.

    Raises:
        ConfigError: not a finite number.
    """
    try:
        seconds = float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"seconds must be a number, got {value!r}") from error
    if not math.isfinite(seconds):
        raise ConfigError(f"seconds must be finite, got {seconds}")
    return seconds


def causal_filter(
    stabilizer: str | Path | Stabilizer | FaceFilter, landmarker: LandmarkModel
) -> tuple[FaceFilter | None, str]:
    """Open a causal filter for a network's points; also returns its name. None leaves the raw points.

    Raises:
        ConfigError: an unknown stabiliser, or one that needs the future.
    """
    if not isinstance(stabilizer, str | Path | Stabilizer):
        return stabilizer, type(stabilizer).__name__
    choice = choose_stabilizer(stabilizer, network=network_name(landmarker))
    if choice.offline is not None:
        raise ConfigError(f"stabilizer {choice.name} needs the future: use steadyface.track or the command")
    return choice.causal, choice.name


def network_name(landmarker: LandmarkModel) -> str | None:
    """Name of a network, by which a bundled stabiliser's parameters are chosen; None of another model."""
    return landmarker.name if isinstance(landmarker, Landmarker) else None


def _kind(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__
