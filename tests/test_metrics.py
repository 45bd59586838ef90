"""PSNR against arithmetic by hand."""
import numpy as np
import pytest

from vae.metrics import psnr


def test_identical_images_have_100_db():
    images = np.full((2, 4, 4, 3), 7, np.uint8)
    assert psnr(images, images).tolist() == [100, 100]


@pytest.mark.parametrize("difference, decibel", [(255, 0), (51, 13.9794), (1, 48.1308)])
def test_an_even_difference_has_its_ratio_to_255(difference, decibel):
    dark = np.zeros((1, 4, 4, 1), np.uint8)
    light = dark + np.uint8(difference)
    for pair in ((dark, light), (light, dark)):
        assert psnr(*pair) == pytest.approx([decibel], abs=1e-4)


def test_each_image_is_measured_by_itself():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    others = images.copy()
    others[1, 0, 0, 0] = 255
    found = psnr(images, others)
    assert found.shape == (3,) and found.dtype == np.float64
    np.testing.assert_allclose(found, [100, 10 * np.log10(4), 100])
