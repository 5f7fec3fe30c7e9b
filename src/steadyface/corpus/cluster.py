"""Ray: where it runs, how its cores are shared, and how the videos are dealt out."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ray
import ray.data

from steadyface.corpus.manifest import Entry
from steadyface.corpus.options import CorpusOptions
from steadyface.corpus.work import Worker
from steadyface.errors import ConfigError, SteadyfaceError

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else it warns, in red, that workers can be restarted
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns that this will change
}

_PATIENCE = 5.0  # s
_STORE = 100 << 20  # bytes; what is passed on here are paths and counts, and /dev/shm may be small


@dataclass(frozen=True)
class Share:
    """How many workers, and what each of them has: threads, and GPUs or a part of one."""

    workers: int
    threads: int
    gpus: float = 0.0


@contextmanager
def connect(address: str | None, workers: int | None) -> Iterator[None]:
    """Ray at an address, or on this machine alone; what the process is connected to already is left so.

    Raises:
        SteadyfaceError: there is no cluster, or Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    start = partial(ray.init, address or "local", log_to_driver=False, logging_level=logging.ERROR)
    if address is None:
        cores = max(workers or 1, _cores())
        start = partial(start, num_cpus=cores, object_store_memory=_STORE, include_dashboard=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        _knock(address)
        with _no_notice():
            start()
    except Exception as error:  # Ray raises bare ones, as when it starts too slowly
        what = "Ray does not start here" if address is None else f"no Ray cluster at {address}"
        raise SteadyfaceError(f"{what}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def share_out(videos: int, workers: int | None, threads: int | None, device: str) -> Share:
    """Deal the cores of what Ray is connected to: a worker per core unless told otherwise or videos are few.

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
    outputs: Mapping[str, str], share: Share, options: CorpusOptions, out: Path, scratch: Path
) -> Iterator[Entry]:
    """The entry of each video as soon as it is there, in any order.

    Ray begins a video again whose worker has died; `Worker` sees to it that this comes to an end.

    Args:
        outputs: address → file of results, below `out`.
        share: of `share_out`.
        options, out, scratch: as for `Worker`.

    Raises:
        SteadyfaceError: Ray itself fails.
    """
    rows = [{"input": source, "output": output} for source, output in outputs.items()]
    results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        Worker,  # type: ignore[arg-type]  # one for each process of the pool
        fn_constructor_args=(options, out, scratch, share.threads),
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


def _knock(address: str | None) -> None:
    """Fail at once where nobody answers at HOST:PORT; Ray would wait for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
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
