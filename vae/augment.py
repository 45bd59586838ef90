"""Faces that were never filmed, for the encoders to learn from.

Two kinds. `recombine` makes new expressions of the actor, for input and target alike:
mirrored faces, and the upper half of one frame over the lower half of another.
`disguise` makes other people of the actor, for the input alone: what reaches it is the
change from the person's average face, which keeps the expression, while skin, light,
contrast, proportions and glasses vary at random. All of it is a pure function of
(seed, step), in a few large operations.
"""
import tensorflow as tf

FLIP_SHARE = 0.5
JOIN_SHARE = 0.5
RARE_JOIN_SHARE = 0.3  # where nothing but the actor's own likelihood counts
JOIN_ROWS = (0.35, 0.65)  # where the halves meet, as a share of the height
JOIN_SOFTNESS = 0.06  # of the height, over which one half fades into the other

WARP = 2.0  # pixels of 64, standard deviation of the control points
SHIFT = 1.5  # pixels of 64
STRETCH = 0.06  # of the size
CONTROL_POINTS = 5  # along each side
BLUR_SHARE, BLUR_WIDTH = 0.3, 1.5  # pixels
GRAY_SHARE = 0.3
GAIN, CHANNEL_GAIN, FIELD_GAIN = 0.3, 0.1, 0.3  # of the logarithm of the contrast
FIELD_POINTS = 4  # along each side of a smooth field
LIGHT = 0.05  # of a light that comes and goes, in 0..1
NOISE = 0.03  # at most, in 0..1
ERASE_SHARE = 0.4
ERASE_HALF_HEIGHT, ERASE_HALF_WIDTH = (0.03, 0.15), (0.03, 0.28)  # of the size
LIGHT_LEVEL = 0.5  # of all strengths, for --augment light


class Dice:
    """Random numbers that follow from (seed, step) and the order of the throws."""

    def __init__(self, seed, step, salt):
        self._seed, self._step, self._throw = seed, step, salt * 1000

    def _key(self):
        self._throw += 1
        return tf.stack([self._seed + 7919 * self._throw, self._step])

    def uniform(self, *shape):
        """Uniform in 0..1, float32."""
        return tf.random.stateless_uniform(shape, self._key())

    def normal(self, *shape):
        """Standard normal, float32."""
        return tf.random.stateless_normal(shape, self._key())

    def happens(self, share, *shape):
        """1.0 with probability `share`, else 0.0."""
        return tf.cast(self.uniform(*shape) < share, tf.float32)


def recombine(images, seed, step, join_share=JOIN_SHARE):
    """Returns images (B, H, W, C) mirrored, or joined with others of the batch.

    Args:
        join_share: of the images, those that get the lower half of another.
    """
    dice = Dice(seed, step, salt=1)
    count, height = tf.shape(images)[0], images.shape[1]
    flip = dice.happens(FLIP_SHARE, count, 1, 1, 1)
    images += flip * (images[:, :, ::-1] - images)
    low, high = JOIN_ROWS
    seam = low + (high - low) * dice.uniform(count, 1, 1, 1)
    rows = (tf.range(height, dtype=tf.float32) + 0.5) / height
    lower = tf.reshape(rows, (1, height, 1, 1)) - seam
    lower = tf.clip_by_value(lower / JOIN_SOFTNESS + 0.5, 0.0, 1.0)  # (B, H, 1, 1)
    lower *= dice.happens(join_share, count, 1, 1, 1)
    return images + lower * (tf.roll(images, 1, axis=0) - images)


def disguise(change, seed, step, level=1.0, dtype=tf.float32):
    """Returns what another person's face might change by, making the same expression.

    Args:
        change: (B, H, W, C), an image less the person's average image.
        level: strength, 0 to 1.
        dtype: of the large products.

    Returns:
        (B, H, W, C) float32
    """
    dice = Dice(seed, step, salt=2)
    count, height, width, channels = tf.shape(change)[0], *change.shape[1:]
    down = _warp_matrix(dice, count, height, level)
    across = _warp_matrix(dice, count, width, level)
    change = tf.cast(change, dtype)
    change = tf.reshape(change, (count, height, width * channels))
    change = tf.matmul(tf.cast(down, dtype), change)
    change = tf.reshape(change, (count, height, width, channels))
    change = tf.matmul(tf.cast(across, dtype)[:, None], change)
    change = tf.cast(change, tf.float32)
    change = _relight(dice, change, level)
    return change * (1 - _patches(dice, count, height, width, level))


def _warp_matrix(dice, count, length, level):
    """A matrix (B, L, L) a row that stretches, shifts and perhaps blurs one axis."""
    scale = 2.0 * level / 64  # pixels of 64 to the range -1..1
    place = (tf.range(length, dtype=tf.float32) + 0.5) / length * 2 - 1
    points = dice.normal(count, 1, CONTROL_POINTS, 1) * WARP * scale
    moved = tf.image.resize(points, (1, length), "bicubic")[:, 0, :, 0]  # (B, L)
    moved += dice.normal(count, 1) * SHIFT * scale
    moved += dice.normal(count, 1) * STRETCH * level * place
    source = (place + moved + 1) / 2 * length - 0.5
    blur = dice.happens(BLUR_SHARE * level, count, 1, 1)
    reach = 1 + blur * BLUR_WIDTH * tf.abs(dice.normal(count, 1, 1))
    columns = tf.range(length, dtype=tf.float32)
    weights = tf.maximum(0.0, 1 - tf.abs(source[:, :, None] - columns) / reach)
    return weights / (tf.reduce_sum(weights, -1, keepdims=True) + 0.02)


def _relight(dice, change, level):
    """Changes colour, contrast and light, smoothly over the face."""
    count, height, width, channels = tf.shape(change)[0], *change.shape[1:]

    def field():
        points = dice.normal(count, FIELD_POINTS, FIELD_POINTS, 1)
        return tf.image.resize(points, (height, width), "bicubic")

    gray = dice.uniform(count, 1, 1, 1) * dice.happens(GRAY_SHARE, count, 1, 1, 1)
    mean = tf.reduce_mean(change, -1, keepdims=True)
    change += gray * level * (mean - change)
    gain = GAIN * dice.normal(count, 1, 1, 1) + FIELD_GAIN * field()
    gain += CHANNEL_GAIN * dice.normal(count, 1, 1, channels)
    change *= tf.exp(level * gain)
    change += LIGHT * level * dice.normal(count, 1, 1, 1) * field()
    strength = NOISE * level * dice.uniform(count, 1, 1, 1)
    return change + strength * dice.normal(count, height, width, 1)


def _patches(dice, count, height, width, level):
    """One rectangle (B, H, W, 1) a row, for some rows, where nothing can be seen."""

    def span(length, low, high):
        place = (tf.range(length, dtype=tf.float32) + 0.5) / length
        half = low + (high - low) * dice.uniform(count, 1)
        return tf.cast(tf.abs(place - dice.uniform(count, 1)) < half, tf.float32)

    rows = span(height, *ERASE_HALF_HEIGHT)
    columns = span(width, *ERASE_HALF_WIDTH)
    rows *= dice.happens(ERASE_SHARE * level, count, 1)
    return rows[:, :, None, None] * columns[:, None, :, None]
