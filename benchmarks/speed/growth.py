"""What an image costs as the file, the image and the code grow, with a chart."""

import sys
from dataclasses import dataclass
from functools import partial

from benchmarks.speed.chart import Panel, draw_panels
from benchmarks.speed.faces import SIDE, write_sorted
from benchmarks.speed.places import contender_path
from benchmarks.speed.settings import setting
from benchmarks.speed.turns import Benchmark, Contender, Figure
from vae.config import ModelConfig, TrainConfig

FIGURES = (
    Figure("train_us", "training, us/img"),
    Figure("load_us", "loading, us/img"),
    Figure("load_speed", "loader x training"),
    Figure("relative_cost", "cost / least"),
    Figure("read_ratio", "bytes read / file"),
    Figure("h5py_reads", "h5py reads"),
    Figure("people_in_batch", "of 20 in 64"),
    Figure("peak_mib", "peak MiB"),
)


@dataclass(frozen=True)
class Settings:
    """What can be changed. 1,700,000 images of 64 x 64 are 20 GB."""

    counts: tuple = setting((1000, 10_000, 100_000, 1_000_000, 1_700_000), "images")
    sides: tuple = setting((32, 48, 64, 96, 128, 192, 256), "pixels")
    latents: tuple = setting((2, 8, 30, 128, 512), "numbers in a code")
    few: int = setting(1000, "images in the file of the sizes and the codes")
    batch: int = setting(TrainConfig().batch_size, "images a step")
    warmup: int = setting(10, "steps before measuring")
    seconds: float = setting(20.0, "of measuring the training of a turn")
    chart: str = setting("growth.png", "file to draw")


def prepare(settings, place):
    """Returns the `Benchmark`; writes a file for each count."""
    files = {}
    for count in {*settings.counts, settings.few}:
        files[count] = f"{place.folder}/sorted-{count}.h5"
        write_sorted(files[count], count)
    common = ["--folder", place.folder, "--batch", settings.batch]
    common += ["--warmup", settings.warmup, "--seconds", settings.seconds]

    usual = ModelConfig().latent_dim

    def contend(name, count, side=SIDE, latent_dim=usual):
        program = contender_path("ours_growth.py")
        form = ["--side", side, "--latent-dim", latent_dim]
        command = [sys.executable, program, files[count], *form, *common]
        return Contender(name, command)

    few = settings.few
    rows = [contend(count_name(count), count) for count in settings.counts]
    rows += [contend(side_name(side), few, side=side) for side in settings.sides]
    rows += [contend(latent_name(n), few, latent_dim=n) for n in settings.latents]
    relate = partial(derive, settings)
    return Benchmark(rows, FIGURES, relate, partial(draw, settings))


def count_name(count):
    """The row of a number of images in the file."""
    return f"{count} images"


def side_name(side):
    """The row of an image size."""
    return f"{side} x {side} pixels"


def latent_name(latent_dim):
    """The row of a length of the code."""
    return f"code of {latent_dim}"


def derive(settings, found):
    """Returns the cost of training an image from a file, over the least of all files.

    Args:
        found: name -> {"train_us": ...} of one round.
    """
    names = [count_name(count) for count in settings.counts]
    costs = {name: found[name]["train_us"] for name in names if name in found}
    least = min(costs.values(), default=None)
    return {name: {"relative_cost": cost / least} for name, cost in costs.items()}


def draw(settings, medians):
    """Draws the chart; returns the line that says where it is."""

    def points(values, name, figure):
        names = [(value, name(value)) for value in values]
        return [(v, medians[name][figure]) for v, name in names if name in medians]

    files = {
        "training": points(settings.counts, count_name, "train_us"),
        "loading": points(settings.counts, count_name, "load_us"),
    }
    sides = {"training": points(settings.sides, side_name, "train_us")}
    latents = {"training": points(settings.latents, latent_name, "train_us")}
    panels = [
        Panel("us an image, by images in the file", files),
        Panel("us an image, by pixels a side", sides),
        Panel("us an image, by numbers in the code", latents),
    ]
    draw_panels(panels).save(settings.chart)
    return f"chart: {settings.chart}"
