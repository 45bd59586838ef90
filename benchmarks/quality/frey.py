"""Frey Faces by the published protocol: bits/dim of frames that were held out.

    python benchmarks/quality/frey.py FREY.h5

FREY.h5 holds the 1965 frames of 28x20, gray, in their original order, N x 28 x 20 x 1.
For each of the three published seeds the frames are shuffled and cut into 1565 to train
on, 200 to choose the best epoch by, and 200 to test on; the tool trains and evaluates
through its own command line. Trainings that are already in --folder are used again.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.speed.machine import describe_machine, format_machine  # noqa: E402
from benchmarks.speed.places import OURS  # noqa: E402

SHAPE = (1965, 28, 20, 1)
SEEDS = (123, 321, 231)
PARTS = {"train": (0, 1565), "validation": (1565, 1765), "test": (1765, 1965)}
# Chosen by the validation frames of the first seed; docs/frey.md says what was tried.
SETTINGS = {
    "--likelihood": "discretized",
    "--augment": "light",
    "--latent-dim": "64",
    "--epochs": "700",
    "--batch-size": "128",
    "--learning-rate": "4e-3",
    "--kl-warmup": "20",
    "--precision": "float32",
}
SAMPLES = 500  # codes drawn a frame, for the importance-weighted bound
MEASURES = {"bits": "negative ELBO", "weighted_bits": f"weighted, {SAMPLES} codes"}


def main():
    """Prints bits/dim of each seed's test frames, and their mean and deviation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="HDF5 file with the frames in dataset `data`")
    parser.add_argument("--folder", type=Path, help="where to keep models and frames")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, metavar="SEED")
    options = parser.parse_args()
    with h5py.File(options.data) as file:
        frames = file["data"][:]
    if frames.shape != SHAPE:
        parser.error(f"data: shape {frames.shape} found, {SHAPE} expected")
    print(format_machine(describe_machine(sys.executable)), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        found = [measure_seed(frames, seed, folder) for seed in options.seeds]
    for name, text in MEASURES.items():
        values = [model[name] for model in found]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{text}: {statistics.mean(values):.3f} +- {spread:.3f} bits/dim")
    return 0


def measure_seed(frames, seed, folder):
    """Trains on one split, unless that was done, and tests; returns the summary."""
    place = folder / str(seed)
    place.mkdir(parents=True, exist_ok=True)
    for name, images in split(frames, seed).items():
        with h5py.File(place / f"{name}.h5", "w") as file:
            stored = file.create_dataset("data", data=images)
            stored.attrs["layout"] = "rows-first"
    if not (place / "model" / "saved_model").exists():
        options = [word for pair in SETTINGS.items() for word in pair]
        options += ["--overwrite", "--validation", place / "validation.h5"]
        run_tool("train", *options, place / "train.h5", place / "model")
    options = ["--overwrite", "--json", place / "test.json", "--samples", SAMPLES]
    run_tool("evaluate", *options, place / "model", place / "test.h5")
    [model] = json.loads((place / "test.json").read_text())["models"]
    shown = ", ".join(f"{text} {model[name]:.4f}" for name, text in MEASURES.items())
    print(f"seed {seed}: {shown}, PSNR {model['psnr']['mean']:.2f} dB", flush=True)
    return model


def split(frames, seed):
    """Returns name of a part -> frames, as van den Berg et al. 2018 cut them."""
    shuffled = frames.copy()
    np.random.RandomState(seed).shuffle(shuffled)
    return {name: shuffled[start:stop] for name, (start, stop) in PARTS.items()}


def run_tool(*arguments):
    """Runs the tool; what it prints on stdout is left out."""
    command = [sys.executable, OURS, *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
