"""Try an untrusted HDF5 file in a child process before this one opens it.

The HDF5 library is written in C, and a damaged or hostile file can make it loop for
ever, take all memory or crash. The child makes the reads that the parent is about to
make, under limits on time and memory, so that such a file is refused in one line.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from vae.config import MAX_SIDE
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
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGKILL", 9))
_UNFORESEEN = 3  # the child's exit status for what no reader should raise
_ADVICE = "copy it again, or repack it if you trust who made it"


def try_images(
    path: str | os.PathLike,
    dataset_name: str,
    origins: Iterable[str] = (),
    max_side: int = MAX_SIDE,
) -> None:
    """Opens images in a child process and reads their index, first and last block.

    Datasets of one row an image, `origins`, are read as well.

    Raises:
        RefusedError: the file is none this tool reads, or it crashes the library.
        VaeError: the stored bytes can't be read.
    """
    _run(path, dataset_name, *origins, max_side=max_side)


def _run(path, *names, max_side):
    """Runs `main` in a child; raises what it raised, or that it did not live."""
    name = printable(path)
    root = str(Path(__file__).resolve().parents[2])
    here = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([root, here] if here else [root]),
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",  # each thread reserves memory
    }
    size = os.path.getsize(path) if os.path.exists(path) else 0  # the child says why
    seconds = CPU_SECONDS + size // BYTES_A_SECOND
    # -P: a module in the folder the user works in is not to be imported instead.
    command = [sys.executable, "-P", "-m", "vae.data.preflight", str(seconds)]
    command.append(str(max_side))
    try:
        child = subprocess.run(
            [*command, path, *names],
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
    told, ended = child.stdout.decode(errors="replace"), child.returncode
    if ended in (1, 2) and told:
        raise (RefusedError if ended == 2 else VaeError)(told)
    if ended == 1:
        raise VaeError(
            f"{name}: can't be checked, Python could not start once more; memory is"
            " short, or a limit of `ulimit -a` too low"
        )
    if -ended in _FROM_OUTSIDE:
        raise VaeError(
            f"{name}: can't be checked, the child process that does so was killed"
            f" (signal {-ended}); try again"
        )
    reason = "it can't be read"
    if resource and ended == -signal.SIGXCPU:
        reason = "reading it takes for ever"
    elif ended < 0:
        reason = "the HDF5 library crashes on it"
    raise RefusedError(f"{name}: {reason}, a damaged or a hostile file; {_ADVICE}")


def main(seconds: str, max_side: str, path: str, *names: str) -> int:
    """The child: sets the limits, makes the reads of `check`, prints why it refuses.

    Returns:
        The exit status: that of the error, 0 for a good file. Python's own, 1, without
        a word says that it could not start.
    """
    _limit(int(seconds))
    try:
        check(path, *names, max_side=int(max_side))
    except VaeError as error:
        sys.stdout.write(str(error))
        return error.exit_status
    except MemoryError:
        sys.stdout.write(f"{printable(path)}: reading it takes too much memory")
        return RefusedError.exit_status
    except Exception:
        return _UNFORESEEN
    return 0


def check(
    path: str | os.PathLike, dataset_name: str, *origins: str, max_side: int = MAX_SIDE
) -> None:
    """Makes the reads, in the child; raises what `try_images` does."""
    with ImageFile(path, dataset_name, max_side=max_side) as file:
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
    sys.exit(main(*sys.argv[1:]))
