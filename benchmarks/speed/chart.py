"""Curves on logarithmic axes, drawn with Pillow: a straight line is a power law."""

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 640, 280, 70, 46, 30, 24  # pixels, a panel
COLOURS = ((31, 95, 180), (214, 90, 30))
GRID, TEXT = (225, 225, 225), (60, 60, 60)
DOT = 3  # pixels
TICKS = (1, 2, 5)


@dataclass(frozen=True)
class Panel:
    """A title, and name -> list of (x, y), all above zero, for each curve."""

    title: str
    curves: dict


def draw_panels(panels):
    """Returns a Pillow image with the panels below each other."""
    panels = [panel for panel in panels if any(panel.curves.values())]
    picture = Image.new("RGB", (WIDTH, HEIGHT * max(1, len(panels))), "white")
    draw = ImageDraw.Draw(picture)
    for number, panel in enumerate(panels):
        _draw_panel(draw, number * HEIGHT, panel)
    return picture


def _draw_panel(draw, top, panel):
    font = ImageFont.load_default(12)
    points = [point for curve in panel.curves.values() for point in curve]
    across = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = Axis([y for _, y in points], top + HEIGHT - BOTTOM, top + TOP)
    for x in sorted({x for x, _ in points}):
        place = across.place(x)
        draw.line((place, up.start, place, up.stop), GRID)
        draw.text((place, up.start + 6), _shorten(x), TEXT, font, anchor="ma")
    for y in up.ticks():
        place = up.place(y)
        draw.line((across.start, place, across.stop, place), GRID)
        draw.text((across.start - 8, place), _shorten(y), TEXT, font, anchor="rm")
    draw.text((LEFT, top + 8), panel.title, TEXT, ImageFont.load_default(14))
    for number, (name, curve) in enumerate(panel.curves.items()):
        colour = COLOURS[number]
        draw.text((LEFT + 90 * number, top + 27), name, colour, font)
        places = [(across.place(x), up.place(y)) for x, y in curve]
        draw.line(places, colour, width=2)
        for x, y in places:
            draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), colour)


def _shorten(value):
    """Returns 1700000 as 1.7M, 2000 as 2k and 64 as 64: labels must not overlap."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


class Axis:
    """A logarithmic axis from `start` to `stop`, in pixels, that holds all values."""

    def __init__(self, values, start, stop):
        self.start, self.stop = start, stop
        self._low, self._high = min(values) / 1.25, max(values) * 1.25

    def place(self, value):
        """Returns the pixel of a value."""
        share = math.log(value / self._low) / math.log(self._high / self._low)
        return self.start + share * (self.stop - self.start)

    def ticks(self):
        """Returns the round values on the axis."""
        decades = range(math.floor(math.log10(self._low)), 12)
        found = [tick * 10.0**decade for decade in decades for tick in TICKS]
        return [value for value in found if self._low <= value <= self._high]
