"""STA: the learned Bayesian stabiliser of Tai et al. 2019."""

from steadyface.stabilizer.model import Parameters, Stabilizer, State, load_stabilizer

__all__ = ["Parameters", "Stabilizer", "State", "load_stabilizer"]
