"""Nothing is sent beyond this machine, and nothing is written but what was asked for."""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import offline
import psutil
import pytest
import scenes

from steadyface.corpus import cluster

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:ray",  # Ray warns of its own defaults
    "ignore:subprocess .* is still running:ResourceWarning",  # Ray ends its processes and does not wait
)

sealed = pytest.mark.skipif(not offline.can_seal(), reason="no network namespace can be made here")


@dataclass(frozen=True)
class Places:
    """Folders in which a command may leave files: home and temporary, both empty, and its own."""

    home: Path
    scratch: Path
    work: Path

    def run(self, *arguments: str) -> offline.Run:
        return offline.run(list(arguments), self.home, self.scratch, self.work)

    def written(self) -> set[str]:
        return {str(path.relative_to(self.work)) for path in self.work.rglob("*") if path.is_file()}

    def assert_clean(self) -> None:
        assert not list(self.home.rglob("*"))
        assert not list(self.scratch.rglob("*"))


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    with tempfile.TemporaryDirectory(prefix="sf-", dir="/tmp") as scratch:  # short enough for Ray's sockets
        yield Places(tmp_path / "home", Path(scratch), tmp_path / "work")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(scenes.write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", scenes.frames(8)))


def assert_nothing_sent(run: offline.Run) -> None:
    assert run.code == 0, run.printed
    assert run.packets in (0, None)


@sealed
@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
        "import socket, contextlib\nwith contextlib.suppress(OSError): socket.getaddrinfo('example.org', 80)",
    ],
)
def test_a_packet_and_a_question_for_a_name_are_counted(code: str, places: Places) -> None:
    run = places.run("-c", code)
    assert run.code == 0, run.printed
    assert run.packets is not None
    assert run.packets > 0


def test_track_sends_nothing_and_leaves_only_its_results(clip: str, places: Places) -> None:
    assert_nothing_sent(places.run("track", clip, "--out", "out"))
    assert places.written() == {"out/clip.npz", "out/clip.meta.json", "out/clip.overlay.mp4"}
    places.assert_clean()


def test_live_sends_nothing_and_leaves_nothing(places: Places) -> None:
    run = places.run("live", "--port", "0", "--no-open")
    assert_nothing_sent(run)
    assert "<html" in run.printed
    assert not places.written()
    places.assert_clean()


def test_corpus_sends_nothing_and_leaves_only_its_tables(clip: str, places: Places) -> None:
    assert_nothing_sent(places.run("corpus", clip, "--out", "out", "--workers", "1"))
    assert places.written() == {"out/clip.parquet", "out/manifest.jsonl", "out/manifest.parquet"}
    places.assert_clean()


def test_a_program_that_has_imported_the_runtime_first_is_covered_too(places: Places) -> None:
    code = (
        "import onnxruntime, unittest.mock\n"
        "with unittest.mock.patch('onnxruntime.disable_telemetry_events') as switch:\n"
        "    import steadyface.models\n"
        "switch.assert_called_once_with()"
    )
    run = places.run("-c", code)
    assert_nothing_sent(run)


def test_ray_listens_on_the_loopback_address_only() -> None:
    with cluster.connect(None, 1):
        this = psutil.Process()
        found = [
            connection.laddr.ip
            for process in (this, *this.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    assert len(found) >= 4
    for address in map(ipaddress.ip_address, found):
        assert (getattr(address, "ipv4_mapped", None) or address).is_loopback, address
