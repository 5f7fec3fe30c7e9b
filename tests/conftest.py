"""Shape annotations are checked while tests run; real data is found or its absence said."""

from __future__ import annotations

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads would wait for each other in busy loops
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some tests import onnxruntime before steadyface

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, also in the processes of tests

from collections.abc import Iterator

import pytest
from hypothesis import settings
from jaxtyping import config, install_import_hook

CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
"""An int is a float, as for mypy (PEP 484)."""

install_import_hook("steadyface", CHECKER)

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data, or a skip that says what is missing."""
    default = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("STEADYFACE_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set STEADYFACE_DATA to the folder that holds it")
    return folder


@pytest.fixture
def unannotated() -> Iterator[None]:
    """Call as users do: arguments of a wrong type reach the code, not the checks of its annotations."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
