"""One, two and four processes of this computer train together: time and weights.

    python benchmarks/speed/workers.py [--epochs 4] [--batch 32] [--side 64]

Workers share the processor here, so that more of them are no faster: what is measured
is what working together costs, beside what `benchmarks/scaling.py` predicts of it.
Then one of four is killed, and all are started again.
"""

import argparse
import csv
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Run as a script, Python looks for modules beside this file and not above it.
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import h5py  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.scaling import Plan, count_gradient_bytes  # noqa: E402
from benchmarks.speed.faces import write_sorted  # noqa: E402
from vae.config import ModelConfig  # noqa: E402

COUNTS = (1, 2, 4)
LOOPBACK_GIGABITS, LOOPBACK_US = 20.0, 100.0  # of TensorFlow's gRPC ring, roughly


def start(workers, data, output, options):
    """Starts so many processes that train together."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in held]
    for each in held:
        each.close()
    running = []
    for index in range(workers):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        environment = os.environ | {"TF_CONFIG": json.dumps(config)}
        command = [sys.executable, str(ROOT / "vae.py"), "train", *options]
        process = subprocess.Popen(
            [*command, data, output],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
    return running


def finish(running):
    """Waits for all processes; returns the messages of each."""
    try:
        return [process.communicate()[1] for process in running]
    finally:
        for process in running:
            process.kill()


def train(workers, data, output, options):
    """Trains with so many processes.

    Raises:
        RuntimeError: one of them failed; the message is what it printed last.
    """
    running = start(workers, data, output, options)
    for process, text in zip(running, finish(running), strict=True):
        if process.returncode:
            raise RuntimeError(text.strip().splitlines()[-1])


def kill_one(workers, data, output, options):
    """Trains until two epochs are told, then kills the last process.

    Returns the seconds until all others had ended.

    Raises:
        RuntimeError: they ended otherwise than with the line about a lost worker.
    """
    running = start(workers, data, output, options)
    while len(read_history(output)) < 2 and running[0].poll() is None:
        time.sleep(0.05)
    running[-1].kill()
    begin = time.monotonic()
    told = finish(running)
    seconds = time.monotonic() - begin
    for process, text in zip(running[:-1], told, strict=False):
        if process.returncode != 1 or "another worker is lost" not in text:
            raise RuntimeError(f"status {process.returncode}: {text.strip()}")
    return seconds


def read_history(output):
    """Returns the rows of the epochs of a model directory so far."""
    path = Path(output, "history.csv")
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def read_step_ms(output):
    """Returns the median milliseconds a step of all epochs but the first."""
    rows = [(int(r["step"]), float(r["seconds"])) for r in read_history(output)]
    pairs = zip(rows, rows[1:], strict=False)
    return statistics.median(1000 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)


def read_weights(output):
    """Returns all weights as one array."""
    with h5py.File(os.path.join(output, "weights.h5")) as file:
        return np.concatenate([file[name][()].ravel() for name in sorted(file)])


def main():
    """Prints one line for each number of processes, and one about the kill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("epochs", 4), ("batch", 32), ("side", 64), ("images", 320)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    if args.epochs < 3:
        parser.error(f"--epochs: {args.epochs} found, 3 or more expected")
    options = ["--epochs", str(args.epochs), "--precision", "float32"]
    options += ["--input-width", str(args.side)]
    size = count_gradient_bytes(ModelConfig(args.side, args.side))
    measured, weights = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "faces.h5")
        write_sorted(data, args.images)
        for batch in (args.batch // 2, args.batch):  # the fixed part of a step
            output = os.path.join(folder, f"one_{batch}")
            train(1, data, output, [*options, "--batch-size", str(batch)])
            measured[1], smaller = read_step_ms(output), measured.get(1)
            weights[1] = read_weights(output)
        image_ms = max(0.0, measured[1] - smaller) / (args.batch / 2)
        fixed_ms = max(0.0, measured[1] - image_ms * args.batch)
        options += ["--batch-size", str(args.batch)]
        for workers in COUNTS[1:]:
            output = os.path.join(folder, str(workers))
            train(workers, data, output, options)
            measured[workers] = read_step_ms(output)
            weights[workers] = read_weights(output)
        output = os.path.join(folder, "killed")
        seconds = kill_one(workers, data, output, options)
        train(workers, data, output, ["--resume"])
        again = read_weights(output)
    network = LOOPBACK_GIGABITS, LOOPBACK_US
    plan = Plan(fixed_ms, image_ms, args.batch, size, *network, shared=True)
    print("processes  ms a step  predicted  weights differ by at most")
    for workers in COUNTS:
        gap = np.abs(weights[workers] - weights[1]).max()
        predicted = plan.step_ms(workers)
        print(f"{workers:9}  {measured[workers]:9.0f}  {predicted:9.0f}  {gap:.1e}")
    gap = np.abs(again - weights[workers]).max()
    print(
        f"{workers} processes, one killed after two epochs: the others ended after"
        f" {seconds:.1f} s; started again, weights differ by {gap:.1e} from those of a"
        " straight run"
    )


if __name__ == "__main__":
    main()
