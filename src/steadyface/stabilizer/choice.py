"""Which stabiliser a name, a file or an object asks for, and when it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steadyface import markup
from steadyface.errors import ConfigError
from steadyface.stabilizer.base import Stabilizer
from steadyface.stabilizer.storage import DEFAULT_STABILIZER, KINDS, load_stabilizer

STABILIZERS = (*KINDS, "sta-offline", "none")
"""What `choose_stabilizer` knows by name, beside files."""


@dataclass(frozen=True)
class Choice:
    """How points are to be made steady.

    Args:
        name: as it was asked for.
        causal: frame by frame while tracking; None leaves the raw points.
        offline: afterwards, with sight of the future; None where `causal` is all.
        lag: how many later frames each point may depend on; None means all.
    """

    name: str
    causal: Stabilizer | None = None
    offline: Stabilizer | None = None
    lag: int | None = None


def choose_stabilizer(stabilizer: str | Stabilizer, lag: int | None = None) -> Choice:
    """What a name, a file or an object asks for.

    Args:
        stabilizer: a bundled one's name, `sta-offline` (which sees the whole future), `none`, a `.json` file
            written by `steadyface fit-stabilizer`, or a `Stabilizer`.
        lag: how many later frames each point may depend on; None means none, or all with `sta-offline`.

    Raises:
        ConfigError: an unknown name, or a lag below 0 or for what has none.
        WeightsError: not a stabiliser's file.
    """
    if lag is not None and lag < 0:
        raise ConfigError(f"lag must be at least 0 frames, got {lag}")
    if stabilizer == "none":
        if lag:
            raise ConfigError("stabilizer none has no lag")
        return Choice("none")
    whole = stabilizer == "sta-offline"
    if isinstance(stabilizer, Stabilizer):
        chosen, name = stabilizer, stabilizer.kind
    elif whole:
        chosen, name = load_stabilizer(DEFAULT_STABILIZER), "sta-offline"
    elif stabilizer in STABILIZERS or stabilizer.endswith(".json"):
        chosen, name = load_stabilizer(stabilizer), stabilizer
    else:
        raise ConfigError.choice("stabilizer", stabilizer, [*STABILIZERS, "FILE.json"])
    if whole or chosen.offline or lag:
        chosen.smooth(np.empty((0, markup.COUNT, 2)), lag=lag)  # refused now, not after the tracking
        return Choice(name, offline=chosen, lag=lag)
    return Choice(name, causal=chosen)
