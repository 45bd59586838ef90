"""`history.csv` and `history.png`: how the losses and the held-out PSNR went."""

import csv
import io
import os
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vae.files import replace_file
from vae.images.sheets import write_png

WIDTH, PANEL, MARGIN = 720, 220, 56  # pixels
TRAIN, HELD_OUT = (31, 95, 180), (214, 90, 30)
GRID, TEXT = (225, 225, 225), (60, 60, 60)
PANELS = (
    ("loss, nats an image", ("loss", "val_loss")),
    ("reconstruction loss", ("reconstruction_loss", "val_reconstruction_loss")),
    ("KL loss", ("kl_loss", "val_kl_loss")),
    ("held-out PSNR, dB", (None, "val_psnr")),
)
GRID_LINES, EPOCH_TICKS = 4, 6  # about
OUTLIERS = 0.05  # share of the worst values, at the start of a run, left off the axis


def write_history(folder: str, history: list[dict[str, Any]]) -> None:
    """Writes the table and the chart into a folder.

    Args:
        history: one row an epoch, all with the same keys.

    Raises:
        VaeError: one can't be written.
    """
    table = io.StringIO()
    writer = csv.DictWriter(table, history[-1].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    replace_file(os.path.join(folder, "history.csv"), table.getvalue().encode())
    write_png(os.path.join(folder, "history.png"), draw_history(history))


def draw_history(history: list[dict[str, Any]]) -> np.ndarray:
    """Draws the rows of history.csv, one panel for each measure, as uint8 (H, W, 3).

    Training is blue, held out is orange. Drawn with Pillow, which is here anyway: a
    plotting library would be 30 MB more to install, for four panels.
    """
    panels = [panel for panel in PANELS if history[-1].keys() & set(panel[1])]
    picture = Image.new("RGB", (WIDTH, PANEL * len(panels) + MARGIN // 2), "white")
    draw = ImageDraw.Draw(picture)
    for number, (title, names) in enumerate(panels):
        _draw_panel(draw, number * PANEL, title, names, history)
    return np.asarray(picture)


def _draw_panel(draw, top, title, names, history):
    curves = {
        colour: [row[name] for row in history]
        for name, colour in zip(names, (TRAIN, HELD_OUT), strict=True)
        if name in history[-1]
    }
    values = np.concatenate(list(curves.values()))
    values = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    low, high = np.quantile(values, [OUTLIERS / 2, 1 - OUTLIERS / 2])
    pad = 0.05 * (high - low) or max(1e-6, abs(high) * 0.05)
    low, high = low - pad, high + pad
    box = (MARGIN + 14, top + 28, WIDTH - 20, top + PANEL - 12)
    _draw_grid(draw, box, low, high, len(history))
    draw.text((MARGIN + 14, top + 8), title, TEXT, ImageFont.load_default(13))
    for colour, curve in curves.items():
        draw.line(_points(box, curve, low, high), colour, width=2)
    _draw_legend(draw, WIDTH - 20, top + 15, curves)


def _draw_legend(draw, right, middle, colours):
    """Writes what each curve is, from the right."""
    font = ImageFont.load_default(11)
    for colour in reversed(colours):
        text = "training" if colour == TRAIN else "held out"
        draw.text((right, middle), text, TEXT, font, anchor="rm")
        right -= draw.textlength(text, font) + 6
        draw.line((right - 18, middle, right, middle), colour, width=2)
        right -= 34


def _points(box, curve, low, high):
    """Returns where in a box a curve goes, [(x, y), ...], cut off at low and high."""
    left, top, right, bottom = box
    curve = np.repeat(curve, 2) if len(curve) == 1 else curve
    x = np.linspace(left, right, len(curve))
    y = np.interp(curve, (low, high), (bottom, top))
    return np.column_stack([x, y])[np.isfinite(y)].ravel().tolist()


def _draw_grid(draw, box, low, high, epochs):
    left, top, right, bottom = box
    font = ImageFont.load_default(11)
    for value, text in find_ticks(low, high, GRID_LINES):
        y = np.interp(value, (low, high), (bottom, top))
        draw.line((left, y, right, y), GRID)
        draw.text((left - 6, y), text, TEXT, font, anchor="rm")
    for value, text in find_ticks(1, epochs, EPOCH_TICKS, 1.0):
        x = np.interp(value, (1, epochs), (left, right))
        draw.line((x, bottom, x, bottom + 3), TEXT)
        draw.text((x, bottom + 4), text, TEXT, font, anchor="ma")
    draw.text((left - 6, bottom + 4), "epoch", TEXT, font, anchor="ra")


def find_ticks(
    low: float, high: float, count: int, least: float = 0.0
) -> list[tuple[float, str]]:
    """Returns round values from low to high, about `count` of them, as (value, text).

    They are multiples of 1, 2 or 5 times a power of ten, at least `least` apart.
    """
    rough = max((high - low) / count, least)
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(times for times in (1, 2, 5, 10) if times * power >= rough)
    numbers = np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    if max(abs(low), abs(high)) >= 1e9 or step < 1e-6:
        return [(value, f"{value:.3g}") for value in numbers * step]
    digits = max(0, -int(np.floor(np.log10(step))))
    return [(value, f"{value:,.{digits}f}") for value in numbers * step]
