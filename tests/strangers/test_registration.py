"""Finding a stranger's features in the actor's face, on faces whose warp is known."""

import numpy as np
import pytest

from examples.faces import render
from examples.people import make_identity
from examples.performance import perform
from vae.images.pixels import measure_pixels
from vae.strangers.registration import (
    area_matrix,
    blur_matrix,
    cubic_matrix,
    register,
    warp,
)


@pytest.fixture(scope="module")
def folder():
    """Average and variation of a drawn person, (H, W, C) each."""
    return measure_pixels(render(make_identity(0), perform(0, 60), 64, 64))


def shifted(image, rows):
    """The image (H, W, C) moved down by so many rows."""
    return np.roll(image, rows, axis=0)


def test_a_person_needs_hardly_any_warp_onto_the_same_person(folder):
    place = register(*folder, *folder)
    rows, columns = np.mgrid[0:64, 0:64]
    assert np.abs(place[..., 0] - rows).max() < 0.5
    assert np.abs(place[..., 1] - columns).max() < 0.5


def test_a_shift_is_found_where_the_face_is(folder):
    moved = [shifted(image, 3) for image in folder]
    place = register(*moved, *folder)
    found = (place[..., 0] - np.arange(64)[:, None])[16:48, 16:48]
    assert np.median(found) == pytest.approx(3, abs=0.5)


def test_the_warp_is_symmetric_and_bounded(folder):
    other = measure_pixels(render(make_identity(3), perform(3, 60), 64, 64))
    place = register(*other, *folder)
    down = place[..., 0] - np.arange(64)[:, None]
    across = place[..., 1] - np.arange(64)
    np.testing.assert_allclose(down, down[:, ::-1], atol=1e-4)
    np.testing.assert_allclose(across, -across[:, ::-1], atol=1e-4)
    assert max(np.abs(down).max(), np.abs(across).max()) < 7


def test_any_size_is_registered_at_the_same_places(folder):
    large = [np.kron(image, np.ones((2, 2, 1))) for image in folder]
    moved = [shifted(image, 6) for image in large]
    place = register(*moved, *large)
    assert place.shape == (128, 128, 2)
    found = (place[..., 0] - np.arange(128)[:, None])[32:96, 32:96]
    assert np.median(found) == pytest.approx(6, abs=1)


def test_warp_takes_pixels_from_their_places():
    image = np.arange(20, dtype="f4").reshape(1, 4, 5, 1)
    rows, columns = np.mgrid[0:4, 0:5].astype(float)
    same = warp(image, np.stack([rows, columns], -1))
    np.testing.assert_allclose(same[:, :3, :4], image[:, :3, :4], atol=0.02)
    half = warp(image, np.stack([rows, columns + 0.5], -1))
    np.testing.assert_allclose(half[0, :3, :3, 0], image[0, :3, :3, 0] + 0.5, atol=0.02)


def test_matrices_keep_what_is_constant():
    assert np.allclose(blur_matrix(9, 2.0).sum(1), 1)
    assert np.allclose(cubic_matrix(9, 5).sum(1), 1)
    assert np.allclose(area_matrix(9, 5).sum(1), 1)
    assert np.allclose(area_matrix(5, 9).sum(1), 1)
