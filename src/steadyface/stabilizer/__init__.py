"""Stabilisers: STA of Tai et al. 2019, as published and with a velocity, and the usual filters."""

from steadyface.stabilizer.base import CausalFilter, Smoother, Stabilizer, State
from steadyface.stabilizer.checks import lowered_where_hidden
from steadyface.stabilizer.storage import (
    DEFAULT_STABILIZER,
    KINDS,
    load_stabilizer,
    save_stabilizer,
    stabilizer_path,
)

__all__ = [
    "DEFAULT_STABILIZER",
    "KINDS",
    "CausalFilter",
    "Smoother",
    "Stabilizer",
    "State",
    "load_stabilizer",
    "lowered_where_hidden",
    "save_stabilizer",
    "stabilizer_path",
]
