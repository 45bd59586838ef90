"""A command of the tool in a process that has started: without imports.

`started.py COMMANDS`: a JSON list of argument lists. All are run, the last is timed.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from vae.cli import main  # noqa: E402


def run(arguments):
    """Runs one command; returns its seconds."""
    started = time.perf_counter()
    status = main(arguments)
    if status:
        sys.exit(f"exit status {status} of {arguments}")
    return time.perf_counter() - started


if __name__ == "__main__":
    seconds = [run(arguments) for arguments in json.loads(sys.argv[1])]
    print(json.dumps({"seconds": seconds[-1]}))
