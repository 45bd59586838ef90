"""What mouths do, whoever's they are: learned from drawn people. numpy only.

A reader that has seen the actor alone takes for a sign of an open mouth what only in
this film goes along with it. `mouths.npz`, which `examples/teach.py` makes, knows
from a thousand drawn people what opening, smiling, widening and shifting look like.
"""
import os
from functools import lru_cache

import numpy as np

MOUTHS = 4  # open, smile, width, shift
PATH = os.path.join(os.path.dirname(__file__), "mouths.npz")


def read_mouths(edges):
    """Returns what mouths do, (N, MOUTHS) float32, of histograms `edges` (N, E).

    Of no edges at all nothing is read, 0. Only differences between faces of one
    person mean something.
    """
    arrays = _load()
    bias = arrays["hidden_bias"]
    hidden = np.maximum(edges @ arrays["hidden_kernel"] + bias, 0)
    return (hidden - np.maximum(bias, 0)) @ arrays["kernel"]


@lru_cache
def _load():
    with np.load(PATH, allow_pickle=False) as file:
        return {name: file[name].astype("f4") for name in file.files}
