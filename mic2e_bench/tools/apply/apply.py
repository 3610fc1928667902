"""Put a preset in force on a pipeline that a service has loaded, with the toggles' own code and receipts."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import pictures
from mic2e_bench.catalog import registry, watch
from mic2e_bench.catalog.kernels import count_kernels
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.toggle import Phase, Toggle
from mic2e_bench.catalog.witness import Witness
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.machine import probes
from mic2e_bench.plan import conflicts, presets, protocol, settings
from mic2e_bench.run import assemble, per_call
from mic2e_bench.tools.apply import adopt

if TYPE_CHECKING:
    from PIL import Image

TOO_LATE = "it acts while loading, and this pipeline was loaded before"
IN_A_CALL = "shows in a call: make one inside watch()"
_LIVE: weakref.WeakKeyDictionary[Any, Applied] = weakref.WeakKeyDictionary()


class _NoCallYet(Exception):
    """A receipt that can be given after a call only."""


class _Unseen:
    """The witness of a call that was not made."""

    def __getattr__(self, name: str) -> Any:
        raise _NoCallYet


class Applied:
    """What was put in force on a live pipeline.

    ``receipts``: for every setting that was given ``{"asked", "seen", "applied", "how"[, "reason"]}``; ``applied`` is
    ``None`` where only a call can show it, until one was made inside ``watch()``. ``conflicts``: reasons why settings
    cannot be in force together (with ``force``; else they are refused). ``settings``: what was given, canonical.
    """

    def __init__(self, build: Build) -> None:
        self.build = build
        self.settings: dict[str, Any] = {}
        self.conflicts: list[str] = []
        self.receipts: dict[str, dict[str, Any]] = {}

    @property
    def call(self) -> dict[str, Any]:
        """Arguments for the pipeline's call, under its own names. Ask anew for every call."""
        given: dict[str, Any] = {}
        for toggle in self._given(Phase.CALL, Phase.CALL):
            given |= toggle.arguments(self.settings[toggle.name], self.build.pipeline)
        return given | self.build.step_arguments()

    def resized(self, image: Image.Image, mask: Image.Image) -> tuple[Image.Image, Image.Image]:
        """Image and mask as the preset's ``resolution`` and ``resample`` have them, for the pipelines that edit.

        Both are read as files of pictures are: upright, in sRGB, a mask in any usual form. Raises ``BadInput``.
        """
        from mic2e_bench.catalog.models.calling import to_model_size

        defaults = self.build.pipeline.defaults
        if self.build.pipeline.size != "short_side":
            raise BadInput(f"{self.build.pipeline.name} resizes no input: its size is in .call")
        self.build.call = {**defaults, **self.build.call}
        try:
            image, mask = pictures.as_seen(image), pictures.as_mask(mask)
        except ValueError as error:
            raise BadInput(f"resized(): {error}") from None
        if image.size != mask.size:
            raise BadInput(f"resized(): the image is {image.size} and its mask {mask.size}: a mask must have its size.")
        if problem := pictures.selects(mask):
            raise BadInput(f"resized(): the mask {problem}.")
        return to_model_size(self.build, Item("live", image, mask))

    def around(self) -> contextlib.AbstractContextManager[None]:
        """What must be in force during a call: kernels that are preferred, inference mode. Put every call inside."""
        return self.build.around()

    @contextlib.contextmanager
    def watch(self) -> Iterator[Applied]:
        """The same for one call that is watched, a little slower; then ``receipts`` tell what it showed."""
        build = self.build
        build.witness = Witness()
        sync, kernels = probes.synchroniser(build.device), count_kernels(build.witness, build.denoiser)
        steps = contextlib.nullcontext() if build.pipeline.task == "segmentation" else watch.steps(build, sync)
        seen = watch.watch(build.witness, build.modules(), build.pipeline.denoiser, sync)
        with self.around(), kernels, steps, seen:
            yield self
        if not build.witness.denoiser:
            raise BadInput("watch(): no call of the pipeline was made inside")
        for toggle in self._given(Phase.LOAD, Phase.CALL):
            if self.receipts[toggle.name].get("reason", "") == "":
                self.receipts[toggle.name] = assemble.receipt(build, toggle, self.settings[toggle.name])

    def _given(self, first: Phase, last: Phase) -> list[Toggle]:
        return [t for name, t in registry.toggles().items() if name in self.settings and first <= t.phase <= last]

    def put(self, given: Mapping[str, Any]) -> None:
        """Put settings in force that are not yet: build settings once, settings of the call anew."""
        build, fresh = self.build, [name for name in given if name not in self.settings]
        self.settings |= given
        self.receipts |= {name: per_call.receipt(asked) for name, asked in given.items() if name in protocol.VARIED}
        for toggle in self._given(Phase.LOAD, Phase.COMPILE):
            if toggle.name in fresh:
                self.receipts[toggle.name] = self._apply(toggle)
        build.next_trial()
        for toggle in self._given(Phase.CALL, Phase.CALL):
            toggle.apply(build, self.settings[toggle.name])
            self.receipts[toggle.name] = _pending(self.settings[toggle.name])
        build.witness = _Unseen()
        for toggle in self._given(Phase.LOAD, Phase.COMPILE):
            if toggle.name in fresh and "reason" not in self.receipts[toggle.name]:
                self.receipts[toggle.name] = self._look(toggle)
        build.witness = Witness()

    def _apply(self, toggle: Toggle) -> dict[str, Any]:
        """Apply one toggle; a receipt with a reason where that is already known to be in vain."""
        asked = self.settings[toggle.name]
        reason = toggle.missing(asked, self.build.device)
        try:
            if not reason and toggle.on_live:
                reason = toggle.on_live(self.build, asked)
            elif not reason and toggle.phase > Phase.LOAD:
                toggle.apply(self.build, asked)
        except Unavailable as error:
            reason = str(error)
        return _refused(asked, reason) if reason else _pending(asked)

    def _look(self, toggle: Toggle) -> dict[str, Any]:
        asked = self.settings[toggle.name]
        try:
            return assemble.receipt(self.build, toggle, asked)
        except _NoCallYet:
            return _pending(asked)
        except KeyError:  # what a toggle of LOAD notes while loading
            return _refused(asked, TOO_LATE)


def _pending(asked: Any) -> dict[str, Any]:
    return {"asked": asked, "seen": None, "applied": None, "how": IN_A_CALL}


def _refused(asked: Any, reason: str) -> dict[str, Any]:
    return {"asked": asked, "seen": None, "applied": False, "how": "not applied", "reason": reason}


def apply(
    pipe: Any, preset: str | Path | Mapping[str, Any], pipeline: str | None = None, force: bool = False
) -> Applied:
    """Put a preset in force on ``pipe``, a live pipeline of diffusers, an ``ObjectClearPipeline`` or a ``Segmenter``.

    ``preset``: a name in params/presets.yaml, a mapping of settings, or a YAML file of either. ``pipeline``: the name
    of the pipeline where its class does not tell. Only what the preset says is changed. Applying again changes
    settings of the call and adds others; one that is built in already cannot be taken back. Raises ``BadInput`` for
    settings that are unknown, that conflict (unless ``force``), or that are built in otherwise.
    """
    found = registry.pipeline(pipeline or adopt.name_of(pipe), "apply")
    given = presets.read(preset, found, "apply")
    if pipe not in _LIVE:
        _LIVE[pipe] = Applied(adopt.around(pipe, found))
    applied = _LIVE[pipe]
    known = registry.toggles()
    for name, value in given.items():
        before = applied.settings.get(name, value)
        if before != value and name in known and known[name].phase < Phase.CALL:
            raise BadInput(f"apply: {name} {before} is in force on this pipeline already: load it anew for {value}.")
    resolved = settings.resolve({**adopt.facts(applied.build), **applied.settings, **given}, found, "apply")
    reasons = conflicts.find_all(resolved, found)
    if reasons and not force:
        raise BadInput(f"apply: {'; '.join(reasons)} (force=True applies it all the same).")
    applied.build.settings, applied.conflicts = resolved, reasons
    applied.build.device = resolved["device"]
    applied.put(given)
    return applied
