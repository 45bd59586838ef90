"""The picture of a run: its panels, where the curves go, odd histories."""

import numpy as np
import pytest

from vae.training.history import HELD_OUT, PANEL, TRAIN, draw_history, find_ticks


def history_of(values, held_out=None, name="loss"):
    """Returns the rows of a run in which every measure has these values."""
    rows = [{"loss": 0.0, "reconstruction_loss": 0.0, "kl_loss": 0.0} for _ in values]
    for row, value in zip(rows, values, strict=True):
        row[name] = value
    for row, value in zip(rows, held_out or (), strict=False):
        names = ("val_loss", "val_reconstruction_loss", "val_kl_loss", "val_psnr")
        row |= dict.fromkeys(names, value)
    return rows


def pixels(picture, colour):
    """Returns (rows, columns) of all pixels of a colour."""
    return np.nonzero((picture == colour).all(axis=-1))


def test_a_run_without_held_out_images_has_three_panels():
    picture = draw_history(history_of([3.0, 2.0, 1.0]))
    assert picture.dtype == np.uint8 and picture.shape == (3 * PANEL + 28, 720, 3)
    assert len(pixels(picture, HELD_OUT)[0]) == 0
    assert set(pixels(picture, TRAIN)[0] // PANEL) == {0, 1, 2}


def test_a_run_with_held_out_images_has_four_panels():
    picture = draw_history(history_of([3.0, 2.0, 1.0], [4.0, 3.0, 2.0]))
    assert picture.shape == (4 * PANEL + 28, 720, 3)
    assert set(pixels(picture, HELD_OUT)[0] // PANEL) == {0, 1, 2, 3}
    assert set(pixels(picture, TRAIN)[0] // PANEL) == {0, 1, 2}


def test_a_falling_loss_falls():
    picture = draw_history(history_of([4.0, 3.0, 2.0, 1.0]))
    rows, columns = pixels(picture[28:PANEL], TRAIN)  # below the legend
    heights = [rows[columns == column].mean() for column in np.unique(columns)]
    assert heights == sorted(heights) and heights[-1] - heights[0] > 100


def test_one_wild_epoch_does_not_flatten_the_others():
    values = [1e9, *np.linspace(100, 50, 99)]
    rows, _ = pixels(draw_history(history_of(values))[:PANEL], TRAIN)
    middle = rows[(rows > 60) & (rows < 180)]
    assert len(np.unique(middle)) > 100


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [-7.0] * 3, [1e30, 1e-30]])
def test_odd_histories_are_drawn(values):
    assert len(pixels(draw_history(history_of(values))[:PANEL], TRAIN)[0]) > 500


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_not_finite_does_not_spoil_the_others(value):
    picture = draw_history(history_of([4.0, value, 2.0, 1.0]))
    assert len(pixels(picture[:PANEL], TRAIN)[0]) > 500
    draw_history(history_of([value]))


TICKS = {
    (-27183, -13872, 4): "-25,000 -20,000 -15,000",
    (23.1, 30.7, 4): "24 26 28 30",
    (1, 374, 6): "100 200 300",
    (1, 2, 6, 1.0): "1 2",
    (1, 1, 6, 1.0): "1",
    (0.00011, 0.00052, 4): "0.0002 0.0004",
    (0, 1e30, 4): "0 5e+29 1e+30",
}


@pytest.mark.parametrize("ends", TICKS)
def test_ticks_are_round(ends):
    assert " ".join(text for _, text in find_ticks(*ends)) == TICKS[ends]
