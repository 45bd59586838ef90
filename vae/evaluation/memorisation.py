"""How near images come to the frames a model was trained on. numpy only.

A model that has learnt its frames by heart draws them again; one that has learnt the
face draws others. Distances are root mean squares over an image, in gray levels.
"""
import numpy as np


class NearestFrames:
    """Finds, for each of a few images, the nearest of many frames.

    Args:
        images: uint8 (Q, H, W, C).

    Attributes:
        images: as given.
        distances: (Q,), gray levels, to the nearest frame so far.
        rows, frames: that frame's row, (Q,), and itself, uint8 (Q, H, W, C).
    """

    def __init__(self, images):
        self.images = images
        self._images = images.reshape(len(images), -1).astype(np.float32)  # (Q, P)
        self._squares = np.vecdot(self._images, self._images)
        self.distances = np.full(len(images), np.inf)
        self.rows = np.full(len(images), -1)
        self.frames = np.zeros_like(images)

    def look(self, frames, row):
        """Compares with a batch of frames.

        Args:
            frames: uint8 (B, H, W, C). row: of the first of them.
        """
        flat = frames.reshape(len(frames), -1).astype(np.float32)
        squares = self._squares[:, None] + np.vecdot(flat, flat)
        nearest = np.argmin(squares - 2 * self._images @ flat.T, axis=1)  # (Q,)
        # The nearest is measured again, since the squares above are rounded.
        distances = measure_distance(frames[nearest], self.images)
        better = distances < self.distances
        self.distances[better] = distances[better]
        self.rows[better] = row + nearest[better]
        self.frames[better] = frames[nearest[better]]


def measure_distance(images, others):
    """Returns the distance of each pair of uint8 (N, H, W, C), gray levels (N,)."""
    difference = images.astype(np.float32) - others
    return np.sqrt(np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64))


def summarise_distances(seeker):
    """Returns what a `NearestFrames` found as a dictionary that JSON can hold."""
    least = int(np.argmin(seeker.distances))
    return {
        "median": float(np.median(seeker.distances)),
        "least": float(seeker.distances[least]),
        "row": int(seeker.rows[least]),
    }
