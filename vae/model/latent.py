"""The latent space as numbers: statistics of a training set. numpy only."""

import io
from dataclasses import asdict, dataclass

import numpy as np

from vae.errors import RefusedError, VaeError
from vae.files import printable

MAX_BYTES = 1 << 30  # of the arrays in a file; a Z of 4096 takes 64 MB
MIN_KL = 0.1  # nats a number of the code, below which it says next to nothing


@dataclass(frozen=True)
class LatentStatistics:
    """What is known of an actor's codes, all float32.

    Attributes:
        mean, std: (Z,), of the training set's codes.
        covariance: (Z, Z), of the same.
        neutral: (Z,), the code of the image nearest to the mean, in units of std.
        reader: (F, Z), the map from a stranger's features, see
            `vae.strangers.reader.fit_ridge`.
        blink: (2, Z), what shut lids change the code by, and left ones shut further.
        mouth_share: (1,), share of a stranger's mouth to take out of what edges say.
    """

    mean: np.ndarray
    std: np.ndarray
    covariance: np.ndarray
    neutral: np.ndarray
    reader: np.ndarray
    blink: np.ndarray
    mouth_share: np.ndarray

    def pack(self) -> bytes:
        """Returns the bytes of an .npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, **asdict(self))
        return buffer.getvalue()


def summarise_codes(z_mean: np.ndarray) -> dict[str, np.ndarray]:
    """Returns mean, std, covariance and neutral of codes (N, Z), float32.

    They are those of `LatentStatistics` that follow from the codes alone.
    """
    z_mean = np.asarray(z_mean, np.float64)
    mean, std = z_mean.mean(0), z_mean.std(0)
    centred = z_mean - mean  # (N, Z)
    covariance = centred.T @ centred / len(z_mean)
    neutral = nearest_to_average(z_mean)
    found = {"mean": mean, "std": std, "covariance": covariance, "neutral": neutral}
    return {name: array.astype(np.float32) for name, array in found.items()}


def describe_collapse(kl: float, latent_dim: int) -> str | None:
    """Returns a line if the codes of images say next to nothing (posterior collapse).

    Args:
        kl: KL of the codes to the prior, nats an image.
    """
    if kl >= MIN_KL * latent_dim:
        return None
    return (
        f"a KL of {kl / latent_dim:.3f} nats a number of the code (under {MIN_KL}): it"
        " says next to nothing of a face, the posterior has collapsed; train with a"
        " lower --beta"
    )


def nearest_to_average(z: np.ndarray) -> np.ndarray:
    """Returns that of the codes (N, Z) nearest to their mean in units of their std."""
    distance = (z - z.mean(0)) / np.maximum(z.std(0), 1e-6)  # (N, Z)
    return z[np.argmin(np.square(distance).sum(1))]


def load_statistics(path: str, latent_dim: int) -> LatentStatistics:
    """Reads `LatentStatistics` from a file that may be hostile.

    Raises:
        VaeError: it is missing, damaged, or of another size.
    """
    shapes = {
        "mean": (latent_dim,),
        "std": (latent_dim,),
        "covariance": (latent_dim, latent_dim),
        "neutral": (latent_dim,),
        "reader": (..., latent_dim),
        "blink": (2, latent_dim),
        "mouth_share": (1,),
    }
    try:
        # numpy closes a file by itself only if it is whole.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if sum(member.file_size for member in arrays.zip.infolist()) > MAX_BYTES:
                raise ValueError("too large")
            found = {name: arrays[name] for name in shapes}
    except Exception as error:  # numpy and zipfile raise a dozen kinds for bad bytes
        raise VaeError(
            f"{printable(path)}: can't be read ({type(error).__name__}), the latent"
            " statistics that train wrote expected"
        ) from error
    for name, array in found.items():
        fits = _has_shape(array, shapes[name]) and array.dtype.kind == "f"
        if not fits or not np.isfinite(array).all():
            shape = str(shapes[name]).replace("Ellipsis", "F")
            raise VaeError(f"{printable(path)}: {name} is not {shape} finite numbers")
    return LatentStatistics(**found)


def load_codes(path: str, latent_dim: int) -> tuple[list[str], np.ndarray]:
    """Reads the codes that `reconstruct --latents` stored, maybe edited since.

    Returns:
        names, and z_mean (N, Z) float32; without `files` in it names are numbers.

    Raises:
        RefusedError: they are missing, damaged, or of another size.
    """
    name = printable(path)
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if sum(member.file_size for member in arrays.zip.infolist()) > MAX_BYTES:
                raise ValueError("too large")
            z = arrays["z_mean"]
            names = arrays["files"].tolist() if "files" in arrays else None
    except Exception as error:  # numpy and zipfile raise a dozen kinds for bad bytes
        raise RefusedError(
            f"--latents: {name}: can't be read ({type(error).__name__}), codes as"
            " reconstruct --latents stores them expected"
        ) from error
    fits = _has_shape(z, (..., latent_dim)) and len(z) and z.dtype.kind in "fiu"
    if not fits or not np.isfinite(z).all():
        raise RefusedError(
            f"--latents: {name}: z_mean of {z.shape} found, (N, {latent_dim}) finite"
            " numbers expected"
        )
    if names is None:
        names = [f"code_{number:06}" for number in range(len(z))]
    if len(names) != len(z) or not all(isinstance(each, str) for each in names):
        raise RefusedError(f"--latents: {name}: a name in files for each code expected")
    return names, z.astype(np.float32)


def _has_shape(array, shape):
    """Whether an array has a shape; ... stands for any length."""
    pairs = zip(array.shape, shape, strict=False)
    return array.ndim == len(shape) and all(b in (..., a) for a, b in pairs)
