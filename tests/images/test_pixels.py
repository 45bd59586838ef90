"""Pixels change size and range without surprises."""

import numpy as np
import pytest

from tests.drawing import encode, noise
from vae.images import pixels
from vae.images.reading import read_image


def test_row_42_resizing_is_antialiased_and_the_same_for_arrays_and_files(tmp_path):
    board = np.indices((64, 64)).sum(axis=0)[..., None] % 2 * np.uint8(255)
    board = board.astype(np.uint8)
    small = pixels.resize_image(board, 8, 4)
    assert small.shape == (4, 8, 1)
    assert np.abs(small.astype(int) - 127).max() <= 4
    picture = noise()
    (tmp_path / "x").write_bytes(encode(picture))
    resized = pixels.resize_image(np.array(picture), 20, 9)
    assert np.array_equal(read_image(tmp_path / "x", 20, 9, 3), resized)
    assert resized.shape == (9, 20, 3)


def test_resizing_to_the_same_size_returns_the_image_itself():
    image = np.array(noise())
    assert pixels.resize_image(image, 32, 32) is image
    assert pixels.resize_image(image, 32, 31) is not image


def test_pixel_range_there_and_back():
    levels = np.arange(256, dtype=np.uint8)
    floats = pixels.to_float32(levels)
    assert floats.dtype == np.float32
    assert floats[[0, 51, 255]].tolist() == [0, np.float32(0.2), 1]
    assert np.array_equal(pixels.to_uint8(floats), levels)
    extremes = np.array([-np.inf, -1, 0.0019, 0.002, 2, np.inf])
    assert pixels.to_uint8(extremes).tolist() == [0, 0, 0, 1, 255, 255]


def test_pixels_of_the_wrong_range_are_refused():
    with pytest.raises(TypeError, match="^uint8 pixels found, floats"):
        pixels.to_uint8(np.zeros(3, np.uint8))
    with pytest.raises(TypeError, match="^float32 pixels found, uint8"):
        pixels.to_float32(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="not a number"):
        pixels.to_uint8(np.array([0.5, np.nan]))
