"""Command line: a parser of what `config.py` lists, dispatch, errors to exit status.

The module of a command is imported on dispatch, so that `-h` costs nothing.
"""

import argparse
import contextlib
import difflib
import os
import signal
import sys
from dataclasses import fields
from importlib import import_module

from vae import __version__, config
from vae.errors import StoppedError, VaeError
from vae.files import printable
from vae.terminal import errors_alone, secure_streams

MAX_DIGITS = 40  # of a number; a longer one is a mistake, and not echoed
COMMANDS = {  # name -> what it is for, an example, and the classes of its options
    "train": (
        "train a model on an HDF5 file of faces",
        "train faces.h5 model/",
        (config.TrainConfig, config.ModelConfig, config.TrainArguments),
    ),
    "sample": (
        "draw walks through the latent space, and films of them",
        "sample model/ --walk loop --film loop.gif",
        (config.ModelChecks, config.SampleConfig, config.SampleArguments),
    ),
    "reconstruct": (
        "turn faces, in folders and films, into the actor",
        "reconstruct model/ crops/ results/",
        (config.ModelChecks, config.ReconstructConfig, config.ReconstructArguments),
    ),
    "explore": (
        "write a page to play the actor",
        "explore model/ actor.html",
        (config.ExploreArguments,),
    ),
    "prepare": (
        "make an HDF5 file that train reads",
        "prepare crops/ faces.h5",
        (config.PrepareConfig, config.PrepareArguments),
    ),
    "evaluate": (
        "judge a model, or two, by images",
        "evaluate model/ others.h5",
        (config.EvaluateConfig, config.EvaluateArguments),
    ),
    "export": (
        "write a model for other programs",
        "export model/ served/ --format onnx",
        (config.ExportConfig, config.ExportArguments),
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit status.

    Args:
        argv: the arguments, by default those of the process.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see vae.__main__
        signal.signal(signal.SIGINT, signal.default_int_handler)
    secure_streams()
    # Before numpy is imported, which reads it: our own threads share the work, and its
    # matrix products would start others to fight them for the same cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    name = "vae.py"
    try:
        args = _parse(argv)
        name = f"vae.py {args.command}"
        with errors_alone() if args.quiet else contextlib.nullcontext():
            status = import_module(f"vae.commands.{args.command}").run(args)
        sys.stdout.flush()
        return status
    except VaeError as error:
        kind = "" if isinstance(error, StoppedError) else "error: "
        print(f"{name}: {kind}{error}", file=sys.stderr)
        return error.exit_status
    except MemoryError:
        print(
            f"{name}: error: not enough memory; close other programs", file=sys.stderr
        )
        return VaeError.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output left; there is no one to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _parse(argv):
    try:
        return build_parser().parse_args(argv)
    except SystemExit:
        sys.stdout.flush()  # a help that can't be written is an error as well
        raise


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = _Parser(
        prog="vae.py",
        description="Learn one actor's face expressions with a variational autoencoder,"
        " then turn anyone's face into that actor.",
    )
    parser.add_argument("--version", action="version", version=f"vae {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    for name, (text, example, kinds) in COMMANDS.items():
        about = {"description": text, "epilog": f"example: python vae.py {example}"}
        command = commands.add_parser(name, help=text, **about)
        groups = {}  # heading -> group; no two kinds share options
        for item, heading in _list_items((*kinds, config.MessageArguments)):
            if item.metadata.get("is_argument"):
                _add_argument(command, item)
            elif item.metadata["help"]:
                group = groups.get(heading) or command.add_argument_group(heading)
                groups[heading] = group
                _add_option(group, item)
        command.usage = _shorten_usage(command)
    return parser


def _list_items(kinds):
    """Yields (field, heading of its class) of the fields that list options."""
    return ((item, kind.heading) for kind in kinds for item in fields(kind))


def _shorten_usage(parser):
    """Returns the usage without the options, which are told below it."""
    words = [parser.prog, "[options]"]
    for item in parser._get_positional_actions():
        name = item.metavar if item.required else f"[{item.metavar}]"
        words += [name] + [f"[{item.metavar} ...]"] * (item.nargs == "+")
    return " ".join(words)


class _Parser(argparse.ArgumentParser):
    """Refuses abbreviated options: a new option must not break an old command line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def parse_known_args(self, args=None, namespace=None):
        """Parses; an unknown option is blamed before what follows is misread."""
        args = sys.argv[1:] if args is None else list(args)
        for text in args:
            name = text.partition("=")[0]
            if text == "--" or (self._subparsers and not text.startswith("-")):
                break  # what follows is no option, or is another parser's
            if self._parse_optional(text) and name not in self._option_string_actions:
                self.error(f"unrecognized arguments: {name}{self._suggest(name)}")
        return super().parse_known_args(args, namespace)

    def _suggest(self, name):
        """Returns the known option that is most like another one, in words."""
        near = difflib.get_close_matches(name, self._option_string_actions, 1)
        return f"; did you mean {near[0]}?" if near else ""

    def error(self, message):
        """Prints the usage and a line, and exits; `vae` alone lists the commands."""
        if self._subparsers and message.endswith("COMMAND"):
            self.print_help(sys.stderr)
            self.exit(2, f"{self.prog}: error: {message}\n")
        super().error(printable(message))


def _add_argument(parser, item):
    settings = dict(item.metadata)
    del settings["is_argument"]
    optional = settings.pop("optional", False)
    # Not nargs="?", since what takes several before it would take this one too.
    parser.add_argument(item.name, **settings).required = not optional


def _add_option(parser, item):
    """Adds the option of a field.

    One with a default that is not given is absent from the namespace, so that a resumed
    run can tell a wish from a default; the default shown is the field's own.
    """
    about, kind = item.metadata, config.kind_of(item)
    names = ["--" + item.name.replace("_", "-"), *filter(None, [about.get("alias")])]
    shown = about.get("shown", "none" if item.default is None else item.default)
    settings = {"dest": item.name, "help": f"{about['help']} (default: {shown})"}
    if kind is bool:
        parser.add_argument(*names, action="store_true", **settings)
        return
    settings["default"] = None if item.default is None else argparse.SUPPRESS
    if about.get("nargs"):
        settings["nargs"] = about["nargs"]
    elif kind is not str:
        settings |= {"type": _number(kind), "metavar": "N"}
    if about.get("metavar"):
        settings["metavar"] = about["metavar"]
    parser.add_argument(*names, choices=about["choices"], **settings)


def _number(kind):
    def convert(text):
        with contextlib.suppress(ValueError):
            if len(text) <= MAX_DIGITS:
                return kind(text)
        noun = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(
            f"{text!r:.{MAX_DIGITS}} found, {noun} expected"
        )

    return convert
