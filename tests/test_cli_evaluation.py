"""`steadyface predict`, `score` and `evaluate` as a user meets them: data as their makers lay them out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from test_cli import run
from test_evaluation import FRAMES, TINY, frames, make_300vw

from steadyface import metrics, models
from steadyface.evaluation.evaluate import load_results
from steadyface.evaluation.images import ImageResults
from steadyface.evaluation.predictions import PredictionFolder, Reading
from steadyface.evaluation.results import Results
from steadyface.evaluation.trajectories import RAW
from steadyface.evaluation.videos import VideoResults
from steadyface.files import read_arrays
from steadyface.geometry import change_grid
from steadyface.images import write_image
from steadyface.models import model_path
from steadyface.pts import write_pts

WEIGHTS = ("--weights", TINY)


def evaluated(
    capsys: pytest.CaptureFixture[str], protocol: str, data: Path, out: Path
) -> tuple[str, Results]:
    """Run `evaluate`; return its text and the results that it writes."""
    code, printed, err = run(capsys, "evaluate", protocol, "--data", data, "--out", out, *WEIGHTS)
    assert (code, err) == (0, [])
    return printed, load_results(out / "results.json")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos in 300-VW's layout."""
    root = tmp_path_factory.mktemp("data") / "300vw"
    for name, count in (("114", 6), ("124", 8), ("203", 7)):
        make_300vw(root, name, count)
    return root


@pytest.fixture(scope="module")
def killed(three: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Leave the state of a run killed at the second video, with half a file of that one."""
    out = tmp_path_factory.mktemp("killed")
    video, aside = three / "124" / "vid.avi", three / "124" / "aside"
    video.rename(aside)
    os.mkfifo(video)  # whoever opens it waits
    command = ["-m", "steadyface", "predict", "300vw", "--data", three, "--out", out, *WEIGHTS]
    process = subprocess.Popen([sys.executable, *map(str, command)])
    while process.poll() is None and not (out / "items" / "114.npz").exists():
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    aside.replace(video)
    whole = (out / "items" / "114.npz").read_bytes()
    (out / "items" / "124.npz.part").write_bytes(whole[: len(whole) // 2])
    return out


class TestKilled:
    def test_what_it_did_not_get_to_is_named(
        self, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(killed, tmp_path / "copy")
        code, printed, err = run(capsys, "score", tmp_path / "copy")
        assert (code, err) == (0, [])
        assert "used: 1 video\n" in printed
        assert "124, not predicted yet; 203, not predicted yet" in printed
        assert set(load_results(tmp_path / "copy" / "results.json").errors) == {"114"}

    def test_the_same_command_goes_on_and_ends_as_if_undisturbed(
        self, three: Path, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        again, undisturbed = tmp_path / "again", tmp_path / "undisturbed"
        shutil.copytree(killed, again)
        before = (again / "items" / "114.npz").stat()
        for out in (again, undisturbed):
            evaluated(capsys, "300vw", three, out)
        after = (again / "items" / "114.npz").stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        both = [PredictionFolder(out) for out in (again, undisturbed)]
        assert [folder.names() for folder in both] == [["114", "124", "203"]] * 2
        for name in both[0].names():
            mine, theirs = (
                read_arrays(folder.root / "items" / f"{name}.npz", "prediction") for folder in both
            )
            assert mine.keys() == theirs.keys()
            for key in mine:
                np.testing.assert_array_equal(mine[key], theirs[key])
        mine, theirs = ((out / "results.json").read_bytes() for out in (again, undisturbed))
        assert mine == theirs


def test_a_changed_metric_needs_no_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are gone, the bundled ones too, and no network can be opened."""
    (image, points), out = frames(1)[0], tmp_path / "out"
    write_image(tmp_path / "face.png", image)
    write_pts(tmp_path / "face.pts", points)
    weights = shutil.copy(model_path(TINY), tmp_path / "mine.onnx")
    options = ["--data", tmp_path, "--out", out, "--weights", weights]
    assert run(capsys, "evaluate", "folder", *options)[0] == 0
    first = load_results(out / "results.json")
    weights.unlink()
    monkeypatch.setattr(models, "_WEIGHTS", tmp_path / "nowhere")
    monkeypatch.delattr(onnxruntime, "InferenceSession")
    plain = metrics.nrmse_interocular
    monkeypatch.setattr(metrics, "nrmse_interocular", lambda *points: 2 * plain(*points))
    code, _, err = run(capsys, "score", out)
    assert (code, err) == (0, [])
    second = load_results(out / "results.json")
    assert isinstance(first, ImageResults)
    assert isinstance(second, ImageResults)
    before, after = (results.row(Reading.DARK) for results in (first, second))
    assert before is not None
    assert after is not None
    assert after.nrmse_interocular == pytest.approx(2 * before.nrmse_interocular)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300-VW as its archive unpacks: two usable videos, two unusable ones and one of the training set."""
    data = tmp_path_factory.mktemp("data")
    root = data / "300VW_Dataset_2015_12_14"
    make_300vw(root, "001", 2)
    make_300vw(root, "114", unannotated=(0, 7))
    make_300vw(root, "411", 24)
    for number in (19, 20):  # of the frames that are known to be annotated wrongly
        write_pts(root / "411" / "annot" / f"{number:06d}.pts", np.full((68, 2), 9.0))
    make_300vw(root, "203", 2)
    (root / "203" / "vid.avi").unlink()
    make_300vw(root, "208", 2)
    write_pts(root / "208" / "annot" / "000002.pts", frames(1)[0][1][:39])
    return data


class Test300VW:
    def test_only_what_is_whole_is_averaged_and_the_rest_is_named(
        self, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printed, results = evaluated(capsys, "300vw", archive, tmp_path)
        assert set(results.errors) == {"114", "411"}
        assert "203/vid.avi" in results.skipped["203"]
        assert "000002.pts:3: 39 points, expected 68" in results.skipped["208"]
        assert results.unscored == {
            "114": f"2 without .pts, of {FRAMES} frames",
            "411": "2 known to be annotated wrongly, of 24 frames",
        }
        missing = [f"300-VW scenario {i}, video " for i in (1, 2, 3)]
        assert [sum(line.startswith(start) for line in results.missing) for start in missing] == [30, 17, 13]
        assert "used: 2 videos\nleft out: 2: 203 (" in printed
        assert "frames not scored: 2: 114 (2 without .pts" in printed
        assert isinstance(results, VideoResults)
        for scenario, found in ((1, FRAMES - 2), (3, 22)):
            row = results.row(RAW, scenario, 68)
            assert row is not None
            assert (row.items, row.found, row.of) == (1, found, found)
            assert row.nrmse_interocular < 4
        assert results.row(RAW, 2) is None

    @pytest.mark.parametrize("inside", ["300vw", "300vw/300VW_Dataset_2015_12_14", "."])
    def test_it_may_lie_under_another_name(
        self, inside: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_300vw(tmp_path / "data" / inside, "410", 2)
        _, results = evaluated(capsys, "300vw", tmp_path / "data", tmp_path / "out")
        assert "300-VW scenario 1, all 31 videos" in results.missing
        assert {row.group_title for row in results.rows} == {"scenario 3"}


FOLDERS = (
    *("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug"),
    *("300W/01_Indoor", "300W/02_Outdoor"),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives of 300-W as they unpack, beside each other; a face in each folder, of three sizes."""
    root = tmp_path_factory.mktemp("good")
    for i, folder in enumerate(FOLDERS):
        (root / folder).mkdir(parents=True)
        image, points = frames(len(FOLDERS))[i]
        scale = (1.0, 1.5, 2.0)[i % 3]
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        name = "image_092 _01" if folder == "ibug" else f"{folder[-3:].lower()}_{i}"
        write_image(root / folder / f"{name}.png", cv2.resize(image, size))
        write_pts(root / folder / f"{name}.pts", change_grid(points, scale))
    return root


@pytest.fixture(scope="module")
def mixed(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with bad faces among them, and half of the private test missing."""
    root = tmp_path_factory.mktemp("mixed") / "all"
    shutil.copytree(good, root)
    image, points = frames(1)[0]
    for name, wrong in (("more", np.resize(points, (194, 2))), ("none", np.zeros((68, 2)))):
        write_image(root / "ibug" / f"{name}.jpg", image)
        write_pts(root / "ibug" / f"{name}.pts", wrong)
    write_image(root / "lfpw" / "testset" / "image_0007.png", image)
    write_pts(root / "helen" / "testset" / "1_1.pts", points)
    shutil.rmtree(root / "300W" / "02_Outdoor")
    return root


class Test300W:
    def test_bad_faces_are_named_and_change_no_figure(
        self, good: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printed, results = evaluated(capsys, "300w-full", mixed, tmp_path / "mixed")
        assert results.used == 3
        assert "ibug_image_092 _01" in results.errors
        reasons = {
            "ibug_more": "more.pts:3: 194 points, expected 68",
            "ibug_none": "none.pts: no face: both outer eye corners at 0, 0 px",
            "helen-test_1_1": "1_1.pts: has no image",
        }
        assert set(results.skipped) == set(reasons)
        assert all(reason in results.skipped[name] for name, reason in reasons.items())
        assert results.missing == ["lfpw/testset/image_0007.png: no .pts"]
        assert "left out: 3: helen-test_1_1 (" in printed
        assert "missing: 1: lfpw/testset/image_0007.png: no .pts" in printed
        alone = evaluated(capsys, "300w-full", good, tmp_path / "good")[1]
        assert (alone.skipped, alone.missing) == ({}, [])
        assert repr(results.rows) == repr(alone.rows)

    def test_the_private_test_with_half_of_it_missing(
        self, good: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert evaluated(capsys, "300w-private", good, tmp_path / "good")[1].used == 2
        _, results = evaluated(capsys, "300w-private", mixed, tmp_path / "mixed")
        assert (results.used, results.missing) == (1, ["300-W 300W/02_Outdoor"])

    def test_common_is_both_test_sets_and_says_which_is_missing(
        self, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _, both = evaluated(capsys, "300w-common", good, tmp_path / "both")
        assert ({name.rsplit("_", 2)[0] for name in both.errors}, both.missing) == (
            {"lfpw-test", "helen-test"},
            [],
        )
        assert {row.group_title for row in both.rows} == {"", "lfpw-test", "helen-test"}
        half = tmp_path / "half"
        shutil.copytree(good / "helen", half / "300w" / "helen")
        printed, helen = evaluated(capsys, "300w-common", half, tmp_path / "helen")
        assert (helen.used, helen.missing) == (1, ["300-W lfpw/testset"])
        assert "missing: 1: 300-W lfpw/testset" in printed

    def test_the_private_tests_folder_is_not_taken_for_that_of_all(
        self, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """On case-insensitive file systems, `300w` is the private test's `300W`."""
        root = tmp_path / "data"
        shutil.copytree(good, root)
        (root / "300W").rename(root / "300w")
        assert evaluated(capsys, "300w-challenge", root, tmp_path / "out")[1].used == 1


@pytest.mark.parametrize("command", ["predict", "score", "evaluate", "report"])
def test_help_begins_with_a_sentence(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, err = run(capsys, command, "--help")
    assert (code, err) == (0, [])
    usage, _, summary, after, *_ = printed.splitlines()
    assert usage.startswith(f"Usage: steadyface {command}")
    assert summary.rstrip().endswith(".")
    assert not after.strip()
    assert "steadyface demo" not in printed  # an example of the whole


def test_what_they_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, file, half = tmp_path / "data", tmp_path / "file", tmp_path / "half"
    for folder in (data, half):
        folder.mkdir()
    image, points = frames(1)[0]
    write_image(data / "face.png", image)
    write_pts(data / "face.pts", points)
    file.write_text("none")
    (half / "run.json").write_text('{"protocol": "fol')
    old = tmp_path / "old"
    shutil.copytree(half, old)
    (old / "run.json").write_text('{"protocol": "folder"}')
    out = ["--out", tmp_path / "out"]
    for arguments, problem in (
        (["evaluate", "wflw", "--data", data], "unknown protocol 'wflw'; choose one of: 300w-private"),
        (["evaluate", "folder", "--data", tmp_path / "no", *out], "no: no such folder"),
        (["predict", "300vw", "--data", data, *out], "data: no folder of a test video of 300-VW"),
        (["predict", "300w-full", "--data", data, *out], "data: no annotated images in lfpw/testset"),
        (["predict", "talking-face", "--data", data, *out], "images: no images of the Talking Face video"),
        (["predict", "folder", "--data", data, "--out", file, *WEIGHTS], "file/items: cannot be made"),
        (["predict", "folder", "--data", data, *out, "--weights", "no"], "no: neither a file nor a bundled"),
        (["predict", "folder", "--data", data, *out, "--weights", file], "file: not an ONNX file"),
        (["predict", "folder", "--data", data, *out, "--device", "tpu"], "unknown device 'tpu'"),
        (["predict", "folder", "--data", data, "--out", half, *WEIGHTS], "run.json: not a run's description"),
        (["score", half], "run.json: not a run's description"),
        (["score", old], "run.json: lacks 'weights': run steadyface predict again"),
        (["score", tmp_path / "no"], "no: no predictions of steadyface predict"),
        (["evaluate-report", old], "old holds predictions without figures: run steadyface score"),
    ):
        code, printed, err = run(capsys, *arguments)
        assert (code, printed, len(err)) == (1, "", 1), arguments
        assert problem in err[0]
    assert run(capsys, "evaluate", "folder")[0] == 2
    assert not (tmp_path / "out").exists()
