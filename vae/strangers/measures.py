"""A stranger's measures, as the actor's: how codes are corrected by them. numpy only.

What codes change each measure by is a regression on the actor's own faces. The code
that the edges tell is then a first guess, and the measures are what is seen of it with
noise: the best guess after both is that of a Kalman filter's update (Kalman 1960). What
the film never shows has no spread in the codes, so that nothing is drawn from it, and
what no measure tells (a cheek, a light) stays as the edges say.
"""

import textwrap

import numpy as np

from vae.model.latent import LatentStatistics
from vae.strangers.landmarks import NAMES

RIDGE = 0.01  # of the codes' mean power
TRUST = 0.7  # in the first guess, of its distance from the average code
DOUBT = 0.5  # of the codes' covariance, that of the first guess
# What is misread of a measure, of its variance: how photographed people's at 64x64
# differ from landmarks of the whole video frame.
NOISE = {
    **{"mouth open": 0.4, "mouth wide": 0.25, "smile": 0.5, "smile aside": 0.8},
    **{"pucker": 0.5, "lips apart": 0.4, "mouth aside": 0.8, "jaw": 0.7},
    **{"left eye": 0.15, "right eye": 0.15, "gaze aside": 0.15, "gaze down": 0.5},
    **{"left brow": 0.4, "right brow": 0.4, "inner brows": 0.4},
    **{"head turned": 0.2, "head bent": 0.5},
}
AT_REST = 0.3  # share of frames, those whose lips are the least apart
REACH = 0.99  # quantile of a movement that counts as all of it
GAINS = 0.5, 2.0  # on a stranger's movement, to reach as far as the actor's
BEYOND = 0.3  # of the actor's reach, how far a movement may go beyond, softly
EPSILON = 1e-6  # keeps divisions finite
# Movements that have a name: measures whose mean moves, which way from rest, and how
# far people go, in distances between the eyes (second farthest of seven photographed).
MOVEMENTS = {
    "mouth open": (("mouth open",), 1, 0.26),
    "mouth wide": (("mouth wide",), 1, 0.26),
    "smile": (("smile",), 1, 0.12),
    "pucker": (("pucker",), 1, 1.1),
    "mouth to the left": (("mouth aside",), -1, 0.035),
    "mouth to the right": (("mouth aside",), 1, 0.035),
    "eyes shut": (("left eye", "right eye"), -1, 0.14),
    "brows up": (("left brow", "right brow"), 1, 0.085),
    "brows down": (("left brow", "right brow"), -1, 0.085),
    "head to the left": (("head turned",), -1, 0.34),
    "head to the right": (("head turned",), 1, 0.34),
}
LITTLE = 0.4  # of what people do, below which a film lacks a movement
WIDTH = 76  # columns of the lines that tell what a film holds
MORE = 1.5  # times the film's reach, from which a stranger's movement is beyond it


def fit_effects(
    codes: np.ndarray, measures: np.ndarray, film: int
) -> dict[str, np.ndarray]:
    """Learns what codes change measures by, and the other way round.

    Args:
        codes: (N, Z), of faces of the actor. measures: (N, M), of the same; NaN where
            there was no face.
        film: how many of them, the first, are as they were filmed.

    Returns:
        `effect`, `gain` and `span` of `LatentStatistics`, float32.
    """
    seen = np.isfinite(measures[:, 0])
    film = np.count_nonzero(seen[:film])
    codes, measures = codes[seen].astype("f8"), measures[seen]
    centre, spread = codes[:film].mean(0), measures[:film].std(0) + EPSILON
    average = measures[:film].mean(0)
    wanted = (measures - average) / spread
    inputs = np.column_stack([codes - centre, np.ones(len(codes))])
    power = inputs.T @ inputs
    ridge = RIDGE * np.trace(power[:-1, :-1]) / len(centre) + EPSILON
    power[np.diag_indices(len(centre))] += ridge
    slopes = np.linalg.solve(power, inputs.T @ wanted)  # (Z + 1, M)
    effect, bias = slopes[:-1], slopes[-1]
    unexplained = np.var(wanted - inputs @ slopes, axis=0)
    noise = unexplained + np.array([NOISE[name] for name in NAMES])
    doubt = DOUBT * np.atleast_2d(np.cov(codes.T))  # (Z, Z)
    seen_doubt = effect.T @ doubt @ effect + np.diag(noise)
    gain = np.linalg.solve(seen_doubt, effect.T @ doubt)  # (M, Z)
    rest = _find_rest(measures[:film])
    low, high = (np.quantile(way, REACH, axis=0) for way in _ways(measures - rest))
    span = np.stack([average + bias * spread, spread, rest, low, high])
    arrays = {"effect": effect, "gain": gain, "span": span}
    return {name: array.astype("f4") for name, array in arrays.items()}


def _find_rest(measures):
    """Returns what somebody's measures are at rest, (M,): lips together."""
    apart = measures[:, 0]
    return np.median(measures[apart <= np.quantile(apart, AT_REST)], axis=0)


def _ways(moved):
    """Splits movements into how far they go down and how far up, both from 0 on."""
    return np.maximum(-moved, 0), np.maximum(moved, 0)


def describe_film(span: np.ndarray) -> str | None:
    """Returns which movements a film holds, in lines, or None if none were measured.

    Left and right are those of the picture.

    Args:
        span: (5, M), of `LatentStatistics`.
    """
    if not span.shape[1]:
        return None
    shares = {name: _reach(span, name) / MOVEMENTS[name][2] for name in MOVEMENTS}
    held = ", ".join(f"{name} {min(share, 1):.1f}" for name, share in shares.items())
    lines = ["what the film holds of people's movements (1.0: all of it):", held]
    lacking = ", ".join(name for name, share in shares.items() if share < LITTLE)
    lines += [f"film more of: {lacking}"] * bool(lacking)
    return "\n  ".join(line for text in lines for line in textwrap.wrap(text, WIDTH))


def describe_excess(measures: np.ndarray, span: np.ndarray) -> str | None:
    """Returns a line on what a stranger does beyond the actor's film, or None.

    Args:
        measures: (N, M), of one person; rows of NaN count for nothing.
        span: (5, M), of `LatentStatistics`.
    """
    seen = np.flatnonzero(np.isfinite(measures[:, 0]))
    moved, found = measures[seen] - _find_rest(measures[seen]), []
    for name, (parts, way, usual) in MOVEMENTS.items():
        columns = [NAMES.index(part) for part in parts]
        limit = max(MORE * _reach(span, name), LITTLE * usual)
        beyond = seen[way * moved[:, columns].mean(1) > limit]
        if len(beyond):
            found.append(f"{name} in {len(beyond)} (first: crop {beyond[0] + 1})")
    if not found:
        return None
    return (
        f"beyond the actor's film, so it comes out weaker, of {len(measures)} crops:"
        f" {', '.join(found)}"
    )


def _reach(span, name):
    """How far the film goes in a movement of `MOVEMENTS`."""
    parts, way, _ = MOVEMENTS[name]
    return float(np.mean([span[3 + (way > 0), NAMES.index(part)] for part in parts]))


def share_within(measures: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Returns how much of a person's movements is within the film's reach, (M,) 0..1.

    Args:
        measures: (N, M), of one person. span: (5, M), of `LatentStatistics`.
    """
    ways = np.stack(_ways(measures - _find_rest(measures)))  # (2, N, M)
    within = np.minimum(ways, span[3:, None])
    return within.sum((0, 1)) / (ways.sum((0, 1)) + EPSILON)


def translate(measures: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Returns what a stranger's measures would be in the actor, in her spread.

    Either way from rest, what the stranger does at most becomes what the actor does at
    most; but a small movement is enlarged, and a large one made smaller, twofold at
    most. What is then beyond the actor's reach is limited softly.

    Args:
        measures: (N, M), of one person. span: (5, M), of `LatentStatistics`.
    """
    average, spread, rest, *reaches = span.astype("f8")
    moved = []
    for way, reach in zip(_ways(measures - _find_rest(measures)), reaches, strict=True):
        most = np.quantile(way, REACH, axis=0) + EPSILON
        way = way * np.clip(reach / most, *GAINS)
        room = BEYOND * reach + EPSILON
        beyond = room * np.tanh(np.maximum(way - reach, 0) / room)
        moved.append(np.minimum(way, reach) + beyond)
    return (rest + moved[1] - moved[0] - average) / spread


def correct_codes(
    z: np.ndarray, measures: np.ndarray, statistics: LatentStatistics
) -> np.ndarray:
    """Returns codes (N, Z) corrected by what a stranger's measures say.

    Args:
        z: (N, Z), the first guess. measures: (N, M); of rows of NaN nothing is taken.
    """
    seen = np.isfinite(measures[:, 0])
    guess = TRUST * (z - statistics.mean)
    wanted = translate(measures[seen], statistics.span)
    guess[seen] += (wanted - guess[seen] @ statistics.effect) @ statistics.gain
    return statistics.mean + guess
