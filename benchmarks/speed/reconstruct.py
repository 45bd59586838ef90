"""Crops a second, beside a program that only decodes and encodes them."""

import json
import sys
from dataclasses import dataclass
from functools import partial

from benchmarks.speed.faces import SIDE, draw_folder, train_model
from benchmarks.speed.places import OURS, contender_path
from benchmarks.speed.settings import setting
from benchmarks.speed.turns import FRESH, Benchmark, Contender, Figure

FIGURES = (
    Figure("images_per_second", "img/s", "more"),
    Figure("seconds", "s"),
    Figure("peak_mib", "peak MiB"),
)


@dataclass(frozen=True)
class Settings:
    """What can be changed."""

    crops: int = setting(5000, "PNG files to reconstruct")


def prepare(settings, place):
    """Returns the `Benchmark`; a model of drawn faces, and crops of the model's size.

    `vae.py reconstruct` is the whole process; in the rows that have started, Python and
    its imports aren't counted, neither ours nor those of the peers.
    """
    model = str(train_model(place.folder))
    crops, few = f"{place.folder}/crops", f"{place.folder}/few"
    draw_folder(crops, settings.crops, SIDE)
    draw_folder(few, 1, SIDE)
    command = ["reconstruct", model, crops, FRESH]
    first = ["reconstruct", model, few, FRESH + "-first"]
    commands = json.dumps([first, command])
    started = [sys.executable, contender_path("started.py"), commands]
    rows = [
        Contender("vae.py reconstruct", [sys.executable, OURS, *command], ours=True),
        Contender("the same, started", started, ours=True),
    ]
    for way in ("threads", "processes"):
        program = [sys.executable, contender_path("pillow_only.py"), way]
        rows.append(Contender(f"Pillow, {way}", [*program, "reencode", crops, FRESH]))
    return Benchmark(rows, FIGURES, partial(rate, settings.crops))


def rate(images, found):
    """Returns name -> images a second, of name -> seconds."""
    return {
        name: {"images_per_second": images / row["seconds"]}
        for name, row in found.items()
    }
