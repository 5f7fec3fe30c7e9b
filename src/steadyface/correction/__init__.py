"""Correct points by hand: measured motion carries a correction to the frames around it.

`corrections` reads a person's corrections, `carrying` follows a corrected position through crops of a face,
`layer` adds the result to a table.
"""

from steadyface.correction.corrections import Correction, read_corrections
from steadyface.correction.layer import correct_points, corrections_of

__all__ = ["Correction", "correct_points", "corrections_of", "read_corrections"]
