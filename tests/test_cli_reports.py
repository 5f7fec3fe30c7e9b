"""`steadyface report`, `steadyface evaluate-report` and the styles of `steadyface track`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import scenes
from html_outline import asks_nobody
from test_cli import run
from test_evaluation_tables import image_results

from steadyface.tracks import Tracks
from steadyface.video import VideoReader


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("clips") / "portrait.mp4", scenes.frames(8))


@pytest.fixture(scope="module")
def out(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clip's tracks in all formats that can be read."""
    from steadyface.clips import track_clip
    from steadyface.pipeline import build

    folder = tmp_path_factory.mktemp("out")
    track_clip(clip, folder, build(), formats=("npz", "csv", "json"), overlay=False)
    return folder


@pytest.mark.parametrize(("style", "width"), [("points", 480), ("mesh", 480), ("compare", 960)])
def test_track_draws_in_the_style_asked_for(
    style: str, width: int, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "track", clip, "--out", tmp_path, "--style", style, "--inset")
    assert (code, err) == (0, [])
    with VideoReader(tmp_path / "portrait.overlay.mp4") as overlay:
        assert overlay.width == width
        assert len(list(overlay)) == 8


def test_an_unknown_style_is_refused_before_anything_is_tracked(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "track", clip, "--out", tmp_path / "out", "--style", "dots")
    assert (code, err) == (
        1,
        ["steadyface: unknown style 'dots'; choose one of: points, contours, mesh, compare"],
    )
    assert not (tmp_path / "out").exists()


def test_report_of_a_clip_tracks_it_and_shows_pictures(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, err = run(capsys, "report", clip, "--out", tmp_path)
    assert (code, err) == (0, [])
    assert printed.strip() == str(tmp_path / "portrait.report.html")
    page = (tmp_path / "portrait.report.html").read_text(encoding="utf-8")
    assert "8 frames" in page
    assert "data:image/jpeg" in page
    assert asks_nobody(page)
    assert len(Tracks.load(tmp_path / "portrait.npz")) == 8


@pytest.mark.parametrize("suffix", ["npz", "csv", "json"])
def test_report_of_tracks(
    suffix: str, out: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["report", out / f"portrait.{suffix}", "--out", tmp_path]
    assert run(capsys, *arguments)[0] == 0
    page = tmp_path / "portrait.report.html"
    assert "data:image/jpeg" not in page.read_text(encoding="utf-8")
    assert run(capsys, *arguments, "--clip", clip)[0] == 0
    assert "data:image/jpeg" in page.read_text(encoding="utf-8")


def test_evaluate_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'steadyface[plots]'")
    image_results().save(tmp_path / "results.json")
    shutil.copy(tmp_path / "results.json", tmp_path / "other.json")
    for given in (tmp_path, tmp_path / "results.json", tmp_path / "other.json"):
        code, printed, err = run(capsys, "evaluate-report", given, "--out", tmp_path / "page")
        assert (code, printed.strip(), err) == (0, str(tmp_path / "page" / "report.html"), [])


def test_what_report_refuses(
    out: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    image_results().save(results)
    (tmp_path / "notes.txt").write_text("no clip")
    (tmp_path / "broken.json").write_text("{}")
    tracks = out / "portrait.npz"
    for arguments, problem in (
        ([], "nothing to report: name a clip or its tracks"),
        ([tmp_path / "none.mp4"], "none.mp4: no such file or folder"),
        ([tmp_path], f"{tmp_path} holds benchmark results: use steadyface evaluate-report {tmp_path}"),
        ([results], f"{results} holds benchmark results: use steadyface evaluate-report {results}"),
        ([clip, "--clip", clip], "--clip goes with one file of tracks"),
        ([tracks, out / "portrait.csv"], "would both write portrait.report.html: use two --out folders"),
        ([tracks, clip], f"for the page of {tracks} with pictures of its clip: --clip {clip}"),
        ([tmp_path / "notes.txt"], "notes.txt: not a video that can be read"),
        ([tmp_path / "broken.json"], "broken.json: not a file of tracks"),
    ):
        code, _, err = run(capsys, "report", *arguments, "--out", tmp_path / "out")
        assert (code, len(err)) == (1, 1)
        assert problem in err[0]


def test_tracks_that_are_named_twice_have_one_page(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = out / "portrait.npz"
    twice = [tracks, tracks.parent / ".." / tracks.parent.name / tracks.name]
    code, printed, err = run(capsys, "report", *twice, "--out", tmp_path)
    assert (code, printed.split(), err) == (0, [str(tmp_path / "portrait.report.html")], [])


def test_tracks_may_be_called_results(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(out / "portrait.json", tmp_path / "results.json")
    code, printed, err = run(capsys, "report", tmp_path / "results.json", "--out", tmp_path)
    assert (code, printed.strip(), err) == (0, str(tmp_path / "results.report.html"), [])


def test_what_evaluate_report_refuses(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text("{}")
    for arguments, problem in (
        ([], "nothing to report: name a results.json, or the folder that holds it"),
        ([tmp_path], f"holds predictions without figures: run steadyface score {tmp_path}"),
        ([tmp_path / "none.json"], "none.json: No such file or directory"),
        ([out / "portrait.json"], "portrait.json: not results of steadyface score"),
    ):
        code, _, err = run(capsys, "evaluate-report", *arguments, "--out", tmp_path / "out")
        assert (code, len(err)) == (1, 1)
        assert problem in err[0]
        assert not (tmp_path / "out").exists()


def test_one_input_that_fails_does_not_cost_the_others(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    code, printed, err = run(
        capsys, "report", tmp_path / "broken.npz", out / "portrait.npz", "--out", tmp_path
    )
    assert code == 1
    assert "broken.npz" in err[0]
    assert printed.strip() == str(tmp_path / "portrait.report.html")


def test_options_of_tracking_count_though_there_are_tracks(
    clip: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(out, tmp_path / "out")
    for _ in range(2):  # the second time its tracks are there
        code, printed, err = run(capsys, "report", clip, "--out", folder, "--end", "0.1")
        assert (code, printed, err) == (0, f"{folder / 'portrait-2.report.html'}\n", [])
    assert len(Tracks.load(folder / "portrait-2.npz")) == 3
    code, printed, _ = run(capsys, "report", clip, "--out", folder)
    assert (code, printed) == (0, f"{folder / 'portrait.report.html'}\n")
    assert len(Tracks.load(folder / "portrait.npz")) == 8
    assert not (folder / "portrait-3.npz").exists()
