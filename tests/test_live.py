"""The live page's server as a browser, a hostile page and a broken program meet it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
import scenes
from live_frames import FACE, decoded, message, read_answer
from live_server import Running, ask, told, until
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from steadyface.cli import main
from steadyface.errors import ConfigError, DataError
from steadyface.images import write_image
from steadyface.live import server as live
from steadyface.live.conversation import Conversation
from steadyface.live.messages import greeting
from steadyface.live.session import Networks, Session
from steadyface.options import TrackingOptions
from steadyface.tracking import Tracker
from steadyface.tracks import Tracks
from steadyface.video import VideoReader

PAGE = Path(live.__file__).parent / "page"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running(Networks())
    yield server
    server.stop()


@pytest.fixture
def tab(running: Running) -> Iterator[ClientConnection]:
    with running.open() as connection:
        assert told(connection)["type"] == "ready"
        yield connection
    until(lambda: not running.sessions)


def track(tab: ClientConnection, *indices: int) -> list[np.ndarray]:
    """Send frames one by one; the faces in each."""
    found = []
    for index in indices:
        tab.send(message(index))
        header, faces = read_answer(tab.recv(timeout=30))
        assert header["sequence"] == index
        found.append(faces)
    return found


def test_frames_come_back_as_the_points_of_the_tracker(tab: ClientConnection) -> None:
    tracker = Tracker()
    for index, faces in enumerate(track(tab, *range(8))):
        expected = tracker.step(decoded(index), index / scenes.FPS)
        assert faces["face"].tolist() == [face.face_id for face in expected] == [0]
        # the network runs with another number of threads here, which changes the order of its sums
        assert np.allclose(faces["points"][0], expected[0].points, atol=0.01)
        assert np.allclose(faces["raw_points"][0], expected[0].raw_points, atol=0.01)
        assert np.allclose(faces["scores"][0], expected[0].scores, atol=0.001)
    assert 0 < faces["jitter"][0] < faces["jitter_raw"][0]


def test_stabiliser_and_decoder_are_chosen_by_name(tab: ClientConnection) -> None:
    (steady,) = track(tab, 0)[:1]
    reply = ask(tab, type="configure", stabilizer="none", decoder="argmax")
    assert reply == {"type": "configured", "stabilizer": "none", "decoder": "argmax"}
    rough = track(tab, *range(1, 4))[-1]
    assert np.array_equal(rough["points"], rough["raw_points"])
    assert not np.array_equal(rough["raw_points"], steady["raw_points"])
    for wrong in ({"stabilizer": "sta-offline", "decoder": "dark"}, {"stabilizer": "sta", "decoder": "no"}):
        reply = ask(tab, type="configure", **wrong)
        assert reply["type"] == "error"
        assert "choose one of" in reply["message"]
    assert len(track(tab, 5)[0]) == 1


def test_the_newest_frame_is_answered_and_the_rest_is_dropped(tab: ClientConnection) -> None:
    for index in range(12):
        tab.send(message(index))
    answered = []
    while not answered or answered[-1]["sequence"] != 11:
        answered.append(read_answer(tab.recv(timeout=30))[0])
    sequences = [header["sequence"] for header in answered]
    assert sequences == sorted(set(sequences))
    assert answered[-1]["dropped"] + len(answered) == 12


def test_another_source_begins_anew(tab: ClientConnection) -> None:
    track(tab, 3, 4)
    tab.send(message(2))
    assert "time runs backwards" in told(tab)["message"]
    assert ask(tab, type="restart") == {"type": "restarted"}
    assert track(tab, 0)[0]["face"].tolist() == [0]


def test_a_recording_is_a_table(running: Running, tab: ClientConnection, tmp_path: Path) -> None:
    track(tab, 0)
    assert ask(tab, type="record", source="a clip: 1.mp4") == {"type": "recording", "kept": None}
    assert "stop the recording" in ask(tab, type="configure", stabilizer="none", decoder="dark")["message"]
    faces = np.concatenate(track(tab, *range(1, 7)))
    saved = ask(tab, type="save")
    assert saved["rows"] == 6
    reply = running.get(f"{saved['path']}.csv")
    assert reply.status_code == 200
    assert re.fullmatch(r"steadyface-a-clip-1-\d{4}-\d\d-\d\d-\d{6}", saved["label"])
    assert f'"{saved["label"]}.csv"' in reply.headers["content-disposition"]
    (tmp_path / "live.csv").write_bytes(reply.content)
    about = running.get(f"{saved['path']}.meta.json")
    assert f'"{saved["label"]}.meta.json"' in about.headers["content-disposition"]
    (tmp_path / "live.meta.json").write_bytes(about.content)
    tracks = Tracks.load(tmp_path / "live.csv")
    for name in ("points", "raw_points", "scores"):
        np.testing.assert_array_equal(getattr(tracks, name), faces[name])
    assert tracks.frame.tolist() == list(range(6))
    assert np.allclose(tracks.seconds * scenes.FPS, range(6))
    assert tracks.meta["source"] == "a clip: 1.mp4"
    (tmp_path / "live.json").write_bytes(running.get(f"{saved['path']}.json").content)
    assert Tracks.load(tmp_path / "live.json") == tracks
    report = running.get(f"{saved['path']}.report.html")
    assert saved["label"] in report.text or "a clip: 1.mp4" in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    assert "'self'" not in report.headers["content-security-policy"]
    assert running.get(f"{saved['path']}.npz").status_code == 404
    assert (tracks.meta["frames"], tracks.meta["size"]) == (6, [scenes.WIDTH, scenes.HEIGHT])
    assert ask(tab, type="save")["message"] == "no recording is running"


def test_tabs_know_nothing_of_each_other(running: Running, tab: ClientConnection) -> None:
    track(tab, *range(3))
    with running.open() as other:
        assert told(other)["type"] == "ready"
        ask(other, type="configure", stabilizer="none", decoder="fhr")
        assert track(other, 0)[0]["face"].tolist() == [0]  # its time begins anew, too
        first = track(tab, 3)[0]
        assert not np.array_equal(first["points"], first["raw_points"])


def test_a_closed_tab_leaves_nothing(running: Running) -> None:
    with running.open() as connection:
        told(connection)
        ask(connection, type="record", source="webcam")
        connection.send(message(0))
        connection.recv(timeout=30)
        (session,) = running.sessions
        assert session._folder is not None
        folder = Path(session._folder.name)
        path = f"{ask(connection, type='save')['path']}.csv"
        assert running.get(path).status_code == 200
        connection.send(message(1))  # is being tracked when the tab goes
    until(lambda: not running.sessions and not folder.exists())
    assert running.get(path).status_code == 404


class TestKeeping:
    """A recording that runs when its tab is closed becomes a file; all others are the browser's."""

    def session(self, out: Path | None) -> Session:
        session = Session(Networks(), out=out)
        session.answer(message(0))
        return session

    def test_one_that_runs_is_kept(self, tmp_path: Path) -> None:
        session = self.session(tmp_path / "new" / "out")
        kept = session.start_recording("webcam")
        session.answer(message(1))
        assert session.close() == kept
        assert kept is not None
        tracks = Tracks.load(kept)
        assert (len(tracks), tracks.meta["source"]) == (1, "webcam")
        assert sorted(path.suffix for path in kept.parent.iterdir()) == [".csv", ".json"]

    def test_one_that_was_saved_or_is_empty_is_not(self, tmp_path: Path) -> None:
        session = self.session(tmp_path / "out")
        session.start_recording("webcam")
        session.answer(message(1))
        session.stop_recording()
        assert session.close() is None
        session.start_recording("webcam")
        assert session.close() is None
        assert not (tmp_path / "out").exists()

    def test_without_a_folder_none_is(self) -> None:
        session = self.session(None)
        assert session.start_recording("webcam") is None
        session.answer(message(1))
        assert session.close() is None

    def test_a_folder_that_cannot_be_made_is_one_line(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        session = self.session(tmp_path / "file" / "out")
        session.start_recording("webcam")
        session.answer(message(1))
        live._close(session)
        (record,) = caplog.records
        assert "cannot be made" in record.message
        assert "a recording is lost" in record.message
        assert not session.recorded


def test_the_sample_is_a_clip_with_a_face(running: Running, tmp_path: Path) -> None:
    reply = running.get("/sample.mp4")
    assert reply.headers["content-type"] == "video/mp4"
    (tmp_path / "sample.mp4").write_bytes(reply.content)
    with VideoReader(tmp_path / "sample.mp4") as reader:
        frame = next(iter(reader))
        assert (reader.width, reader.height) == (640, 360)
    assert len(Tracker().step(frame.image)) == 1


def test_people_are_named(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    write_image(tmp_path / "people" / "eileen.png", scenes.frames(1)[0])
    session = Session(Networks(TrackingOptions(people=tmp_path / "people")))
    assert session.people == ["eileen"]
    _, faces = read_answer(session.answer(message(0)))
    assert faces["person"].tolist() == [0]
    session.start_recording("webcam")
    session.answer(message(1))
    saved = session.stop_recording()
    assert Tracks.load(session.recorded[saved.name]).names == {0: "eileen"}
    session.close()


def test_a_stabiliser_of_one_s_own_is_among_the_choices(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text((Path(live.__file__).parents[1] / "weights/stabilizers/one-euro.json").read_text())
    session = Session(Networks(TrackingOptions(stabilizer=str(path))))
    assert session.stabilizer == str(path)
    assert greeting(session.stabilizer, session.decoder)["stabilizers"][-1] == str(path)
    with pytest.raises(ConfigError, match="no-such"):
        session.configure("no-such", "dark")


@pytest.mark.parametrize("option", [["--stabilizer", "sta-offline"], ["--people", "nowhere"]])
def test_options_are_refused_before_the_page_is_there(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["live", "--no-open", "--port", "0", *option])
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)


def test_there_is_a_limit_to_tabs(running: Running) -> None:
    with ExitStack() as stack:
        for _ in range(live.MOST_SESSIONS):
            told(stack.enter_context(running.open()))
        with running.open() as refused, pytest.raises(ConnectionClosed) as closed:
            refused.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "tabs are open already" in closed.value.rcvd.reason) == (1013, True)
    until(lambda: not running.sessions)
    with running.open() as again:
        assert told(again)["type"] == "ready"


def test_garbage_is_answered_and_survived(tab: ClientConnection) -> None:
    garbage = [b"", b"\x00", os.urandom(5000), message(0)[:100], "", "{", "[]", "null", '{"type": "x"}']
    garbage += ["[" * 499, '{"type": "configure", "stabilizer": 3, "decoder": {}}', "x" * 100_000]
    for each in garbage:
        tab.send(each)
        assert told(tab)["type"] == "error", each[:20]
    assert len(track(tab, 0)[0]) == 1


def test_broken_connections_leave_no_traceback(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    def closed_with(data: bytes | str, text: bool | None = None) -> int | None:
        with running.open() as connection:
            told(connection)
            with suppress(ConnectionClosed):  # it may be closed before all is sent
                connection.send(data, text=text)
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(timeout=30)
            return closed.value.rcvd.code if closed.value.rcvd else None

    # None: the connection went while the rest was still being sent, and the reason with it
    assert closed_with(bytes(50_000_000)) in (1009, None)
    assert closed_with(b"\xff\xfe not UTF-8", text=True) == 1007
    with socket.create_connection(("127.0.0.1", running.port)) as raw:
        raw.sendall(b"\x00\x01 this is no HTTP\r\n\r\n")
        assert b"400" in raw.recv(1000)
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://{running.address}/elsewhere")
    until(lambda: not running.sessions)
    ours = [record for record in caplog.records if record.name != "websockets.client"]  # the test's own
    assert not [record for record in ours if record.exc_info]
    with running.open() as connection:
        told(connection)
        assert len(track(connection, 0)[0]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "null"},
        {"Host": "example.com"},
        {"Host": "rebound.example.com:{port}"},
        {"Host": "127.0.0.1:1"},
    ],
)
def test_foreign_pages_are_refused(running: Running, headers: dict[str, str]) -> None:
    headers = {name: value.format(port=running.port) for name, value in headers.items()}
    assert running.get("/", **headers).status_code == 403
    lines = {"Host": running.address, **headers}
    request = (
        "GET /live HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    )
    request += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    request += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", running.port)) as raw:
        raw.sendall(request.encode() + b"\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 403 ")
    assert not running.sessions


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_page_is_let_in(running: Running, host: str) -> None:
    own = f"{host}:{running.port}"
    assert running.get("/", Host=own, Origin=f"http://{own}").status_code == 200
    with running.open(origin=f"http://{own}") as connection:
        assert told(connection)["type"] == "ready"


def test_the_page_loads_nothing_from_elsewhere(running: Running) -> None:
    policy = running.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    names = {path.name for path in PAGE.iterdir()}
    for name in names:
        reply = running.get(f"/{name}")
        assert (reply.status_code, reply.content) == (200, (PAGE / name).read_bytes())
        text = reply.text.replace("http://www.w3.org/2000/svg", "")  # a name, which nobody opens
        assert not re.search(r"https?://|\bon\w+=\"|style=\"|<script(?! type=\"module\" src)", text), name
    page = (PAGE / "index.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) <= names


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str], running: Running) -> None:
    with pytest.raises(SystemExit) as left:
        main(["live", "--no-open", "--port", str(running.port)])
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {running.port} of 127.0.0.1 is taken" in line


def test_a_port_that_cannot_be_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["live", "--no-open", "--port", "70000"])
    assert left.value.code == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_connection_closed_from_here_while_it_is_greeted_leaves_no_traceback() -> None:
    async def nothing(message: object = None) -> dict[str, str]:
        return {"type": "websocket.disconnect"}

    closed = WebSocket({"type": "websocket"}, nothing, nothing)  # where sending raises, as uvicorn's does
    with ThreadPoolExecutor(1) as worker:
        asyncio.run(Conversation(closed, Session(Networks()), worker).run())


@contextmanager
def recording_process(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A server with a tab that records; yields its process and the folder of its files."""
    command = [sys.executable, "-m", "steadyface", "live", "--no-open", "--port", "0"]
    command += ["--out", str(place / "out")]
    environment = {**os.environ, "TMPDIR": str(place)}
    before = set(place.iterdir())
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0].removeprefix("http://")
        with connect(f"ws://{address}/live") as connection:
            told(connection)
            assert ask(connection, type="record", source="webcam")["type"] == "recording"
            connection.send(message(0))
            connection.recv(timeout=30)
            (folder,) = set(place.iterdir()) - before
            assert list(folder.rglob("*.csv"))
            try:
                yield process, folder
                process.communicate(timeout=60)
            finally:
                process.kill()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_while_a_tab_records_and_keeps_the_recording(name: str, tmp_path: Path) -> None:
    with recording_process(tmp_path) as (process, folder):
        for _ in range(2):  # the second while it ends
            process.send_signal(getattr(signal, name))
            time.sleep(0.05)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert not folder.exists()
    (kept,) = (tmp_path / "out").glob("steadyface-webcam-*.csv")
    assert str(kept) in said
    assert len(Tracks.load(kept)) == 1


def test_what_a_killed_server_left_goes_at_the_next_start(tmp_path: Path) -> None:
    with recording_process(tmp_path) as (process, left):
        process.kill()
    assert left.exists()
    with recording_process(tmp_path) as (process, _):
        assert not left.exists()
        process.send_signal(signal.SIGINT)


def test_a_temporary_folder_that_has_gone_is_one_message(tmp_path: Path) -> None:
    session = Session(Networks(), tmp_path / "gone")
    with pytest.raises(DataError, match="gone: cannot be written: No such file"):
        session.start_recording("webcam")
    session.answer(message(0))


@pytest.mark.parametrize("step", [0.0, 5e-324, 1e-9, -1.0])
def test_a_time_that_stands_is_refused(step: float) -> None:
    session = Session(Networks())
    session.answer(message(0, seconds=1.0 if step != 5e-324 else 0.0))
    with pytest.raises(ConfigError, match="time runs backwards or stands"):
        session.answer(message(1, seconds=(1.0 if step != 5e-324 else 0.0) + step))


def test_a_face_takes_as_many_bytes_as_the_page_reads() -> None:
    link = (PAGE / "link.js").read_text()
    constants = {name: int(value) for name, value in re.findall(r"const (\w+) = (\d+);", link)}
    assert FACE.itemsize == constants["FACE_HEADER"] + 4 * constants["LANDMARKS"] * 5
