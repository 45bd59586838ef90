"""Faces that were never filmed: the actor's, for input and target alike.

Mirrored faces, the upper half of one frame over the lower half of another, the eyes of
two frames in one face, and faces whose features, or the mouth alone, are moved a
little. The actor hardly ever made these expressions, but a stranger may. All of it is a
pure function of (seed, step).
"""

import numpy as np
import tensorflow as tf

from vae.strangers.registration import cubic_matrix
from vae.training.distribution import Share

NEIGHBOURS = {"none": 0, "light": 1, "full": 3}  # rows before one that it depends on
FLIP_SHARE = 0.5
JOIN_SHARES = {"light": 0.3, "full": 0.5}  # by --augment
JOIN_ROWS = (0.35, 0.65)  # where the halves meet, as a share of the height
JOIN_SOFTNESS = 0.06  # of the height, over which one half fades into the other
EYE_SHARE = 0.15
EYE_COLUMN, EYE_ROW = 0.5, 0.5  # right of and above them is another frame's eye
EYE_SOFTNESS = 0.08, 0.15  # of the width, of the height
BEND_SHARE = 0.5
BEND = 0.7 / 64  # of the size, standard deviation of the control points
CONTROL_POINTS = 5  # along each side
ASIDE_SHARE = 0.3
ASIDE = 1.5 / 64  # of the width, standard deviation of where a mouth is moved to
MOUTH_ROWS, MOUTH_REACH = (0.60, 0.74), 0.18  # from none to all of it; half its width


class Dice:
    """Random numbers that follow from (seed, step) and the order of the throws.

    Where a batch is shared, each row gets those of its place in the whole of it.
    """

    def __init__(
        self, seed: int, step: tf.Tensor | int, share: Share | None = None
    ) -> None:
        self._seed, self._step, self._throw = seed, step, 1000
        self._share = share

    def _key(self) -> tf.Tensor:
        self._throw += 1
        return tf.stack([self._seed + 7919 * self._throw, self._step])

    def uniform(self, *shape: tf.Tensor | int) -> tf.Tensor:
        """Uniform in 0..1, float32."""
        return self._pick(tf.random.stateless_uniform(shape, self._key()))

    def normal(self, *shape: tf.Tensor | int) -> tf.Tensor:
        """Standard normal, float32."""
        return self._pick(tf.random.stateless_normal(shape, self._key()))

    def _pick(self, values: tf.Tensor) -> tf.Tensor:
        return self._share.pick(values) if self._share else values

    def happens(self, share: float, *shape: tf.Tensor | int) -> tf.Tensor:
        """1.0 with probability `share`, else 0.0."""
        return tf.cast(self.uniform(*shape) < share, tf.float32)


def augment(
    images: tf.Tensor,
    amount: str,
    seed: int,
    step: tf.Tensor | int,
    share: Share | None = None,
) -> tf.Tensor:
    """Returns images (B, H, W, C) float32, 0..1, some of them changed.

    Args:
        amount: none; light: mirrored, and a few joined; full: more joined, some with
            another's eye, bent, and some with the mouth moved aside.
        share: which rows of a batch `images` are, if not all. The first `NEIGHBOURS`
            are there for those after them, and come back as anything.
    """
    if amount == "none":
        return images
    dice = Dice(seed, step, share)
    count = share.total if share else tf.shape(images)[0]
    flip = dice.happens(FLIP_SHARE, count, 1, 1, 1)
    low, high = JOIN_ROWS
    seam = low + (high - low) * dice.uniform(count, 1, 1, 1)
    joined = dice.happens(JOIN_SHARES[amount], count, 1, 1, 1)
    images = _flip(images, flip)
    if amount == "light":
        return _join(images, seam, joined)
    images = _swap_eye(images, dice.happens(EYE_SHARE, count, 1, 1, 1))
    images = _join(images, seam, joined)
    points = dice.normal(count, CONTROL_POINTS, CONTROL_POINTS, 2)
    points *= BEND * dice.happens(BEND_SHARE, count, 1, 1, 1)
    aside = ASIDE * dice.normal(count, 1, 1) * dice.happens(ASIDE_SHARE, count, 1, 1)
    return _sharpen(*_bend(images, points, aside))


def augment_fully(images: np.ndarray, seed: int, step: int) -> np.ndarray:
    """Returns what `augment` makes of an array, with all that it can do."""
    return augment(images, "full", seed, step).numpy()


# Compiled, a dozen operations that each loop over the pixels take one loop.
@tf.function(jit_compile=True, autograph=False)
def _flip(images: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Mirrors the images whose `flip` (B, 1, 1, 1) is 1."""
    return images + flip * (images[:, :, ::-1] - images)


@tf.function(jit_compile=True, autograph=False)
def _join(images: tf.Tensor, seam: tf.Tensor, joined: tf.Tensor) -> tf.Tensor:
    """Gives images whose `joined` is 1 the lower half of another one of the batch.

    The halves meet at `seam`, a share of the height; both are (B, 1, 1, 1).
    """
    height = images.shape[1]
    rows = (tf.range(height, dtype=tf.float32) + 0.5) / height
    lower = tf.reshape(rows, (1, height, 1, 1)) - seam
    lower = joined * tf.clip_by_value(lower / JOIN_SOFTNESS + 0.5, 0.0, 1.0)
    return images + lower * (tf.roll(images, 1, axis=0) - images)


@tf.function(jit_compile=True, autograph=False)
def _swap_eye(images: tf.Tensor, swapped: tf.Tensor) -> tf.Tensor:
    """Gives images whose `swapped` (B, 1, 1, 1) is 1 another's right eye and brow."""
    height, width = images.shape[1:3]
    across, down = EYE_SOFTNESS
    above = EYE_ROW - (np.arange(height, dtype="f4")[:, None] + 0.5) / height
    right = (np.arange(width, dtype="f4") + 0.5) / width - EYE_COLUMN
    share = np.clip(above / down + 0.5, 0, 1) * np.clip(right / across + 0.5, 0, 1)
    other = tf.roll(images, 2, axis=0)  # not the one whose lower half may come next
    return images + swapped * share[..., None] * (other - images)


@tf.function(jit_compile=True, autograph=False)
def _bend(
    images: tf.Tensor, points: tf.Tensor, aside: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Moves features smoothly: brows, the corners of a mouth, all of it aside.

    Args:
        points: how far control points move down and right, as a share of the size,
            (B, P, P, 2).
        aside: how far to the right mouths are taken from, as a share of the width,
            (B, 1, 1).

    Returns:
        images, interpolated linearly, and how far below and to the right of a pixel
        each of theirs is taken from, 0..1, (B, H, W, 1).
    """
    count, height, width, channels = tf.shape(images)[0], *images.shape[1:]
    down = tf.constant(cubic_matrix(height, CONTROL_POINTS), tf.float32)
    across = tf.constant(cubic_matrix(width, CONTROL_POINTS), tf.float32)
    moved = tf.einsum("hp,wq,bpqk->bhwk", down, across, points)  # (B, H, W, 2)
    rows = tf.range(height, dtype=tf.float32)[:, None] + moved[..., 0] * height
    moved_across = moved[..., 1] + aside * _find_mouth(height, width)
    columns = tf.range(width, dtype=tf.float32) + moved_across * width
    rows = tf.clip_by_value(rows, 0.0, height - 1.0)
    columns = tf.clip_by_value(columns, 0.0, width - 1.0)
    above = tf.minimum(tf.floor(rows), height - 2.0)
    left = tf.minimum(tf.floor(columns), width - 2.0)
    corner = tf.cast(above * width + left, tf.int32)  # (B, H, W)
    corner += tf.range(count)[:, None, None] * (height * width)
    flat = tf.reshape(images, (-1, channels))

    def pixels(offset: int) -> tf.Tensor:
        return tf.gather(flat, corner + offset)  # (B, H, W, C)

    across, down = (columns - left)[..., None], (rows - above)[..., None]
    top = pixels(0) + across * (pixels(1) - pixels(0))
    low = pixels(width) + across * (pixels(width + 1) - pixels(width))
    return top + down * (low - top), down, across


# Compiled by itself, so that what is interpolated is not computed for each neighbour.
@tf.function(jit_compile=True, autograph=False)
def _sharpen(images: tf.Tensor, down: tf.Tensor, across: tf.Tensor) -> tf.Tensor:
    """Takes back what linear interpolation blurs: a decoder would learn to be soft.

    Where all of a picture moves alike it is then Keys's cubic convolution (1981), for a
    quarter of the pixels looked up. The arguments are what `_bend` returns.
    """
    for axis, offset in ((1, down), (2, across)):
        size = images.shape[axis]
        first, rest = tf.split(images, [1, size - 1], axis)
        most, last = tf.split(images, [size - 1, 1], axis)
        around = tf.concat([first, most], axis) + tf.concat([rest, last], axis)
        images -= 0.5 * offset * (1 - offset) * (around - 2 * images)
    return tf.clip_by_value(images, 0.0, 1.0)  # edges overshoot


def _find_mouth(height: int, width: int) -> np.ndarray:
    """How far each pixel (H, W) moves with the mouth, 0..1."""
    rows = (np.arange(height, dtype="f4")[:, None] + 0.5) / height
    columns = (np.arange(width, dtype="f4") + 0.5) / width
    start, end = MOUTH_ROWS
    below = np.clip((rows - start) / (end - start), 0, 1)
    return below * np.exp(-np.square((columns - 0.5) / MOUTH_REACH) / 2)
