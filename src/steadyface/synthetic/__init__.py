"""Rendered scenes in which every landmark's path is known."""
