"""Frames in which the landmark network runs on a face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral

from steadyface.errors import ConfigError
from steadyface.tracking.config import CarryingConfig
from steadyface.tracking.patches import Patches, Watch

AUTO = "auto"
"""Schedule that runs the network when the picture shows that a face has changed or drifted."""


@dataclass(frozen=True)
class Plan:
    """Position of one face in a schedule.

    Args:
        frames_left: frames until the planned run; 1 is the next frame.
        runs: of the network on this face since it last had to settle.
        seconds: time between its last two frames; 0 before the second.
        drift: variance that its points have gained since the last run, (percent of face size)².
        watch: eyes and mouth when the network last ran, if the schedule watches them.
        alert: whether eyes or mouth had changed between the last two runs.
    """

    frames_left: int = 1
    runs: int = 0
    seconds: float = 0.0
    drift: float = 0.0
    watch: Watch | None = None
    alert: bool = False

    @property
    def due(self) -> bool:
        """Whether the network is to run in the next frame."""
        return self.frames_left == 1


@dataclass(frozen=True)
class Schedule:
    """Schedule of the network: a run in every n-th frame, or when a face asks for one.

    A run that is planned for the next frame takes place whatever happens until then, since another thread may
    have begun it; so the points do not depend on whether one has.

    Args:
        every: frames from one run to the next, at most.
        watches: whether a change of the face asks for a run before that.
        config: the limits.
    """

    every: int
    watches: bool
    config: CarryingConfig

    @classmethod
    def of(cls, network_every: int | str, measures_motion: bool, config: CarryingConfig) -> Schedule:
        """Schedule of an option; without measured motion `auto` runs the network in every frame.

        Raises:
            ConfigError: not `auto` and no whole number from 1, or more than 1 without measured motion.
        """
        check_network_every(network_every, measures_motion)
        if network_every == AUTO:
            return cls(config.longest if measures_motion else 1, measures_motion, config)
        return cls(int(network_every), False, config)

    def after_run(
        self, plan: Plan, seconds: float, patches: Patches | None = None, unsettled: bool = False
    ) -> Plan:
        """Plan after a frame in which the network ran.

        While eyes or mouth change the network runs in every frame, until they have been calm for two: a
        single frame carried in the middle of a word shakes the points more than ten while the mouth rests.
        The run in the second calm frame is certain a frame early, so that another thread can begin it.

        Args:
            plan: before the frame.
            seconds: since the face's last frame.
            patches: of the frame.
            unsettled: whether the network and the picture do not agree: the face has to settle again.
        """
        runs = 0 if unsettled else plan.runs + 1
        watch, alert = None, False
        if patches is not None:
            alert = plan.watch is None or plan.watch.change(patches, self.config) > 1
            watch = Watch.begin(patches) if plan.watch is None else plan.watch.after_run(patches)
        soon = plan.frames_left == 2 or plan.alert or alert or runs < self.config.settling
        return Plan(1 if soon else self.every, runs, seconds, 0.0, watch, alert)

    def after_carrying(self, plan: Plan, seconds: float, gained: float) -> Plan:
        """Plan after a frame without a run, in which the points gained some variance."""
        return replace(plan, frames_left=plan.frames_left - 1, seconds=seconds, drift=plan.drift + gained)

    def due_after_next(self, plan: Plan) -> bool:
        """Whether a run is certain in the frame after the next one."""
        soon = plan.alert or self.every == 1 or plan.runs + 1 < self.config.settling
        return plan.frames_left == 2 or (plan.due and soon)


def check_network_every(network_every: int | str, measures_motion: bool) -> None:
    """Check the option of a schedule.

    Raises:
        ConfigError: not `auto` and no whole number from 1, or more than 1 without measured motion.
    """
    if network_every == AUTO:
        return
    if isinstance(network_every, bool) or not isinstance(network_every, Integral) or network_every < 1:
        raise ConfigError(f"network_every must be auto, or a whole number from 1, got {network_every!r}")
    if network_every > 1 and not measures_motion:
        needs = "needs measured motion: stabilizer sta or sta-offline, and motion not switched off"
        raise ConfigError(f"network_every {network_every} {needs}")
