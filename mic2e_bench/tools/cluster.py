"""Ray, as pools and distributed studies use it: started here and ended again, or one that runs already."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psutil

from mic2e_bench.errors import BadInput
from mic2e_bench.machine import cgroup, environment

OBJECT_STORE = 128 << 20  # bytes: what travels are trials and answers, no pictures
ANSWERS_WITHIN_S = 5.0
STARTS = 3  # on a machine that is busy Ray gives up after 30 s
# how a conversation in HTTP/2, which is Ray's, begins: the client's first words, the kind of the server's first frame
HTTP2, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", b"\4"
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
LONGEST_FOLDER = 24  # characters; a socket's path has 107, and Ray adds up to 80
# no request to the network; an actor without a GPU sees none, which Ray no longer sees to by itself; the kernel, and
# not Ray, ends what takes too much memory, as everywhere else
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",
}


@contextlib.contextmanager
def connected(workers: int, device: str, address: str = "", where: str = "workers") -> Iterator[Mapping[str, Any]]:
    """A cluster with room for so many workers on such a device; yields the options of each worker's actor.

    Without an ``address`` (``host:port``, or ``auto`` for one that runs here) it is started here and ended again.
    Raises ``BadInput`` where Ray is not installed, no cluster answers, or it has no room. One that is started here
    serves only who knows the token that Ray keeps in ``~/.ray``.
    """
    ray = imported()
    if address:
        _require_answer(address)
    else:
        _share(_of_this_machine(device), workers, device, where)  # before anything is started
    with _variables(QUIET), tempfile.TemporaryDirectory(prefix="ray-", dir=_short(), ignore_cleanup_errors=True) as own:
        try:
            _start(ray, address, device, own)
            yield _share(ray.cluster_resources(), workers, device, where)
        finally:
            ray.shutdown()


def _start(ray: Any, address: str, device: str, folder: str) -> None:
    """Connect to the cluster at ``address``, or start one whose files lie in ``folder``."""
    arguments: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        arguments["address"] = address
    else:
        there = _of_this_machine(device)
        arguments |= {"num_cpus": there["CPU"], "num_gpus": there["GPU"], "include_dashboard": False}
        arguments |= {"object_store_memory": OBJECT_STORE, "address": "local", "_temp_dir": folder}
    for left in range(1 if address else STARTS, 0, -1):
        known = {child.pid for child in psutil.Process().children()}
        try:
            ray.init(**arguments)
            return
        except Exception as error:  # where its processes take more than 30 s to start, that is all that it raises
            ray.shutdown()
            _end([child for child in psutil.Process().children() if child.pid not in known])
            if left == 1 or "timed out" not in str(error):
                said = " ".join(str(error).split())[:300]
                asked = f"--address {address}: the cluster there" if address else "Ray"
                raise BadInput(f"{asked} cannot be used: {said}") from None


def _end(started: Sequence[psutil.Process]) -> None:
    """End what a start that failed has left, with all that it has started."""
    for one in started:
        with contextlib.suppress(psutil.Error):
            for process in (*one.children(recursive=True), one):
                process.kill()


def _of_this_machine(device: str) -> dict[str, int]:
    """What a cluster that is started here has: processors that this process may use, and GPUs that it sees."""
    cores = max(1, int(min(len(os.sched_getaffinity(0)), cgroup.cpus() or math.inf)))
    return {"CPU": cores, "GPU": 0 if device == "cpu" else len(_cards())}


def _short() -> str | None:
    """A folder for sockets, whose names have few characters; ``None`` is the usual one."""
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER:
        return None
    return next((place for place in SHORT_FOLDERS if os.access(place, os.W_OK)), None)


def imported() -> Any:
    """Ray's package. Raises ``BadInput`` where it is not installed."""
    try:
        import ray
    except ImportError:
        raise BadInput("Ray is not installed: it is in the extra 'throughput': pip install '.[throughput]'.") from None
    return ray


def _cards() -> tuple[Any, ...]:
    from mic2e_bench.machine import visible

    return visible.look().handles


def _share(there: Mapping[str, float], workers: int, device: str, where: str) -> dict[str, Any]:
    """What each worker gets: a GPU of its own, or its part of the processors."""
    if device != "cpu":
        if workers > (gpus := int(there.get("GPU", 0))):
            raise BadInput(f"{where}: {workers} workers need a GPU each, and there are {gpus}: ask for fewer.")
        return {"num_gpus": 1, "num_cpus": 1}
    if workers > (cores := int(there.get("CPU", 0))):
        raise BadInput(f"{where}: {workers} workers need a processor each, and there are {cores}: ask for fewer.")
    return {"num_cpus": cores // workers, "num_gpus": 0}


def _require_answer(address: str) -> None:
    """Raise ``BadInput`` where nobody listens: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput(f"--address {address}: write host:port of a Ray cluster (its port is 6379 by default), or auto.")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN_S) as link:
            link.sendall(HTTP2)
            said = "" if link.recv(9, socket.MSG_WAITALL)[3:4] == SETTINGS else "what listens there is no Ray cluster"
    except OSError as error:
        said = error.strerror or str(error)
    if said and not os.environ.get("RAY_USE_TLS"):
        raise BadInput(
            f"--address {address}: no cluster answers there ({said}). Start one: ray start --head --port={port}."
        )


@contextlib.contextmanager
def _variables(wanted: Mapping[str, str]) -> Iterator[None]:
    """These variables while a cluster is up; what a person has set stays, and none that Ray sets."""
    before = {name for name in os.environ if name.startswith("RAY_")}
    os.environ.update({name: value for name, value in wanted.items() if name not in os.environ})
    try:
        yield
    finally:
        for name in {name for name in os.environ if name.startswith("RAY_")} - before:
            del os.environ[name]


def seen() -> dict[str, Any]:
    """What a worker is given and sees, asked in its own process: for the record's environment."""
    from mic2e_bench.machine import visible

    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")
    cards = visible.look()
    return {
        "host": environment.here("cpu")["host"],
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "variables": {name: os.environ.get(name) for name in names},
        "gpus_seen": len(cards.handles),
        "cores_seen": len(os.sched_getaffinity(0)),
    }
