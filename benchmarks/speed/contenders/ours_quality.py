"""Held-out PSNR over time of `vae.py train`, as its history.csv tells it.

`ours_quality.py SECONDS COMMAND ...`: runs a command whose last argument is the model
directory, and stops it, as Ctrl-C does, once its clock shows SECONDS.
"""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL_SECONDS = 1.0


def read_curve(path):
    """Returns a list of [seconds, dB] of the epochs so far."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [[float(row["seconds"]), float(row["val_psnr"])] for row in rows]


def train(seconds, command):
    """Runs the command; returns the curve up to `seconds`."""
    history = Path(command[-1]) / "history.csv"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        curve = read_curve(history)
        if curve and curve[-1][0] >= seconds:
            process.send_signal(signal.SIGINT)
            break
    status = process.wait()
    if status not in (0, 128 + signal.SIGINT):
        sys.exit(f"exit status {status} of {command}")
    return [point for point in read_curve(history) if point[0] <= seconds]


if __name__ == "__main__":
    print(json.dumps({"curve": train(float(sys.argv[1]), sys.argv[2:])}))
