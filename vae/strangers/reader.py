"""What is measured when training is done: the actor's codes, and how to read others."""
import numpy as np

from vae.images.sheets import to_float32
from vae.model.latent import summarise
from vae.strangers.blinks import learn_blinks, separate_blinks, view
from vae.strangers.features import (
    EDGES,
    FEATURES,
    MOUTH_EDGES,
    describe,
    describe_edges,
    fit_reader,
)
from vae.strangers.mouths import SHARE, follow_mouths

FACES, PASSES = 3072, 3  # invented, to learn reading from: at most, and of each image
FILM = 2048  # of the actor's own faces, to find blinks in, at most
BATCH = 128


def measure_codes(actor, rows, seed, augment):
    """Returns the statistics that `vae.model.latent.load_statistics` reads back.

    Strangers do what the actor hardly did, so invented faces are learned from too.

    Args:
        actor: a `vae.model.inference.Actor`.
        rows: uint8 (N, H, W, C), the training images or a fair share of them.
        seed: of the invented faces.
        augment: function of (images, seed, step) that invents faces, float32
            (B, H, W, C), 0..1, from the actor's.
    """
    statistics = summarise(actor.encode(rows)[0])
    order = np.random.default_rng(seed)
    features, codes = [], []
    for step in range(-(-min(FACES, PASSES * len(rows)) // BATCH)):
        chosen = order.choice(len(rows), min(BATCH, len(rows)), replace=False)
        faces = augment(to_float32(rows[chosen]), seed, step)
        features.append(describe(faces))
        codes.append(actor.encode_floats(faces))
    features = separate_blinks(np.concatenate(features), _find_blinks(rows))
    mouths, edges = features[:, EDGES:FEATURES], features[:, MOUTH_EDGES]
    edges -= SHARE * follow_mouths(mouths, edges)
    reader = fit_reader(features, np.concatenate(codes), actor.average)
    statistics["reader"], statistics["blink"] = reader[:FEATURES], reader[FEATURES:]
    statistics["mouth_share"] = np.full(1, SHARE, "f4")
    return statistics


def _find_blinks(rows):
    """Returns the blinks in training images, or None."""
    film = rows[:: -(-len(rows) // FILM)]
    parts = (film[start : start + BATCH] for start in range(0, len(film), BATCH))
    views = [view(describe_edges(to_float32(part))) for part in parts]
    return learn_blinks(np.concatenate(views))
