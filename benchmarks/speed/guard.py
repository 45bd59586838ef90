"""What must not creep in, as counts that no busy machine can change; tests hold them.

`python benchmarks/speed/guard.py` prints them: the operations of the traced train step
by type, how often it was traced, and how often an epoch reads the file.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.speed.contenders.reads import ReadCounter  # noqa: E402
from benchmarks.speed.contenders.trained import build_trainer  # noqa: E402
from benchmarks.speed.faces import CHUNK_ROWS, SIDE, write_sorted  # noqa: E402
from vae.config import ModelConfig, TrainConfig  # noqa: E402
from vae.data.arrays import load_images  # noqa: E402
from vae.data.batches import cut_batches  # noqa: E402
from vae.data.hdf5 import ImageFile  # noqa: E402
from vae.training.progress import Progress  # noqa: E402

COPIES = ("Transpose", "Reshape", "Cast", "ConcatV2", "Pad", "StridedSlice", "Identity")
SHORT_FILE = 20 * CHUNK_ROWS
BATCH = TrainConfig().batch_size


def count_step(side=SIDE, batch=BATCH):
    """Takes two training steps of different size on black images, and looks at them.

    Returns:
        dict: `traces` of the step; `operations`, type -> number in its graph and the
        functions it calls, before TensorFlow optimises it; `copies`, how many of them
        only move or convert values; `fetched`, tensors that a step gives back, each of
        which a GPU would have to be waited for.
    """
    shape = (batch, side, side, 3)
    trainer = build_trainer(shape, batch, ModelConfig().latent_dim)
    images, progress = np.zeros(shape, np.uint8), Progress()
    for count in (batch, batch - 1):
        trainer.train_step(images[:count], progress)
        progress.step += 1
    traced = find_traced(trainer)
    operations = Counter()
    for function in traced:
        operations += count_operations(function.get_concrete_function().graph)
    return {
        "traces": sum(f.experimental_get_tracing_count() for f in traced),
        "operations": dict(operations.most_common()),
        "copies": sum(operations[kind] for kind in COPIES),
        "fetched": sum(len(f.get_concrete_function().outputs) for f in traced),
    }


def find_traced(trainer):
    """Returns the compiled functions of a trainer that have run."""
    functions = [
        value
        for value in vars(trainer).values()
        if hasattr(value, "experimental_get_tracing_count")
    ]
    return [f for f in functions if f.experimental_get_tracing_count()]


def count_operations(graph):
    """Returns a Counter of the types of operations in a graph and its functions."""
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    return Counter(node.op for node in nodes)


def count_reads(path, size=None, batch=BATCH):
    """Reads one epoch of a file.

    Args:
        size: (width, height) of the batches, if not those of the file.

    Returns:
        dict: `calls` of h5py, `bytes` they returned and `dataset_bytes`.
    """
    with ImageFile(path) as file, ReadCounter() as counter:
        rows = load_images(file, 0, file.count, size or (file.width, file.height))
        for _ in cut_batches(rows, batch, seed=0, epoch=0):
            continue
        nbytes = file.count * file.height * file.width * file.channels
    return {"calls": counter.calls, "bytes": counter.bytes, "dataset_bytes": nbytes}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_sorted(f"{folder}/faces.h5", SHORT_FILE)
        found = {"step": count_step(), "reads": count_reads(f"{folder}/faces.h5")}
    print(json.dumps(found, indent=1))
