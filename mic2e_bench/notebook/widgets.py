"""The widgets: plan a study, start it, watch it, stop it, go on, and look at its pictures."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from mic2e_bench import documents, files
from mic2e_bench.errors import BadInput
from mic2e_bench.notebook import fields, form, shown, slider
from mic2e_bench.notebook.bench import Bench
from mic2e_bench.plan.params import resolve_study
from mic2e_bench.tools import pin
from mic2e_bench.tools.lab import copies, names, planned, studies
from mic2e_bench.tools.lab.measuring import Measuring


class Panel:
    """The widgets of one ``Bench``; its study becomes the one that was planned last. ``view`` is what to display."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.base = bench, dict(bench.study.params)
        proposed = names.own(self.base, bench.results)
        self.fields = fields.Inputs(form.of(self.base), bench.study.name, proposed == bench.study.name, self._changed)
        self.buttons = {
            name: widgets.Button(description=name, disabled=name != "Plan", button_style=style)
            for name, style in (("Plan", "primary"), ("Start", "success"), ("Stop", "danger"), ("Go on", ""))
        }
        self.buttons["GPU memory"] = widgets.Button(
            description="Estimate GPU memory", disabled=True, tooltip="by fit: up to a minute", layout={"width": "auto"}
        )
        for name, act in zip(self.buttons, (self._plan, self._start, self._stop, self._start, self._fit), strict=True):
            self.buttons[name].on_click(lambda _, act=act: self._guarded(act))
        self.status, self.body, self.below = shown.place(), shown.place(), widgets.VBox()
        row = widgets.HBox([*self.buttons.values()], layout={"flex_flow": "row wrap"})
        self.view = widgets.VBox([*self.fields.rows, row, self.status, self.body, self.below])
        self.view.add_class("mic2e-panel")
        self.planned: planned.Planned | None = None
        self.run: Measuring | None = None
        self._guarded(self._plan)

    def _guarded(self, act: Any) -> None:
        """Do what a button is for; what a person asked for and cannot have is said in a line."""
        try:
            act()
        except (BadInput, OSError) as error:
            shown.line(self.status, "not possible", str(error), "problem")
            self._enable("Plan")

    def _enable(self, *those: str) -> None:
        for name, button in self.buttons.items():
            button.disabled = name not in those

    def _changed(self, _: Any) -> None:
        """A field was changed: what was planned is no longer what is asked for."""
        if self.run and self.run.is_running:
            return
        self._enable("Plan")
        shown.line(self.status, "changed: press Plan")

    def _plan(self) -> None:
        """Read the fields, and show what would be measured with its estimates; nothing runs."""
        params, results = form.params_of(self.fields.values, self.base), self.bench.results
        form.limits_of(*self.fields.limits)
        if self.fields.is_name_proposed:
            self.fields.propose(names.own(params, results))
        params["study"] = self.fields.name
        self.bench.study = pin.pinned(resolve_study(params, "widgets"))
        file = copies.folder() / f"{self.bench.study.name}.yaml"
        files.write_whole(file, documents.as_yaml(params).encode(), through_links=False)
        self.run = Measuring(file, results, self._looked, self._ended)
        self.planned = planned.of(self.bench.study, results)
        self._show_plan()

    def _show_plan(self) -> None:
        measured = studies.of_study(self.bench.study, self.bench.results).measured
        go = ("Go on" if measured else "Start",) if self.planned.to_measure else ()
        self._enable("Plan", "GPU memory", *go)
        shown.line(self.status, self.planned.headline())
        shown.put(self.body, self.planned.table(shown.limits(*self.fields.limits)).html())
        self.below.children = self._pictures() if measured else ()

    def _start(self) -> None:
        self._enable("Stop")
        shown.line(self.status, "starting")
        self.below.children = ()
        self.run.start()

    def _stop(self) -> None:
        self._enable()
        shown.line(self.status, "stopping: what is measured is kept")
        self.run.stop()

    def _looked(self) -> None:
        """From the thread that watches the run: what has a record by now."""
        state = studies.of_study(self.bench.study, self.bench.results)
        if not self.run.asked_to_stop:
            shown.line(self.status, f"measuring: {state.measured} of {state.planned} measured", self.run.said)
        if state.measured:
            shown.put(self.body, shown.table(self.bench))

    def _ended(self) -> None:
        """From the same thread: how the run ended, and what there is to see."""
        state = studies.of_study(self.bench.study, self.bench.results)
        count = f"{state.measured} of {state.planned} measured"
        is_whole = state.measured + state.failed == state.planned
        self._enable("Plan", "GPU memory", *(() if is_whole else ("Go on",)))
        if problem := self.run.problem:
            shown.line(self.status, f"ended: {count}", problem, "problem")
        elif is_whole:
            failed = f", {state.failed} failed" if state.failed else ""
            shown.line(self.status, f"complete: {count}{failed}", "Run the cells below for its figures and pictures.")
        else:
            shown.line(self.status, f"stopped: {count}; Go on continues")
        if state.measured:
            shown.put(self.body, shown.table(self.bench))
            self.below.children = self._pictures()

    def _pictures(self) -> tuple[Any, ...]:
        """The slider and what to set under the limits, where there is enough for either."""
        try:
            moved = slider.of(self.bench.findings())
        except BadInput:  # records of several machines; the table says so
            return ()
        answer = shown.place()
        shown.put(answer, shown.answer(self.bench, form.limits_of(*self.fields.limits)))
        return (*([moved] if moved else []), answer)

    def _fit(self) -> None:
        """Estimate the memory on a GPU in a process of its own, which may import torch."""
        self.buttons["GPU memory"].disabled = True
        shown.line(self.status, "estimating GPU memory: it imports torch, and rehearses each setting without a GPU")
        threading.Thread(target=self._fitted, args=(self.planned, self.run.file), daemon=True).start()

    def _fitted(self, plan: planned.Planned, file: Any) -> None:
        command = [sys.executable, "-m", "mic2e_bench.tools.lab.memory", str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        if plan is not self.planned or (self.run and self.run.is_running):
            return
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            shown.line(self.status, "no estimate", last, "problem")
            return
        self.planned = replace(plan, on_gpu=json.loads(done.stdout))
        self._show_plan()
