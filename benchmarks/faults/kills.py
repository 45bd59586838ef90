"""Kills a training over and over, and compares what it ends with to a straight run.

    python benchmarks/faults/kills.py --rounds 100

Each round goes on with --resume in a forked process (TensorFlow is imported once) that
saves after every step, and is sent SIGKILL at a random moment: before its first save,
within a save, between two, or while the finished model is exported. A save is
acknowledged when `save_checkpoint` has returned. When a run ends, the next round begins
another. Exits with 1 if a save was lost or any run differs from the straight one.
"""

import argparse
import csv
import os
import random
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a forked process can't use a GPU

import h5py  # noqa: E402

from vae.checkpoint.directory import find_checkpoint  # noqa: E402
from vae.checkpoint.model_files import read_model_files  # noqa: E402
from vae.checkpoint.storage import read_json  # noqa: E402
from vae.cli import main as run_tool  # noqa: E402
from vae.data import preflight  # noqa: E402
from vae.errors import VaeError  # noqa: E402
from vae.training import recorder  # noqa: E402

OPTIONS = ["--batch-size", "8", "--latent-dim", "2", "--augment", "none"]
OPTIONS += ["--checkpoint-minutes", "0", "--precision", "float32"]
MOST_SAVES = 8  # of a round, before it is killed
EXPORT_SECONDS = 2.0  # about what the export takes, in which some rounds are killed
SAVE_SECONDS = 0.1  # about what a save takes


def write_images(path):
    """Writes 40 small images of noise."""
    images = random.Random(0).randbytes(40 * 16 * 16 * 3)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (40, 16, 16, 3), "u1", fletcher32=True)
        data[:] = memoryview(images).cast("B", (40, 16, 16, 3))


class Run:
    """A training in a forked process.

    Attributes:
        acknowledged: steps whose save has returned, in order.
    """

    def __init__(self, arguments, log):
        """Starts it; what it prints is added to the file `log`."""
        self.acknowledged, self._rest = [], b""
        self._pipe, write = os.pipe()
        self.process = os.fork()
        if not self.process:
            os.close(self._pipe)
            _be_child(arguments, log, write)
        os.close(write)

    def wait(self, saves, seconds=None):
        """Waits for so many saves more, for the end, or for some seconds."""
        wanted = len(self.acknowledged) + saves
        until = None if seconds is None else time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            left = None if until is None else max(0, until - time.monotonic())
            if not select.select([self._pipe], [], [], left)[0]:
                return
            if not self._read():
                return

    def _read(self):
        found = os.read(self._pipe, 4096)
        *lines, self._rest = (self._rest + found).split(b"\n")
        self.acknowledged += map(int, lines)
        return bool(found)

    def end(self, kill):
        """Returns the status, after SIGKILL if asked for, and reads what was left."""
        if kill:
            os.kill(self.process, signal.SIGKILL)
        _, status = os.waitpid(self.process, 0)
        while self._read():
            pass
        os.close(self._pipe)
        return os.waitstatus_to_exitcode(status)


def _be_child(arguments, log, pipe):
    """Runs the tool; tells each save through the pipe once it has returned."""
    status = 99
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        save = recorder.save_checkpoint

        def save_and_tell(output, step, *rest):
            save(output, step, *rest)
            os.write(pipe, b"%d\n" % step)

        recorder.save_checkpoint = save_and_tell
        preflight._run = (
            preflight.check
        )  # the file is ours; a child of the child takes time
        status = run_tool(["train", *map(str, arguments)])
    finally:
        os._exit(status)


class Campaign:
    """Rounds of kills in one folder, against one straight run."""

    def __init__(self, folder, epochs, seed):
        self.folder, self.rng = Path(folder), random.Random(seed)
        self.data, self.log = self.folder / "in.h5", self.folder / "log.txt"
        self.options = [*OPTIONS, "--epochs", str(epochs)]
        self.killed = self.lost = self.runs = self.saves = self.mixed = 0
        self.faults = []
        write_images(self.data)
        self.straight = self.folder / "straight"
        self._finish(Run([*self.options, self.data, self.straight], self.log))
        self.output, self.newest = None, -1

    def _finish(self, run):
        run.wait(10**9)
        if run.end(kill=False) != 0:
            raise RuntimeError(self.log.read_text()[-2000:])
        self.saves += len(run.acknowledged)
        return run

    def start(self):
        """Starts a run, or goes on with the one that was killed."""
        if self.output is None:
            self.runs += 1
            self.output, self.newest = self.folder / f"run{self.runs}", -1
        if self.newest < 0:  # nothing was acknowledged yet
            return Run(["--overwrite", *self.options, self.data, self.output], self.log)
        return Run(["--resume", self.data, self.output], self.log)

    def round(self):
        """Kills once; a run that ends before that is compared and left."""
        run = self.start()
        if self.rng.random() < 0.1:
            run.wait(1, self.rng.uniform(0, 1.5))  # while it starts
        else:
            run.wait(self.rng.randrange(1, MOST_SAVES + 1))
            steps = self.options[-1]
            last = run.acknowledged and run.acknowledged[-1] >= int(steps) * 5
            most = EXPORT_SECONDS if last else SAVE_SECONDS
            run.wait(10**9, self.rng.uniform(0, most))
        status = run.end(kill=True)
        self.saves += len(run.acknowledged)
        self.newest = max([self.newest, *run.acknowledged])
        if status == 0:
            return self._leave()
        if status != -signal.SIGKILL:
            raise RuntimeError(f"exit status {status}: {self.log.read_text()[-2000:]}")
        self.killed += 1
        return self._look()

    def _look(self):
        """Checks what a kill left: the newest save, the model, the history."""
        if self.newest >= 0:
            _, state = find_checkpoint(self.output, self.faults.append)
            self.lost += state["progress"]["step"] < self.newest
        if (self.output / "metadata.json").exists():
            try:
                read_model_files(self.output, read_json(self.output / "metadata.json"))
            except VaeError as error:
                self.mixed += "of two moments" in str(error)
                if "of two moments" not in str(error):
                    self.faults.append(str(error))
        epochs = [row["epoch"] for row in read_history(self.output)]
        if epochs != [str(number) for number in range(1, len(epochs) + 1)]:
            self.faults.append(f"history of epochs {epochs}")

    def _leave(self):
        """Compares a run that ended with the straight one."""
        for name in ("weights.h5", "latent.npz", newest_arrays(self.straight)):
            found, expected = self.output / name, self.straight / name
            if found.read_bytes() != expected.read_bytes():
                self.faults.append(f"{found}: differs from the straight run's")
        if read_history(self.output) != read_history(self.straight):
            self.faults.append(f"{self.output}: another history")
        if not (self.output / "saved_model" / "saved_model.pb").exists():
            self.faults.append(f"{self.output}: no SavedModel")
        self.output, self.newest = None, -1

    def end(self):
        """Lets the last run end."""
        if self.output is not None:
            run = self.start()
            self._finish(run)
            self._leave()


def newest_arrays(output):
    """Returns the path below a model directory of the last checkpoint's arrays."""
    newest = max(path.name for path in (output / "checkpoints").glob("step-*"))
    return f"checkpoints/{newest}/arrays.h5"


def read_history(output):
    """Returns the rows of history.csv without their clock; none if there is no file."""
    path = output / "history.csv"
    if not path.exists():
        return []
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def main():
    """Runs the rounds; prints the figures; returns 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=20, help="5 steps each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(folder, options.epochs, options.seed)
        while campaign.killed < options.rounds:
            campaign.round()
        campaign.end()
    figures = {
        "kills survived": campaign.killed,
        "runs compared, bit for bit": campaign.runs,
        "saves acknowledged": campaign.saves,
        "acknowledged saves lost": campaign.lost,
        "kills between two renames of an export": campaign.mixed,
        "other faults": len(campaign.faults),
        "seconds": round(time.monotonic() - started),
    }
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    for fault in campaign.faults:
        print(fault, file=sys.stderr)
    return 1 if campaign.lost or campaign.faults else 0


if __name__ == "__main__":
    sys.exit(main())
