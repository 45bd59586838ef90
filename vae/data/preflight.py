"""Try an untrusted HDF5 file in a child process before this one opens it.

The HDF5 library is written in C, and a damaged or hostile file can make it loop for
ever, take all memory or crash. The child makes the reads that the parent is about to
make, under limits on time and memory, so that such a file is refused in one line.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from vae.data.hdf5 import ImageFile
from vae.data.untrusted import check_rows
from vae.errors import RefusedError, VaeError
from vae.files import explain, printable

try:
    import resource
except ImportError:  # Windows has no such limits; there the time alone is bounded
    resource = None

CPU_SECONDS = 5  # a file that takes longer, but for its size, does not come to an end
BYTES_A_SECOND = 64 << 20  # that a slow computer checks
MAX_SECONDS = 300  # of waiting, for a disk on a slow network
MAX_MEMORY = 1 << 30  # bytes of address space; a good file takes a fifth of it
_ADVICE = "copy it again, or repack it if you trust who made it"


def try_images(path, dataset_name, origins=()):
    """Opens images in a child process and reads their index, first and last block.

    Args:
        path: the file. dataset_name: of the images.
        origins: names of datasets of one row an image to be read as well.

    Raises:
        RefusedError: the file is none this tool reads, or it crashes the library.
        VaeError: the stored bytes can't be read.
    """
    _run(path, dataset_name, *origins)


def _run(*arguments):
    """Runs `main` in a child; raises what it raised, or that it did not live."""
    path = arguments[0]
    name = printable(path)
    root = str(Path(__file__).resolve().parents[2])
    here = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([root, here] if here else [root]),
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",  # each thread reserves memory
    }
    seconds = CPU_SECONDS + _find_size(path) // BYTES_A_SECOND
    # -P: a module in the folder the user works in is not to be imported instead.
    command = [sys.executable, "-P", "-m", "vae.data.preflight", str(seconds)]
    try:
        child = subprocess.run(
            [*command, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=MAX_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RefusedError(f"{name}: reading it takes for ever; {_ADVICE}") from None
    except OSError as error:
        raise VaeError(f"{name}: can't be checked ({explain(error)})") from error
    if child.returncode == 0:
        return
    told = child.stdout.decode(errors="replace")
    if child.returncode in (1, 2) and told:
        raise (RefusedError if child.returncode == 2 else VaeError)(told)
    raise RefusedError(f"{name}: {_describe(child.returncode)}; {_ADVICE}")


def _find_size(path):
    try:
        return os.path.getsize(path)
    except OSError:  # the child will say why
        return 0


def _describe(status):
    if resource and status in (-24, -9):  # SIGXCPU, or SIGKILL at the hard limit
        return "reading it takes for ever, a damaged or a hostile file"
    if status < 0:
        return "the HDF5 library crashes on it, a damaged or a hostile file"
    return "it can't be read, a damaged or a hostile file"


def main(arguments):
    """The child: sets the limits, reads, prints the reason if it is refused.

    Args:
        arguments: seconds, path, dataset name, origins.

    Returns:
        The exit status: that of the error, 0 for a good file.
    """
    seconds, *what = arguments
    _limit(int(seconds))
    try:
        check(*what)
    except VaeError as error:
        sys.stdout.write(str(error))
        return error.exit_status
    except MemoryError:
        sys.stdout.write(f"{printable(what[0])}: reading it takes too much memory")
        return RefusedError.exit_status
    return 0


def check(path, dataset_name, *origins):
    """Makes the reads, in the child; raises what `try_images` does."""
    with ImageFile(path, dataset_name) as file:
        file.check_index()
    check_rows(path, origins, file.count)


def _limit(seconds):
    bounds = {"CPU": seconds, "AS": MAX_MEMORY, "CORE": 0} if resource else {}
    for name, bound in bounds.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        with contextlib.suppress(OSError, ValueError):  # macOS does not limit memory
            resource.setrlimit(kind, (bound, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
