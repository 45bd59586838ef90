"""The reader: a linear map from features of anyone's face to the actor's codes.

It is fitted whenever a new best model is saved, by ridge regression on the actor's
faces and on faces that the augmentation makes of them, since strangers make expressions
that the actor hardly made. What the actor's blinks change is kept apart.
"""

from collections.abc import Callable
from itertools import chain, islice

import numpy as np

from vae.images.networks import is_installed
from vae.images.pixels import to_float32, to_uint8
from vae.model.inference import Actor
from vae.model.latent import LatentStatistics, no_measures, summarise_codes
from vae.strangers.blinks import learn_blinks, separate_blinks, view
from vae.strangers.features import (
    CELL,
    DIRECTIONS,
    EDGES,
    FEATURES,
    MOUTH_EDGES,
    correlate_with_mouths,
    measure_features,
    oriented_gradients,
)
from vae.strangers.landmarks import measure_faces
from vae.strangers.measures import fit_effects
from vae.strangers.registration import BLACK, WORK_SIZE, area_matrix, blur_matrix

FACES, PASSES = 3072, 3  # of augmented images: at most, and of each image
FILM = 2048  # of the actor's own faces, to find blinks in, at most
BATCH = 128
FILM_MEASURED, MEASURED = 1024, 1536  # faces that are measured, of these and of those
MOUTH_SHARE = 0.5  # taken out, of the lower face's edges that correlate with mouths
RIDGE = 1.0  # of the features' mean power
MOUTH_WEIGHT = 15.0  # of the mouth's numbers, against the mean spread of an edge
MASK_SOFTNESS, MASK_SHARE = 3.0, 0.85  # pixels; cells nearer to its edge don't count
EPSILON = 1e-8  # keeps divisions finite


Augment = Callable[[np.ndarray, int, int], np.ndarray]


class ReaderFitter:
    """Fits the reader of one film, again and again while a model learns it.

    Args:
        images: uint8 (N, H, W, C), the training images or a fair share of them.
        seed: of the augmentation.
        augment: function of (images, seed, step) that changes faces, float32
            (B, H, W, C), 0..1.
    """

    def __init__(self, images: np.ndarray, seed: int, augment: Augment) -> None:
        self._images, self._seed, self._augment = images, seed, augment
        self._film = images[:: -(-len(images) // FILM_MEASURED)]
        self._batch = min(BATCH, len(images))
        self._batches = -(-min(FACES, PASSES * len(images)) // BATCH)
        self._measures = None  # of the film and of augmented faces, once taken

    def measure(self) -> bool:
        """Looks for landmarks in the film, once; until then `fit` does without.

        Returns:
            whether this call has measured anything.
        """
        if self._measures is None and is_installed():
            self._measures = self._measure()
            return len(self._measures) > 0
        return False

    def fit(self, actor: Actor) -> LatentStatistics:
        """Returns the `LatentStatistics` of an actor, the reader among them."""
        images, features, codes = self._images, [], []
        for faces in self._augmented():
            features.append(measure_features(faces))
            codes.append(actor.encode_floats(faces))
        features = separate_blinks(np.concatenate(features), _find_blinks(images))
        mouths, edges = features[:, EDGES:FEATURES], features[:, MOUTH_EDGES]
        edges -= MOUTH_SHARE * correlate_with_mouths(mouths, edges)
        codes = np.concatenate(codes)
        reader = fit_ridge(features, codes, actor.average)
        return LatentStatistics(
            **summarise_codes(actor.encode(images)[0]),
            reader=reader[:FEATURES],
            blink=reader[FEATURES:],
            mouth_share=np.full(1, MOUTH_SHARE, "f4"),
            **self._fit_effects(actor, codes[:MEASURED]),
        )

    def _augmented(self):
        """Yields augmented faces, a batch at a time, the same each time."""
        images, order = self._images, np.random.default_rng(self._seed)
        for step in range(self._batches):
            chosen = order.choice(len(images), self._batch, replace=False)
            yield self._augment(to_float32(images[chosen]), self._seed, step)

    def _fit_effects(self, actor, codes):
        """Fits what codes (A, Z) of augmented faces and those of the film measure."""
        if self._measures is None or not len(self._measures):
            return no_measures(codes.shape[1])
        codes = np.concatenate([actor.encode(self._film)[0], codes])
        return fit_effects(codes, self._measures, len(self._film))

    def _measure(self):
        """Measures the film and, if it shows faces, augmented ones, in this order."""
        changed = map(to_uint8, chain.from_iterable(self._augmented()))
        count = min(MEASURED, self._batches * self._batch)
        return measure_faces(self._film, islice(changed, MEASURED), count)


def _find_blinks(images):
    """Returns the blinks in training images, or None."""
    film = images[:: -(-len(images) // FILM)]
    parts = (film[start : start + BATCH] for start in range(0, len(film), BATCH))
    views = [view(oriented_gradients(to_float32(part))) for part in parts]
    return learn_blinks(np.concatenate(views))


def fit_ridge(
    features: np.ndarray, codes: np.ndarray, average: np.ndarray
) -> np.ndarray:
    """Fits a map from features to codes by ridge regression (Hoerl and Kennard 1970).

    Args:
        features: (N, F), the first `FEATURES` of `measure_features`.
        codes: (N, Z), of the same faces.
        average: (H, W, C), the actor's average face; it shows where the mask is.

    Returns:
        float32 (F, Z). Features times it, less the mean, are the code's distance from
        the average code, of the same spread over the actor's faces.
    """
    features = features - features.mean(axis=0)
    weights = _weigh(features, _find_inside(average))
    features *= weights
    codes = codes - codes.mean(axis=0)
    power = features.T @ features  # (F, F)
    ridge = RIDGE * np.trace(power) / len(power) + EPSILON
    power[np.diag_indices_from(power)] += ridge
    kernel = np.linalg.solve(power, features.T @ codes)
    spread = np.square(features @ kernel).sum()
    kernel *= np.sqrt(np.square(codes).sum() / (spread + EPSILON))
    return (weights[:, None] * kernel).astype("f4")


def _weigh(features, inside):
    """Weights (F,): edges within the face as they are, the other features all alike."""
    spread = features.std(axis=0)
    usual = np.sqrt(np.square(spread[:EDGES] * inside).mean())
    others = MOUTH_WEIGHT * usual / (spread[EDGES:] + EPSILON)
    return np.concatenate([inside, others])


def _find_inside(average):
    """1 for edges (EDGES,) of cells well within the face, else 0."""
    down, across = (area_matrix(length, WORK_SIZE) for length in average.shape[:2])
    face = down @ average.mean(axis=-1) @ across.T > BLACK
    soft = blur_matrix(WORK_SIZE, MASK_SOFTNESS)[CELL // 2 :: CELL]
    cells = soft @ face @ soft.T > MASK_SHARE
    return np.repeat(cells, DIRECTIONS).astype("f4")
