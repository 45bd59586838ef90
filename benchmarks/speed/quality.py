"""Time to quality on real faces: held-out PSNR against seconds of training."""

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py

from benchmarks.speed.faces import resize_file
from benchmarks.speed.places import OURS, contender_path
from benchmarks.speed.settings import setting
from benchmarks.speed.turns import FRESH, Benchmark, Contender, Figure
from vae.config import ModelConfig

ACTOR = str(Path(__file__).resolve().parents[3] / "shared/data/actor.h5")
PORT = "PyTorch, float32"
PLAIN = ("--augment", "none")
FIGURES = (
    Figure("seconds_to_target", "s to what the port has early", "less"),
    Figure("best_psnr", "best dB", "difference"),
    Figure("best_at", "at s"),
    Figure("early_psnr", "early dB"),
)


@dataclass(frozen=True)
class Settings:
    """What can be changed."""

    data: str = setting(ACTOR, "HDF5 file to train on")
    held_out: int = setting(101, "images at the end of the file")
    early: float = setting(120.0, "seconds after which the port sets the target")
    late: float = setting(300.0, "seconds of the longest training")
    side: int = setting(64, "pixels, up to 128")
    batch: int = setting(64, "images a step of the port")
    every: float = setting(5.0, "seconds between measurements of the port")


def prepare(settings, place):
    """Returns the `Benchmark`; all contenders read the same resized file."""
    if not os.path.exists(settings.data):
        sys.exit(f"--set: data={settings.data}: no such file; name another HDF5 file")
    path = f"{place.folder}/faces.h5"
    resize_file(settings.data, path, settings.side)
    port = [place.peers, contender_path("torch_quality.py"), path]
    port += ["--held-out", settings.held_out, "--batch", settings.batch]
    port += ["--latent-dim", ModelConfig().latent_dim]
    port += ["--every", settings.every, "--late", settings.late]
    rows = [
        Contender("ours", _train(settings, path), ours=True),
        Contender("ours, no augmentation", _train(settings, path, PLAIN), ours=True),
        Contender(PORT, port),
    ]
    return Benchmark(rows, FIGURES, partial(derive, settings))


def _train(settings, path, options=()):
    """The command that trains ours, wrapped in the program that reads its history."""
    with h5py.File(path) as file:
        share = settings.held_out / len(file["data"])
    watch = [sys.executable, contender_path("ours_quality.py"), settings.late]
    train = [sys.executable, OURS, "train", "--validation-split", share, *options]
    return [*watch, *train, path, FRESH]


def derive(settings, found):
    """Returns what the curves of one round say, name -> figures.

    Args:
        found: name -> {"curve": list of [seconds, dB]}.
    """
    curves = {name: row["curve"] for name, row in found.items()}
    target = best_within(curves.get(PORT, []), settings.early)[1]
    figures = {}
    for name, curve in curves.items():
        best_at, best = best_within(curve, settings.late)
        figures[name] = {
            "seconds_to_target": reach(curve, target),
            "best_psnr": best,
            "best_at": best_at,
            "early_psnr": best_within(curve, settings.early)[1],
        }
    return figures


def best_within(curve, seconds):
    """Returns (seconds, dB) of the best point until then; (None, None) without one."""
    points = [point for point in curve if point[0] <= seconds]
    return max(points, key=lambda point: point[1]) if points else (None, None)


def reach(curve, target):
    """Returns the seconds of the first point as good as `target`, or None."""
    if target is None:
        return None
    return next((seconds for seconds, psnr in curve if psnr >= target), None)
