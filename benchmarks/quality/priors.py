"""How near the pictures of each prior come to frames that it was not fitted to.

    python benchmarks/quality/priors.py MODEL FILE.h5

Blocks of the training frames alternate: priors are fitted to the codes of one half, and
samples of each, single ones and in between on walks, are compared with the other half.
Printed are, over the main components of the encoder's last features and of oriented
gradients, the Frechet distance (Heusel et al. 2017), and precision and recall
(Kynkaanniemi et al. 2019); and how near samples come to the fitted codes.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from vae import load  # noqa: E402
from vae.config import PRIORS  # noqa: E402
from vae.images.pixels import resize_image, to_float32  # noqa: E402
from vae.model.latent import summarise_codes  # noqa: E402
from vae.model.walks import draw_samples, make_prior, walk_at_random  # noqa: E402
from vae.strangers.features import oriented_gradients  # noqa: E402

TRAINED = 0.9  # share of the file, the first of it
COMPONENTS = 48
NEIGHBOURS = 3
BATCH = 64


def main():
    """Prints a row for the fitted frames themselves, and two for each prior."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("file")
    parser.add_argument("--block", type=int, default=5, help="frames")
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    actor = load(options.model).network
    height, width = actor.average.shape[:2]
    with h5py.File(options.file) as file:
        images = file["data"][: int(TRAINED * len(file["data"]))]
    images = np.stack([resize_image(image, width, height) for image in images])
    fitted = np.arange(len(images)) // options.block % 2 == 0
    z = actor.encode(images)[0][fitted].astype(float)
    spaces = [
        Space(measure, images, ~fitted)
        for measure in (partial(see, actor), oriented_gradients)
    ]

    def report(title, codes):
        pictures = actor.decode(codes.astype("f4"))
        found = [value for space in spaces for value in space.compare(pictures)]
        near = distances(codes, z).min(1)
        numbers = " ".join(f"{value:9.3f}" for value in [*found, np.median(near)])
        print(f"{title:22} {numbers} {near.min():9.3f}", flush=True)

    columns = ["encoder", "precision", "recall", "gradients", "precision", "recall"]
    print(" " * 22, *(f"{c:>9}" for c in [*columns, "nearest", "at least"]))
    rng = np.random.default_rng(0)
    report("the fitted frames", z[rng.integers(len(z), size=options.samples)])
    statistics = SimpleNamespace(**summarise_codes(z))
    for kind in PRIORS:
        prior = make_prior(kind, statistics)
        report(kind, np.concatenate([*draw_samples(prior, options.samples, 0, 1.0)]))
        walk = walk_at_random(prior, options.samples, 0, 1.0, False)
        times = np.arange(options.samples) + rng.uniform(size=options.samples)
        report(f"{kind}, on walks", np.concatenate([*walk.follow(times)]))
    apart = distances(z, z)
    np.fill_diagonal(apart, np.inf)
    print(f"from a fitted frame to the next: {np.median(apart.min(1)):.3f}")


def see(actor, images):
    """Returns the encoder's last features (N, F) of floats."""
    features = actor._run("encoder", actor._network.trunk, images)
    return features.reshape(len(images), -1)


class Space:
    """The main components of what a function measures of a film's images."""

    def __init__(self, measure, images, held_out):
        self._measure = measure
        features = self._look(images)
        self._mean = features.mean(0)
        self._axes = np.linalg.svd(features - self._mean, full_matrices=False)[2]
        self._axes = self._axes[:COMPONENTS].T
        self._real = self._project(features[held_out])

    def _look(self, images):
        parts = (images[at : at + BATCH] for at in range(0, len(images), BATCH))
        found = [self._measure(to_float32(part)) for part in parts]
        return np.concatenate([part.reshape(len(part), -1) for part in found])

    def _project(self, features):
        return (features - self._mean) @ self._axes

    def compare(self, images):
        """Returns Frechet distance, precision and recall of images."""
        x, y = self._project(self._look(images)), self._real
        covariances = np.cov(x.T), np.cov(y.T)
        roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0))
        traces = sum(map(np.trace, covariances)) - 2 * roots.sum()
        frechet = np.square(x.mean(0) - y.mean(0)).sum() + traces
        between = distances(x, y)
        reach_x, reach_y = (
            np.sort(distances(each, each), axis=1)[:, NEIGHBOURS] for each in (x, y)
        )
        precision = (between <= reach_y).any(1).mean()
        return frechet, precision, (between <= reach_x[:, None]).any(0).mean()


def distances(points, others):
    """Returns the distance of each of N points to each of K others, (N, K)."""
    squares = np.square(points).sum(1)[:, None] + np.square(others).sum(1)
    return np.sqrt(np.maximum(squares - 2 * points @ others.T, 0))


if __name__ == "__main__":
    main()
