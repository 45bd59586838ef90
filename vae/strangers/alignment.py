"""A stranger's crops to codes of the actor. numpy only; the networks are passed in.

Who a person is and how a camera sees them hardly changes within a folder of crops, the
expression does. So what is common to the folder is replaced by what is the actor's, in
where features are, before they are read (`register`), or in the codes (the others).
"""
from dataclasses import dataclass

import numpy as np

from vae.errors import RefusedError
from vae.images.sheets import to_float32
from vae.model.latent import nearest_to_average
from vae.parallel import cut_evenly, map_ordered
from vae.strangers.blinks import learn_blinks, view
from vae.strangers.features import EDGES, MOUTH_EDGES, describe
from vae.strangers.mouths import follow_mouths
from vae.strangers.registration import register, warp

FEWEST = 8  # crops that a folder's statistics need
# What crops of the actor miss together, of the actor's variance: measured, at most 0.04
# of hundreds of crops, and 0.38 of ten neighbours; strangers' 0.28 and more.
COMMON_POWER, COMMON_POWER_OF_ONE = 0.15, 4.0
PROBE = 256  # crops that decide, at most
BATCH = 64
SMALLEST = 1e-6
KERNEL_REACH = 3  # standard deviations
MOST_GAIN = 4.0  # on a stranger's expression


@dataclass(frozen=True)
class Alignment:
    """How a folder's codes are to be found.

    Attributes:
        method: one of `vae.config.ALIGNMENTS`.
        strength: factor on the expression's distance from the actor's average one.
        smooth: frames, standard deviation of a Gaussian over neighbours; 0: none.
    """

    method: str
    strength: float
    smooth: float


def choose_method(actor, images):
    """Tells the actor's own crops from a stranger's by what never comes back.

    Of the actor's crops, the networks miss now this, now that; of a stranger's they
    always miss the same: who it is. So the average of what is missing is measured, in
    units of the actor's own variation. It hardly depends on how long the model trained.

    Args:
        actor: has `encode` and `decode`, see `vae.model.inference.Actor`.
        images: uint8 (N, H, W, C).

    Returns:
        (method, one line that says why).
    """
    if len(images) < FEWEST:
        return "none", (
            f"--align: none, since a stranger is known by {FEWEST} or more crops of one"
            f" person; found: {len(images)}"
        )
    probe = images[:: -(-len(images) // PROBE)]
    again = actor.decode(actor.encode(probe)[0])
    missing = measure(probe)[0] - measure(again)[0]  # (H, W, C)
    power, limit = score_stranger(missing, actor.variation), limit_of(len(images))
    is_stranger = power > limit
    method, who = ("register", "a stranger") if is_stranger else ("none", "the actor")
    return method, (
        f"--align: {method}, for {who}: what is never the actor's in these crops is"
        f" {power:.2f} of the actor's own variance ({limit:.2f} tells a stranger)"
    )


def limit_of(count):
    """Returns the score above which so many crops are a stranger's.

    The fewer crops, the more alike they may be, and so is what is missing in them.
    """
    return COMMON_POWER + COMMON_POWER_OF_ONE / count


def score_stranger(missing, variation):
    """Returns how much of a person is never the actor's; over `limit_of`: much.

    Args:
        missing: (H, W, C), average of images less that of their reconstructions, 0..1.
        variation: (H, W, C), standard deviation of each of the actor's pixels, 0..1.
    """
    return np.square(missing).mean() / max(np.square(variation).mean(), SMALLEST)


def find_codes(actor, images, statistics, alignment, neutral=None):
    """Returns the codes of a folder of crops.

    Args:
        actor: see `vae.model.inference.Actor`.
        images: uint8 (N, H, W, C), in the order of time.
        statistics: of the actor's codes, see `vae.model.latent.summarise`.
        alignment: an `Alignment`, its method not auto.
        neutral: uint8 (H, W, C), the stranger at rest, for relative; None: the crop
            nearest to their average code.

    Returns:
        z (N, Z) float32.

    Raises:
        RefusedError: there are too few crops for the method.
    """
    method = alignment.method
    if method not in ("none", "relative") and len(images) < FEWEST:
        raise RefusedError(
            f"--align: {method} found with {len(images)} crops, {FEWEST} or more of one"
            " person expected; use none"
        )
    if method == "register":
        z = _register(actor, images, statistics)
    else:
        z, _ = actor.encode(images)
    centre = statistics["mean"]
    if method == "recentre":
        z = z - z.mean(0) + centre
    elif method == "standardise":
        z = (z - z.mean(0)) / (z.std(0) + SMALLEST) * statistics["std"] + centre
    elif method == "relative":
        own = z if neutral is None else actor.encode(neutral[None])[0]
        rest = nearest_to_average(own)  # of one code, that code
        centre = statistics["neutral"]
        z = z - rest + centre
    if method != "none":
        z = centre + alignment.strength * (z - centre)
    return smooth_codes(z, alignment.smooth).astype(np.float32)


def _register(actor, images, statistics):
    """Moves the stranger's features to the actor's, and reads those against their mean.

    The codes get the spread of the actor's, so that a shy stranger becomes as lively;
    but who hardly moves at all is not made to.
    """
    average, variation = measure(images)
    place = register(average, variation, actor.average, actor.variation)
    reader = statistics["reader"]

    def read(part):
        features = describe(warp(to_float32(images[part]), place))
        edges, numbers = features[:, :EDGES], features[:, EDGES:]
        by_mouths = features[:, MOUTH_EDGES] @ reader[MOUTH_EDGES]
        return features @ reader, view(edges), numbers, by_mouths

    parts = map_ordered(read, cut_evenly(len(images), BATCH))
    z, views, numbers, by_mouths = (np.concatenate(column) for column in zip(*parts))
    misread, blinking = _part_blinks(views, statistics)
    z -= misread + statistics["mouth_share"] * follow_mouths(numbers, by_mouths)
    spread = np.square(statistics["std"]).sum() / max(z.var(0).sum(), SMALLEST)
    z = (z - z.mean(0)) * min(np.sqrt(spread), MOST_GAIN)
    return z + blinking + statistics["mean"]


def _part_blinks(views, statistics):
    """Returns what the stranger's blinks are misread as, and the actor's, (N, Z) each.

    The actor's reader takes blinks for what their edges are in the actor.
    """
    blinks = learn_blinks(views) if statistics["blink"].any() else None
    if blinks is None:
        return np.zeros((2, 1, 1))
    shut = blinks.measure(views)  # (N, 2)
    misread = blinks.patterns @ statistics["reader"][:EDGES]
    return shut @ misread, shut @ statistics["blink"]


def measure(images):
    """Returns the mean and the standard deviation of each pixel over images.

    Args:
        images: uint8 (N, H, W, C)

    Returns:
        two (H, W, C) float32, 0..1.
    """
    total = np.zeros(images.shape[1:])
    squares = np.zeros(images.shape[1:])
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH].astype(np.float32)  # whole numbers
        total += batch.sum(0)
        squares += np.square(batch).sum(0)
    average = total / len(images) / 255
    variance = np.maximum(squares / len(images) / 255**2 - average**2, 0)
    return average.astype(np.float32), np.sqrt(variance).astype(np.float32)


def smooth_codes(z, frames):
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
