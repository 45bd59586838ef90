"""Stand-ins for actors whom strangers are turned into."""

import numpy as np

from vae.images.pixels import measure_pixels
from vae.strangers.features import FEATURES

PLAIN = {  # latent statistics of three numbers that tell nothing
    "mean": np.zeros(3, np.float32),
    "std": np.ones(3, np.float32),
    "covariance": np.eye(3, dtype=np.float32),
    "neutral": np.zeros(3, np.float32),
    "reader": np.zeros((FEATURES, 3), np.float32),
    "blink": np.zeros((2, 3), np.float32),
    "mouth_share": np.zeros(1, np.float32),
}


class Stranger:
    """As an actor whose features are where the stranger's are."""

    def __init__(self, images):
        self.average, self.variation = measure_pixels(images)
