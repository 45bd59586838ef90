"""Training throughput: the tool beside the original network in its peers."""

import sys
from dataclasses import dataclass

from benchmarks.speed.faces import draw_file, resize_file
from benchmarks.speed.machine import has_bfloat16
from benchmarks.speed.places import contender_path
from benchmarks.speed.settings import setting
from benchmarks.speed.turns import Benchmark, Contender, Figure
from vae.config import ModelConfig

ORIGINAL_SIDE = 64  # pixels that the original network takes, in pythae and Keras too
FIGURES = (
    Figure("images_per_second", "img/s", "more"),
    Figure("first_step_seconds", "first step, s"),
    Figure("compile_seconds", "compiling, s"),
    Figure("peak_mib", "peak MiB"),
)


@dataclass(frozen=True)
class Settings:
    """What can be changed."""

    data: str = setting("", "HDF5 file to train on; drawn faces if empty")
    images: int = setting(4096, "faces to draw")
    side: int = setting(ORIGINAL_SIDE, "pixels, up to 128; the port alone grows")
    batch: int = setting(128, "images a step, of all alike")
    warmup: int = setting(20, "steps before measuring")
    seconds: float = setting(30.0, "of measuring a turn")


def prepare(settings, place):
    """Returns the `Benchmark`; all contenders read the same file."""
    path = f"{place.folder}/faces.h5"
    if settings.data:
        resize_file(settings.data, path, settings.side)
    else:
        draw_file(path, settings.images, settings.side)
    arguments = [path, "--batch", settings.batch, "--warmup", settings.warmup]
    arguments += ["--seconds", settings.seconds]
    arguments += ["--latent-dim", ModelConfig().latent_dim]

    def run(python, program, *flags):
        return [python, contender_path(program), *arguments, *flags]

    mine, peers = sys.executable, place.peers
    best = ["--best"] + ["--bfloat16"] * has_bfloat16()
    rows = [Contender("ours", run(mine, "ours.py"), ours=True)]
    rows += [
        Contender("ours, no augmentation", run(mine, "ours.py", "--plain"), ours=True),
        Contender("PyTorch, float32", run(peers, "torch_port.py")),
        Contender("PyTorch, its best", run(peers, "torch_port.py", *best)),
    ]
    if settings.side == ORIGINAL_SIDE:
        rows += [
            Contender("pythae", run(peers, "pythae_port.py")),
            Contender("Keras fit", run(mine, "keras_port.py")),
        ]
    return Benchmark(rows, FIGURES)
