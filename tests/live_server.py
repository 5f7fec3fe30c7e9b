"""A server of the live page in a thread of its own, for the tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from steadyface.live import server as live
from steadyface.live.session import Networks, Session


class Running:
    """A server in a thread of its own."""

    def __init__(self, networks: Networks, out: Path | None = None) -> None:
        self.socket = live.listen(0)
        self.port = self.socket.getsockname()[1]
        self.server = live.make_server(networks, self.socket, out=out)
        self.app: Any = self.server.config.app
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()
        until(lambda: self.server.started)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def sessions(self) -> set[Session]:
        return self.app.state.sessions

    def open(self, **options: Any) -> ClientConnection:
        return connect(f"ws://{self.address}/live", **{"compression": None, "max_size": None} | options)

    def get(self, path: str, **headers: str) -> Any:
        return httpx.get(f"http://{self.address}{path}", headers=headers, timeout=60.0)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()


def until(holds: Callable[[], Any], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def told(tab: ClientConnection) -> dict[str, Any]:
    return json.loads(tab.recv(timeout=30))


def ask(tab: ClientConnection, **request: Any) -> dict[str, Any]:
    tab.send(json.dumps(request))
    return told(tab)
