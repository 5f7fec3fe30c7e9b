"""The tracker's numbers."""

from __future__ import annotations

from dataclasses import dataclass

from steadyface.errors import ConfigError


@dataclass(frozen=True)
class TrackerConfig:
    """The tracker's numbers.

    Args:
        max_faces: most faces at a time. Of those found at once the largest are taken; a tracked face keeps
            its place when a larger one comes.
        accept: least mean score of a newly found face.
        keep: least mean score of a face that is tracked already.
        confirm: least confidence of the face finder in a tracked face, which it is asked about now and then;
            at 0 it is not asked, nor whether it still looks the same.
        redetect_seconds: how often new faces are looked for while there is room for one.
        grace_seconds: how long a lost face's last shape is held.
        memory_seconds: how long a lost face's identity is kept for its return.
    """

    max_faces: int = 4
    accept: float = 0.9
    keep: float = 0.7
    confirm: float = 0.35
    redetect_seconds: float = 0.5
    grace_seconds: float = 0.3
    memory_seconds: float = 3.0

    def __post_init__(self) -> None:
        if self.max_faces < 1:
            raise ConfigError(f"max_faces must be at least 1, got {self.max_faces}")
        for name in ("redetect_seconds", "grace_seconds", "memory_seconds"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be at least 0, got {getattr(self, name)}")
