"""Codes beyond what a decoder has learnt are moved to what is read in their faces."""

import numpy as np
import pytest

from vae.strangers.settling import FILM, measure_tears, settle_codes

RNG = np.random.default_rng(0)


class Limited:
    """Draws codes up to 4, those beyond as if they were 4; reads them a tenth off."""

    def decode(self, z):
        return np.clip(z, -4, 4)[:, None, None]

    def encode(self, images):
        return (images[:, 0, 0] + [0.1, 0]).astype("f4"), None


def make_codes():
    film = RNG.uniform(-3, 3, (3 * FILM, 2)).astype("f2")
    return film, film[::50].astype("f4")


def test_a_tear_is_measured_by_what_is_usual_in_the_film():
    film, z = make_codes()
    z[3] = 0, 4.3
    found = measure_tears(Limited(), z, Limited().decode(z), film)
    assert np.delete(found, 3) == pytest.approx(1, abs=1e-3)
    assert found[3] == pytest.approx(np.hypot(0.1, 0.3) / 0.1, rel=1e-3)


def test_codes_that_the_decoder_can_draw_stay():
    film, z = make_codes()
    np.testing.assert_allclose(settle_codes(Limited(), z, film), z, atol=1e-3)


def test_codes_far_beyond_become_those_of_the_face_that_is_drawn():
    film, z = make_codes()
    z[5], z[8] = (1, 9), (0, 4 + np.sqrt(1.25) / 10)
    found = settle_codes(Limited(), z, film)
    assert found[5] == pytest.approx([1.1, 4])
    assert found[8] == pytest.approx([0.05, z[8, 1] - np.sqrt(1.25) / 20], abs=1e-3)


def test_a_decoder_that_errs_nowhere_moves_nothing():
    film, z = make_codes()
    exact = Limited()
    exact.encode = lambda images: (images[:, 0, 0], None)
    np.testing.assert_array_equal(settle_codes(exact, z, film), z)
