"""Uses the `vae` on the PATH, away from this checkout, as a newcomer would.

    PATH=installation/bin:$PATH python tools/use_installed.py

Run with any Python that has NumPy and h5py. It raises CalledProcessError if a command
fails, and AssertionError if a picture is missing.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 60


def main():
    """Runs the commands in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        draw = [sys.executable, ROOT / "examples" / "draw.py", "--frames", str(FRAMES)]
        _run(folder, *draw, "actor.h5")
        _run(folder, *draw, "--identity", "1", "--folder", "crops")
        _run(folder, "vae", "-h")
        _run(folder, "vae", "train", "--epochs", "1", "actor.h5", "model")
        _run(folder, "vae", "sample", "--walks", "2", "model")
        _run(folder, "vae", "reconstruct", "model", "crops", "out")
        _run(folder, "vae", "explore", "model", "explorer.html")
        assert len(list(Path(folder, "samples").glob("walk_*.png"))) == 20
        assert len(list(Path(folder, "out").glob("*.png"))) == FRAMES


def _run(folder, *command):
    print("$", *(Path(part).name for part in command), flush=True)
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main()
