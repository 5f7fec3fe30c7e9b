"""The benchmark of the networks' honesty: its arguments, and networks that it has no figures of."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from steadyface.landmarker import Landmarker


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    monkeypatch.delitem(sys.modules, "uncertainty", raising=False)
    import uncertainty

    monkeypatch.delitem(sys.modules, "uncertainty")
    return uncertainty


def test_its_help_is_printed(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["uncertainty.py", "--help"])
    with pytest.raises(SystemExit, match=r"^0$"):
        benchmark.main()
    assert "usage: uncertainty.py [-h] data [weights ...]" in capsys.readouterr().out


def test_a_network_that_does_not_tell_visibility_is_refused(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Plain(Landmarker):
        def __init__(self, *arguments: object, **options: object) -> None:
            self.tells_visibility = False

    monkeypatch.setattr(benchmark, "Landmarker", Plain)
    monkeypatch.setattr(sys, "argv", ["uncertainty.py", str(tmp_path), "plain.onnx"])
    with pytest.raises(
        SystemExit, match=r"^plain\.onnx: the network does not tell which points are visible$"
    ):
        benchmark.main()
