"""Parts of the comparison with other trackers that need none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from steadyface.markup import COUNT, FLIP
from steadyface.metrics import interocular

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FRAMES = 40


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The benchmarks' folders, as their scripts see them."""
    loaded = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS / "peers")
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield
    for name in set(sys.modules) - loaded:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_every_point_but_the_jaws_has_a_vertex_of_its_own(imports: None) -> None:
    import peers
    import worker

    assert worker.FIRST_MAPPED + len(worker.MESH) == COUNT
    assert len(set(worker.MESH)) == len(worker.MESH) == len(peers.INNER)
    assert max(worker.MESH) < worker.VERTICES


def test_all_contenders_that_are_asked_for_are_there(imports: None) -> None:
    import extra
    import peers
    import worker

    asked = {*peers.IN_BOX, *peers.STILLS, *peers.TRACKERS, "MediaPipe mesh"}
    assert asked | {*extra.MEDIAPIPE, extra.LANDMARKER} == set(worker.CONTENDERS)


def test_a_contender_that_cannot_start_ends_the_run_with_one_line(imports: None) -> None:
    import peers

    contender = peers.Contender(sys.executable, "no such contender", 1)
    with pytest.raises(SystemExit, match=r"^no such contender: .* `make bench-peers`.*$"):
        contender.start()
    contender.close()


def test_the_closest_vertices_are_chosen_in_mirrored_pairs(imports: None) -> None:
    import peers

    points = symmetric_face()
    order = np.random.default_rng(1).permutation(COUNT)
    distance = np.linalg.norm(points[:, None] - points[order], axis=-1)
    chosen = peers.symmetric_choice(distance, points[order])
    assert order[chosen].tolist() == peers.INNER.tolist()


def test_a_constant_error_is_no_motion_and_missing_frames_do_not_count(imports: None) -> None:
    import peers

    truth = symmetric_face() * 100 + np.cumsum(np.ones((FRAMES, 1, 2)), axis=0)
    found = truth + np.random.default_rng(2).normal(size=(COUNT, 2))
    found[:, :17] = found[[7, 8, 30]] = np.nan  # as of a markup without a jaw
    share, *rest = peers.motion_figures(found, truth)
    assert share == 1 - 3 / FRAMES
    step = 100 * np.sqrt(2) / interocular(truth[0])
    assert step > peers.RESTING_SPEED  # so that all frames are moving ones, and none a still one
    nrmse, still, moving, delay = rest
    assert np.isnan(still)
    np.testing.assert_allclose([nrmse, moving, delay], 0, atol=1e-9)  # float64 on values of some hundreds


def test_of_several_faces_the_annotated_one_counts(imports: None) -> None:
    import peers

    truth = symmetric_face() * 100
    faces = np.stack([truth + 500, truth + 3])
    np.testing.assert_array_equal(peers.nearest(faces, truth), faces[1])
    assert np.isnan(peers.nearest(faces[:1], truth)).all()
    assert np.isnan(peers.nearest(faces[:0], truth)).all()


def symmetric_face() -> np.ndarray:
    """(68, 2) random points, mirrored ones at mirrored places."""
    points = np.random.default_rng(0).normal(size=(COUNT, 2))
    return (points + points[FLIP] * [-1, 1]) / 2


def test_of_partly_annotated_faces_only_points_that_all_have_count(imports: None) -> None:
    import extra

    truth = symmetric_face() * 100
    truth[[*range(9, 17), *range(42, 48)]] = np.nan
    found = np.nan_to_num(truth) + np.array([3.0, 4.0])
    found[:17] = np.nan
    there = extra.annotated_face(np.stack([found + 500, found]), truth)
    np.testing.assert_array_equal(there, found)
    assert np.isnan(extra.annotated_face(found[None] + 500, truth)).all()
    reach = np.linalg.norm(truth[0] - truth[30])
    error = extra.errors_of("profiles", there[None], truth[None])
    assert error == pytest.approx([100 * 5 / reach])


def test_where_no_point_is_annotated_the_largest_face_counts(imports: None) -> None:
    import extra

    unknown = np.full((COUNT, 2), np.nan)
    small, large = symmetric_face(), symmetric_face() * 2
    np.testing.assert_array_equal(extra.annotated_face(np.stack([small, large]), unknown), large)
    assert np.isnan(extra.annotated_face(np.zeros((0, COUNT, 2)), unknown)).all()


def test_a_worker_ends_with_its_parent_also_when_that_is_killed(tmp_path: Path) -> None:
    """It is in the middle of a clip: a pipe to which nobody writes."""
    os.mkfifo(tmp_path / "clip.mkv")
    script = f"""
import sys, time
sys.path.insert(0, {str(BENCHMARKS)!r})
from peers import Contender
contender = Contender(sys.executable, "steadyface tiny", 1)
contender.start()
contender._link.send(("time", {str(tmp_path / "clip.mkv")!r}, False))
print(contender._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, left = psutil.wait_procs([worker], timeout=30)
    assert not left


def test_the_processor_is_named_with_its_flags_for_vectors(imports: None) -> None:
    import peers

    listed = "processor\t: 0\nmodel name\t: A B\nflags\t\t: fpu avx avx2 ht fma\npower:\n\nprocessor\t: 1\n"
    assert peers.processor(listed) == "A B: avx avx2 fma"
    assert peers.processor("processor : 0\nCPU part : 1\n") == "processor: no such flags"
