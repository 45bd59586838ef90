"""The parsers of all commands, and the types of their arguments."""
import argparse
from dataclasses import fields

from vae import __version__
from vae.config import (
    ALIGNMENTS,
    AUGMENTS,
    COMPRESSIONS,
    FITS,
    LAYOUTS,
    LIKELIHOODS,
    PRECISIONS,
    EvaluateConfig,
    ModelConfig,
    PrepareConfig,
    ReconstructConfig,
    SampleConfig,
    TrainConfig,
)


def build_parser():
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
    _add_train(commands)
    _add_sample(commands)
    _add_reconstruct(commands)
    _add_prepare(commands)
    _add_evaluate(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Refuses abbreviated options: a new option must not break an old command line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)


def _add_command(commands, name, text):
    return commands.add_parser(name, help=text, description=text)


def _add_train(commands):
    parser = _add_command(commands, "train", "train a model on an HDF5 file of faces")
    add, model = _option_of(parser, TrainConfig), _option_of(parser, ModelConfig)
    add("hdf5_dataset_name", "dataset that holds the images", metavar="NAME")
    add("batch_size", "most images a training step", int)
    add("epochs", "passes over the training images", int)
    add("learning_rate", "peak of the learning-rate schedule", float)
    model("latent_dim", "numbers in a face's code", int)
    _add_sizes(parser, "resize to it (default: the file's own)")
    add("layout", "which axis is which, for a file that is not square", choices=LAYOUTS)
    model("likelihood", "how pixels are scored", choices=LIKELIHOODS)
    add("augment", "invent faces; none: the actor's own alone", choices=AUGMENTS)
    add("beta", "weight of the KL term", float)
    add("kl_warmup", "epochs over which beta grows from 0", int)
    add("validation_split", "share held out, the last of the file", float)
    parser.add_argument(
        "--validation",
        metavar="FILE",
        help="hold out this HDF5 file instead (default: none)",
    )
    add("patience", "stop after so many epochs without progress; 0: never", int)
    add("seed", "of weights, order and noise", int)
    add(
        "precision",
        "of computing; auto: bfloat16 where the processor has it",
        choices=PRECISIONS,
    )
    add("checkpoint_minutes", "time between checkpoints", float)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest checkpoint in output (default: off)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the model that is in output (default: off)",
    )
    parser.add_argument("input", help="HDF5 file, N x width x height x 3 (or 1)")
    parser.add_argument("output", help="model directory to write")


def _add_sample(commands):
    parser = _add_command(commands, "sample", "draw walks through the latent space")
    add = _option_of(parser, SampleConfig)
    _add_model_checks(parser)
    add("walks", "walks, each from one random point to the next", int)
    add("steps", "pictures a walk", int)
    add("seed", "of the random points", int)
    add("output_dir", "folder for the pictures", alias="--output--dir", metavar="DIR")
    _add_overwrite(parser)
    parser.add_argument("input", help="model directory, as train wrote it")


def _add_reconstruct(commands):
    parser = _add_command(
        commands, "reconstruct", "turn a folder of face crops into the actor"
    )
    add = _option_of(parser, ReconstructConfig)
    _add_model_checks(parser)
    add("align", "map a stranger to the actor; auto: if it is one", choices=ALIGNMENTS)
    add("strength", "factor on the expression, for strangers", float)
    parser.add_argument(
        "--neutral",
        metavar="IMAGE",
        help="the stranger at rest, for --align relative (default: auto, the crop"
        " nearest to their average)",
    )
    add("smooth", "frames over which to smooth a sequence; 0: none", float)
    parser.add_argument(
        "--side-by-side",
        action="store_true",
        help="write input and reconstruction next to each other (default: off)",
    )
    parser.add_argument(
        "--latents",
        metavar="FILE.npz",
        help="also store file names, z_mean and z_log_var (default: none)",
    )
    _add_overwrite(parser)
    parser.add_argument("input", help="model directory, as train wrote it")
    parser.add_argument(
        "inputdir", help="folder of crops, searched recursively; or one crop"
    )
    parser.add_argument("output", help="folder for the reconstructions")


def _add_prepare(commands):
    parser = _add_command(commands, "prepare", "make an HDF5 file that train reads")
    add = _option_of(parser, PrepareConfig)
    for side in ("width", "height"):
        parser.add_argument(
            f"--{side}",
            type=_number(int),
            metavar="PIXELS",
            help=f"{side} of the images (default: their own if they agree, else 112)",
        )
    add("fit", "how an image of another shape gets it", choices=FITS)
    add("every", "take one of so many frames of a video", int)
    add("min_confidence", "skip OpenFace crops below it", float)
    add("hdf5_dataset_name", "dataset to read from an HDF5 input", metavar="NAME")
    add("layout", "which axis is which in an HDF5 input", choices=LAYOUTS)
    add("compression", "of the output", choices=COMPRESSIONS)
    add("duplicate_distance", "gray levels under which two are one", float)
    add("blur_ratio", "share of the median sharpness", float)
    add("outlier_score", "robust deviations from the average face", float)
    flags = {
        "faces": "find the largest face of each picture, and cut it out upright",
        "mask": "with --faces: blacken what is outside the face",
        "dedupe": "drop near duplicates, and show them in OUTPUT.duplicates.png",
        "drop-blurred": "drop blurred images, and show them in OUTPUT.blurred.png",
        "drop-outliers": "drop images far from the average, and show them likewise",
        "append": "add to the file that is in output",
        "overwrite": "replace the file that is in output",
    }
    for name, text in flags.items():
        text = f"{text} (default: off)"
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="input",
        help="folder of crops, image, video or HDF5 file",
    )
    parser.add_argument("output", help="HDF5 file to write")


def _add_evaluate(commands):
    parser = _add_command(commands, "evaluate", "judge a model, or two, by images")
    add = _option_of(parser, EvaluateConfig)
    add("hdf5_dataset_name", "dataset that holds the images", metavar="NAME")
    add("layout", "which axis is which, for a file that is not square", choices=LAYOUTS)
    add("samples", "codes drawn an image, for the likelihood", int)
    files = {
        "actor": ("FILE.h5", "compare what the model draws with the file it learnt"),
        "json": ("FILE.json", "also write what was measured"),
        "sheet": ("FILE.png", "also draw the best and the worst"),
    }
    for name, (form, text) in files.items():
        text = f"{text} (default: none)"
        parser.add_argument(f"--{name}", metavar=form, help=text)
    _add_overwrite(parser, "files")
    parser.add_argument(
        "models",
        nargs="+",
        metavar="model",
        help="model directory, as train wrote it; give two to compare them",
    )
    parser.add_argument("data", help="HDF5 file or folder of crops, in order of time")


def _add_overwrite(parser, what="pictures"):
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=f"replace {what} that are already there (default: off)",
    )


def _add_sizes(parser, text):
    for side in ("width", "height"):
        parser.add_argument(
            f"--input-{side}",
            type=_number(int),
            metavar="PIXELS",
            help=f"{side} of the images; {text}",
        )


def _add_model_checks(parser):
    """The published options that a self-describing model makes unnecessary."""
    parser.add_argument(
        "--latent-dim",
        type=_number(int),
        metavar="N",
        help="checked against the model (default: the model's)",
    )
    _add_sizes(parser, "checked against the model (default: the model's)")


def _option_of(parser, config):
    """Returns a function that adds one option for one field of `config`.

    An option that is not given is absent from the namespace, so that a resumed run can
    tell a wish from a default; the default shown is the field's own.
    """
    defaults = {item.name: item.default for item in fields(config)}

    def add(name, text, kind=None, alias=None, **settings):
        names = ["--" + name.replace("_", "-")] + ([alias] if alias else [])
        if kind:
            settings |= {"type": _number(kind), "metavar": "N"}
        text = f"{text} (default: {defaults[name]})"
        parser.add_argument(
            *names, dest=name, default=argparse.SUPPRESS, help=text, **settings
        )

    return add


def _number(kind):
    def convert(text):
        try:
            return kind(text)
        except ValueError:
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} found, {noun} expected")

    return convert
