"""Faces that were never filmed: the actor's, for input and target alike.

Mirrored faces, the upper half of one frame over the lower half of another, and faces
whose features are moved a little. The actor hardly ever made these expressions, but a
stranger may. All of it is a pure function of (seed, step), in a few large operations.
"""
import tensorflow as tf

FLIP_SHARE = 0.5
JOIN_SHARES = {"light": 0.3, "full": 0.5}  # by --augment
JOIN_ROWS = (0.35, 0.65)  # where the halves meet, as a share of the height
JOIN_SOFTNESS = 0.06  # of the height, over which one half fades into the other
BEND_SHARE = 0.5
BEND = 0.7 / 64  # of the size, standard deviation of the control points
CONTROL_POINTS = 5  # along each side


class Dice:
    """Random numbers that follow from (seed, step) and the order of the throws."""

    def __init__(self, seed, step):
        self._seed, self._step, self._throw = seed, step, 1000

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


def invent(images, augment, seed, step):
    """Returns images (B, H, W, C) float32, some of them changed.

    Args:
        images: (B, H, W, C) float32.
        augment: none; light: mirrored, and a few joined; full: more joined, and bent.
        seed, step: integers that all randomness follows from.
    """
    if augment == "none":
        return images
    dice = Dice(seed, step)
    flip = dice.happens(FLIP_SHARE, tf.shape(images)[0], 1, 1, 1)
    images += flip * (images[:, :, ::-1] - images)
    images = _join(dice, images, JOIN_SHARES[augment])
    return _bend(dice, images) if augment == "full" else images


def _join(dice, images, share):
    """Puts the lower half of another image of the batch under some."""
    count, height = tf.shape(images)[0], images.shape[1]
    low, high = JOIN_ROWS
    seam = low + (high - low) * dice.uniform(count, 1, 1, 1)
    rows = (tf.range(height, dtype=tf.float32) + 0.5) / height
    lower = tf.reshape(rows, (1, height, 1, 1)) - seam
    lower = tf.clip_by_value(lower / JOIN_SOFTNESS + 0.5, 0.0, 1.0)  # (B, H, 1, 1)
    lower *= dice.happens(share, count, 1, 1, 1)
    return images + lower * (tf.roll(images, 1, axis=0) - images)


def _bend(dice, images):
    """Moves the features of some, smoothly: brows, the corners of a mouth."""
    count, height, width, channels = tf.shape(images)[0], *images.shape[1:]
    points = dice.normal(count, CONTROL_POINTS, CONTROL_POINTS, 2)
    points *= BEND * dice.happens(BEND_SHARE, count, 1, 1, 1)
    moved = tf.image.resize(points, (height, width), "bicubic")  # (B, H, W, 2)
    rows = tf.range(height, dtype=tf.float32)[:, None] + moved[..., 0] * height
    columns = tf.range(width, dtype=tf.float32) + moved[..., 1] * width
    rows = tf.clip_by_value(rows, 0.0, height - 1.0)
    columns = tf.clip_by_value(columns, 0.0, width - 1.0)
    above = tf.minimum(tf.floor(rows), height - 2.0)
    left = tf.minimum(tf.floor(columns), width - 2.0)
    corner = tf.cast(above * width + left, tf.int32)  # (B, H, W)
    corner += tf.range(count)[:, None, None] * (height * width)
    flat = tf.reshape(images, (-1, channels))

    def pixels(offset):
        return tf.gather(flat, corner + offset)  # (B, H, W, C)

    across, down = (columns - left)[..., None], (rows - above)[..., None]
    top = pixels(0) + across * (pixels(1) - pixels(0))
    low = pixels(width) + across * (pixels(width + 1) - pixels(width))
    return top + down * (low - top)
