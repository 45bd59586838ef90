"""Pictures as small networks see them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vae.images.networks import cut_level, cut_picture, find_similarity, place_eyes

SIDE = 192
EYES = SIDE * np.array([[0.38, 0.40], [0.62, 0.40]])


def draw_waves(width, height):
    """A smooth picture that differs from place to place."""
    down, across = np.mgrid[0:height, 0:width]
    waves = [np.sin(7 * across / width + k) + np.cos(9 * down / height) for k in (0, 1)]
    waves = np.stack([*waves, waves[0] * waves[1]], axis=-1)
    return Image.fromarray(np.uint8(127 + 30 * waves))


@pytest.mark.parametrize("size", [(64, 64), (112, 112), (90, 120), (180, 50)])
def test_a_level_cut_lays_each_pixel_where_any_cut_does(size):
    picture = draw_waves(*size)
    matrix = find_similarity(place_eyes(*size), EYES)
    level = np.asarray(cut_level(picture, matrix, SIDE, SIDE), int)
    usual = np.asarray(cut_picture(picture, matrix, SIDE, SIDE), int)
    inside = (level > 0).any(-1) & (usual > 0).any(-1)
    assert np.abs(level - usual)[inside].mean() < 1
    assert ((level > 0).any(-1) ^ (usual > 0).any(-1)).sum() < 4 * SIDE  # the rim


@given(st.integers(8, 300), st.integers(8, 300))
def test_a_level_cut_takes_any_size(width, height):
    picture = Image.new("RGB", (width, height), "white")
    matrix = find_similarity(place_eyes(width, height), EYES)
    cut = np.asarray(cut_level(picture, matrix, SIDE, SIDE))
    assert cut.shape == (SIDE, SIDE, 3)
    assert set(np.unique(cut)) <= {0, 255}
    assert cut[77, 96].all()  # between the eyes
