"""Names beside points: each where it hides no point and no other text, the important ones first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from mic2e_bench.report import draw, figures

SIZE, TALL = 8, 11  # of a name, and the height that it takes, in points
REACH = (8, 16, 26, 38, 52)  # how far from its point a name may stand, in points
# first beside and above or below a point, where no error bar runs
SIDES = ((1, 0.9), (-1, 0.9), (1, -0.9), (-1, -0.9), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1.6), (-1, 1.6),
         (1, -1.6), (-1, -1.6))  # fmt: skip
POINT = 5  # half of the room of a point
MOST = 44  # letters of a name


def label(axes: Axes, named: Sequence[tuple[float, float, str]], others: Sequence[tuple[float, float]] = ()) -> int:
    """Names (x, y, text), the most important first, beside their points; ``others`` are points without one.

    Called last: it lays the figure out. What finds no place has no name; returns how many do not.
    """
    figures.settle(axes.figure)
    if not named:
        return 0
    spots = axes.transData.transform([(x, y) for x, y, _ in named])
    everyone = np.concatenate([spots, axes.transData.transform(list(others)).reshape(-1, 2)])
    taken = np.array([*np.hstack([everyone - POINT, everyone + POINT]), *_texts(axes)])
    frame = axes.get_window_extent().extents
    left = 0
    for (x, y, text), spot in zip(named, spots, strict=True):
        text = draw.short(text, MOST)
        place = _free(spot, figures.text_width(text, SIZE) + 2, taken, frame)
        if place is None:
            left += 1
            continue
        box, (across, up), side = place
        taken = np.vstack([taken, box])
        line = {"arrowstyle": "-", "color": draw.GREY, "lw": 0.6, "shrinkA": 1, "shrinkB": 3}
        far = np.hypot(across, up) > 1.9 * REACH[0]
        looks = {"ha": {1: "left", -1: "right", 0: "center"}[side], "va": "center", "fontsize": SIZE}
        axes.annotate(text, (x, y), (across, up), textcoords="offset points", arrowprops=line if far else None, **looks)
    return left


def _texts(axes: Axes) -> list[np.ndarray]:
    """Where texts and legends lie within the axes already."""
    found = [text for text in axes.texts if text.get_text()]
    found += [axes.get_legend()] if axes.get_legend() else []
    return [one.get_window_extent().extents for one in found]


def _free(spot: np.ndarray, wide: float, taken: np.ndarray, frame: np.ndarray):
    """The nearest free place: its box (left, bottom, right, top), the offset of its text, and the text's side."""
    for reach in REACH:
        for side, rise in SIDES:
            across, up = side * reach * (0.6 if abs(rise) > 1 else 1), rise * (reach if side else reach + 1)
            left = spot[0] + across - wide * {1: 0, 0: 0.5, -1: 1}[side]
            box = np.array([left, spot[1] + up - TALL / 2, left + wide, spot[1] + up + TALL / 2])
            if (box[:2] < frame[:2]).any() or (box[2:] > frame[2:]).any():
                continue
            apart = (taken[:, :2] >= box[2:]).any(axis=1) | (taken[:, 2:] <= box[:2]).any(axis=1)
            if apart.all():
                return box, (across, up), side
    return None


def unnamed(axes: Axes, count: int) -> None:
    """Say below the axes how many points have no name."""
    if count:
        are = "1 point has" if count == 1 else f"{count} points have"
        axes.set_xlabel(f"{axes.get_xlabel()}  ·  {are} no name here")
