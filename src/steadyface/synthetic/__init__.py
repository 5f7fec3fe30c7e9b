"""Rendered scenes in which the path of every landmark is known."""
