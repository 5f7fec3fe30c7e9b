"""How the videos of a corpus are tracked."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steadyface.detector import choose_detector
from steadyface.landmarker import Landmarker
from steadyface.models import DEFAULT_MODEL
from steadyface.stabilizer import DEFAULT_STABILIZER
from steadyface.stabilizer.choice import Choice, choose_stabilizer
from steadyface.tracking import Tracker, TrackerConfig


@dataclass(frozen=True)
class CorpusOptions:
    """How the videos of a corpus are tracked: the options of `steadyface track`.

    Args:
        stabilizer, lag: as for `choose_stabilizer`.
        decoder: one of `heatmap.METHODS`; None takes the model's own.
        max_faces: most faces at a time.
        device: `auto`, `cpu` or `cuda`.
        weights: bundled model or `.onnx` file.
        min_face: as for `FaceFinder`.
        detector: an `.onnx` file, as for `choose_detector`.
        start, end: seconds of each video.
    """

    stabilizer: str = DEFAULT_STABILIZER
    lag: int | None = None
    decoder: str | None = None
    max_faces: int = TrackerConfig.max_faces
    device: str = "auto"
    weights: str = DEFAULT_MODEL
    min_face: float | None = None
    detector: str | None = None
    start: float = 0.0
    end: float | None = None

    def build(self, threads: int) -> tuple[Tracker, Choice]:
        """The networks, each with so many threads on the CPU, and the stabiliser.

        Raises:
            ConfigError, WeightsError: an option outside what is allowed, or a file that cannot be used.
        """
        choice = choose_stabilizer(self.stabilizer, self.lag)
        tracker = Tracker(
            Landmarker(self.weights, decoder=self.decoder, device=self.device, threads=threads),
            choose_detector(self.detector, min_face=self.min_face, device=self.device, threads=threads),
            stabilizer=choice.causal or "none",
            config=TrackerConfig(max_faces=self.max_faces),
        )
        return tracker, choice

    def as_dict(self) -> dict[str, Any]:
        """What decides the results: all but the device, and a hash of each file that is no bundled one."""
        values = asdict(self)
        del values["device"]
        for name in ("weights", "stabilizer", "detector"):
            path = Path(str(values[name]))
            if path.is_file():
                code = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
                values[name] = f"{path.name} sha256:{code}"
        return values
