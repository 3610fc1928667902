"""The fields of the widgets: what is planned, under which name and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from mic2e_bench.catalog import registry
from mic2e_bench.notebook import form
from mic2e_bench.notebook.form import AS_GIVEN, Fields

STYLE, WIDE = {"description_width": "110px"}, {"width": "330px"}


class Inputs:
    """One widget a field; ``rows`` is what to display, ``changed`` is called when a person has changed one."""

    def __init__(self, given: Fields, name: str, is_name_proposed: bool, changed: Callable[[Any], None]) -> None:
        self.changed, self.proposed = changed, name if is_name_proposed else None
        self.pipeline = _made(widgets.Dropdown, "Pipeline", given.pipeline, options=list(registry.pipelines()))
        self.preset = _made(widgets.Dropdown, "Preset", given.preset, options=form.presets_of(given.pipeline))
        self.settings = _made(widgets.Text, "Settings", given.settings, placeholder="steps=20 resolution=512")
        self.axis = _made(widgets.Dropdown, "Axis", given.axis, options=_axes(given.pipeline))
        self.points = _made(widgets.Text, "Values", given.values, placeholder="4, 8, 12")
        self.limit = _made(widgets.BoundedIntText, "Inputs (0: all)", given.limit, min=0, max=1000)
        self.repeats = _made(widgets.BoundedIntText, "Calls (0: usual)", given.repeats, min=0, max=1000)
        self.study = _made(widgets.Text, "Study", name)
        self.most = [
            _made(widgets.Text, label, "", placeholder=text)
            for label, text in (("Latency <", "4s, 250ms"), ("Memory <", "10GB"), ("Quality >", "85%"))
        ]
        self.pipeline.observe(self._pipeline_changed, "value")
        for one in self._all():
            one.observe(changed, "value")
        pairs = ((self.pipeline, self.preset, self.settings), (self.axis, self.points, self.limit, self.repeats),
                 self.most, (self.study,))  # fmt: skip
        self.rows = [widgets.HBox(row, layout={"flex_flow": "row wrap"}) for row in pairs]

    def _all(self) -> list[Any]:
        return [self.pipeline, self.preset, self.settings, self.axis, self.points, self.limit, self.repeats,
                self.study, *self.most]  # fmt: skip

    def _pipeline_changed(self, change: Any) -> None:
        """Another pipeline has other presets and settings."""
        self.preset.options, self.axis.options = form.presets_of(change["new"]), _axes(change["new"])
        self.preset.value, self.axis.value = form.OWN, self.axis.options[0]

    @property
    def values(self) -> Fields:
        """What stands in them."""
        return Fields(
            self.pipeline.value, self.preset.value, self.settings.value, self.axis.value, self.points.value,
            self.limit.value, self.repeats.value,
        )  # fmt: skip

    @property
    def limits(self) -> tuple[str, ...]:
        """Latency, memory, quality as they are written."""
        return tuple(one.value for one in self.most)

    @property
    def name(self) -> str:
        return self.study.value.strip()

    @property
    def is_name_proposed(self) -> bool:
        """Whether the study's name is still the one that was proposed, or none."""
        return self.name in ("", self.proposed)

    def propose(self, name: str) -> None:
        """Put a name there, which is no change by a person."""
        self.proposed = name
        self.study.unobserve(self.changed, "value")
        self.study.value = name
        self.study.observe(self.changed, "value")


def _axes(pipeline: str) -> list[str]:
    return [*form.axes_of(pipeline), AS_GIVEN]


def _made(kind: Any, label: str, value: Any, **more: Any) -> Any:
    return kind(value=value, description=label, style=STYLE, layout=WIDE, **more)
