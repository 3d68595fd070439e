"""A figure as an SVG string for the page. Only this module imports matplotlib.

Colours become CSS variables, so that a figure fits light and dark pages. Text stays text, in the font of the page.
"""

import hashlib
import io
import re
from collections.abc import Iterable
from html import escape
from typing import Any

from tasks.reporting.modes import Look, looks, mixed_in
from tasks.reporting.results import Results

WIDTH = 380
"""Width of a figure in units; text is 12 units high."""
NARROW = 300
"""Width of a small figure in units; the page shows three in a row."""
INK, FAINT, BAND = "#1d1d20", "#8a8a90", "#d9e8d5"
ROLES = {INK: "--ink", FAINT: "--faint", BAND: "--band"}


class Figure:
    """A matplotlib figure with CSS variables for colours and unique ids. ``svg`` has it after the ``with`` block."""

    def __init__(self, results: Results, height: float, spoken: str, width: float = WIDTH) -> None:
        import matplotlib
        from matplotlib.figure import Figure as Canvas

        modes = [mode for row in results.comparisons for mode in (row.mode, mixed_in(row.mode))]
        self._looks = looks(filter(None, modes))
        self._width, self._height, self._spoken, self.svg = width, height, spoken, ""
        self._style = matplotlib.rc_context(
            {"svg.fonttype": "none", "svg.hashsalt": spoken, "font.size": 12, "font.family": "sans-serif"}
        )
        self._figure = Canvas(figsize=(width / 72, height / 72))

    def look(self, mode: str) -> Look:
        """Colours and marker of a mode, the same in all figures of the page."""
        return self._looks.get(mode) or looks([mode])[mode]

    def axes(self, top: float, bottom: float, left: float = 0.035, right: float = 0.035) -> Any:
        """Axes with margins: ``top`` and ``bottom`` in units, ``left`` and ``right`` as shares of the width."""
        area = (left, bottom / self._height, 1 - left - right, 1 - (top + bottom) / self._height)
        axes = self._figure.add_axes(area)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.set_facecolor("none")
        axes.set_yticks([])
        axes.tick_params(colors=FAINT, labelcolor=INK)
        return axes

    def __enter__(self) -> "Figure":
        self._style.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            buffer = io.StringIO()
            self._figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
            self.svg = self._adapt(buffer.getvalue())
        self._style.__exit__(*error)

    def _adapt(self, text: str) -> str:
        """The svg element with a label for screen readers, and with ids, fonts and colours for a shared page."""
        body = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
        head = f'<svg class="plot" role="img" aria-label="{escape(self._spoken)}" '
        head += f'style="max-width: {1.3 * self._width:.0f}px" viewBox="0 0 {self._width} {self._height:g}">'
        body = re.sub(r"^<svg[^>]*>", head, body)
        body = re.sub(r'font: ([\d.]+px) [^;"]*', r"font-size: \1", body)
        colours = {**ROLES, **{look.light: f"--{css_name(mode)}" for mode, look in self._looks.items()}}
        for colour, name in colours.items():
            body = body.replace(colour, f"var({name})")
        return _own_ids(body, "f" + hashlib.sha256(self._spoken.encode()).hexdigest()[:12])


def _own_ids(svg: str, name: str) -> str:
    """Remove ids of groups and add a prefix to the other ids, because two figures of a page must not share an id."""
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)


def css_name(mode: str) -> str:
    """Name of the CSS variable with a mode's colour, without the leading dashes."""
    return "mode-" + re.sub(r"\W", "-", mode)


def stylesheet(modes: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Values of the modes' CSS variables, for light and for dark pages."""
    found = looks(modes)
    return {css_name(m): look.light for m, look in found.items()}, {css_name(m): look.dark for m, look in found.items()}


def value_axis(axes: Any, name: str) -> None:
    """Add a vertical axis with a few grid lines, so that figures can be compared."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(name, color=INK)


def lowest_tenth(lows: Iterable[float]) -> float:
    """Start of the axis of scores, the same for all panels: the tenth below the lowest interval."""
    return float(max(0.0, (min([*lows, 0.9]) - 0.02) // 0.1 * 0.1))
