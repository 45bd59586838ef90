"""Codes that the decoder can't draw, moved to ones that it can. numpy only.

Where a code is beyond what the decoder has learnt, its picture is torn: it is none of a
face that the encoder knows, and the encoder reads another code in it. That code lies
nearer to the film's, and its picture is whole.
"""

import numpy as np

from vae.model.inference import Actor
from vae.parallel import cut_evenly

FILM = 256  # of the film's faces, to know how far codes are from those of their faces
USUAL = 0.99  # quantile of these distances, the unit
FARTHEST = 2.0  # usual distances, from which the other code is taken; from 1 on in part
BLOCK = 512  # faces at a time
EPSILON = 1e-6  # keeps divisions finite


def measure_tears(
    actor: Actor, z: np.ndarray, faces: np.ndarray, film: np.ndarray
) -> np.ndarray:
    """Returns how far codes are from those that the encoder reads in their faces.

    Args:
        z: (N, Z). faces: uint8 (N, H, W, C), as they are decoded.
        film: codes of the actor's film, (K, Z).

    Returns:
        (N,), in units of what nearly all of the film's own faces are; over 2.5, the
        face is torn.
    """
    return np.linalg.norm(actor.encode(faces)[0] - z, axis=1) / _usual(actor, film)


def settle_codes(actor: Actor, z: np.ndarray, film: np.ndarray) -> np.ndarray:
    """Returns codes (N, Z), those of torn faces moved to what is read in the face.

    Args:
        z: (N, Z). film: codes of the actor's film, (K, Z).
    """
    moved = _read_again(actor, z) - z
    far = np.linalg.norm(moved, axis=1, keepdims=True) / _usual(actor, film)
    return z + np.clip((far - 1) / (FARTHEST - 1), 0, 1) * moved


def _usual(actor, film):
    film = film[:: -(-len(film) // FILM)].astype("f4")
    far = np.linalg.norm(_read_again(actor, film) - film, axis=1)
    return max(np.quantile(far, USUAL), EPSILON)


def _read_again(actor, z):
    """Returns the codes (N, Z) that are read in the faces of codes."""
    parts = (actor.decode(z[part]) for part in cut_evenly(len(z), BLOCK))
    return np.concatenate([actor.encode(images)[0] for images in parts])
