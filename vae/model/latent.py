"""The latent space as numbers: statistics of a training set. numpy only."""

import io
import json
from dataclasses import asdict, dataclass

import numpy as np

from vae.errors import RefusedError, VaeError
from vae.files import printable

CODES_A_CLUSTER, MAX_CLUSTERS = 6, 256
ROUNDS = 30  # of k-means
MAX_JSON_BYTES = 64 << 20  # of codes as JSON
MAX_BYTES = 1 << 30  # of the arrays in a file; a Z of 4096 takes 64 MB
FILM, FILM_NUMBERS = 2000, 1 << 20  # codes of the film that are kept, and their numbers
MIN_KL = 0.1  # nats a number of the code, below which it says next to nothing


@dataclass(frozen=True)
class LatentStatistics:
    """What is known of an actor's codes, all float32 but for the film's.

    Attributes:
        mean, std: (Z,), of the training set's codes.
        covariance: (Z, Z), of the same.
        neutral: (Z,), the code of the image nearest to the mean, in units of std.
        reader: (F, Z), the map from a stranger's features, see
            `vae.strangers.reader.fit_ridge`.
        blink: (2, Z), what shut lids change the code by, and left ones shut further.
        mouth_share: (1,), share of a stranger's mouth to take out of what edges say.
        effect: (Z, M), what codes, less their mean, change measures by, see
            `vae.strangers.measures`; here and below M is 0 if none were taken.
        gain: (M, Z), what is added to codes for a measure that is missing in them.
        span: (5, M), of the measures: the average, the spread (the unit of the two
            above), at rest, how far they go down from there and how far up.
        mixture_weights, mixture_means, mixture_covariance: (K,), (K, Z), (Z, Z), of a
            mixture of Gaussians fitted to the codes, see `fit_mixture`; None in models
            of version 1.0.
        film: float16 (N, Z), codes of the training set in its order, evenly spread;
            None in models of version 1.0.
    """

    mean: np.ndarray
    std: np.ndarray
    covariance: np.ndarray
    neutral: np.ndarray
    reader: np.ndarray
    blink: np.ndarray
    mouth_share: np.ndarray
    effect: np.ndarray
    gain: np.ndarray
    span: np.ndarray
    mixture_weights: np.ndarray | None = None
    mixture_means: np.ndarray | None = None
    mixture_covariance: np.ndarray | None = None
    film: np.ndarray | None = None

    def pack(self) -> bytes:
        """Returns the bytes of an .npz file."""
        buffer = io.BytesIO()
        found = {name: a for name, a in asdict(self).items() if a is not None}
        np.savez(buffer, **found)
        return buffer.getvalue()


def summarise_codes(z_mean: np.ndarray) -> dict[str, np.ndarray]:
    """Returns those of `LatentStatistics` that follow from codes (N, Z) alone."""
    z_mean = np.asarray(z_mean, np.float64)
    mean, std = z_mean.mean(0), z_mean.std(0)
    centred = z_mean - mean  # (N, Z)
    covariance = centred.T @ centred / len(z_mean)
    neutral = nearest_to_average(z_mean)
    found = {"mean": mean, "std": std, "covariance": covariance, "neutral": neutral}
    found |= fit_mixture(z_mean)
    found = {name: array.astype(np.float32) for name, array in found.items()}
    most = max(1, min(FILM, FILM_NUMBERS // z_mean.shape[1]))
    half = np.finfo(np.float16)
    film = z_mean[:: -(-len(z_mean) // most)].clip(half.min, half.max)
    return found | {"film": film.astype(np.float16)}


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


def fit_mixture(z: np.ndarray) -> dict[str, np.ndarray]:
    """Fits a mixture of Gaussians with one covariance to codes (N, Z) of a film.

    A film is a chain of expressions that are held and left, which one Gaussian can't
    follow. Centres are those of k-means with its careful start (Arthur and
    Vassilvitskii 2007) in the whitened space, the covariance is that within clusters.

    Returns:
        mixture_weights (K,), mixture_means (K, Z), mixture_covariance (Z, Z).
    """
    centred = z - z.mean(0)
    mean, root, inverse = whiten(z.mean(0), centred.T @ centred / len(z))
    points = centred @ inverse
    count = int(np.clip(len(z) // CODES_A_CLUSTER, 1, MAX_CLUSTERS))
    rng, centres = np.random.default_rng(0), points[:1]
    for _ in range(count - 1):
        far = _square_distances(points, centres).min(1)
        if not far.sum():
            break
        chosen = rng.choice(len(points), p=far / far.sum())
        centres = np.concatenate([centres, points[chosen : chosen + 1]])
    for _ in range(ROUNDS):
        nearest = _square_distances(points, centres).argmin(1)
        members = np.eye(len(centres))[nearest]  # (N, K)
        sizes = members.sum(0)
        centres = np.where(
            sizes[:, None] > 0,
            members.T @ points / np.maximum(sizes, 1)[:, None],
            centres,
        )
    within = (points - centres[nearest]) @ root
    free = max(1, len(points) - len(centres))
    return {
        "mixture_weights": sizes / len(points),
        "mixture_means": centres @ root + mean,
        "mixture_covariance": within.T @ within / free,
    }


def _square_distances(points, others):
    """(N, K): of each of N points to each of K others."""
    squares = np.square(points).sum(1)[:, None] + np.square(others).sum(1)
    return np.maximum(squares - 2 * points @ others.T, 0)


def whiten(
    mean: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the mean (Z,), and the symmetric root of a covariance and its inverse.

    They are (Z, Z), float64. Where nothing varies the inverse is 0.
    """
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    deviations = np.sqrt(np.maximum(values, 0))
    varies = deviations > 1e-6 * deviations.max(initial=0)
    inverse = np.divide(1, deviations, where=varies, out=np.zeros_like(deviations))
    root = (vectors * deviations) @ vectors.T
    return mean.astype(np.float64), root, (vectors * inverse) @ vectors.T


def kl_per_dimension(z_mean: np.ndarray, z_log_var: np.ndarray) -> np.ndarray:
    """Returns the KL divergence of each latent dimension, nats, (B, Z) float64.

    Of posteriors, both (B, Z), from the standard normal; Kingma and Welling 2014
    (arXiv 1312.6114), appendix B.
    """
    z_mean, z_log_var = np.float64(z_mean), np.float64(z_log_var)
    return 0.5 * (np.exp(z_log_var) + np.square(z_mean) - 1.0 - z_log_var)


def nearest_to_average(z: np.ndarray) -> np.ndarray:
    """Returns that of the codes (N, Z) nearest to their mean in units of their std."""
    distance = (z - z.mean(0)) / np.maximum(z.std(0), 1e-6)  # (N, Z)
    return z[np.argmin(np.square(distance).sum(1))]


def load_statistics(path: str, content: bytes, latent_dim: int) -> LatentStatistics:
    """Reads `LatentStatistics` from the bytes of a file that may be hostile.

    `path` is for messages.

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
        "effect": (latent_dim, ...),
        "gain": (..., latent_dim),
        "span": (5, ...),
    }
    mixture = {
        "mixture_weights": (...,),
        "mixture_means": (..., latent_dim),
        "mixture_covariance": (latent_dim, latent_dim),
    }
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if sum(member.file_size for member in arrays.zip.infolist()) > MAX_BYTES:
                raise ValueError("too large")
            if not mixture.keys().isdisjoint(arrays.keys()):
                shapes |= mixture
            if "film" in arrays:
                shapes["film"] = (..., latent_dim)
            empty = no_measures(latent_dim)  # as in older models
            needed = shapes.keys() - (empty.keys() - set(arrays))
            found = empty | {name: arrays[name] for name in needed}
    except Exception as error:  # numpy and zipfile raise a dozen kinds for bad bytes
        raise VaeError(
            f"{printable(path)}: can't be read ({type(error).__name__}), the latent"
            " statistics that train wrote expected"
        ) from error
    for name, array in found.items():
        fits = _has_shape(array, shapes[name]) and array.dtype.kind == "f"
        there = array.size or name in empty
        if not fits or not there or not np.isfinite(array).all():
            shape = str(shapes[name]).replace("Ellipsis", "F")
            raise VaeError(f"{printable(path)}: {name} is not {shape} finite numbers")
    if "mixture_weights" in found:
        _check_mixture(path, found["mixture_weights"], found["mixture_means"])
    counts = {found["effect"].shape[1], len(found["gain"]), found["span"].shape[1]}
    if len(counts) > 1:
        raise VaeError(
            f"{printable(path)}: effect, gain and span of {sorted(counts)} measures"
            " found, as many in each expected"
        )
    return LatentStatistics(**found)


def no_measures(latent_dim: int) -> dict[str, np.ndarray]:
    """Returns those of `LatentStatistics` that measures give, where none were taken."""
    shapes = {"effect": (latent_dim, 0), "gain": (0, latent_dim), "span": (5, 0)}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _check_mixture(path, weights, means):
    likely = len(weights) == len(means) > 0 and weights.min() >= 0
    if not likely or abs(weights.sum() - 1) > 1e-3:
        raise VaeError(
            f"{printable(path)}: mixture_weights are no probabilities, one of each of"
            " mixture_means expected"
        )


def load_codes(path: str, latent_dim: int) -> tuple[list[str], np.ndarray]:
    """Reads the codes that `reconstruct --latents` stored, maybe edited since.

    The page of `explore` stores the same as JSON.

    Returns:
        names, and z_mean (N, Z) float32; without `files` in it names are numbers.

    Raises:
        RefusedError: they are missing, damaged, or of another size.
    """
    name = printable(path)
    try:
        z, names = _read_codes(path)
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


def _read_codes(path):
    """Returns z_mean and files, a list or None, of an .npz file or of JSON."""
    with open(path, "rb") as file:
        if path.lower().endswith(".json"):
            content = file.read(MAX_JSON_BYTES + 1)
            if len(content) > MAX_JSON_BYTES:
                raise ValueError("too large")
            values = json.loads(content)
            names = values.get("files")
            return np.array(values["z_mean"]), names and list(names)
        with np.load(file, allow_pickle=False) as arrays:
            if sum(member.file_size for member in arrays.zip.infolist()) > MAX_BYTES:
                raise ValueError("too large")
            names = arrays["files"].tolist() if "files" in arrays else None
            return arrays["z_mean"], names


def _has_shape(array, shape):
    """Whether an array has a shape; ... stands for any length."""
    pairs = zip(array.shape, shape, strict=False)
    return array.ndim == len(shape) and all(b in (..., a) for a, b in pairs)
