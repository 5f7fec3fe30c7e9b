"""Photographs turned in three dimensions: a head model fitted to 68 points, and the picture on it.

`model` reads the head model, `fit` fits it, `raster` draws triangles, `turned` makes the new picture with its
points and their visibility.
"""
