"""Files are whole or not there, and every failure is one line of the wanted kind."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from steadyface import files
from steadyface.errors import DataError, WeightsError

BELOW_A_FILE = "in-the-way/out"


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A path that cannot be made, whoever asks: a file stands where its folder should."""
    (tmp_path / "in-the-way").write_text("")
    return tmp_path / BELOW_A_FILE


def test_make_folder_makes_parents_and_accepts_an_existing_one(tmp_path: Path) -> None:
    folder = files.make_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert files.make_folder(folder) == folder


def test_make_folder_names_path_and_reason(blocked: Path) -> None:
    with pytest.raises(DataError, match=rf"^{blocked}: cannot be made: Not a directory$"):
        files.make_folder(blocked)


def test_a_written_file_is_whole(tmp_path: Path) -> None:
    path = files.write_text(tmp_path / "a.txt", "ü\n")
    assert path.read_bytes() == "ü\n".encode()
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(
    "problem", [ValueError(), KeyboardInterrupt(), OSError(28, "No space left on device")]
)
def test_a_failed_write_keeps_the_old_file_and_leaves_no_part(tmp_path: Path, problem: BaseException) -> None:
    path = files.write_text(tmp_path / "a.txt", "old")

    def write() -> None:
        with files.atomic_write(path) as part:
            part.write_text("half")
            raise problem

    with pytest.raises((ValueError, KeyboardInterrupt, DataError)) as raised:
        write()
    if isinstance(problem, OSError):
        assert str(raised.value) == f"{path}: cannot be written: No space left on device"
    else:
        assert raised.value is problem
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_device_is_written_in_place() -> None:
    files.write_text("/dev/null", "gone")
    assert Path("/dev/null").is_char_device()


def test_a_folder_of_the_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written: Is a directory"):
        files.write_text(tmp_path, "text")
    assert tmp_path.is_dir()


def test_arrays_come_back(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3), "b": np.array("text")}
    for compress in (False, True):
        path = files.write_arrays(tmp_path / "a.npz", arrays, compress)
        back = files.read_arrays(path, "a table")
        assert {name: value.tolist() for name, value in back.items()} == {"a": [0, 1, 2], "b": "text"}
        assert [*files.read_arrays(path, "a table", ["a"])] == ["a"]


def _zip_with(name: str, content: bytes) -> bytes:
    coded = io.BytesIO()
    with zipfile.ZipFile(coded, "w") as file:
        file.writestr(name, content)
    return coded.getvalue()


def _npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def _good() -> bytes:
    coded = io.BytesIO()
    np.savez_compressed(coded, a=np.arange(1000.0))
    return coded.getvalue()


HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }\n"
BROKEN = {
    "empty": b"",
    "text": b"points",
    "cut off": _good()[:-30],
    "flipped": _good()[:60] + b"\xff" * 40 + _good()[100:],
    "one array": _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }\n"),
    "no array inside": _zip_with("a", b"text"),
    "huge array": _zip_with("a.npy", _npy(HUGE)),
    "no header": _zip_with("a.npy", _npy(b"{{{")),
    "pickle": _zip_with("a.npy", _npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n") + b"x"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_npz_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(BROKEN[name])
    with pytest.raises(DataError, match=rf"^{path}: not a table: \S") as raised:
        files.read_arrays(path, "a table", ["a"])
    assert "\n" not in str(raised.value)


def test_a_missing_name_is_told(tmp_path: Path) -> None:
    path = files.write_arrays(tmp_path / "a.npz", {"a": np.zeros(1)})
    with pytest.raises(DataError, match=r"not a table: .*scores"):
        files.read_arrays(path, "a table", ["scores"])


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for read in (files.read_arrays, files.read_json):
        with pytest.raises(DataError, match=rf"^{path}: No such file or directory$"):
            read(path, "a table")
    with pytest.raises(WeightsError, match=rf"^{path}: No such file or directory$"):
        files.read_json(path, "a list", WeightsError.at)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{path}: not a list: \S"):
        files.read_json(path, "a list")


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (KeyError("version"), "it lacks 'version'"),
        (KeyError("points is not a file in the archive"), "'points is not a file in the archive'"),
        (ValueError("of  version\n9"), "of version 9"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_reason_for_a_broken_file_is_said(problem: Exception, told: str) -> None:
    with pytest.raises(DataError) as raised, files.reading("theta.json", "a stabiliser's file"):
        raise problem
    assert str(raised.value) == f"theta.json: not a stabiliser's file: {told}"
