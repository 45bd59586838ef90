"""Is it a stranger? And the codes of a folder of crops, as the actor's.

Who a person is and how a camera sees them hardly changes within a folder of crops, the
expression does. So what is common to the folder is replaced by what is the actor's: in
where features are, before they are read (`register`), or in the codes (the others).
numpy only.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vae.checkpoint.model_files import ModelFiles
from vae.config import ReconstructConfig
from vae.data.arrays import read_pictures
from vae.errors import RefusedError, VaeError
from vae.files import printable
from vae.images.folders import find_images
from vae.images.networks import is_installed
from vae.images.pixels import measure_pixels, resize_image, to_float32
from vae.model.inference import Actor, load_actor
from vae.model.latent import LatentStatistics, load_statistics, nearest_to_average
from vae.parallel import cut_evenly, map_ordered
from vae.strangers.blinks import learn_blinks, view
from vae.strangers.features import (
    EDGES,
    FEATURES,
    MOUTH_EDGES,
    correlate_with_mouths,
    measure_features,
)
from vae.strangers.landmarks import NAMES, measure_faces
from vae.strangers.measures import correct_codes, describe_excess
from vae.strangers.registration import register, warp
from vae.strangers.settling import settle_codes

MIN_CROPS = 8  # that a folder's statistics need
# The part common to all of the actor's reconstruction errors, of the actor's variance:
# measured, at most 0.04 of hundreds of crops, and 0.33 of ten neighbours; strangers'
# 0.28 and more.
COMMON_POWER, COMMON_POWER_OF_ONE = 0.15, 4.0
SAMPLE = 256  # crops that decide, at most
BATCH = 64
EPSILON = 1e-6  # keeps divisions finite
KERNEL_REACH = 3  # standard deviations
MAX_GAIN = 4.0  # on a stranger's expression


class Aligned(NamedTuple):
    """The codes of a folder of crops.

    Attributes:
        z: (N, Z) float32.
        lines: that say why, where `--align auto` chose, and how a stranger was read.
        method: an `--align` other than auto.
        measures: (N, M), of `measure_faces`, if a stranger was read by them.
    """

    z: np.ndarray
    lines: list[str]
    method: str
    measures: np.ndarray | None


class LoadedActor:
    """A trained actor who makes anyone's expressions.

    Attributes:
        network: the encoder and the decoder.
        statistics: of the codes.

    Raises:
        VaeError: weights or statistics are missing, damaged or of another model.
    """

    def __init__(self, files: ModelFiles):
        self._config, self.network = files.config, load_actor(files)
        path, content = files.find("latent.npz")
        size = files.config.latent_dim
        self.statistics = load_statistics(path, content, size)
        _refuse_others(path, len(self.statistics.reader), "features", FEATURES)
        _refuse_others(path, len(self.statistics.gain), "measures", len(NAMES), 0)

    def encode(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns z_mean, z_log_var, float32 (B, Z), of uint8 images (B, H, W, C)."""
        return self.network.encode(images)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Returns uint8 images (B, H, W, C) of codes (B, Z)."""
        return self.network.decode(np.asarray(z, np.float32))

    def reconstruct(
        self,
        crops: str | os.PathLike | Sequence[np.ndarray],
        align: str = "auto",
        strength: float = 1.0,
        smooth: float = 0.0,
    ) -> np.ndarray:
        """Returns the actor making the expressions of crops, as the command does.

        Args:
            crops: one person's, in the order of time: a folder, or uint8 images
                (B, H, W, C) of any size.
            align, strength, smooth: as the options of `reconstruct`.

        Returns:
            uint8 (B, H, W, C), of the model's size.

        Raises:
            RefusedError: an option is off limits, or there are no crops.
            VaeError: a picture of the folder can't be read.
        """
        config = ReconstructConfig(align=align, strength=strength, smooth=smooth)
        if isinstance(crops, (str, os.PathLike)):
            images = read_pictures(crops, find_images(crops), self._config)
        else:
            size = self._config.width, self._config.height
            images = np.stack([resize_image(image, *size) for image in crops])
        return self.decode(self.align(images, config).z)

    def align(
        self,
        images: np.ndarray,
        config: ReconstructConfig,
        neutral: np.ndarray | None = None,
    ) -> Aligned:
        """Finds the codes of a folder of crops.

        Args:
            images: uint8 (N, H, W, C), of the model's size, in the order of time.
            neutral: uint8 (H, W, C), the stranger at rest, for `relative`; None: the
                crop nearest to their average code.
        """
        lines = []
        if config.align == "auto":
            method, reason = choose_method(self.network, images)
            config = replace(config, align=method)
            lines.append(reason)
        measures = None
        if config.align == "register":
            measures, how = self._measure(images)
            lines.append(how)
            if measures is not None:
                beyond = describe_excess(measures, self.statistics.span)
                lines += filter(None, [beyond])
        known = self.network, images, self.statistics
        z = find_codes(*known, config, neutral, measures)
        return Aligned(z, lines, config.align, measures)

    def _measure(self, images):
        """Returns a stranger's measures, or None, and a line that says which."""
        edges, extra = "read by edges alone", "pip install 'vae-faces[faces]'"
        if not len(self.statistics.gain):
            return None, (
                f"{edges}: the model holds no landmarks of the actor's film; train"
                f" looks for them after its first minutes and at its end, with {extra}"
            )
        if not is_installed():
            return None, f"{edges}: landmarks, which read better, need {extra}"
        measures = measure_faces(images)
        if not len(measures):
            return None, f"{edges}: no landmarks were found in more than a fifth"
        missing = np.count_nonzero(np.isnan(measures[:, 0]))
        rest = f"; {missing} of {len(images)} by edges alone" if missing else ""
        return measures, f"read by landmarks and edges{rest}"


def _refuse_others(path, found, what, *expected):
    """Refuses a reader that another version of this program has fitted."""
    if found not in expected:
        raise VaeError(
            f"{printable(path)}: a reader of {found} {what} found, {expected[0]}"
            " expected; the model is of another version, train it again"
        )


def choose_method(actor: Actor, images: np.ndarray) -> tuple[str, str]:
    """Tells the actor's own crops from a stranger's by the mean reconstruction error.

    The errors of the actor's crops differ from crop to crop and cancel out; those of a
    stranger's always miss the same: who it is. So the mean error is measured, in units
    of the actor's own variation. It hardly depends on how long the model trained.

    Args:
        images: uint8 (N, H, W, C).

    Returns:
        (method, one line that says why).
    """
    if len(images) < MIN_CROPS:
        return "none", (
            f"fewer than {MIN_CROPS} crops don't tell a stranger (found:"
            f" {len(images)}), so they are encoded as they are (--align none)"
        )
    sample = images[:: -(-len(images) // SAMPLE)]
    reconstructed = actor.decode(actor.encode(sample)[0])
    missing = measure_pixels(sample)[0] - measure_pixels(reconstructed)[0]  # (H, W, C)
    power, limit = score_stranger(missing, actor.variation), limit_of(len(images))
    if power > limit:
        return "register", (
            f"these crops are a stranger's (score {power:.2f}, the actor's own are up"
            f" to {limit:.2f}), so they are translated (--align register)"
        )
    return "none", (
        f"these crops are the actor's own (score {power:.2f}, a stranger's are over"
        f" {limit:.2f}), so they are encoded as they are (--align none)"
    )


def limit_of(count: int) -> float:
    """Returns the score above which so many crops are a stranger's.

    The fewer crops, the more alike they may be, and so is what is missing in them.
    """
    return COMMON_POWER + COMMON_POWER_OF_ONE / count


def score_stranger(missing: np.ndarray, variation: np.ndarray) -> float:
    """Returns how much of a person is never the actor's; over `limit_of`: much.

    Args:
        missing: (H, W, C), mean of images less that of their reconstructions, 0..1.
        variation: (H, W, C), standard deviation of each of the actor's pixels, 0..1.
    """
    return np.square(missing).mean() / max(np.square(variation).mean(), EPSILON)


def find_codes(
    actor: Actor,
    images: np.ndarray,
    statistics: LatentStatistics,
    config: ReconstructConfig,
    neutral: np.ndarray | None = None,
    measures: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the codes of a folder of crops.

    Args:
        images: uint8 (N, H, W, C), in the order of time.
        config: `align` must not be auto.
        neutral: uint8 (H, W, C), the stranger at rest, for relative; None: the crop
            nearest to their average code.
        measures: (N, M), of `measure_faces`, that correct what `register` finds.

    Returns:
        z (N, Z) float32.

    Raises:
        RefusedError: there are too few crops for the method.
    """
    method = config.align
    if method not in ("none", "relative") and len(images) < MIN_CROPS:
        raise RefusedError(
            f"--align: {method} found with {len(images)} crops, {MIN_CROPS} or more of"
            " one person expected; use none"
        )
    if method == "register":
        z = _register(actor, images, statistics)
        if measures is not None:
            z = correct_codes(z, measures, statistics)
    else:
        z, _ = actor.encode(images)
    centre = statistics.mean
    if method == "recentre":
        z = z - z.mean(0) + centre
    elif method == "standardise":
        z = (z - z.mean(0)) / (z.std(0) + EPSILON) * statistics.std + centre
    elif method == "relative":
        own = z if neutral is None else actor.encode(neutral[None])[0]
        rest = nearest_to_average(own)  # of one code, that code
        centre = statistics.neutral
        z = z - rest + centre
    if method != "none":
        z = centre + config.strength * (z - centre)
        if statistics.film is not None:
            z = settle_codes(actor, z.astype("f4"), statistics.film)
    return smooth_codes(z, config.smooth).astype(np.float32)


def _register(actor, images, statistics):
    """Warps the stranger's features to the actor's places, and reads their changes.

    The codes get the spread of the actor's, so that a shy stranger becomes as lively;
    but who hardly moves at all is not made to.
    """
    average, variation = measure_pixels(images)
    place = register(average, variation, actor.average, actor.variation)
    reader = statistics.reader

    def read(part):
        features = measure_features(warp(to_float32(images[part]), place))
        edges, numbers = features[:, :EDGES], features[:, EDGES:]
        by_mouths = features[:, MOUTH_EDGES] @ reader[MOUTH_EDGES]
        return features @ reader, view(edges), numbers, by_mouths

    parts = list(map_ordered(read, cut_evenly(len(images), BATCH)))
    columns = zip(*parts, strict=True)
    z, views, numbers, by_mouths = (np.concatenate(column) for column in columns)
    misread, blinking = _separate_blinks(views, statistics)
    correlated = correlate_with_mouths(numbers, by_mouths)
    z -= misread + statistics.mouth_share * correlated
    spread = np.square(statistics.std).sum() / max(z.var(0).sum(), EPSILON)
    z = (z - z.mean(0)) * min(np.sqrt(spread), MAX_GAIN)
    return z + blinking + statistics.mean


def _separate_blinks(views, statistics):
    """Returns what the stranger's blinks are misread as, and the actor's, (N, Z) each.

    The actor's reader takes blinks for what their edges are in the actor.
    """
    blinks = learn_blinks(views) if statistics.blink.any() else None
    if blinks is None:
        return np.zeros((2, 1, 1))
    shut = blinks.measure(views)  # (N, 2)
    misread = blinks.patterns @ statistics.reader[:EDGES]
    return shut @ misread, shut @ statistics.blink


def smooth_codes(z: np.ndarray, frames: float) -> np.ndarray:
    """Blurs codes (N, Z) over time, by a Gaussian of so many frames; 0 changes nothing.

    At the ends the weights of the frames that are there are used.
    """
    if not frames:
        return z
    reach = int(np.ceil(KERNEL_REACH * frames))
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * frames**2))
    inside = slice(reach, reach + len(z))
    weights = np.convolve(np.ones(len(z)), kernel)[inside]
    sums = [np.convolve(column, kernel)[inside] for column in z.T]
    return (np.stack(sums) / weights).T
