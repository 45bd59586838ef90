"""Where the programs are that take turns."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = str(HERE.parents[1] / "vae.py")


def contender_path(name):
    """Returns the path of a program in `contenders/`."""
    return str(HERE / "contenders" / name)
