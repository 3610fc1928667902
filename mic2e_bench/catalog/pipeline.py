"""The contract of pipelines: what is known of one, what it gets (``Item``), and its live state (``Build``)."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from mic2e_bench.catalog.prompts import Reader
from mic2e_bench.catalog.witness import Witness

if TYPE_CHECKING:
    from PIL import Image

    from mic2e_bench.catalog.plain_code import Written

Task = Literal["removal", "inpainting", "generation", "segmentation"]
Settings = Mapping[str, Any]  # all that are resolved, by toggle
Pictures = list["Image.Image"]
TASKS: tuple[str, ...] = get_args(Task)


@dataclass(frozen=True)
class Item:
    """One input as the pipeline gets it: decoded pictures and prompts. ``points`` are rows of (x, y, label)."""

    name: str
    image: Image.Image | None = None
    mask: Image.Image | None = None
    prompt: str | None = None
    caption: str | None = None
    text: str | None = None
    points: tuple[tuple[float, float, int], ...] | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Conflict:
    """A row: the settings it speaks of, a test over the resolved settings and the pipeline, and the reason."""

    settings: tuple[str, ...]
    clash: Callable[[Settings, Pipeline], bool]
    reason: str


@dataclass(frozen=True)
class Pipeline:
    """One real pipeline: all that the workbench knows of it. What has a default is for pipelines that differ there.

    What it is and takes:

    - ``name`` in params files and tables, ``about`` in a line, ``hub`` the id of its weights, ``task``.
    - ``needs``: fields of an input item: image, mask, prompt, caption, text, points, box.
    - ``readers``: the tokenizers that read the texts among them, with their limits.
    - ``size``: what ``resolution`` means to it; ``multiple``: both sides that the model sees are multiples of this.
    - ``defaults``: settings, by toggle, that are not the toggle's own default.

    Its parts:

    - ``class_path``: the dotted path of the live pipeline's class, of diffusers or our own. It is loaded, recognised on
      a live object, imported before children are forked, and named in exported code.
    - ``components``: its torch modules by attribute; ``denoiser``: the one that is called at every step.
    - ``family``: what the denoiser is; many toggles ask.
    - ``architecture(arguments)``: the published size, from component to (class path, configuration).
    - ``index``: the file in a folder of its weights that says what they are: ``model_index.json`` (of diffusers), or
      ``config.json`` (of transformers).
    - ``folders``: what that file may say beside the class's name: classes with the same components, or a model type.
    - ``unweighted()``: what it needs beside the components to be assembled without stored weights: tokenizers and
      scheduler, by name. Default: those of the bundled model of its name.

    How it is loaded and called. ``arguments`` are those of ``from_pretrained`` (``dtype``, ``revision``, ...):

    - ``options``: more of them, the same for every load.
    - ``load(source, **arguments)``: the live pipeline of a folder or hub id. Default: the class's ``from_pretrained``.
    - ``assemble(components, arguments)``: one of such components. Default: the class, called with them.
    - ``call(build, item, seed)``: the whole of what a user waits for, resizing included; returns a list of images
      (masks for segmentation).
    - ``written(settings)``: the same call as plain code, for ``export``. Default: there is none.

    What toggles and tables ask:

    - ``guides_above``: the guidance scale above which it guides (``math.inf``: never).
    - ``fuses_qkv``: whether the denoiser has ``fuse_qkv_projections``.
    - ``conflicts``: rows that hold for this pipeline only, told before those of the general table.
    - ``service``: the inference service's field, or fields, of a setting; ``None``: the service does not have it.
    """

    name: str
    task: Task
    about: str
    hub: str
    class_path: str
    denoiser: str
    components: tuple[str, ...]
    needs: tuple[str, ...]
    size: Literal["short_side", "height_width", "fixed"]
    defaults: Mapping[str, Any]
    call: Callable[[Build, Item, int], Pictures]
    architecture: Callable[[Mapping[str, Any]], Mapping[str, tuple[str, Mapping[str, Any]]]]
    options: Mapping[str, Any] = field(default_factory=dict)
    load: Callable[..., Any] | None = None
    assemble: Callable[[Mapping[str, Any], Mapping[str, Any]], Any] | None = None
    index: Literal["model_index.json", "config.json"] = "model_index.json"
    folders: tuple[str, ...] = ()
    unweighted: Callable[[], Mapping[str, Any]] | None = None
    written: Callable[[Settings], Written] | None = None
    readers: tuple[Reader, ...] = ()
    multiple: int = 16
    family: Literal["unet", "transformer", "segmenter"] = "unet"
    guides_above: float = 1.0
    fuses_qkv: bool = True
    conflicts: tuple[Conflict, ...] = ()
    service: Mapping[str, str | tuple[str, ...]] | None = None

    @property
    def class_name(self) -> str:
        """The last part of ``class_path``."""
        return self.class_path.rpartition(".")[2]

    def loaded(self, source: str, **arguments: Any) -> Any:
        """The live pipeline from a folder or hub id. Raises what the libraries raise."""
        load = self.load or class_of(self.class_path).from_pretrained
        return load(source, **self.options, **arguments)

    def assembled(self, parts: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        """A live pipeline of these components, tokenizers and scheduler, for these arguments of loading."""
        if self.assemble:
            return self.assemble(parts, arguments)
        return class_of(self.class_path)(**parts)

    def guides(self, scale: float) -> bool:
        """Whether this guidance scale makes it guide."""
        return scale > self.guides_above


def class_of(path: str) -> Any:
    """The class at a dotted path such as ``diffusers.FluxPipeline``; imports its module."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@dataclass
class Build:
    """What toggles read and write.

    ``load`` collects the arguments of ``from_pretrained``; ``pipe`` is the live pipeline from MODIFY on; ``call``
    collects the arguments of the call and is emptied between trials. ``around_load`` is entered around
    ``from_pretrained``, ``around_build`` and ``around_call`` around every call (the last only for this trial).
    ``notes`` is what ``apply`` leaves for its own ``observe``. ``witness`` is what the first call of a trial was seen
    to do. ``on_step`` are diffusers' step callbacks, in order; each is given the tensors of ``step_tensors`` that the
    pipeline has. ``model`` says where the weights come from. ``settings`` are those of the build's first trial, for the
    few toggles whose work depends on another's. ``latest`` are the pictures of the last timed call, ``faults`` what
    showed in any call of this trial that it gave no picture.
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
    faults: list[str] = field(default_factory=list)
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
        self.on_step, self.step_tensors, self.latest, self.faults = [], [], [], []
