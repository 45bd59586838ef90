"""What was measured, as tables for a person. numpy and text only."""
from dataclasses import asdict, dataclass

from vae.evaluation.confidence import FEWEST_PIECES, Interval, bound_mean

# name in a tally -> (as it is called, 1 if more is better or -1, digits)
COMPARED = {
    "bits": ("bits/dim, ELBO", -1, 3),
    "weighted_bits": ("bits/dim, weighted", -1, 3),
    "psnr": ("PSNR, dB", 1, 2),
    "ssim": ("SSIM", 1, 4),
}
LIKENESSES = (("psnr", "PSNR", ".2f"), ("ssim", "SSIM", ".4f"))
SHOWN_DIMENSIONS = 8  # of the code, those with the largest KL
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

    def to_dict(self):
        """Returns it as a dictionary that JSON can hold."""
        return {"measure": self.measure, **asdict(self.interval), "better": self.better}


def compare(first, second):
    """Compares two models image by image.

    Args:
        first, second: what `vae.evaluation.tally.Tally.series` returned, of the same images in the
            order of time.

    Returns:
        list of `Comparison`, of what both have.
    """
    found = []
    for name, (_, direction, _) in COMPARED.items():
        if name in first and name in second:
            interval = bound_mean(second[name] - first[name])
            sign = direction * interval.sign
            better = {1: LABELS[1], -1: LABELS[0], 0: None}[sign]
            found.append(Comparison(name, interval, better))
    return found


def format_summaries(summaries, samples):
    """Returns the lines of a table with one column for each model.

    Args:
        summaries: list of what `vae.evaluation.tally.Tally.summarise` returned.
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
        likeness = [summary[name] or {} for summary in summaries]
        for part in ("mean", "median", "worst"):
            values = [one.get(part) for one in likeness]
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


def format_details(summary):
    """Returns lines on what a table has no room for: names, dimensions, and reasons."""
    lines = []
    for name, text, form in LIKENESSES:
        if summary[name]:
            worst = [
                f"{_number(one['value'], form)} {one['name']}"
                for one in summary[name]["worst"]
            ]
            lines.append(f"worst {text}: {'; '.join(worst)}")
    largest = sorted(summary["kl_per_dimension"], reverse=True)
    shown = " ".join(f"{value:.2f}" for value in largest[:SHOWN_DIMENSIONS])
    more = " ..." if len(largest) > SHOWN_DIMENSIONS else ""
    lines.append(f"KL by dimension, nats, largest first: {shown}{more}")
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


def format_nearest(found):
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


def format_comparison(comparisons):
    """Returns the lines that say which of two models is better, or that none is."""
    lines = ["B less A, with its 95 % interval:"]
    for one in comparisons:
        text, _, digits = COMPARED[one.measure]
        found = one.interval
        verdict = f"{one.better} is better" if one.better else "can't tell"
        if found.pieces < FEWEST_PIECES:
            verdict += f", {found.pieces:.0f} independent blocks are too few"
        lines.append(
            f"  {text:18}  {found.mean:+.{digits}f}  ({found.low:+.{digits}f} to"
            f" {found.high:+.{digits}f}, blocks of {found.block})  {verdict}"
        )
    lines.append(f"verdict: {_conclude(comparisons)}")
    return lines


def _conclude(comparisons):
    better = {one.better for one in comparisons} - {None}
    if not better:
        return "can't tell which is better"
    if len(better) > 1:
        return "each is better in something"
    open_ones = [COMPARED[c.measure][0] for c in comparisons if c.better is None]
    but = f"; can't tell by {' and '.join(open_ones)}" if open_ones else ""
    return f"{better.pop()} is better{but}"


def _number(value, form):
    return "-" if value is None else format(value, form)
