"""Command line: dispatch, and errors to exit status.

A command runs in two steps, each its own module: `vae.checks.NAME` refuses what can't
work before TensorFlow starts and anything is written, `vae.commands.NAME` does the
work. Both are imported here, on dispatch, so that `-h` costs nothing.
"""
import os
import signal
import sys
from importlib import import_module

from vae.errors import VaeError
from vae.parsers import build_parser
from vae.quiet import quiet_stderr
from vae.terminal import secure_streams


def main(argv=None):
    """Runs one command; returns the exit status.

    Args:
        argv: list of arguments, by default those of the process.
    """
    secure_streams()
    args = build_parser().parse_args(argv)
    # Before numpy is imported, which reads it: our own threads share the work, and its
    # matrix products would start others to fight them for the same cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        status = _run(args)
        sys.stdout.flush()
        return status
    except VaeError as error:
        print(f"vae.py {args.command}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output left; there is no one to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(args):
    request = import_module(f"vae.checks.{args.command}").check(args)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet_stderr():
        command = import_module(f"vae.commands.{args.command}")
    return command.run(request)
