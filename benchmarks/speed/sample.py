"""Sampled images a second, beside a program that only writes the same PNG files."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.speed.faces import train_model
from benchmarks.speed.places import OURS, contender_path
from benchmarks.speed.reconstruct import FIGURES, rate
from benchmarks.speed.settings import setting
from benchmarks.speed.turns import FRESH, Benchmark, Contender
from vae.config import SampleConfig

STEPS = SampleConfig().steps  # images a walk


@dataclass(frozen=True)
class Settings:
    """What can be changed."""

    walks: int = setting(100, f"walks of {STEPS} images")


def prepare(settings, place):
    """Returns the `Benchmark`; the peers write what `sample` wrote once before.

    `vae.py sample` is the whole process; in the rows that have started, Python and its
    imports aren't counted, neither ours nor those of the peers.
    """
    model = str(train_model(place.folder))
    images = f"{place.folder}/images.npy"
    _keep_images(model, settings.walks, f"{place.folder}/samples", images)
    command = _sample(settings.walks, FRESH, model)
    first = _sample(1, FRESH + "-first", model)
    commands = json.dumps([first, command])
    started = [sys.executable, contender_path("started.py"), commands]
    rows = [
        Contender("vae.py sample", [sys.executable, OURS, *command], ours=True),
        Contender("the same, started", started, ours=True),
    ]
    for way in ("threads", "processes"):
        program = [sys.executable, contender_path("pillow_only.py"), way]
        rows.append(Contender(f"Pillow, {way}", [*program, "write", images, FRESH]))
    return Benchmark(rows, FIGURES, partial(rate, settings.walks * STEPS))


def _sample(walks, output, model):
    return ["sample", "--walks", str(walks), "--output-dir", output, model]


def _keep_images(model, walks, folder, path):
    """Samples once and stores the pictures, but not the sheet of all, as one array."""
    command = [sys.executable, OURS, *_sample(walks, folder, model)]
    subprocess.run(command, check=True, capture_output=True)
    pictures = sorted(Path(folder).glob("walk_*.png"))
    np.save(path, np.stack([np.asarray(Image.open(picture)) for picture in pictures]))
