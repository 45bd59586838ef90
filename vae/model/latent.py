"""The latent space as numbers: statistics of a training set, and walks. numpy only."""
import io

import numpy as np

from vae.errors import VaeError
from vae.files import printable

MAX_BYTES = 1 << 30  # of the arrays in a file; a Z of 4096 takes 64 MB
STEPS_AT_A_TIME = 64  # of a walk


def summarise(z_mean):
    """Returns the statistics of a training set's codes.

    Args:
        z_mean: (N, Z)

    Returns:
        dict of float32 arrays: mean (Z,), std (Z,), covariance (Z, Z), and neutral
        (Z,), the code of the image nearest to the mean in units of std.
    """
    z_mean = np.asarray(z_mean, np.float64)
    mean, std = z_mean.mean(0), z_mean.std(0)
    centred = z_mean - mean  # (N, Z)
    covariance = centred.T @ centred / len(z_mean)
    neutral = nearest_to_average(z_mean)
    found = {"mean": mean, "std": std, "covariance": covariance, "neutral": neutral}
    return {name: array.astype(np.float32) for name, array in found.items()}


def nearest_to_average(z):
    """Returns that of the codes (N, Z) nearest to their mean in units of their std."""
    distance = (z - z.mean(0)) / np.maximum(z.std(0), 1e-6)  # (N, Z)
    return z[np.argmin(np.square(distance).sum(1))]


def pack_statistics(statistics):
    """Returns the bytes of an .npz file of statistics."""
    buffer = io.BytesIO()
    np.savez(buffer, **statistics)
    return buffer.getvalue()


def load_statistics(path, latent_dim):
    """Reads what `pack_statistics` made, from a file that may be hostile.

    Raises:
        VaeError: it is missing, damaged, or of another size.
    """
    shapes = {
        "mean": (latent_dim,),
        "std": (latent_dim,),
        "covariance": (latent_dim, latent_dim),
        "neutral": (latent_dim,),
        "reader": (None, latent_dim),
        "blink": (2, latent_dim),
        "mouth_share": (1,),
    }
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(member.file_size for member in file.zip.infolist()) > MAX_BYTES:
                raise ValueError("too large")
            found = {name: file[name] for name in shapes}
    except Exception as error:  # numpy and zipfile raise a dozen kinds for bad bytes
        raise VaeError(
            f"{printable(path)}: can't be read ({type(error).__name__}), the latent"
            " statistics that train wrote expected"
        ) from error
    for name, array in found.items():
        fits = _has_shape(array, shapes[name]) and array.dtype.kind == "f"
        if not fits or not np.isfinite(array).all():
            raise VaeError(
                f"{printable(path)}: {name} is not {shapes[name]} finite numbers"
            )
    return found


def _has_shape(array, shape):
    """Whether an array has a shape; None stands for any length."""
    pairs = zip(array.shape, shape, strict=False)
    return array.ndim == len(shape) and all(b in (None, a) for a, b in pairs)


def draw_walks(statistics, walks, steps, seed):
    """Draws points like those of the training set, and walks from each to the next.

    Points are drawn from a Gaussian with the training set's mean and covariance. A walk
    turns from one to the other at a constant angle (spherical interpolation, White
    2016, arXiv 1609.04468) in the whitened space, so that no point on it is untypical.
    A walk stops one step short of its end, which is the first picture of the next walk.

    Yields:
        (walk, step, z): z is (S, Z) float32, the codes of a walk from a step on; few at
        a time, so that a long walk takes no more memory than a short one.
    """
    rng = np.random.default_rng(seed)
    size = len(statistics["mean"])
    root = _square_root(statistics["covariance"].astype(np.float64))
    start = rng.standard_normal(size)
    for walk in range(walks):
        end = rng.standard_normal(size)
        for step in range(0, steps, STEPS_AT_A_TIME):
            part = np.arange(step, min(step + STEPS_AT_A_TIME, steps))
            path = interpolate(start, end, part / steps)
            yield walk, step, (path @ root + statistics["mean"]).astype(np.float32)
        start = end


def _square_root(covariance):
    """The symmetric root; that of few images has no inverse, which is no matter."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def interpolate(start, end, fractions):
    """Spherical interpolation between two points; lengths are interpolated linearly.

    Args:
        start, end: (Z,)
        fractions: (S,), 0 is start, 1 is end.

    Returns:
        (S, Z)
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if min(lengths) < 1e-12:
        return start + np.outer(fractions, end - start)
    a, b = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
    if np.sin(angle) < 1e-6:  # along one line: turning has no plane
        return start + np.outer(fractions, end - start)
    weights_a = np.sin((1 - fractions) * angle) / np.sin(angle)  # (S,)
    weights_b = np.sin(fractions * angle) / np.sin(angle)  # (S,)
    turned = np.outer(weights_a, a) + np.outer(weights_b, b)  # (S, Z)
    length = lengths[0] + fractions * (lengths[1] - lengths[0])
    return turned * length[:, None]
