"""Form of the stabiliser that a fit searches for."""

from __future__ import annotations

from dataclasses import dataclass

from steadyface.errors import ConfigError

BASES = ("joint", "motion", "identity")


@dataclass(frozen=True)
class Form:
    """Form of a stabiliser.

    Args:
        kind: sta, sta-paper, or one of the usual filters (see `steadyface track --help`).
        components: Number of components of the prior's mixture, for sta and sta-paper.
        basis: joint (motion and noise uncorrelated), motion (the paper's) or identity, for sta; sta-paper
            takes joint for motion.
        raw_numbers: With sta-paper: search the paper's 412 numbers directly, from its initial values. Left
            out: search heights and slopes over the eigenvalues of the motion.

    Raises:
        ConfigError: an unknown basis, or no components.
    """

    kind: str = "sta"
    components: int = 2
    basis: str = "joint"
    raw_numbers: bool = False

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ConfigError(f"components must be at least 1, got {self.components}")
        if self.basis not in BASES:
            raise ConfigError.choice("basis", self.basis, BASES)
