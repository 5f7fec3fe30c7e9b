"""Displacements over a sequence of frames, as arrays that a file can store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int

from steadyface.markup import COUNT
from steadyface.motion.displacement import Displacements

_PREFIX = "motion_"


@runtime_checkable
class Motion(Protocol):
    """Displacements of one face by frame number, each from the frame before; None where there are none.

    A list of `Displacements | None` is one, and so is a `MotionSequence`.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, frame: int, /) -> Displacements | None: ...


@dataclass(frozen=True)
class SelectedMotion:
    """Some frames of a motion, which are read from it when they are asked for.

    Args:
        motion: of all frames.
        frames: numbers of the selected ones.
    """

    motion: Motion
    frames: Int[np.ndarray, "chosen"]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, frame: int, /) -> Displacements | None:
        return self.motion[int(self.frames[frame])]


@dataclass(frozen=True)
class MotionSequence:
    """Displacements of one face's landmarks, from the frame before to each frame.

    Args:
        displacement: image px; 0 in frames that were not measured.
        covariance: its xx, xy and yy, image px².
        valid: as in `Displacements`.
        measured: frames with a measurement: not the first, and none without the face.
    """

    displacement: Float32[np.ndarray, "frames landmarks 2"]
    covariance: Float32[np.ndarray, "frames landmarks 3"]
    valid: Bool[np.ndarray, "frames landmarks"]
    measured: Bool[np.ndarray, "frames"]

    @classmethod
    def pack(cls, motion: Iterable[Displacements | None], landmarks: int = COUNT) -> MotionSequence:
        """Pack the displacements of successive frames, None where there are none."""
        motion = list(motion)
        displacement = np.zeros((len(motion), landmarks, 2), np.float32)
        covariance = np.zeros((len(motion), landmarks, 3), np.float32)
        valid, measured = np.zeros((len(motion), landmarks), bool), np.zeros(len(motion), bool)
        for t, now in enumerate(motion):
            if now is not None:
                displacement[t], valid[t], measured[t] = now.displacement, now.valid, True
                covariance[t] = now.covariance.reshape(-1, 4)[:, [0, 1, 3]]
        return cls(displacement, covariance, valid, measured)

    def unpack(self) -> list[Displacements | None]:
        """Displacements of each frame; `pack` keeps seven digits of each number."""
        return [self[frame] for frame in range(len(self))]

    def __getitem__(self, frame: int, /) -> Displacements | None:
        if not self.measured[frame]:
            return None
        covariance = self.covariance[frame][:, [0, 1, 1, 2]].astype(float).reshape(-1, 2, 2)
        return Displacements(self.displacement[frame].astype(float), covariance, self.valid[frame])

    def __len__(self) -> int:
        return len(self.measured)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for a file, under names that begin with `motion_`."""
        return {f"{_PREFIX}{each.name}": getattr(self, each.name) for each in fields(self)}

    @staticmethod
    def is_in(names: Iterable[str]) -> bool:
        """Whether arrays of `as_arrays` are among those of these names."""
        return any(name.startswith(_PREFIX) for name in names)

    @classmethod
    def pop_from(cls, arrays: dict[str, np.ndarray]) -> MotionSequence | None:
        """Take the arrays of `as_arrays` out of a dictionary; None if they are not there.

        Raises:
            KeyError, ValueError: some of them are missing, or do not fit together.
        """
        if not cls.is_in(arrays):
            return None
        parts = {each.name: arrays.pop(f"{_PREFIX}{each.name}") for each in fields(cls)}
        frames, landmarks = parts["valid"].shape
        shapes = [part.shape for part in parts.values()]
        if shapes != [(frames, landmarks, 2), (frames, landmarks, 3), (frames, landmarks), (frames,)]:
            raise ValueError(f"shapes of displacements do not fit together: {shapes}")
        return cls(**parts)
