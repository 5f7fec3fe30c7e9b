"""STA, the learned Bayesian stabiliser of Tai et al. 2019; the same with a velocity; the usual filters."""

from steadyface.stabilizer.base import Stabilizer, State
from steadyface.stabilizer.storage import DEFAULT_STABILIZER, KINDS, load_stabilizer, save_stabilizer

__all__ = ["DEFAULT_STABILIZER", "KINDS", "Stabilizer", "State", "load_stabilizer", "save_stabilizer"]
