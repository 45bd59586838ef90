"""What a figure was measured on: processor, memory, versions and load."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

FLAGS = ("amx_bf16", "avx512_bf16")  # bfloat16 computed in hardware
OWN_PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "pillow")
PEER_PACKAGES = ("torch", "pythae")


def describe_machine(peers):
    """Returns a dict of plain values that JSON can hold.

    Args:
        peers: path of the interpreter that has the peers.
    """
    processor = _read_processor()
    return {
        "processor": processor.get("model name", platform.processor() or "unknown"),
        "cores": len(os.sched_getaffinity(0)),
        "flags": _find_flags(processor),
        "memory_gib": round(_count_memory() / 2**30, 1),
        "python": platform.python_version(),
        "versions": _find_versions(OWN_PACKAGES) | _ask_versions(peers),
        "load_average": round(os.getloadavg()[0], 2),
    }


def has_bfloat16():
    """Whether the processor computes in bfloat16; it is emulated elsewhere."""
    return any(_find_flags(_read_processor()).values())


def format_machine(machine):
    """Returns the one line that stands above all figures."""
    flags = [f"{'' if on else 'no '}{flag}" for flag, on in machine["flags"].items()]
    versions = [f"{name} {number}" for name, number in machine["versions"].items()]
    words = [
        machine["processor"],
        f"{machine['cores']} cores",
        *flags,
        f"{machine['memory_gib']} GiB",
        f"Python {machine['python']}",
        *versions,
        f"load average {machine['load_average']} before the start",
    ]
    return "machine: " + ", ".join(words)


def _read_processor():
    """The first processor's lines of /proc/cpuinfo, as a dict; empty elsewhere."""
    if not os.path.exists("/proc/cpuinfo"):
        return {}
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        lines = file.read().split("\n\n")[0].splitlines()
    pairs = [line.partition(":") for line in lines]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _find_flags(processor):
    found = processor.get("flags", "").split()
    return {flag: flag in found for flag in FLAGS}


def _count_memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _find_versions(packages):
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _ask_versions(peers):
    if peers == sys.executable:
        return _find_versions(PEER_PACKAGES)
    command = [peers, __file__]
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(asked.stdout)


if __name__ == "__main__":  # how a peer's interpreter is asked
    print(json.dumps(_find_versions(PEER_PACKAGES)))
