"""What loading and training cost an image, for one file, image size and code length.

The loader runs one epoch alone and is watched: time, bytes that the process really
read, calls of h5py, and how well a batch mixes. Then training runs on the same rows.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from clock import StepClock
from reads import ReadCounter, bytes_read
from trained import build_trainer, train_watched

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from vae.data.arrays import load_images  # noqa: E402
from vae.data.batches import cut_batches  # noqa: E402
from vae.data.hdf5 import ImageFile  # noqa: E402

MIXING_BATCH = 64
SEED, EPOCH = 0, 0


def load_epoch(file, options):
    """Loads and batches each image once; returns (rows, figures)."""
    counter, before = ReadCounter(), bytes_read()
    started = time.perf_counter()
    size = options.side, options.side
    with counter:
        rows = load_images(file, 0, file.count, size, options.folder)
        people = [
            len(np.unique(batch[:, 0, 0, 0]))
            for batch in cut_batches(rows, MIXING_BATCH, SEED, EPOCH)
        ]
    seconds = time.perf_counter() - started
    stored = Path(options.file).stat().st_size
    figures = {
        "load_us": 1e6 * seconds / file.count,
        "read_ratio": (bytes_read() - before) / stored,
        "h5py_reads": counter.calls,
    }
    if size == (file.width, file.height):  # resizing blends the person's number
        figures["people_in_batch"] = float(np.mean(people))
    return rows, figures


def train(rows, options):
    """Returns the figures of training on `rows`."""
    trainer = build_trainer(rows.shape, options.batch, options.latent_dim)
    figures = train_watched(trainer, rows, StepClock(options.warmup, options.seconds))
    return {"train_us": 1e6 / figures["images_per_second"]}


def main():
    """Prints the figures as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--latent-dim", type=int, required=True)
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    with ImageFile(options.file) as file:
        rows, figures = load_epoch(file, options)
        figures |= train(rows, options)
    figures["load_speed"] = figures["train_us"] / figures["load_us"]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
