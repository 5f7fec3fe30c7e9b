"""Print anew what the docs say of the landmark networks' accuracy and steadiness, a file for each command.

    python tools/figures.py DATA OUT [--only TEXT]

Runs the commands that docs/evaluation.md, docs/stabilizer.md, docs/outputs.md and docs/training.md name, one
after the other, and writes what each prints to OUT/NAME.txt. A file that exists is kept, so that a stopped
run goes on; a command that fails leaves OUT/NAME.failed. `--only` takes the names that contain TEXT. Left out
are comparisons with other programs, which need environments of their own (`make bench-peers`), times, which
need a machine that does nothing else, and the benchmarks of the finder, of identities and of frontal faces.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ("compact", "tiny", "nano")
STILLS = ("300w-helen", "profiles", "closed-eyes", "ages", "small-faces")
VIDEOS = ("known-motion", "talking-face", "occlusion", "zoom-roll")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", metavar="TEXT", help="names that contain TEXT")
    arguments = parser.parse_args()
    data, out = arguments.data.resolve(), arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for name, command in commands(data, out):
        printed = out / f"{name}.txt"
        if arguments.only in name and not printed.exists():
            began = time.monotonic()
            code = run(command, printed)
            outcome = f"exit code {code}" if code else f"{time.monotonic() - began:.0f} s"
            print(f"{name}: {outcome}", flush=True)


def commands(data: Path, out: Path) -> Iterator[tuple[str, list[str]]]:
    """Names and command lines, in an order in which each finds what it needs."""
    for network in NETWORKS:
        for protocol in (*STILLS, *VIDEOS):
            yield f"{protocol}-{network}", evaluate(protocol, network, data, out)
    yield "talking-face-compact-float32", evaluate("talking-face", "compact-float32", data, out)
    yield "uncertainty", script("uncertainty", data, *NETWORKS)
    for name in ("talking", "turning", "winks"):
        yield name, script(name, data)
    for network in ("compact", "tiny"):
        yield f"chr_fhr-{network}", script("chr_fhr", data, ROOT / "checkpoints" / f"{network}.safetensors")
    for network in NETWORKS:
        options = ["--weights", network, "--clips", "12", "--parts", "known", "talking", "occlusion"]
        yield f"network_every-{network}", script("network_every", data, *options)
    yield "motion", script("motion", data, *predicted("compact", out))
    for network in ("tiny", "nano"):  # that have parameters of their own
        yield f"parameters-{network}", script("parameters", *predicted(network, out))


def predicted(network: str, out: Path) -> list[Path]:
    """Folders of the predictions that comparisons of stabilisers read."""
    return [out / f"{protocol}-{network}" for protocol in ("known-motion", "occlusion", "talking-face")]


def evaluate(protocol: str, network: str, data: Path, out: Path) -> list[str]:
    folder = out / f"{protocol}-{network}"
    line = [sys.executable, "-m", "steadyface", "evaluate", protocol, "--quiet"]
    return [*line, "--data", str(data), "--weights", network, "--out", str(folder)]


def script(name: str, *arguments: Path | str) -> list[str]:
    return [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *map(str, arguments)]


def run(command: list[str], printed: Path) -> int:
    """Run a command and keep what it prints, under its own name only if it succeeds."""
    partial = printed.with_suffix(".failed")
    with partial.open("w") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, check=False)
    if not done.returncode:
        partial.replace(printed)
    return done.returncode


if __name__ == "__main__":
    main()
