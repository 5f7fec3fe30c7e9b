"""Tabs of the live page that come and go: memory and open files of the server after so many rounds.

    python benchmarks/rounds.py [ROUNDS]

Starts `steadyface live`; in each round a tab opens, sends five frames of the bundled portrait, records two
of them, and goes without a word.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import replace

import cv2
import psutil
from websockets.sync.client import connect

from steadyface.demo import portrait

FRAMES, PRINTED = 5, 5
"""Frames of a round, and number of lines that are printed."""


def main(rounds: int) -> None:
    scene = replace(portrait(), zoom=1.1, width=480, height=270, fps=25.0, seconds=FRAMES / 25)
    messages = []
    for frame in scene:
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        messages.append(struct.pack("<IdHH", frame.index, frame.seconds, 480, 270) + jpeg.tobytes())
    command = [sys.executable, "-m", "steadyface", "live", "--no-open", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0].removeprefix("http://")
        process = psutil.Process(server.pid)
        for number in range(1, rounds + 1):
            visit(address, messages)
            if number % max(1, rounds // PRINTED) == 0:
                megabytes = process.memory_info().rss / 1e6
                print(f"{number} rounds: {megabytes:.0f} MB, {process.num_fds()} files", flush=True)
        server.terminate()


def visit(address: str, messages: list[bytes]) -> None:
    with connect(f"ws://{address}/live", compression=None, max_size=None) as tab:
        tab.recv()
        for number, message in enumerate(messages):
            if number == len(messages) - 2:
                tab.send(json.dumps({"type": "record", "source": "benchmark"}))
                tab.recv()
            tab.send(message)
            tab.recv()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
