"""`.pts` files: what is written comes back, and what is broken is named with its line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadyface.errors import DataError
from steadyface.pts import read_face, read_pts, write_pts

HEAD = "version: 1\nn_points: 68\n{\n"
ROWS = [f"{i} {2 * i}.5" for i in range(68)]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "face.pts"
    path.write_text(text)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=arrays(float, (68, 2), elements=st.floats(-1e5, 1e5)))
def test_round_trip(tmp_path: Path, points: np.ndarray) -> None:
    write_pts(tmp_path / "face.pts", points)
    # Four decimals are written.
    np.testing.assert_allclose(read_pts(tmp_path / "face.pts"), points, rtol=0, atol=0.5e-4 + 1e-9)


def test_files_count_from_one(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "\n".join(ROWS) + "\n}\n")
    np.testing.assert_array_equal(read_pts(path)[3], [2, 5.5])
    np.testing.assert_array_equal(read_pts(path, one_based=False)[3], [3, 6.5])


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_layout_does_not_matter(tmp_path: Path, newline: str) -> None:
    rows = [f"  {row.replace(' ', chr(9))} " for row in ROWS]
    text = newline.join(["version: 1", "n_points:  68", "{", "", *rows, "}"])
    assert read_pts(written(tmp_path, text)).shape == (68, 2)


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        (HEAD + "\n".join(ROWS[:67]) + "\n}", "67 points, expected 68", 3),
        (HEAD + "\n".join(["1 nan", *ROWS[1:]]) + "\n}", "not finite.*nan", 4),
        (HEAD + "\n".join([*ROWS[:5], "inf 2", *ROWS[6:]]) + "\n}", "not finite", 9),
        (HEAD + "\n".join([*ROWS[:5], "1 2 3", *ROWS[6:]]) + "\n}", "two numbers.*1 2 3", 9),
        (HEAD + "\n".join([*ROWS[:5], "1,2", *ROWS[6:]]) + "\n}", "two numbers", 9),
        (HEAD + "\n".join(ROWS), "no {", None),
        ("\n".join(ROWS) + "\n}", "no {", None),
        ("}\n{\n", "0 points", 2),
        ("", "no {", None),
        ("\0\x01", "no {", None),
    ],
)
def test_broken_files_say_where(tmp_path: Path, text: str, said: str, line: int | None) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=said) as caught:
        read_pts(path)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert str(caught.value).startswith(f"{path}:{line}:" if line else f"{path}: ")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_pts(tmp_path / "face.pts")


def test_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        write_pts(tmp_path / "nowhere" / "face.pts", np.zeros((68, 2)))


def test_real_talking_face(data_dir: Path) -> None:
    paths = sorted((data_dir / "talking_face" / "points").glob("*.pts"))[::100]
    if not paths:
        pytest.skip(f"no Talking Face video in {data_dir}")
    points = np.stack([read_pts(path, one_based=False) for path in paths])
    assert points.shape[1:] == (68, 2)
    assert (points >= 0).all()
    assert (points < [720, 576]).all()
    assert math.isclose(np.ptp(points[0, :, 0]), 200, rel_tol=0.5)


def test_a_face_has_a_size(tmp_path: Path) -> None:
    points = np.linspace(0, 30, 136).reshape(68, 2)
    write_pts(tmp_path / "face.pts", points)
    np.testing.assert_allclose(read_face(tmp_path / "face.pts"), points, rtol=0, atol=1e-4)
    points[45] = points[36]
    write_pts(tmp_path / "face.pts", points)
    with pytest.raises(DataError, match=r"face\.pts: no face: both outer eye corners at 16"):
        read_face(tmp_path / "face.pts")
    read_face(tmp_path / "face.pts", eyes=(27, 32))
