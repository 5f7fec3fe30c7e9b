"""Progress of `track`: a callable gets the counts; a bar is drawn on terminals and in notebooks only."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import scenes
from rich.console import Console
from rich.progress import Progress

from steadyface.pipeline import track
from steadyface.progress import show_progress


def test_a_callable_gets_the_counts(tmp_path: Path) -> None:
    clip = scenes.write_clip(tmp_path / "clip.mp4", scenes.empty(5))
    calls: list[tuple[int, int | None]] = []
    track(clip, weights="tiny", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(n, 5) for n in range(1, 6)]
    calls.clear()
    track(iter(scenes.empty(2)), weights="tiny", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, None), (2, None)]


def test_an_error_of_the_callable_is_the_callers(tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        track(scenes.empty(3), weights="tiny", progress=stop)


def test_nothing_is_printed_elsewhere(capfd: pytest.CaptureFixture[str]) -> None:
    track(scenes.empty(2), weights="tiny", progress=True)
    track(scenes.empty(2), weights="tiny")
    assert capfd.readouterr() == ("", "")


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    track(scenes.empty(3), weights="tiny", progress=True)
    assert "images" in capfd.readouterr().err


def test_a_name_in_a_bar_is_text(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    with show_progress("[/hd] [red]a\x1b[2J.mp4") as progress:
        progress(1, 2)
    assert r"[/hd] [red]a\x1b[2J.mp4" in capfd.readouterr().err


class Cell:
    """Output of a notebook's cell, as IPython's `display` gives it."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, bar: Progress, display_id: bool) -> Cell:
        assert display_id
        self.update(bar)
        return self

    def update(self, bar: Any) -> None:
        self.shown.append(bar._repr_mimebundle_([], [])["text/plain"])


def test_a_bar_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, ipython = Cell(), ModuleType("IPython.display")
    monkeypatch.setattr(ipython, "display", cell.display, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", ipython)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with show_progress("clip.mp4") as progress:
        for done in range(1, 4):
            progress(done, 3)
    assert "0/?" in cell.shown[0]
    assert "3/3" in cell.shown[-1]
    assert len(cell.shown) < 4  # too soon after each other to be drawn one by one
