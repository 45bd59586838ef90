"""What is read from faces by their gradients: what matters to it and what doesn't."""

import numpy as np
import pytest

from vae.strangers.features import EDGES, FEATURES, measure_features
from vae.strangers.reader import fit_ridge

RNG = np.random.default_rng(0)


def draw_faces(mouths, brows, light=0.0, contrast=1.0, height=64, width=64):
    """Gray faces (N, H, W, 1): brows and a mouth that go up and down by shares."""
    y, x = (np.mgrid[0:height, 0:width] + 0.5) / [[[height]], [[width]]]

    def bar(middle, thickness=0.03):
        places = np.asarray(middle)[:, None, None]
        return np.exp(-(((y - places) / thickness) ** 2)) * (np.abs(x - 0.5) < 0.25)

    faces = (
        0.6 - 0.4 * bar(0.7 + np.asarray(mouths)) - 0.3 * bar(0.3 + np.asarray(brows))
    )
    return (contrast * faces + light * x)[..., None].astype("f4")


def play(count=200):
    """Returns codes (N, 2) of mouths and brows."""
    return RNG.uniform(-0.05, 0.05, (count, 2))


@pytest.fixture(scope="module")
def reader():
    codes = play()
    faces = draw_faces(*codes.T)
    return fit_ridge(measure_features(faces), codes, faces.mean(0))


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"contrast": 0.6},
        {"light": 0.3},
        {"contrast": 0.7, "light": -0.2},
        {"height": 112, "width": 112},
        {"height": 100, "width": 80},
    ],
    ids=str,
)
def test_codes_are_read_whatever_the_light_and_the_size(reader, look):
    codes = play(60)
    read = measure_features(draw_faces(*codes.T, **look)) @ reader
    for true, found in zip(codes.T, read.T, strict=True):
        assert np.corrcoef(true, found)[0, 1] > 0.97


def test_what_is_read_has_the_spread_of_the_codes(reader):
    codes = play()
    read = measure_features(draw_faces(*codes.T)) @ reader
    assert read.var(0).sum() == pytest.approx(codes.var(0).sum(), rel=0.1)


def test_what_lies_outside_the_mask_is_not_read():
    codes = play()
    faces = draw_faces(*codes.T)
    faces[:, :, :20] = 0  # black on average
    reader = fit_ridge(measure_features(faces), codes, faces.mean(0))
    kernel = reader[:EDGES].reshape(16, 16, 8, 2)
    assert not kernel[:, :5].any() and kernel[:, 8:].any()


def test_flat_faces_say_nothing():
    flat = np.full((3, 64, 64, 3), 0.5, "f4")
    assert np.abs(measure_features(flat)).max() < 1e-4
    kernel = fit_ridge(measure_features(flat), np.zeros((3, 2)), flat[0])
    assert np.isfinite(kernel).all()


def test_colours_and_blocks_change_nothing():
    faces = draw_faces(*play(300).T)
    whole = measure_features(np.repeat(faces, 3, axis=-1))
    assert whole.shape == (300, FEATURES) and whole.dtype == np.float32
    np.testing.assert_allclose(whole[256:], measure_features(faces[256:]), atol=1e-3)


def test_a_gradient_falls_into_the_cell_and_the_direction_it_has():
    face = np.full((1, 64, 64, 1), 0.2, "f4")
    face[:, :, 32:] = 0.8  # brighter to the right
    cells = measure_features(face)[:, :EDGES].reshape(16, 16, 8)
    assert cells[8].sum(-1).argmax() in (7, 8)
    assert cells[8, 7].argmax() == 0 and cells[8, 7, 4] < 1e-4
