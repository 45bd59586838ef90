"""Contenders take turns: each in its own process, round after round, then medians.

A contender is a command. Its wall time and peak memory are always measured; if the last
line of its stdout is a JSON object, those figures are taken as well.
"""

import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

FRESH = "{fresh}"  # in a command: a new path that is removed after the turn
LIMIT_SECONDS = 3600  # of one turn; what takes longer hangs
ERROR_LINES = 4  # of stderr that are kept of a failed turn


@dataclass(frozen=True)
class Contender:
    """One row of a benchmark.

    Attributes:
        name: as printed. command: list of str, the program and its arguments.
        ours: whether the other rows are compared with it.
    """

    name: str
    command: list
    ours: bool = False


@dataclass(frozen=True)
class Figure:
    """One column of a benchmark.

    Attributes:
        key: name in what a turn measured. unit: as printed.
        better: more or less, compared as a ratio; difference; or nothing: as it is.
    """

    key: str
    unit: str
    better: str = ""


@dataclass(frozen=True)
class Benchmark:
    """What to run and what to print of it.

    Attributes:
        derive: from one round, name -> measured dict, the figures to add to each row;
            rows whose turn failed are missing.
        draw: called with the medians, name -> dict, once all rounds are done; returns
            a line for the user.
    """

    contenders: list
    figures: tuple
    derive: Callable | None = None
    draw: Callable | None = None


class TurnError(Exception):
    """A contender's process failed; the message is the end of its stderr."""


def take_turns(benchmark, rounds, watch):
    """Runs all contenders `rounds` times, a round at a time.

    Args:
        watch: called with (round, name, measured or None) after each turn.

    Returns:
        (rounds, errors): a list of dicts name -> measured, and a dict name -> message.
        A contender that failed once is left out from then on.
    """
    measured, errors = [], {}
    for index in range(rounds):
        first = index % len(benchmark.contenders)  # nobody is always the first
        order = benchmark.contenders[first:] + benchmark.contenders[:first]
        found = {}
        for contender in order:
            if contender.name in errors:
                continue
            try:
                found[contender.name] = measure(contender.command)
            except TurnError as error:
                errors[contender.name] = str(error)
            watch(index + 1, contender.name, found.get(contender.name))
        if benchmark.derive:
            for name, figures in benchmark.derive(found).items():
                found[name] |= figures
        measured.append(found)
    return measured, errors


def measure(command):
    """Runs a command once.

    Returns:
        dict: `seconds` of wall time, `peak_mib` of memory, and what it printed, which
        may replace `seconds`.

    Raises:
        TurnError: it failed or took longer than `LIMIT_SECONDS`.
    """
    folder = tempfile.mkdtemp(prefix="turn-")
    fresh = os.path.join(folder, "fresh")
    command = [str(part).replace(FRESH, fresh) for part in command]
    try:
        with tempfile.TemporaryFile("w+") as errors:
            started = time.perf_counter()
            status, printed, usage = _run(command, errors)
            seconds = time.perf_counter() - started
            if status:
                errors.seek(0)
                last = errors.read().strip().splitlines()[-ERROR_LINES:]
                raise TurnError(f"exit status {status}: " + " | ".join(last))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"seconds": seconds, "peak_mib": usage.ru_maxrss / 1024} | _parse(printed)


def _run(command, errors):
    """Runs a command; returns (status, stdout, resource usage of it and its own)."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(LIMIT_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        with process.stdout:
            printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
    return process.returncode, printed, usage


def _parse(printed):
    last = printed.strip().rpartition("\n")[2]
    return json.loads(last) if last.startswith("{") else {}


def take_medians(measured):
    """Returns name -> figure -> median over the rounds.

    Of texts and lists none is taken; None, for what was never reached, counts as
    infinite and stays None.
    """
    medians = {}
    for name in dict.fromkeys(name for found in measured for name in found):
        turns = [found[name] for found in measured if name in found]
        keys = [key for key, value in turns[0].items() if _is_number(value)]
        medians[name] = {key: _median(turns, key) for key in keys}
    return medians


def _is_number(value):
    return value is None or isinstance(value, (int, float))


def _median(turns, key):
    values = [math.inf if turn[key] is None else turn[key] for turn in turns]
    middle = statistics.median(values)
    return None if math.isinf(middle) else middle


def compare(figure, ours, other):
    """How much better `ours` is than `other`: a ratio, or a difference; None if open.

    Args:
        figure: a `Figure` whose `better` is not empty.
        ours, other: medians, which may be None or missing.
    """
    if ours is None or other is None:
        return None
    if figure.better == "difference":
        return ours - other
    above, below = (ours, other) if figure.better == "more" else (other, ours)
    return above / below if below else None
