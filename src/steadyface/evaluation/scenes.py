"""Benchmarks of rendered scenes: stills of HELEN test made to move, with exact truth for every frame."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from steadyface.datasets.three_hundred_w import Sample, find_samples
from steadyface.evaluation.images import find_300w
from steadyface.evaluation.inputs import BoxSource, Found, Item, Network
from steadyface.evaluation.predictions import Prediction, Reading
from steadyface.evaluation.results import Benchmark
from steadyface.fitting.sequences import follow_known
from steadyface.synthetic.occluder import OccluderKind
from steadyface.synthetic.talking_still import TalkingStill

_FIRST_SEED = 1000
_PART = ("helen-test",)


@dataclass(frozen=True)
class Scene:
    """An annotated still that is made to move.

    Args:
        sample: the still.
        seed: of its motion and all else that is random.
        changes: fields of `TalkingStill` that differ from their defaults.
        occluder: kind of object that crosses the face; None for none.
    """

    sample: Sample
    seed: int
    changes: dict[str, Any] = field(default_factory=dict)
    occluder: OccluderKind | None = None

    def render(self) -> TalkingStill:
        """Set the face in motion.

        Raises:
            DataError: the still cannot be used.
        """
        scene = TalkingStill(*self.sample.load(), seed=self.seed, **self.changes)
        return scene if self.occluder is None else scene.crossed_by(self.occluder)


@dataclass(frozen=True, kw_only=True)
class SceneBenchmark(Benchmark, ABC):
    """A benchmark of rendered scenes, in full HD.

    Args:
        stills: number of faces of HELEN test that are set in motion.
        changes: fields of `TalkingStill` that differ from their defaults.
        occluders: kinds of object; each crosses every face, in a clip of its own. Empty for none.
    """

    noun: ClassVar[str] = "clip"
    measures_motion: ClassVar[bool] = True

    box: BoxSource = BoxSource.TRUTH_AT_START
    stills: int
    changes: dict[str, Any] = field(default_factory=dict)
    occluders: tuple[OccluderKind, ...] = ()

    def find(self, data: Path) -> Found[Scene]:
        """Choose stills of HELEN test at equal steps."""
        samples = find_samples(find_300w(data, _PART), _PART)
        chosen = samples[:: max(1, len(samples) // self.stills)][: self.stills]
        plain = [
            Item(sample.points_path.stem, Scene(sample, _FIRST_SEED + i, self.changes))
            for i, sample in enumerate(chosen)
        ]
        crossed = [
            Item(f"{kind}_{item.name}", replace(item.source, occluder=kind), kind)
            for kind in self.occluders
            for item in plain
        ]
        lack = self.stills - len(chosen)
        return Found(crossed or plain, [f"{lack} of {self.stills} stills"] if lack else [])

    def predict(self, item: Item[Scene], network: Network) -> Prediction:
        """Track the face by the network's own decoder; kept are raw points and measured displacements."""
        scene = item.source.render()
        seconds = np.arange(len(scene)) / scene.fps
        truth = np.stack([scene.truth(float(time)) for time in seconds])
        raw, scores, motion = follow_known(scene, truth[0], network.landmarker)
        rows = (Reading(network.landmarker.decoder),)
        covered = np.stack([scene.covered(float(time)) for time in seconds])
        return Prediction(
            rows, raw[None], scores[None], truth, seconds, item.group, covered=covered, motion=motion
        )
