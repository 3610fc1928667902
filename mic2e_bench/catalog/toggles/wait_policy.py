"""How OpenMP's threads wait for their next work: spinning, sleeping, or as the environment has it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of

VARIABLE = "OMP_WAIT_POLICY"
OLDER = "passive"  # what every process was started with when records had no such setting
TOO_LATE = f"OpenMP reads {VARIABLE} when it is loaded, and this process has loaded it: set it before a process starts"


def apply(build: Build, value: str) -> None:
    """Nothing: the process was started with it (see ``run/forkserver``)."""


def started_with() -> str:
    """The variable as this process was started with it, whatever was written to it since; empty where it was not set.

    A forked process has what the one was started with that loaded OpenMP, which is what counts.
    """
    with open("/proc/self/environ", "rb") as file:
        variables = dict(line.partition(b"=")[::2] for line in file.read().split(b"\0"))
    return variables.get(VARIABLE.encode(), b"").decode(errors="replace")


def observe(build: Build, value: str) -> Seen:
    found = started_with()
    how = f"the process was started with {VARIABLE}={found}" if found else f"{VARIABLE} was not set: the library's own"
    if value == "default":
        return Seen("default", how)
    return Seen(found.lower() or "default", how)


def on_live(build: Build, value: str) -> str:
    return "" if value in ("default", started_with().lower()) else TOO_LATE


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    if value == "default":
        return Code()
    return Code(first=f'import os\n\nos.environ["{VARIABLE}"] = "{value.upper()}"  # before torch loads OpenMP')


def of(settings: Settings) -> str:
    """The policy that a process is to be started with for these settings."""
    return settings.get("wait_policy", "default")


def is_own(policy: str) -> bool:
    """Whether a process that is started with this one's environment has this policy."""
    return policy in ("default", os.environ.get(VARIABLE, "").lower())


@contextlib.contextmanager
def put(policy: str) -> Iterator[None]:
    """Processes that are started in the block have this policy."""
    before = os.environ.get(VARIABLE)
    if not is_own(policy):
        os.environ[VARIABLE] = policy.upper()
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        os.environ |= {} if before is None else {VARIABLE: before}


WAIT_POLICY = Toggle(
    name="wait_policy",
    phase=Phase.LOAD,
    values="default | passive | active",
    default="default",
    parse=one_of("default", "passive", "active"),
    apply=apply,
    observe=observe,
    cost="none",
    about="How the threads of one CPU operator wait for the next: passive sleeps, active spins; default is what the\n"
    "environment says (OMP_WAIT_POLICY), else the library's own: a short spin. Spinning is faster on a quiet machine\n"
    "and many times slower on a busy one. Each value is a process of its own.",
    source="docs: OpenMP, 'OMP_WAIT_POLICY'; docs: GNU libgomp, 'OMP_WAIT_POLICY' and 'GOMP_SPINCOUNT'",
    tolerance=0.0,
    code=code,
    on_live=on_live,
)
