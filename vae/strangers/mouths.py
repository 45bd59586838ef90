"""What mouths do, whoever's they are: learned from drawn people. numpy only.

A reader that has seen the actor alone takes for a sign of an open mouth what only in
this film goes along with it. `mouths.npz`, which `examples/teach.py` makes, knows
from a thousand drawn people what opening, smiling, widening and shifting look like.
And where edges go along with these numbers, in a beard for instance, they say of one
face what they don't say of another; so a share of that is taken out of everybody's.
"""
import os
from functools import lru_cache

import numpy as np

MOUTHS = 4  # open, smile, width, shift
TAKEN = 3  # of them, whose share is taken out; a head that rolls shifts its mouth too
SHARE = 0.5
FEW = 10.0  # crops that tell little of what goes along
SMALLEST = 1e-6
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


def follow_mouths(numbers, values):
    """Returns what of values (N, D) goes along with mouths that open, smile and widen.

    Args:
        numbers: (N, MOUTHS), of the crops of one person.
        values: (N, D), whatever depends on the same crops.

    Returns:
        (N, D), of mean 0, by ridge regression on all of the numbers.
    """
    centred = numbers - numbers.mean(0)
    centred = centred / (centred.std(0) + SMALLEST)
    power = centred.T @ centred + FEW * np.eye(MOUTHS)
    slopes = np.linalg.solve(power, centred.T @ (values - values.mean(0)))
    return centred[:, :TAKEN] @ slopes[:TAKEN]


@lru_cache
def _load():
    with np.load(PATH, allow_pickle=False) as file:
        return {name: file[name].astype("f4") for name in file.files}
