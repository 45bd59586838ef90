"""Benchmarks: the tool beside its peers. `python benchmarks/speed/run.py -h` says how.

Every contender runs in a process of its own; they take turns, and medians are printed
with what each figure of ours is compared with the others'.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from types import SimpleNamespace

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.speed import (  # noqa: E402
    growth,
    prepare,
    quality,
    reconstruct,
    sample,
    start,
    throughput,
)
from benchmarks.speed.machine import describe_machine, format_machine  # noqa: E402
from benchmarks.speed.report import format_number, format_table, summarise  # noqa: E402
from benchmarks.speed.settings import read_settings, show  # noqa: E402
from benchmarks.speed.turns import take_turns  # noqa: E402

BENCHMARKS = {
    "throughput": throughput,
    "quality": quality,
    "growth": growth,
    "prepare": prepare,
    "reconstruct": reconstruct,
    "sample": sample,
    "start": start,
}


def main(arguments=None):
    """Runs the benchmarks that were named; returns 1 if a contender failed."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(list_benchmarks()))
        return 0
    names = options.names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]!r} found, one of {', '.join(BENCHMARKS)} expected")
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} found, at least 1 expected")
    try:
        chosen = {name: BENCHMARKS[name].Settings() for name in names}
        settings = read_settings(chosen, options.set)
    except ValueError as error:
        parser.error(f"--set: {error}")
    machine = describe_machine(options.peers)
    print(format_machine(machine), flush=True)
    found = {name: _run(name, settings[name], options) for name in names}
    if options.json:
        text = json.dumps({"machine": machine, "benchmarks": found}, indent=1)
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    return 1 if any(summary["errors"] for summary in found.values()) else 0


def build_parser():
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Measure the tool beside its peers on this machine.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="benchmarks to run; all if none")
    add("--list", action="store_true", help="say what there is, with all settings")
    add("--rounds", type=int, default=3, help="turns of each contender")
    add("--json", metavar="FILE", help="write all figures of all turns")
    add("--peers", metavar="PYTHON", default=sys.executable, help="has the peers")
    add("--folder", metavar="DIR", help="for large files, if not the temporary one")
    text = "change a setting of the benchmarks; may be repeated"
    add("--set", metavar="NAME=VALUE", action="append", default=[], help=text)
    return parser


def list_benchmarks():
    """Returns the lines of --list."""
    lines = []
    for name, module in BENCHMARKS.items():
        lines.append(f"{name}: {module.__doc__.splitlines()[0]}")
        for item in fields(module.Settings):
            value = show(item.default)
            lines.append(f"    {item.name}={value}  {item.metadata['help']}")
    return lines


def _run(name, settings, options):
    """Runs one benchmark and prints its table; returns its summary."""
    chosen = {key: show(value) for key, value in asdict(settings).items()}
    shown = " ".join(f"{key}={value}" for key, value in chosen.items())
    print(f"\n{name}: {options.rounds} rounds, {shown}", flush=True)

    def watch(number, contender, measured):
        took = format_number(measured["seconds"]) + " s" if measured else "failed"
        print(f"  round {number}: {contender}: {took}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.folder) as folder:
        place = SimpleNamespace(folder=folder, peers=options.peers)
        benchmark = BENCHMARKS[name].prepare(settings, place)
        measured, errors = take_turns(benchmark, options.rounds, watch)
        summary = summarise(benchmark, chosen, measured, errors)
        print("\n".join(format_table(benchmark, summary)), flush=True)
        if benchmark.draw:
            print(benchmark.draw(summary["medians"]), flush=True)
    return summary


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
