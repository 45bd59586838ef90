"""Seconds of short commands, and from the command to the first training step."""

import sys
from dataclasses import dataclass

from benchmarks.speed.faces import (
    MODEL_IMAGES,
    SIDE,
    draw_file,
    draw_folder,
    train_model,
)
from benchmarks.speed.places import OURS, contender_path
from benchmarks.speed.settings import setting
from benchmarks.speed.turns import FRESH, Benchmark, Contender, Figure

FIGURES = (Figure("seconds", "s"), Figure("peak_mib", "peak MiB"))


@dataclass(frozen=True)
class Settings:
    """What can be changed."""

    images: int = setting(MODEL_IMAGES, "in the file whose first step is awaited")


def prepare(settings, place):
    """Returns the `Benchmark`; imports alone stand for what can't be cut."""
    model = str(train_model(place.folder))
    faces, crop = f"{place.folder}/faces.h5", f"{place.folder}/crop"
    draw_file(faces, settings.images, SIDE)
    draw_folder(crop, 1, SIDE)
    python = sys.executable
    tool = [python, OURS]
    sample = [*tool, "sample", "--walks", 1, "--steps", 10]
    sample += ["--output-dir", FRESH, model]
    reconstruct = [*tool, "reconstruct", model, crop, FRESH]
    train = [python, contender_path("first_step.py"), *tool, "train", faces, FRESH]
    rows = [
        Contender("sample, 10 images", sample),
        Contender("reconstruct, 1 image", reconstruct),
        Contender("train, first step", train),
        Contender("vae.py -h", [*tool, "-h"]),
        Contender("import tensorflow", [python, "-c", "import tensorflow"]),
        Contender("import torch", [place.peers, "-c", "import torch"]),
    ]
    return Benchmark(rows, FIGURES)
