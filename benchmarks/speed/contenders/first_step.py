"""Seconds from a command to its first training step, as a user sees it on a terminal.

`first_step.py COMMAND ...` runs `vae.py train` with a terminal for its stderr, waits
for the progress bar to count a step, and stops the training.
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

STEP_DONE = re.compile(rb"\| *[1-9][0-9]*/[0-9]+ \[")  # "| 1/800 [00:02<..." of the bar
ROWS, COLUMNS = 40, 200  # of the terminal
PATIENCE = 60  # seconds for the training to save and stop
POLL_SECONDS = 0.1
READ_BYTES = 1 << 16


def time_first_step(command):
    """Returns the seconds until the bar counts a step."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    try:
        seen = _wait_for_step(ours)
        seconds = time.perf_counter() - started
    finally:
        _stop(process, ours)
    if not STEP_DONE.search(seen):
        sys.exit(f"no step was shown: {seen[-400:]!r}")
    return seconds


def _wait_for_step(terminal):
    """Reads until a step is shown or the other side is closed; returns all of it."""
    seen = b""
    while not STEP_DONE.search(seen):
        try:
            seen += os.read(terminal, READ_BYTES)
        except OSError:  # how Linux says that the terminal's other side is closed
            break
    return seen


def _stop(process, terminal):
    """Stops the training as Ctrl-C does, reading on so that it doesn't block."""
    deadline = time.monotonic() + PATIENCE
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    while process.poll() is None and time.monotonic() < deadline:
        _drain(terminal)
    if process.poll() is None:
        process.kill()
    process.wait()
    os.close(terminal)


def _drain(terminal):
    ready, _, _ = select.select([terminal], [], [], POLL_SECONDS)
    try:
        for each in ready:
            os.read(each, READ_BYTES)
    except OSError:  # closed
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    print(json.dumps({"seconds": time_first_step(sys.argv[1:])}))
