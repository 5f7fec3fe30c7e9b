"""Choice of a stabiliser by name, file or object, and of whether it runs while or after tracking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steadyface.arguments import whole
from steadyface.errors import ConfigError
from steadyface.stabilizer.base import CausalFilter, Smoother, Stabilizer
from steadyface.stabilizer.storage import DEFAULT_STABILIZER, KINDS, load_stabilizer, stabilizer_path

STABILIZERS = (*KINDS, "sta-offline", "none")
"""Names that `choose_stabilizer` knows, beside files."""


@dataclass(frozen=True)
class Choice:
    """A stabiliser, and whether it runs while or after tracking.

    Args:
        name: as the caller gave it; the kind of a `Stabilizer`.
        causal: runs frame by frame while tracking; None leaves the raw points.
        offline: runs after tracking and sees later frames; None where `causal` is all.
        lag: how many later frames each point may depend on; None means all.
        parameters: name of the bundled parameters, such as `sta-tiny`; None for an object, a file and `none`.
    """

    name: str
    causal: CausalFilter | None = None
    offline: Smoother | None = None
    lag: int | None = None
    parameters: str | None = None

    def first_pass(self, motion: bool) -> CausalFilter | None:
        """Choose the filter that runs while tracking; None leaves the raw points.

        Args:
            motion: measure displacements in the picture. They are measured from the outputs of the filter
                that uses them, so that filter runs first even if its smoother runs afterwards.
        """
        offline = self.offline
        if motion and isinstance(offline, CausalFilter) and offline.uses_motion:
            return offline
        return self.causal


def choose_stabilizer(
    stabilizer: str | Path | Stabilizer, lag: int | None = None, network: str | None = None
) -> Choice:
    """Choose a stabiliser.

    Args:
        stabilizer: a bundled one's name, `sta-offline` (which sees all later frames), `none`, a `.json` file
            written by `steadyface fit-stabilizer`, or a `Stabilizer`.
        lag: how many later frames each point may depend on; None means none, or all with `sta-offline`.
        network: name of the network whose points it gets, as of `stabilizer_path`.

    Raises:
        ConfigError: an unknown name, a lag that is negative or no whole number, or one for a method that has
            none.
        WeightsError: not a stabiliser's file.
    """
    if lag is not None and whole("lag", lag) < 0:
        raise ConfigError(f"lag must be at least 0 frames, got {lag}")
    if stabilizer == "none":
        if lag:
            raise ConfigError("stabilizer none has no lag")
        return Choice("none")
    stabilizer = str(stabilizer) if isinstance(stabilizer, Path) else stabilizer
    if not isinstance(stabilizer, str | Stabilizer):
        raise ConfigError.choice("stabilizer", stabilizer, [*STABILIZERS, "FILE.json"])
    offline, parameters = stabilizer == "sta-offline", None
    if isinstance(stabilizer, Stabilizer):
        chosen, name = stabilizer, stabilizer.kind
    elif stabilizer.endswith(".json"):
        chosen, name = load_stabilizer(stabilizer), stabilizer
    elif stabilizer in STABILIZERS:
        kind, name = DEFAULT_STABILIZER if offline else stabilizer, stabilizer
        chosen, parameters = load_stabilizer(kind, network), stabilizer_path(kind, network).stem
    else:
        raise ConfigError.choice("stabilizer", stabilizer, [*STABILIZERS, "FILE.json"])
    if isinstance(chosen, CausalFilter) and not (offline or lag):
        return Choice(name, causal=chosen, parameters=parameters)
    return Choice(name, offline=require_smoother(chosen, lag), lag=lag, parameters=parameters)


def require_smoother(stabilizer: Stabilizer, lag: int | None = None) -> Smoother:
    """Check that a stabiliser can smooth with a lag, and return it as a `Smoother`.

    Raises:
        ConfigError: it cannot.
    """
    if not isinstance(stabilizer, Stabilizer):
        raise ConfigError(f"stabilizer must be one of load_stabilizer, got {stabilizer!r}")
    if not isinstance(stabilizer, Smoother):
        raise ConfigError(f"{stabilizer.kind} has no mode that sees the future")
    stabilizer.check_lag(lag)
    return stabilizer
