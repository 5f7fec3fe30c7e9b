"""Check our metrics on predictions by others against the errors that they published.

    python benchmarks/reference.py DATA

DATA holds fhr_reference.
"""

from __future__ import annotations

import sys
from dataclasses import astuple
from pathlib import Path

from steadyface.evaluation.reference import outside_checks


def main(data: str) -> None:
    print(f"{'':<46} {'NRMSE':>7} {'AUC':>7} {'> 8 %':>7}   published")
    for check in outside_checks(Path(data) / "fhr_reference"):
        published = " / ".join("–" if value is None else f"{value:g}" for value in astuple(check.published))
        figures = f"{check.nrmse:7.3f} {check.auc:7.2f} {check.failure:7.2f}"
        print(f"{check.name:<46} {figures}   {published}  {check.note}")


if __name__ == "__main__":
    main(*sys.argv[1:])
