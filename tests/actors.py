"""Stand-ins for actors whom strangers are turned into."""

import numpy as np

from tests.drawing import make_faces
from vae.checkpoint.model_files import write_model_files
from vae.checkpoint.storage import SCHEMA, pack_arrays
from vae.config import ModelConfig
from vae.images.pixels import measure_pixels
from vae.model.architecture import shape_arrays
from vae.model.inference import Actor
from vae.model.latent import LatentStatistics, no_measures, summarise_codes
from vae.strangers.features import FEATURES

PLAIN = {  # latent statistics of three numbers that tell nothing
    "mean": np.zeros(3, np.float32),
    "std": np.ones(3, np.float32),
    "covariance": np.eye(3, dtype=np.float32),
    "neutral": np.zeros(3, np.float32),
    "reader": np.zeros((FEATURES, 3), np.float32),
    "blink": np.zeros((2, 3), np.float32),
    "mouth_share": np.zeros(1, np.float32),
    **no_measures(3),
}
MIXTURE = {  # what such statistics may hold besides
    "mixture_weights": np.array([0.25, 0.75], np.float32),
    "mixture_means": np.float32([[0, 0, 0], [9, 9, 9]]),
    "mixture_covariance": np.eye(3, dtype=np.float32),
}


class Stranger:
    """As an actor whose features are where the stranger's are."""

    def __init__(self, images):
        self.average, self.variation = measure_pixels(images)


def write_model(folder, width=16, height=16, latent_dim=3, seed=0, picture=None):
    """Writes a model directory of drawn weights: it makes pictures, if not faces.

    With a `picture`, uint8 (H, W, 3), it makes that one alone.
    """
    config = ModelConfig(width, height, 3, latent_dim)
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shape_arrays(config).items():
        fan = max(1, int(np.prod(shape[:-1])))
        arrays[name] = rng.normal(0, 1.2 / np.sqrt(fan), shape).astype("f4")
    faces = make_faces(60, height, width)
    if picture is not None:
        arrays = {name: np.zeros_like(array) for name, array in arrays.items()}
        faces = picture[None]
    arrays["average"], arrays["variation"] = measure_pixels(faces)
    arrays["decoder/mean_image/image"] = arrays["average"]
    actor = Actor(config, arrays)
    rest = {
        "reader": rng.normal(0, 0.1, (FEATURES, latent_dim)).astype("f4"),
        "blink": np.zeros((2, latent_dim), "f4"),
        "mouth_share": np.zeros(1, "f4"),
        **no_measures(latent_dim),
    }
    codes = summarise_codes(actor.encode(np.repeat(faces, 2, 0))[0] * 3)
    metadata = {"schema": SCHEMA, "model": config.to_dict(), "finished": True}
    contents = {
        "weights.h5": pack_arrays(arrays),
        "latent.npz": LatentStatistics(**codes, **rest).pack(),
    }
    folder.mkdir(exist_ok=True)
    write_model_files(folder, metadata, contents)
    return folder
