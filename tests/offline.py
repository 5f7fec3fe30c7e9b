"""Run a command in a network of its own, and count the packets that it sends beyond the loopback address.

Imported, it offers `run`; `run` starts it as a script inside the namespace, where the system allows one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_SEAL = ("unshare", "--net", "--mount", "--map-root-user")
_SCRIPT = str(Path(__file__).resolve())
_DEVICE = "beyond"
_LINKS = (
    "link set lo up",
    f"link add {_DEVICE} type veth peer name sink",
    f"link set {_DEVICE} arp off",  # else it asks for the neighbour's address and sends nothing
    "link set sink up",
    f"addr add 198.51.100.1/24 dev {_DEVICE}",
    f"link set {_DEVICE} up",
    f"route add default dev {_DEVICE}",
)


@dataclass(frozen=True)
class Run:
    """Result of `run`: exit code, what was printed, and packets sent (None where they cannot be counted)."""

    code: int
    printed: str
    packets: int | None


@cache
def can_seal() -> bool:
    """Whether this system lets us make a network of our own."""
    try:
        return subprocess.run([*_SEAL, sys.executable, _SCRIPT, "seal"], capture_output=True).returncode == 0
    except FileNotFoundError:  # not Linux
        return False


def run(arguments: list[str], home: Path, scratch: Path, folder: Path) -> Run:
    """Run a command of steadyface, or `-c` and Python code, with hardly any environment.

    Args:
        arguments: of the command. The page that `live` serves is fetched once, then `live` is interrupted.
        home, scratch: `HOME` and `TMPDIR` of the command.
        folder: where it runs.
    """
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = {**kept, "HOME": str(home), "TMPDIR": str(scratch)}
    command = [*_SEAL, sys.executable, _SCRIPT, "seal"] if can_seal() else [sys.executable, _SCRIPT, "open"]
    done = subprocess.run(
        [*command, *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    *printed, counts = done.stdout.splitlines()
    return Run(printed="\n".join(printed) + done.stderr, **json.loads(counts))


def _seal() -> None:
    """Set up a loopback device, and one that swallows and counts all else, questions for names among it."""
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")  # else it sends greetings of its own
    for link in _LINKS:
        subprocess.run(["ip", *link.split()], check=True)
    with tempfile.NamedTemporaryFile("w") as servers:
        servers.write("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
        servers.flush()
        subprocess.run(["mount", "--bind", servers.name, os.path.realpath("/etc/resolv.conf")], check=True)


def _packets_sent() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    (counts,) = (line.split(":")[1] for line in lines if line.strip().startswith(f"{_DEVICE}:"))
    return int(counts.split()[9])


def _visit(command: list[str]) -> int:
    """Start the server of a page, fetch the page once, and end the server as Ctrl-C does."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        with urllib.request.urlopen(address, timeout=30) as page:
            print(page.read().decode())
        server.send_signal(signal.SIGINT)
        return server.wait(30)


def _main(how: str, arguments: list[str]) -> None:
    if how == "seal":
        _seal()
    command = [sys.executable, *([] if arguments[:1] == ["-c"] else ["-m", "steadyface"]), *arguments]
    if arguments:
        start = _visit if arguments[0] == "live" else subprocess.call
        code = start(command)
        print()
        print(json.dumps({"code": code, "packets": _packets_sent() if how == "seal" else None}))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
