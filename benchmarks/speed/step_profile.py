"""Where one training step goes, and how fast it could be at best on this machine.

`python benchmarks/speed/step_profile.py` prints the time of a step by phase and by type
of operation, then the floor: its FLOPs over the measured speed of matrix products, and
the bytes it must move over the measured memory bandwidth.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.speed.contenders.trained import build_trainer  # noqa: E402
from benchmarks.speed.faces import SIDE  # noqa: E402
from benchmarks.speed.machine import describe_machine, format_machine  # noqa: E402
from vae.config import ModelConfig, TrainConfig  # noqa: E402
from vae.training.progress import Progress  # noqa: E402

OPERATION = re.compile(r"([\w./\-]+):(_?[A-Z]\w+)")  # name:Type, as the profiler says
PHASES = {  # and rest: losses, noise, augmentation, the input
    "backward": "gradient_tape",
    "optimizer": "(?i)muon|global_norm",
    "networks": "encoder|decoder",
}
MATRIX_SIDE, MATRIX_PRODUCTS = 2048, 8
COPY_BYTES, COPIES = 256 << 20, 4
FORWARD_AND_BACKWARD = 3  # a product, and one for either factor's gradient
# A layer's output is written, read by the next layer and again on the way back; its
# gradient is written and read.
OUTPUT_PASSES = 5
# A float32 weight is read, its gradient written and read, and the optimizer reads and
# writes the weight and its momentum; its matrix products are counted as time alone.
WEIGHT_PASSES = 7
SHOWN = 25  # types of operation


def main(arguments=None):
    """Prints the profile and the floor."""
    options = build_parser().parse_args(arguments)
    print(format_machine(describe_machine(sys.executable)), flush=True)
    shape = (options.batch, options.side, options.side, 3)
    trainer = build_trainer(
        shape, options.batch, options.latent_dim, augmented=not options.plain
    )
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    step = time_steps(trainer, images, options.steps)
    print(f"step: {1e3 * step:.2f} ms, {options.batch / step:.0f} img/s")
    totals = profile_steps(trainer, images, options.steps)
    print("\n".join(format_profile(totals, options.steps)))
    print("\n".join(describe_floor(trainer, options.batch, step)))
    return 0


def build_parser():
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Profile one training step, and say how fast it could be.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    model, config = ModelConfig(), TrainConfig()
    for name, default, text in (
        ("batch", config.batch_size, "images a step"),
        ("side", SIDE, "pixels"),
        ("latent-dim", model.latent_dim, "numbers in a code"),
        ("steps", 50, "to measure"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=text)
    text = "train without augmentation; the difference is what it costs"
    parser.add_argument("--plain", action="store_true", help=text)
    return parser


def time_steps(trainer, images, steps):
    """Returns the median seconds of a step, after as many that warm up."""
    progress, seconds = Progress(), []
    for _ in range(2 * steps):
        started = time.perf_counter()
        float(trainer.train_step(images, progress)["loss"])
        seconds.append(time.perf_counter() - started)
        progress.step += 1
    return float(np.median(seconds[steps:]))


def profile_steps(trainer, images, steps):
    """Returns a Counter: (phase, type) -> ms of all steps, over all threads."""
    progress = Progress(step=2 * steps)
    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
    )
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options=options):
            for _ in range(steps):
                trainer.train_step(images, progress)
                progress.step += 1
        paths = list(Path(folder).rglob("*.xplane.pb"))
        space = xplane_pb2.XSpace.FromString(paths[0].read_bytes())
    return sum_events(space)


def sum_events(space):
    """Returns a Counter: (phase, type) -> ms, of a profile's operations."""
    totals = Counter()
    for plane in space.planes:
        names = {key: value.name for key, value in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                found = OPERATION.fullmatch(names[event.metadata_id])
                if found:
                    key = find_phase(found[1]), found[2]
                    totals[key] += event.duration_ps / 1e9
    return totals


def find_phase(name):
    """The part of a step that an operation belongs to, by its name."""
    for phase, pattern in PHASES.items():
        if re.search(pattern, name):
            return phase
    return "rest"


def format_profile(totals, steps):
    """Returns the lines of the profile, ms a step."""
    whole, phases = sum(totals.values()), Counter()
    for (phase, _), spent in totals.items():
        phases[phase] += spent
    lines = [f"\nin operations, over all threads: {whole / steps:.2f} ms a step"]
    lines += [_row(phase, spent, steps, whole) for phase, spent in phases.most_common()]
    lines.append("\nby type:")
    for (phase, kind), spent in totals.most_common(SHOWN):
        lines.append(_row(f"{phase}: {kind}", spent, steps, whole))
    return lines


def _row(name, spent, steps, whole):
    return f"  {name:<52}{spent / steps:8.3f} ms {spent / whole:6.1%}"


def describe_floor(trainer, batch, step):
    """Returns the lines about the floor.

    Args:
        step: seconds that a step takes now.
    """
    flops, moved = count_work(trainer, batch)
    bandwidth = measure_bandwidth()
    lines = [
        f"\nwork of a step: {flops / 1e9:.1f} GFLOP, {moved / 1e6:.0f} MB moved",
        f"memory: {bandwidth / 1e9:.1f} GB/s, so {1e3 * moved / bandwidth:.2f} ms",
    ]
    for dtype in ("float32", "bfloat16"):
        speed = measure_products(dtype)
        floor = flops / speed
        share = floor / step
        lines.append(
            f"{dtype}: {speed / 1e9:.0f} GFLOP/s, so {1e3 * floor:.2f} ms:"
            f" {share:.0%} of the step"
        )
    return lines


def count_work(trainer, batch):
    """Returns (FLOPs, bytes) of a step: kernels only, and all outputs and weights.

    Activations count in the type that a layer computes in. What the processor's caches
    keep isn't moved, so that the bytes of a small network can be fewer.
    """
    flops = moved = 0
    parts = vars(trainer.model).values()
    for network in [part for part in parts if isinstance(part, keras.Model)]:
        for layer in network.layers:
            outputs = tf.nest.flatten(layer.output)
            elements = sum(int(np.prod(output.shape[1:])) for output in outputs)
            size = tf.as_dtype(layer.compute_dtype).size
            moved += OUTPUT_PASSES * batch * elements * size
            flops += batch * count_flops(layer)
        moved += WEIGHT_PASSES * 4 * network.count_params()
    return FORWARD_AND_BACKWARD * flops, moved


def count_flops(layer):
    """FLOPs of a layer's kernel for one image, forward only; 0 without a kernel."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    shape = layer.output.shape
    if "Transpose" in type(layer).__name__:
        shape = layer.input.shape
    return 2 * int(np.prod(kernel.shape)) * int(np.prod(shape[1:-1]))


def measure_products(dtype):
    """Returns FLOPs a second of the product of two large square matrices."""
    matrix = tf.cast(tf.random.normal((MATRIX_SIDE, MATRIX_SIDE)), dtype)
    product = tf.function(tf.matmul)
    product(matrix, matrix)

    def work():
        for _ in range(MATRIX_PRODUCTS):
            result = product(matrix, matrix)
        float(result[0, 0])

    return 2 * MATRIX_SIDE**3 * MATRIX_PRODUCTS / _best_time(work)


def measure_bandwidth():
    """Returns bytes a second, read plus written, of copies on all cores."""
    parts = len(os.sched_getaffinity(0))
    source = np.ones((parts, COPY_BYTES // parts), np.uint8)
    target = np.empty_like(source)
    target[:] = 0
    with ThreadPoolExecutor(parts) as pool:

        def work():
            for _ in range(COPIES):
                list(pool.map(np.copyto, target, source))

        return 2 * COPY_BYTES * COPIES / _best_time(work)


def _best_time(work):
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
