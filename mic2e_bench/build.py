"""The live state of one loaded pipeline while toggles work on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from mic2e_bench.pipeline import Pipeline
from mic2e_bench.witness import Witness


@dataclass
class Build:
    """What toggles read and write.

    ``load`` collects the arguments of ``from_pretrained``; ``pipe`` is the live pipeline from MODIFY on; ``call``
    collects the arguments of the call and is emptied between trials. ``around_load`` is entered around
    ``from_pretrained``, ``around_build`` and ``around_call`` around every call (the last only for this trial).
    ``notes`` is what ``apply`` leaves for its own ``observe``. ``witness`` is what the first call of a trial was seen
    to do. ``on_step`` are diffusers' step callbacks, in order; each is given the tensors of ``step_tensors`` that the
    pipeline has. ``model`` says where the weights come from. ``settings`` are those of the build's first trial, for the
    few toggles whose work depends on another's. ``latest`` are the pictures of the last timed call.
    """

    pipeline: Pipeline
    device: str = "cpu"
    load: dict[str, Any] = field(default_factory=dict)
    pipe: Any = None
    call: dict[str, Any] = field(default_factory=dict)
    around_load: list[Callable[[], AbstractContextManager]] = field(default_factory=list)
    around_build: list[Callable[[], AbstractContextManager]] = field(default_factory=list)
    around_call: list[Callable[[], AbstractContextManager]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    witness: Witness = field(default_factory=Witness)
    on_step: list[Callable[..., dict]] = field(default_factory=list)
    step_tensors: list[str] = field(default_factory=list)
    model: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    latest: list[Any] = field(default_factory=list)

    @property
    def denoiser(self) -> Any:
        """The module that is called at every step (for segmentation, the whole model)."""
        return getattr(self.pipe, self.pipeline.denoiser)

    def modules(self) -> dict[str, Any]:
        """The live torch modules by component name."""
        found = {name: getattr(self.pipe, name, None) for name in self.pipeline.components}
        return {name: module for name, module in found.items() if hasattr(module, "parameters")}

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Everything that must be in force during a call."""
        with contextlib.ExitStack() as stack:
            for manager in (*self.around_build, *self.around_call):
                stack.enter_context(manager())
            yield

    @contextlib.contextmanager
    def shortened(self, steps: int) -> Iterator[None]:
        """At most so many steps, for a call of which only the first matters."""
        before = dict(self.call)
        if "steps" in before:
            self.call["steps"] = min(steps, before["steps"])
        try:
            yield
        finally:
            self.call = before

    def step_arguments(self) -> dict[str, Any]:
        """The arguments that give a pipeline call its step callbacks; none where there are none."""
        if not self.on_step:
            return {}

        def each(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            for callback in self.on_step:
                tensors = callback(pipe, step, timestep, tensors)
            return tensors

        offered = self.pipe._callback_tensor_inputs
        names = ["latents", *(name for name in self.step_tensors if name in offered)]
        return {"callback_on_step_end": each, "callback_on_step_end_tensor_inputs": names}

    def next_trial(self) -> None:
        """Forget what belonged to the last call."""
        self.call, self.around_call, self.witness = {}, [], Witness()
        self.on_step, self.step_tensors, self.latest = [], [], []
