"""What was measured, for a person: tables, and a sheet of the best and the worst."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vae.evaluation.confidence import MIN_PIECES, Interval, bound_mean
from vae.images.pixels import limit_size, resize_image
from vae.images.sheets import make_grid, stack_pairs
from vae.model.latent import describe_collapse

# name in a series -> (as it is called, 1 if more is better or -1, digits)
COMPARED = {
    "bits": ("bits/dim, ELBO", -1, 3),
    "weighted_bits": ("bits/dim, weighted", -1, 3),
    "psnr": ("PSNR, dB", 1, 2),
    "ssim": ("SSIM", 1, 4),
}
TRANSFER = {"r": "z.2f", "slope": ".2f", "jitter": ".2f", "shown": ".0%"}  # columns
LIKENESSES = (("psnr", "PSNR", ".2f"), ("ssim", "SSIM", ".4f"))
SHOWN_DIMENSIONS = 8  # of the code, those with the largest KL
SHOWN = 8  # best ones, and as many worst
STRETCHES = 32  # parts of the images, of each of which one is shown at most
GAP = 8  # pixels between parts of the sheet
SIDE = 112  # pixels; the longer side of an image is brought near it
LABELS = ("A", "B")


@dataclass(frozen=True)
class Comparison:
    """One measure of two models on the same images.

    Attributes:
        measure: one of `COMPARED`. interval: of B less A.
        better: A, B, or None if it can't be told.
    """

    measure: str
    interval: Interval
    better: str | None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as a dictionary that JSON can hold."""
        return {"measure": self.measure, **asdict(self.interval), "better": self.better}


def compare(
    first: dict[str, np.ndarray], second: dict[str, np.ndarray]
) -> list[Comparison]:
    """Compares two models image by image, in each measure that both have.

    Args:
        first, second: what `Judge.series` returned, of the same images in the
            order of time.
    """
    found = []
    for name, (_, direction, _) in COMPARED.items():
        if name in first and name in second:
            interval = bound_mean(second[name] - first[name])
            sign = direction * interval.sign
            better = {1: LABELS[1], -1: LABELS[0], 0: None}[sign]
            found.append(Comparison(name, interval, better))
    return found


def format_summaries(summaries: list[dict[str, Any]], samples: int) -> list[str]:
    """Returns the lines of a table with one column for each model.

    Args:
        summaries: what `Judge.summarise` returned.
        samples: codes drawn an image.
    """
    table = [
        (text, [_number(summary[name], form) for summary in summaries])
        for text, name, form in (
            ("ELBO, nats an image", "elbo", ".1f"),
            ("  reconstruction", "reconstruction", ".1f"),
            ("  KL, subtracted", "kl", ".1f"),
            (f"importance-weighted, {samples} codes", "weighted", ".1f"),
            ("bits/dim, ELBO", "bits", ".4f"),
            ("bits/dim, weighted", "weighted_bits", ".4f"),
        )
    ]
    for name, text, form in LIKENESSES:
        likeness = [summary[name] for summary in summaries]
        for part in ("mean", "median", "worst"):
            values = [one and one[part] for one in likeness]
            if part == "worst":
                values = [worst and worst[0]["value"] for worst in values]
            cells = [_number(value, form) for value in values]
            table.append((f"{text}, {part}", cells))
    active = [f"{one['active_units']} of {one['latent_dim']}" for one in summaries]
    scores = [_number(one["stranger_score"], ".2f") for one in summaries]
    table += [("active units", active), ("stranger score", scores)]
    if len(summaries) > 1:
        table.insert(0, ("", LABELS))
    left = max(len(text) for text, _ in table)
    wide = max(len(cell) for _, cells in table for cell in cells)
    return [
        f"{text:{left}}" + "".join(f"  {cell:>{wide}}" for cell in cells)
        for text, cells in table
    ]


def format_details(summary: dict[str, Any]) -> list[str]:
    """Returns lines on what a table has no room for: names, dimensions, and reasons."""
    lines = []
    for name, text, form in LIKENESSES:
        if summary[name]:
            found = summary[name]["worst"]
            worst = [f"{one['value']:{form}} {one['name']}" for one in found]
            lines.append(f"worst {text}: {'; '.join(worst)}")
    largest = sorted(summary["kl_per_dimension"], reverse=True)
    shown = " ".join(f"{value:.2f}" for value in largest[:SHOWN_DIMENSIONS])
    more = " ..." if len(largest) > SHOWN_DIMENSIONS else ""
    lines.append(f"KL by dimension, nats, largest first: {shown}{more}")
    lines += filter(None, [describe_collapse(sum(largest), len(largest))])
    score, limit = summary["stranger_score"], summary["stranger_above"]
    if score is None:
        lines.append("stranger score: none, since the images are too few to tell by")
    else:
        who = "a stranger" if score > limit else "the actor"
        above = f"(above {limit:.2f}, a stranger)"
        lines.append(f"stranger score {score:.2f}: {who} {above}")
    if summary["bits"] is None:
        lines.append(
            "bits/dim: none, since bernoulli is not a probability of gray pixels; its"
            " nats can't be compared with other likelihoods"
        )
    if summary["ssim"] is None:
        lines.append("SSIM: none, since the images are under 11 pixels on a side")
    return lines


def format_nearest(found: dict[str, dict[str, float]]) -> list[str]:
    """Returns the lines on how near images come to the frames a model has learnt.

    Args:
        found: name of a group -> median, least and its row; of drawn images also
            reconstructed, the median distance of those frames' own reconstructions.
    """
    lines = ["gray levels (RMS) to the nearest training frame:"]
    for name, one in found.items():
        line = f"  {name}: median {one['median']:.1f}, least {one['least']:.1f}"
        line += f" (row {one['row']})"
        if "reconstructed" in one:
            line += f"; those frames, reconstructed: {one['reconstructed']:.1f}"
        lines.append(line)
    return lines


def format_comparison(comparisons: list[Comparison]) -> list[str]:
    """Returns the lines that say which of two models is better, or that none is."""
    lines = ["B less A, with its 95 % interval:"]
    for one in comparisons:
        text, _, digits = COMPARED[one.measure]
        found = one.interval
        verdict = f"{one.better} is better" if one.better else "can't tell"
        if found.pieces < MIN_PIECES:
            verdict += f", {found.pieces:.0f} independent blocks are too few"
        lines.append(
            f"  {text:18}  {found.mean:+.{digits}f}  ({found.low:+.{digits}f} to"
            f" {found.high:+.{digits}f}, blocks of {found.block})  {verdict}"
        )
    lines.append(f"verdict: {_conclude(comparisons)}")
    return lines


def format_transfer(found: dict[str, Any]) -> list[str]:
    """Returns the table of how well a stranger's expressions come across.

    Args:
        found: what `vae.evaluation.transfer.judge_transfer` returned.
    """
    left = max(map(len, found["readings"]))
    lines = [" " * left + "".join(f"  {name:>6}" for name in TRANSFER)]
    for name, row in found["readings"].items():
        cells = [_number(row[column], form) for column, form in TRANSFER.items()]
        line = f"{name:{left}}" + "".join(f"  {cell:>6}" for cell in cells)
        why = row["uncounted"]
        lines.append(f"{line}  not counted, {why}" if why else line)
    lines += [_describe_mean(found), *_describe_torn(found)]
    if found["unread"]:
        lines.append(f"left out, without landmarks: {found['unread']}")
    lines.append(
        "read by the tool itself; a ruler that shares nothing with it may differ"
    )
    return lines


def _describe_mean(found):
    mean = found["mean"]
    if mean is None:
        return "mean r: none, since no reading counts; are the crops in order of time?"
    block = mean["block"]
    bounds = f"{mean['low']:z.2f} to {mean['high']:z.2f}, blocks of {block}"
    if mean["pieces"] < MIN_PIECES:
        bounds = f"not bounded, under {MIN_PIECES} blocks of {block} frames"
    rest = [f"{name} {_number(found[name], '.2f')}" for name in ("slope", "jitter")]
    return f"mean r {mean['mean']:z.2f} ({bounds}); median {', '.join(rest)}"


def _describe_torn(found):
    torn = found["torn"]
    if torn is None:
        return []
    first = f" (first: {torn[0] + 1})" if torn else ""
    return [f"torn faces: {len(torn)} of {found['crops']}{first}"]


def _conclude(comparisons: list[Comparison]) -> str:
    better = {one.better for one in comparisons} - {None}
    if not better:
        return "can't tell which is better"
    if len(better) > 1:
        return "each is better in something"
    unsure = [COMPARED[c.measure][0] for c in comparisons if c.better is None]
    but = f"; can't tell by {' and '.join(unsure)}" if unsure else ""
    return f"{better.pop()} is better{but}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


class BestAndWorst:
    """Keeps the images with the highest and the lowest scores, but few neighbours.

    Args:
        count: images to come. Of each stretch of them, a 32nd of all, at most one is
            among the best and one among the worst: frames near it look the same.
    """

    def __init__(self, count: int) -> None:
        self._stretch = -(-count // STRETCHES)
        self._best, self._worst = {}, {}  # stretch -> (score, column)
        self._count, self._pairs = 0, []

    def add(self, scores: np.ndarray, images: Sequence[np.ndarray]) -> None:
        """Adds a batch.

        Args:
            scores: (B,).
            images: arrays of uint8 (B, H, W, C), to be shown one above another.
        """
        for kept, keys in ((self._best, -scores), (self._worst, scores)):
            for at, key in enumerate(keys.tolist()):
                stretch = (self._count + at) // self._stretch
                if stretch not in kept or key < kept[stretch][0]:
                    column = [_bring_near(stack[at]) for stack in images]
                    kept[stretch] = key, np.concatenate(column)
        self._count += len(scores)

    def add_pairs(self, top: np.ndarray, bottom: np.ndarray) -> None:
        """Adds images to be shown above others, both uint8 (N, H, W, C), at the end."""
        pairs = [
            [_bring_near(image) for image in part[:SHOWN]] for part in (top, bottom)
        ]
        self._pairs.append(stack_pairs(*pairs))

    def draw(self) -> np.ndarray:
        """Returns the sheet: the best, the worst, and the pairs; uint8 (H, W, C)."""
        parts = []
        for kept in (self._best, self._worst):
            ordered = sorted(kept.values(), key=lambda entry: entry[0])
            parts.append(np.stack([column for _, column in ordered[:SHOWN]]))
        drawn = [make_grid(part, SHOWN) for part in parts + self._pairs]
        gap = np.zeros((GAP, *drawn[0].shape[1:]), np.uint8)
        spaced = [piece for part in drawn for piece in (part, gap)]
        return np.concatenate(spaced[:-1])


def _bring_near(image: np.ndarray) -> np.ndarray:
    """Makes a small image larger by a whole factor, a large one smaller."""
    factor = SIDE // max(image.shape[:2])
    if factor >= 1:
        return image.repeat(factor, axis=0).repeat(factor, axis=1)
    return resize_image(image, *limit_size(image.shape, SIDE))
