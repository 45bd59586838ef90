"""Feeds damaged files to each reader of the tool, in a process that may die.

    python benchmarks/faults/fuzz.py --cases 50000

Every case is a pure function of (target, seed, number), so that a finding can be made
again: --first NUMBER --cases 1. A worker is forked; when it crashes or does not come to
an end, that case is noted and another worker goes on after it. In the reads that
the tool makes in a child process of its own first, that is what the child is for;
anywhere else it is a finding, as is any error that is not one line.
"""

import argparse
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each reserves memory

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.fuzzing.targets import TARGETS  # noqa: E402

CPU_SECONDS = 0.2  # of one case; a good file takes a fiftieth of it
MEMORY = 1 << 30  # bytes of address space
OUTCOMES = ("accepted", "refused", "crashed", "endless", "finding")
SHOWN = 20  # findings that are printed


class Counts:
    """How far the worker is and what it found, in memory that outlives it."""

    def __init__(self):
        self._map = mmap.mmap(-1, 8 * (2 + len(OUTCOMES)))

    def _get(self, place):
        return struct.unpack_from("Q", self._map, 8 * place)[0]

    def _set(self, place, number):
        struct.pack_into("Q", self._map, 8 * place, number)

    @property
    def done(self):
        """Cases begun."""
        return self._get(0)

    @property
    def is_guarded(self):
        """Whether the reads now made are made in a child process first."""
        return bool(self._get(1 + len(OUTCOMES)))

    def guard(self, guarded):
        """Says whether they are."""
        self._set(1 + len(OUTCOMES), int(guarded))

    def begin(self, guarded):
        """Counts a case before it is read."""
        self._set(0, self.done + 1)
        self.guard(guarded)

    def end(self, outcome):
        """Counts how a case ended."""
        place = 1 + OUTCOMES.index(outcome)
        self._set(place, self._get(place) + 1)

    def to_dict(self):
        """Returns outcome -> number of cases."""
        return {name: self._get(at) for at, name in enumerate(OUTCOMES, 1)}


def make_case(target, name, seed, number):
    """Returns the bytes of a damaged file."""
    rng = random.Random(f"{name} {seed} {number}")
    good, other = rng.choice(target.seeds), rng.choice(target.seeds)
    return target.damage(good, other, rng)


def _work(name, seed, first, cases, counts, report):
    """Reads cases until all are done, in the worker."""
    for kind, bound in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (bound, resource.getrlimit(kind)[1]))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        target = TARGETS[name](Path(folder))
        while counts.done < cases:
            number = first + counts.done
            content = make_case(target, name, seed, number)
            counts.begin(target.guarded)
            seconds = getattr(target, "seconds", CPU_SECONDS)
            signal.setitimer(signal.ITIMER_PROF, seconds)
            try:
                counts.end(target.read(content, counts.guard))
            except BaseException:
                counts.end("finding")
                last = traceback.format_exc().strip().splitlines()
                os.write(report, f"case {number}: {' | '.join(last[-3:])}\n".encode())


def _memory_folder():
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def fuzz(name, seed, cases, first=0):
    """Reads damaged files with one reader.

    Args:
        name: of the target. seed, first: of the first case. cases: how many.

    Returns:
        (dict of outcome -> number of cases, list of findings as text)
    """
    counts, findings = Counts(), []
    with tempfile.TemporaryFile() as report:
        while counts.done < cases:
            before, worker = counts.done, os.fork()
            if not worker:
                try:
                    _work(name, seed, first, cases, counts, report.fileno())
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
            _, status = os.waitpid(worker, 0)
            if counts.done == before:
                raise RuntimeError(f"{name}: the worker did not start")
            if status:
                number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -1
                counts.end("endless" if number == signal.SIGPROF else "crashed")
                line = f"case {first + counts.done - 1}: ended by signal {number}"
                if not counts.is_guarded:
                    findings.append(line)
                elif number != signal.SIGPROF:
                    print(f"  {name}: {line}, in the child", file=sys.stderr)
        report.seek(0)
        findings += report.read().decode(errors="replace").splitlines()
    return counts.to_dict(), findings


def main():
    """Runs the targets; prints a row each; returns 1 if there was a finding."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append")
    options = parser.parse_args()
    found = 0
    print(f"| reader | cases | {' | '.join(OUTCOMES)} | seconds |")
    print("|---" * (len(OUTCOMES) + 3) + "|")
    for name in options.target or TARGETS:
        started = time.monotonic()
        counts, findings = fuzz(name, options.seed, options.cases, options.first)
        seconds = time.monotonic() - started
        cells = [name, options.cases, *counts.values(), round(seconds)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        for line in findings[:SHOWN]:
            print(f"  {name}: {line}", file=sys.stderr)
        found += len(findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
