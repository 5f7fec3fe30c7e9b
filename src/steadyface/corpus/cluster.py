"""Ray: start or connect, share the cores, and hand out the videos."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import ray
import ray.data
from ray._private import node, ray_constants
from ray._private import utils as ray_utils

from steadyface.corpus.manifest import Entry
from steadyface.corpus.work import Worker
from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.interrupts import held_interrupts
from steadyface.pipeline import TrackingOptions
from steadyface.scratch import scratch_folder

_ENVIRONMENT = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else it warns, in red, that workers can be restarted
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns that this will change
}

SCRATCH = "steadyface-"
"""Prefix of the temporary folders of a run."""

_PATIENCE = 5.0  # s
_STORE = 100 << 20  # bytes; what is passed on here are paths and counts, and /dev/shm may be small
_LONGEST_FOLDER = 19  # bytes; Ray's sockets lie 84 deeper, and a socket's path has at most 103 on macOS
_init = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)


@dataclass(frozen=True)
class Share:
    """Number of workers, and the threads and GPUs (or part of one) of each."""

    workers: int
    threads: int
    gpus: float = 0.0


@contextmanager
def connect(address: str | None, workers: int | None) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster; an existing connection is used as it is.

    On this machine Ray listens on the loopback address only, has no dashboard and sends no usage statistics.
    Its files lie in a temporary folder, which is removed at the end.

    Raises:
        SteadyfaceError: there is no cluster, or Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with ExitStack() as stack:
        try:
            if address is None:
                folder = stack.enter_context(scratch_folder(SCRATCH, _place(), _end_processes))
                stack.callback(ray.shutdown)
                _start(max(workers or 1, _cores()), str(folder))
            else:
                _knock(address)
                stack.callback(ray.shutdown)
                with _no_notice(), _kept_signals():
                    _init(address)
        except Exception as error:  # Ray raises bare ones, as when it starts too slowly
            what = "Ray does not start here" if address is None else f"no Ray cluster at {address}"
            raise SteadyfaceError(f"{what}: {error}") from error
        yield


def share_out(videos: int, workers: int | None, threads: int | None, device: str) -> Share:
    """Share the cores that Ray has: by default a worker per core, at most one a video.

    Raises:
        ConfigError: more workers and threads than the machines have cores.
    """
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    workers = min(workers or sum(cores) // (threads or 1) or 1, videos)
    threads = threads or max(1, min(sum(cores) // workers, max(cores)))
    places = sum(number // threads for number in cores)
    if workers > places:
        each = f"{workers} workers of {threads} {'thread' if threads == 1 else 'threads'}"
        raise ConfigError(f"{each} do not fit; the machines have {' + '.join(map(str, cores))} cores")
    gpus = 0.0 if device == "cpu" else ray.cluster_resources().get("GPU", 0.0)
    return Share(workers, threads, min(1.0, gpus / workers))


def track_all(
    outputs: Mapping[str, str],
    share: Share,
    options: TrackingOptions,
    out: Path,
    scratch: Path,
    crops: str | None = None,
) -> Iterator[Entry]:
    """Yield the entry of each video as soon as it has ended, in any order.

    Ray starts a video again if its worker died; `Worker` limits how often.

    Args:
        outputs: address → file of results, below `out`.
        share: from `share_out`.
        options, out, scratch, crops: as for `Worker`.

    Raises:
        SteadyfaceError: Ray itself fails.
    """
    rows = [{"input": source, "output": output} for source, output in outputs.items()]
    results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        Worker,  # type: ignore[arg-type]  # one for each process of the pool
        fn_constructor_args=(replace(options, threads=share.threads), out, scratch, crops),
        compute=ray.data.ActorPoolStrategy(size=share.workers, max_tasks_in_flight_per_actor=1),
        num_cpus=share.threads,
        num_gpus=share.gpus,
    )
    results.context.enable_progress_bars = False
    try:
        for batch in results.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
            for line in batch["entry"]:
                yield Entry(**json.loads(line))
    except ray.exceptions.RayError as error:
        raise SteadyfaceError(f"Ray has failed; what is finished is kept: {error}") from error


@contextmanager
def _kept_local() -> Iterator[None]:
    """Let a Ray that starts meanwhile listen on the loopback address only, and ask nothing of others.

    Ray replaces a loopback address that it is given by the machine's own, and then listens on all interfaces.
    Where it takes clusters of several machines for impossible, its default on macOS and Windows, it does not.
    Its dashboard's process starts even without dashboard and usage statistics, and asks the metadata servers
    of three clouds where it runs; no option or variable prevents that.
    """
    enabled, start_api_server = ray_constants.ENABLE_RAY_CLUSTER, node.Node.start_api_server
    ray_constants.ENABLE_RAY_CLUSTER = False
    node.Node.start_api_server = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = enabled
        node.Node.start_api_server = start_api_server  # type: ignore[method-assign]


def _provide_token() -> None:
    """Keep Ray's access token in memory; Ray writes one into the home folder where it finds none."""
    if "RAY_AUTH_TOKEN_PATH" not in os.environ and not (Path.home() / ".ray" / "auth_token").exists():
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextmanager
def _kept_signals() -> Iterator[None]:
    """Hold signals back while Ray starts, which would abort, and keep the handlers that they have.

    Ray's own handler ends the process, and its core's prints a native stack.

    Raises:
        KeyboardInterrupt: a signal came meanwhile.
    """
    setting = ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda handler: None
    try:
        with held_interrupts() as interrupts:
            yield
    finally:
        ray_utils.set_sigterm_handler = setting
    if interrupts.seen:
        raise KeyboardInterrupt


def _place() -> str:
    """Folder for Ray's files: /tmp where the usual place has too long a name for sockets."""
    place = tempfile.gettempdir()
    too_long = len(os.fsencode(place)) > _LONGEST_FOLDER and Path("/tmp").is_dir()
    return "/tmp" if too_long else place


def _end_processes(folder: Path) -> None:
    """End the processes of a Ray whose driver was killed: those with files open in folders of its folder."""
    import psutil  # Ray brings it, and only `import ray` lets it be found

    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(folder in Path(file.path).parents[1:] for file in process.open_files()):
                process.kill()


def _start(cores: int, folder: str) -> None:
    """Start Ray on this machine alone, with its files in a folder."""
    _provide_token()
    with _no_notice(), _kept_signals(), _kept_local():
        _init(
            "local",
            num_cpus=cores,
            object_store_memory=_STORE,
            include_dashboard=False,
            _temp_dir=folder,
        )


def _knock(address: str) -> None:
    """Fail at once where nothing answers at HOST:PORT; Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), _PATIENCE).close()


@contextmanager
def _no_notice() -> Iterator[None]:
    """Ray's core tells the error stream that its log level is set, whatever the level."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
