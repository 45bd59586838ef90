"""PNG files of our own making are what every reader takes them for."""
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vae.png import BAND_BYTES, encode_png


def decode(content):
    """Returns the pixels (H, W, C) of a PNG whose checksums are right."""
    Image.open(io.BytesIO(content)).verify()
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "PNG"
    return np.asarray(picture).reshape(picture.height, picture.width, -1)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
)
def test_every_pixel_comes_back(shape, seed, level):
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype("u1")
    flat = np.full(shape, level, np.uint8)
    for image in (pixels, flat, pixels[::-1, ::-1]):
        np.testing.assert_array_equal(decode(encode_png(image)), image)


@pytest.mark.parametrize("shape", [(300, 200, 3), (2, 60_000, 3), (3, 90_000, 1)])
def test_every_pixel_of_a_large_image_comes_back(shape):
    assert np.prod(shape) > 2 * BAND_BYTES
    image = np.random.default_rng(0).integers(0, 256, shape).astype("u1")
    image[::2] //= 16
    np.testing.assert_array_equal(decode(encode_png(image)), image)


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
def test_gray_stays_gray(channels, mode):
    content = encode_png(np.zeros((5, 7, channels), np.uint8))
    assert Image.open(io.BytesIO(content)).mode == mode


@pytest.mark.parametrize("noise", [1, 2, 8])
def test_files_are_hardly_larger_than_those_of_pillow(noise):
    y, x = np.mgrid[0:112, 0:112] / 112
    face = 128 + 80 * np.sin(3 * x + 2)[..., None] * np.cos(4 * y - 1)[..., None]
    face = face + [30, 0, -30]
    face += np.random.default_rng(0).normal(0, noise, face.shape)
    image = face.clip(0, 255).astype(np.uint8)
    theirs = io.BytesIO()
    Image.fromarray(image).save(theirs, "PNG")
    assert len(encode_png(image)) < 1.1 * len(theirs.getvalue())
