"""In what TensorFlow computes here: threads, instructions, precision."""

import contextlib
import platform
from pathlib import Path

import tensorflow as tf

from vae.parallel import count_cores
from vae.training.progress import Arithmetic

BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}


def use_arithmetic(threads: int | None) -> Arithmetic:
    """Makes TensorFlow share each operation among so many threads; None: all cores.

    A sum that is cut into other parts has other last bits. More threads than there are
    cores are only slower. Returns what TensorFlow computes in from now on: threads
    can't be changed any more when it has begun to compute in this process.
    """
    threading = tf.config.threading
    with contextlib.suppress(RuntimeError):
        threading.set_intra_op_parallelism_threads(threads or count_cores())
    return Arithmetic(
        threading.get_intra_op_parallelism_threads() or count_cores(),
        tf.__version__,
        " ".join(sorted(_read_flags())) or platform.machine(),
    )


def _read_flags():
    """Returns the processor's flags of vector and matrix extensions; Linux tells."""
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text("ascii", "replace").split() if cpu.exists() else ()
    return {flag for flag in flags if flag.startswith(("avx", "amx", "fma"))}


def resolve_precision(precision: str) -> str:
    """Returns float32 or bfloat16; auto: bfloat16 if the hardware computes in it."""
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    fast = gpus or BFLOAT16_FLAGS.intersection(_read_flags())
    return "bfloat16" if fast else "float32"


def dtype_policy(precision: str) -> str:
    """Returns the Keras policy of a resolved precision; weights are always float32."""
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"
