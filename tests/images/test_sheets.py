"""PNG files are what every reader takes them for; sheets hold images in order."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vae.images import sheets
from vae.images.sheets import write_face, write_png


@pytest.fixture(params=[write_png, write_face], scope="module")
def encode(request, tmp_path_factory):
    """Returns a function of an image to the bytes of its file."""
    path = tmp_path_factory.mktemp("png") / "a.png"

    def write(image):
        request.param(path, image)
        return path.read_bytes()

    return write


def decode(content):
    """Returns the pixels (H, W, C) of a PNG whose checksums are right."""
    Image.open(io.BytesIO(content)).verify()
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "PNG" and not picture.info
    return np.asarray(picture).reshape(picture.height, picture.width, -1)


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    seed=st.integers(0, 2**32 - 1),
    level=st.integers(0, 255),
)
def test_every_pixel_comes_back(encode, shape, seed, level):
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype("u1")
    flat = np.full(shape, level, np.uint8)
    for image in (pixels, flat, pixels[::-1, ::-1]):
        np.testing.assert_array_equal(decode(encode(image)), image)


@pytest.mark.parametrize("shape", [(300, 200, 3), (2, 60_000, 3), (3, 90_000, 1)])
def test_every_pixel_of_a_large_image_comes_back(encode, shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype("u1")
    image[::2] //= 16
    np.testing.assert_array_equal(decode(encode(image)), image)


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
def test_gray_stays_gray(encode, channels, mode):
    content = encode(np.zeros((5, 7, channels), np.uint8))
    assert Image.open(io.BytesIO(content)).mode == mode


@pytest.mark.parametrize("noise", [1, 2, 8])
def test_faces_are_hardly_larger_than_pillow_makes_them(encode, noise):
    y, x = np.mgrid[0:112, 0:112] / 112
    face = 128 + 80 * np.sin(3 * x + 2)[..., None] * np.cos(4 * y - 1)[..., None]
    face = face + [30, 0, -30]
    face += np.random.default_rng(0).normal(0, noise, face.shape)
    image = face.clip(0, 255).astype(np.uint8)
    theirs = io.BytesIO()
    Image.fromarray(image).save(theirs, "PNG")
    assert len(encode(image)) < 1.1 * len(theirs.getvalue())


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_lays_out_rows_on_black(channels):
    batch = np.arange(1, 4, dtype=np.uint8)[:, None, None, None]
    batch = np.tile(batch, (1, 1, 2, channels))  # (3, 1, 2, C)
    sheet = sheets.make_grid(batch, columns=2, gap=1)
    assert sheet.dtype == np.uint8
    assert sheet[..., 0].tolist() == [[1, 1, 0, 2, 2], [0] * 5, [3, 3, 0, 0, 0]]
    assert sheet.shape == (3, 5, channels)
    bare = sheets.make_grid(batch, columns=1, gap=0)
    assert bare[..., -1].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert sheets.make_grid(batch, columns=4).shape == (1, 14, channels)


def test_pairs_and_sides():
    left, right = np.full((2, 1, 2, 1), 1), np.full((2, 1, 2, 1), 2)
    assert sheets.stack_pairs(left, right)[0, ..., 0].tolist() == [[1, 1], [2, 2]]
    assert sheets.stack_pairs(left, right).shape == (2, 2, 2, 1)
    joined = sheets.join_side_by_side(left[0], right[0])
    assert joined[..., 0].tolist() == [[1, 1, 2, 2]]
