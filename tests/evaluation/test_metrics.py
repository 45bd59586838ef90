"""Measures of images against arithmetic by hand, scikit-image and exact likelihoods."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vae.evaluation.metrics import bits_per_dim, count_active, estimate_likelihood, ssim
from vae.images.pixels import psnr
from vae.model.latent import kl_per_dimension

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


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


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(11, 40),
    width=st.integers(11, 40),
    channels=st.sampled_from([1, 3]),
    noise=st.integers(1, 255),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_equal_scikit_image_at_any_size(height, width, channels, noise, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (2, height, width, channels))
    others = images + rng.integers(-noise, noise + 1, images.shape)
    images[1, : height // 2] = others[1, : height // 2] = 0  # black, as masks leave
    pair = [rows.clip(0, 255).astype(np.uint8) for rows in (images, others)]
    for found, a, b in zip(ssim(*pair), *pair, strict=True):
        expected = structural_similarity(a, b, data_range=255, channel_axis=2, **WANG)
        assert found == pytest.approx(expected, abs=1e-6)
    for found, a, b in zip(psnr(*pair), *pair, strict=True):
        if (a != b).any():  # scikit-image divides by zero
            expected = peak_signal_noise_ratio(a, b, data_range=255)
            assert found == pytest.approx(expected, abs=1e-6)


def test_an_image_smaller_than_the_window_has_no_ssim():
    small = np.zeros((2, 10, 40, 3), np.uint8)
    assert np.isnan(ssim(small, small)).all()
    same = np.zeros((2, 11, 11, 3), np.uint8)
    assert ssim(same, same).tolist() == [1, 1]


@pytest.mark.parametrize("mean", [-0.2, 0.0, 0.003, 0.5, 0.997, 1.3])
@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
def test_bits_of_a_density_are_a_code_of_256_levels(mean, sigma):
    levels = np.arange(256) / 255
    nats = 0.5 * ((levels - mean) / sigma) ** 2 + np.log(sigma * np.sqrt(2 * np.pi))
    lengths = bits_per_dim(nats, "gaussian", 1)
    total = (0.5**lengths).sum()
    assert total <= 1 + 1e-9  # Kraft's inequality
    if mean == 0.5 and sigma < 1:
        assert total > 0.99


def test_bits_of_a_uniform_guess_are_eight():
    nats = np.full(3, 12 * np.log(256))
    found = bits_per_dim(nats, "discretized", 12)
    np.testing.assert_allclose(found, [8, 8, 8])
    assert bits_per_dim(nats, "bernoulli", 12) is None


class LinearModel:
    """x = z A + b + sigma * noise, whose likelihood is that of one Gaussian."""

    def __init__(self, orthogonal):
        rng = np.random.default_rng(3)
        rows = np.linalg.qr(rng.normal(size=(6, 3)))[0].T  # (Z, D)
        scales = np.array([2.0, 1.0, 0.3])
        mixing = np.eye(3) + (0 if orthogonal else 0.3 * rng.normal(size=(3, 3)))
        self.matrix = mixing @ (scales[:, None] * rows)
        self.offset, self.sigma = rng.normal(size=6), 0.4
        z = rng.normal(size=(40, 3))
        noise = self.sigma * rng.normal(size=(40, 6))
        self.images = z @ self.matrix + self.offset + noise  # (N, D)

    def score(self, z):
        """Log-likelihood of each image given its code."""
        scaled = (self.images - z @ self.matrix - self.offset) / self.sigma
        constant = np.log(self.sigma) + 0.5 * np.log(2 * np.pi)
        return -(0.5 * scaled**2 + constant).sum(1)

    def exact(self):
        """The log-likelihood of each image."""
        covariance = self.matrix.T @ self.matrix + self.sigma**2 * np.eye(6)
        centred = self.images - self.offset
        distance = (centred @ np.linalg.inv(covariance) * centred).sum(1)
        return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1])

    def posterior(self):
        """Mean and log-variance of the best code with independent dimensions."""
        precision = np.eye(3) + self.matrix @ self.matrix.T / self.sigma**2
        mean = (self.images - self.offset) @ self.matrix.T / self.sigma**2
        mean = mean @ np.linalg.inv(precision)
        return mean, np.tile(-np.log(np.diag(precision)), (40, 1))


def noises():
    """A generator for each of the linear model's images."""
    return [np.random.default_rng([0, row]) for row in range(40)]


def test_with_the_true_posterior_one_sample_is_exact():
    model = LinearModel(orthogonal=True)
    z_mean, z_log_var = model.posterior()
    found = estimate_likelihood(model.score, z_mean, z_log_var, 1, noises())[1]
    np.testing.assert_allclose(found, model.exact(), rtol=1e-5, atol=1e-5)


def test_with_a_wrong_posterior_the_bound_closes_on_the_exact_likelihood():
    model = LinearModel(orthogonal=False)
    z_mean, z_log_var = model.posterior()
    z_log_var = z_log_var + 1.0
    kl = kl_per_dimension(z_mean, z_log_var).sum(1)
    gaps, exact = {}, model.exact()
    for samples in (1, 10, 4000):
        given, weighted = estimate_likelihood(
            model.score, z_mean, z_log_var, samples, noises()
        )
        gaps[samples] = (exact - weighted).mean()
    elbo = (given - kl).mean()
    assert exact.mean() - elbo > 0.5  # it is far too wide
    assert exact.mean() - elbo > gaps[10] > gaps[4000]
    assert abs(gaps[4000]) < 0.01
    np.testing.assert_allclose(weighted, exact, atol=0.05)


def test_the_elbo_is_the_expectation_of_the_score_less_kl():
    model = LinearModel(orthogonal=False)
    z_mean, z_log_var = model.posterior()
    given = estimate_likelihood(model.score, z_mean, z_log_var, 4000, noises())[0]
    spread = np.exp(z_log_var) @ np.square(model.matrix).sum(1) / model.sigma**2
    expected = model.score(z_mean) - 0.5 * spread
    np.testing.assert_allclose(given.mean(), expected.mean(), atol=0.02)


def test_an_image_gets_the_same_estimate_in_any_company():
    model = LinearModel(orthogonal=False)
    z_mean, z_log_var = model.posterior()
    together = estimate_likelihood(model.score, z_mean, z_log_var, 5, noises())
    model.images = model.images[7:9]
    alone = estimate_likelihood(
        model.score, z_mean[7:9], z_log_var[7:9], 5, noises()[7:9]
    )
    for all_of_them, two in zip(together, alone, strict=True):
        np.testing.assert_allclose(all_of_them[7:9], two)


def test_kl_by_dimension_and_the_active_ones():
    z_mean, z_log_var = np.array([[0.0, 2.0]]), np.array([[0.0, np.log(0.25)]])
    expected = [[0, 0.5 * (0.25 + 4 - 1 - np.log(0.25))]]
    np.testing.assert_allclose(kl_per_dimension(z_mean, z_log_var), expected)
    assert count_active(np.array([0.5, 0.011, 0.01, 0.0])) == 2
