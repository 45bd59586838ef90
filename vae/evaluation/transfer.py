"""How well a stranger's expressions come across, by the tool's own readings.

No truth is known: what `strangers.landmarks` reads in the crops is compared, frame by
frame, with what it reads in the actor's faces. `reconstruct` is led by that reading, so
that what it misreads alike in both is not seen. numpy only.
"""

from typing import Any

import numpy as np

from vae.errors import VaeError
from vae.evaluation.confidence import Interval, bound_figure
from vae.model.latent import LatentStatistics
from vae.strangers.alignment import Aligned, LoadedActor
from vae.strangers.landmarks import FACES, NAMES, measure_faces
from vae.strangers.measures import share_within
from vae.strangers.settling import measure_tears

BLOCK = 24  # frames of the bootstrap, a second or so
MIN_CROPS = 24  # fewer show no course of time
READINGS = {  # name -> weights of `NAMES`
    "mouth open": {"mouth open": 1.0},
    "mouth wide": {"mouth wide": 1.0},
    "smile": {"smile": 1.0},
    "mouth aside": {"mouth aside": 1.0},
    "eyes": {"left eye": 0.5, "right eye": 0.5},
    "wink": {"left eye": 1.0, "right eye": -1.0},
    "brows": {"left brow": 0.5, "right brow": 0.5},
    "head turned": {"head turned": 1.0},
}
WEIGHTS = np.array(
    [[parts.get(name, 0.0) for parts in READINGS.values()] for name in NAMES]
)  # (M, R)
TOLD = 0.5  # of a reading's variance in the film, what codes must tell
FAR = 2.5  # of `measure_tears`, from which a face is torn
UNMOVED = "moves less than it jitters"
UNTOLD = "the film is not read well"
EPSILON = 1e-12  # keeps divisions finite


def judge_transfer(
    actor: LoadedActor, images: np.ndarray, aligned: Aligned, title: str
) -> dict[str, Any]:
    """Measures how well expressions come across.

    Args:
        images: uint8 (N, H, W, C), a stranger's crops, in the order of time.
        aligned: their codes. title: of the crops, for messages.

    Returns:
        What `compare_readings` returns, and `crops`, `align`; `torn`: numbers of the
        crops, from 0, of whose face another code is read than the one it was drawn of,
        see `find_torn`; None if the model holds no codes of its film.

    Raises:
        VaeError: there are too few crops, or faces can't be read.
    """
    if len(images) < MIN_CROPS:
        raise VaeError(
            f"{title}: {len(images)} crops found, at least {MIN_CROPS} in the order of"
            " time expected"
        )
    results = actor.decode(aligned.z)
    torn = find_torn(actor, aligned.z, results)
    own = aligned.measures
    own = measure_faces(images) if own is None else own
    shown = measure_faces(results) if len(own) else own
    for measures, where in ((own, "the crops"), (shown, "the actor's faces")):
        if not len(measures):
            raise VaeError(
                f"{title}: no landmarks were found in more than {1 - FACES:.0%} of"
                f" {where}, so nothing can be compared"
            )
    return {
        "crops": len(images),
        "align": aligned.method,
        **compare_readings(own, shown, actor.statistics),
        "torn": None if torn is None else torn.tolist(),
    }


def find_torn(
    actor: LoadedActor, z: np.ndarray, results: np.ndarray
) -> np.ndarray | None:
    """Returns the numbers of faces that the decoder has torn, or None.

    Where a code is beyond what the decoder has learnt, its picture is none of a face
    that the encoder knows: it reads another code. Torn is what is read farther off than
    `FAR` times what nearly all of the film's own faces are; None if none is known.

    Args:
        z: (N, Z). results: uint8 (N, H, W, C), as they are decoded.
    """
    film = actor.statistics.film
    if film is None:
        return None
    return np.flatnonzero(measure_tears(actor.network, z, results, film) > FAR)


def compare_readings(
    own: np.ndarray, shown: np.ndarray, statistics: LatentStatistics
) -> dict[str, Any]:
    """Compares measures of a stranger with those of the faces made of them.

    A reading counts if it moves enough, its spread is at least the root mean square of
    its second difference (noise alone has two fifths of that), and if the codes tell
    at least `TOLD` of its variance in the film, where that is known.

    Args:
        own, shown: (N, M), of `measure_faces`; rows of NaN are left out.

    Returns:
        A dictionary that JSON can hold: `readings`, name -> r (correlation), slope
        (spread in units of the film's), jitter (root mean square of the second
        difference, over the stranger's, each in units of that person's spread), shown
        (share of the stranger's movement that is within the film's reach) and why it
        does not count; of those that count `mean`, the r with its interval, or None,
        and the medians of slope and jitter; `unread`, how many rows are left out. What
        isn't known is None.
    """
    seen = np.isfinite(own[:, 0]) & np.isfinite(shown[:, 0])
    pair = np.where(seen[:, None], own, np.nan), np.where(seen[:, None], shown, np.nan)
    spread, told = _describe_film(statistics)
    within = _find_within(own[np.isfinite(own[:, 0])], statistics.span)
    own, shown = (measures @ WEIGHTS for measures in pair)  # (N, R)
    own_spread, own_rough = np.nanstd(own, axis=0), _roughness(own)
    columns = _multiply(own, shown)  # (N, 5, R)
    values = {
        "r": _correlate(columns.mean(0)),
        "slope": np.nanstd(shown, axis=0) / spread,
        "jitter": _roughness(shown) * own_spread / (spread * own_rough + EPSILON),
        "shown": within,
    }
    moves = own_spread >= own_rough
    readings = {}
    for at, name in enumerate(READINGS):
        row = {key: _number(value[at]) for key, value in values.items()}
        why = None if moves[at] else UNMOVED
        readings[name] = row | {"uncounted": UNTOLD if told[at] < TOLD else why}
    rows = [row for row in readings.values() if not row["uncounted"]]
    counted = np.array([not row["uncounted"] for row in readings.values()])
    return {
        "readings": readings,
        "mean": _bound_mean(columns[:, :, counted]) if rows else None,
        **{name: _take_median(rows, name) for name in ("slope", "jitter")},
        "unread": int(np.count_nonzero(~seen)),
    }


def _describe_film(statistics):
    """Returns the spread of each reading in the film, (R,), and what codes tell of it.

    The second is a share of its variance. NaN if the film was not measured.
    """
    if not statistics.span.shape[1]:
        return np.full((2, len(READINGS)), np.nan)
    units = statistics.span[1].astype("f8")[:, None] * WEIGHTS  # (M, R)
    effect = statistics.effect.astype("f8")
    told = effect.T @ statistics.covariance @ effect  # (M, M), in units of the spread
    rest = np.maximum(1 - np.diagonal(told), 0)[:, None]  # of each measure by itself
    known = (units * (told @ units)).sum(0)
    whole = known + (units * rest * units).sum(0)
    return np.sqrt(whole) + EPSILON, known / (whole + EPSILON)


def _find_within(measures, span):
    """Returns which share of each reading's movement the film reaches, (R,)."""
    if not span.shape[1]:
        return np.full(len(READINGS), np.nan)
    shares = share_within(measures, span) @ np.abs(WEIGHTS) / np.abs(WEIGHTS).sum(0)
    # The reach of a difference is not known.
    return np.where((WEIGHTS < 0).any(0), np.nan, shares)


def _roughness(readings):
    """Returns the root mean square of second differences, (R,)."""
    bends = np.diff(readings, 2, axis=0)
    there = np.isfinite(bends)
    power = np.square(np.where(there, bends, 0)).sum(0)
    return np.sqrt(power / np.maximum(there.sum(0), 1))


def _multiply(own, shown):
    """Returns (N, 5, R) whose means tell correlations: x, y, xx, yy, xy.

    What is left out is 0, the average, and adds nothing.
    """
    x, y = (np.nan_to_num(each - np.nanmean(each, 0)) for each in (own, shown))
    return np.stack([x, y, x * x, y * y, x * y], axis=1)


def _correlate(means):
    """Returns correlations (R, ...) of means (5, R, ...); of what rests they are 0."""
    x, y, xx, yy, xy = means
    spreads = np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0)
    return (xy - x * y) / (np.sqrt(spreads) + EPSILON)


def _bound_mean(columns):
    """Returns the mean correlation of columns (N, 5, R), an `Interval` as a dict."""

    def figure(means):
        return _correlate(means.reshape(*columns.shape[1:], *means.shape[1:])).mean(0)

    found: Interval = bound_figure(figure, columns.reshape(len(columns), -1), BLOCK)
    low, high = max(found.low, -1.0), min(found.high, 1.0)
    return vars(found) | {"low": low, "high": high}


def _take_median(rows, name):
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.median(values)) if values else None


def _number(value):
    return float(value) if np.isfinite(value) else None
