"""Sequences with known motion, and the fit of a stabiliser's parameters to them."""
