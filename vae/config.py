"""What each command may be told: the only home of options, defaults and limits.

A field of these classes is an option or an argument of the command line; `cli.py`
makes parsers of them. Those that a model or a checkpoint keeps go to and from plain
dictionaries, so that the command line, the metadata file and a checkpoint share one
list of fields with one set of limits.
"""

import math
from dataclasses import Field, asdict, dataclass, field, fields
from typing import ClassVar, Self, get_args

from vae.errors import RefusedError

LIKELIHOODS = ("gaussian", "bernoulli", "discretized")
LAYOUTS = ("auto", "width-first", "rows-first")
AUGMENTS = ("none", "light", "full")
ALIGNMENTS = ("auto", "none", "register", "recentre", "standardise", "relative")
PRECISIONS = ("auto", "float32", "bfloat16")
WALKS = ("random", "loop", "images", "grid", "traverse")
PATHS = ("linear", "spline")
PRIORS = ("mixture", "gaussian", "normal")
FITS = ("crop", "pad", "stretch")
DISTRIBUTIONS = ("auto", "none", "mirrored", "multi-worker")
COMPRESSIONS = ("none", "gzip")
NETWORKS = ("encoder", "decoder", "autoencoder")  # what an export holds
EXPORTS = {"saved-model": "", "onnx": ".onnx", "keras": ".keras", "litert": ".tflite"}
MIN_SIDE, MAX_SIDE = 4, 1024  # pixels; a larger face crop is a mistake or an attack
MAX_LATENT_DIM = 4096
MAX_SEED = 2**31 - 1
FALLBACK_SIDE = 112  # pixels of a prepared image where the inputs don't agree


def option_name(field_name: str) -> str:
    """Returns the command-line option that sets a field."""
    prefix = "--input-" if field_name in ("width", "height") else "--"
    return prefix + field_name.replace("_", "-")


def _option(default, text, low=None, high=None, choices=None, **settings):
    """An option, with the values it accepts.

    Args:
        text: the help; None keeps a field off the command line.
        low, high, choices: what is accepted.
        settings: `metavar`, an `alias`, and `shown`, the default in words.
    """
    limits = {"low": low, "high": high, "choices": choices}
    return field(default=default, metadata=limits | {"help": text} | settings)


def _argument(text, **settings):
    """An argument that is told by its place, and has to be given or is `optional`."""
    return field(metadata={"help": text, "is_argument": True} | settings)


def _file(metavar, text, **settings):
    """The path of a file that may be given."""
    return _option(None, text, metavar=metavar, **settings)


def _files(metavar, text):
    """Paths that may be given, at least one."""
    return _option(None, text, metavar=metavar, nargs="+")


def _flag(text):
    return _option(False, text, shown="off")


def _size(side, text, shown):
    """An option of `train` or the check of one: width or height, in pixels."""
    text = f"{side} of the images; {text}"
    return _option(None, text, metavar="PIXELS", shown=shown)


_DATASET = "dataset that holds the images"
_LAYOUT = "which axis is which, for a file that is not square"
_CHECKED = "checked against the model"
_MODEL = "model directory, as train wrote it"
_OVERWRITE = "replace pictures that are already there"
_DIRECTION = (
    "add what the pictures of TO have and those of FROM have not, each a folder or a"
    " file; or give the name of a direction that sample kept; give it last"
)
_OWN_SIZE = f"their own if they agree, else {FALLBACK_SIDE}"


def _check(config):
    for item in fields(config):
        value, limits = getattr(config, item.name), item.metadata
        if value is None and item.default is None:
            continue
        problem = _problem(value, kind_of(item), limits)
        if problem:
            option = option_name(item.name)
            raise RefusedError(f"{option}: {value!r:.80} found, {problem} expected")


def kind_of(item: Field) -> type:
    """Returns the type of a field's value, which may be None besides."""
    return (get_args(item.type) or (item.type,))[0]


def _problem(value, kind, limits):
    """What was expected of `value`, or None when it is fine."""
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind:
        return f"a value of type {kind.__name__}"
    if limits["choices"] and value not in limits["choices"]:
        return "one of " + ", ".join(limits["choices"])
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    low, high = limits["low"], limits["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        return f"{low} to {high}" if high is not None else f"at least {low}"
    return None


class _Config:
    """Validation and the way to and from a plain dictionary."""

    def __post_init__(self):
        _check(self)

    def to_dict(self) -> dict:
        """Returns the fields as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def pick(cls, values: dict) -> dict:
        """Returns those of `values`, a dictionary, that are fields and not None."""
        names = [item.name for item in fields(cls)]
        return {name: values[name] for name in names if values.get(name) is not None}

    @classmethod
    def from_dict(cls, values: dict) -> Self:
        """Builds a config from a dictionary that may come from an untrusted file.

        Raises:
            RefusedError: a field is missing, unknown, of another type or out of range.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            found = sorted(values) if isinstance(values, dict) else values
            raise RefusedError(
                f"{cls.__name__}: fields {found!r:.200} found, {sorted(names)} expected"
            )
        return cls(**values)


@dataclass(frozen=True)
class ModelConfig(_Config):
    """The network: enough to rebuild it, so that weights need nothing but arrays."""

    heading: ClassVar = "network"

    width: int = _option(64, None, MIN_SIDE, MAX_SIDE)  # pixels
    height: int = _option(64, None, MIN_SIDE, MAX_SIDE)  # pixels
    channels: int = _option(3, None, 1, 3)  # 3: RGB, 1: gray
    latent_dim: int = _option(30, "numbers in a face's code", 1, MAX_LATENT_DIM)
    likelihood: str = _option("gaussian", "how pixels are scored", choices=LIKELIHOODS)


@dataclass(frozen=True)
class TrainConfig(_Config):
    """How the network is trained and on which part of the file."""

    heading: ClassVar = "training"

    hdf5_dataset_name: str = _option("data", _DATASET, metavar="NAME")
    layout: str = _option("auto", _LAYOUT, choices=LAYOUTS)
    batch_size: int = _option(64, "most images a training step", 1, 65536)
    epochs: int | None = _option(
        None,
        "passes over the training images",
        1,
        1_000_000,
        shown="until the held-out PSNR is flat",
    )
    minutes: float | None = _option(
        None, "about how long to train, instead of --epochs", 0.01, 1e6, shown="off"
    )
    learning_rate: float = _option(5e-3, "peak of the learning-rate schedule", 0.0, 1e6)
    beta: float = _option(1.0, "weight of the KL term", 0.0, 1e6)
    augment: str = _option(
        "full", "invent faces; none: the actor's own alone", choices=AUGMENTS
    )
    kl_warmup: int = _option(0, "epochs over which beta grows from 0", 0, 1_000_000)
    validation_split: float = _option(
        0.1, "share held out, the last of the file", 0.0, 0.9
    )
    patience: int = _option(
        0, "stop after so many epochs without progress; 0: never", 0, 1_000_000
    )
    seed: int = _option(0, "of weights, order and noise", 0, MAX_SEED)
    precision: str = _option(
        "auto",
        "of computing; auto: bfloat16 where the processor has it",
        choices=PRECISIONS,
    )
    checkpoint_minutes: float = _option(5.0, "time between checkpoints", 0.0, 1e6)


CHANGEABLE_ON_RESUME = frozenset({"epochs", "patience", "checkpoint_minutes"})


@dataclass(frozen=True)
class TrainArguments:
    """What `train` is told besides: files, and what to do with those that are there."""

    heading: ClassVar = "files"

    inputs: list = _argument(
        "HDF5 file, N x width x height x 3 (or 1); several, or a pattern in quotation"
        " marks, are one set",
        metavar="DATA",
        nargs="+",
    )
    output: str = _argument("model directory to write", metavar="MODEL")
    input_width: int | None = _size("width", "resize to it", "the file's own")
    input_height: int | None = _size("height", "resize to it", "the file's own")
    validation: str | None = _file("FILE", "hold out this HDF5 file instead")
    resume: bool = _flag("go on from the newest checkpoint in output")
    overwrite: bool = _flag("replace the model that is in output")
    distribute: str | None = _option(
        None,
        "over local GPUs (mirrored), or the workers that TF_CONFIG names",
        choices=DISTRIBUTIONS,
        shown="auto",
    )
    tensorboard: bool = _flag("also write OUTPUT/tensorboard, which TensorBoard shows")


@dataclass(frozen=True)
class ModelChecks(_Config):
    """The published options that a self-describing model makes unnecessary."""

    heading: ClassVar = "checks, which the model makes unnecessary"

    latent_dim: int | None = _option(None, _CHECKED, shown="the model's")
    input_width: int | None = _size("width", _CHECKED, "the model's")
    input_height: int | None = _size("height", _CHECKED, "the model's")


@dataclass(frozen=True)
class SampleConfig(_Config):
    """Which pictures `sample` draws, how many of them, and where they go."""

    heading: ClassVar = "pictures"

    walk: str = _option(
        "random",
        "from point to point; loop: and back; images: through those of --images; grid:"
        " no walk, single points; traverse: one direction a walk",
        choices=WALKS,
    )
    walks: int = _option(30, "walks, each from one random point to the next", 1, 10**5)
    steps: int = _option(10, "pictures a walk", 1, 10**5)
    count: int = _option(100, "pictures of --walk grid", 1, 10**6)
    path: str = _option("linear", "shape of --walk images", choices=PATHS)
    prior: str = _option(
        "mixture",
        "what random points are drawn from; mixture, gaussian: many Gaussians or one,"
        " fitted to the film's codes; normal: what training pulls codes to",
        choices=PRIORS,
    )
    temperature: float = _option(
        1.0, "factor on how far points are from the average face", 0.0, 10.0
    )
    strength: float = _option(1.0, "factor on --direction", -100.0, 100.0)
    fps: float = _option(25.0, "pictures a second, of a film", 0.01, 1000.0)
    seed: int = _option(0, "of the random points", 0, MAX_SEED)
    output_dir: str = _option(
        "samples/", "folder for the pictures", metavar="DIR", alias="--output--dir"
    )


@dataclass(frozen=True)
class SampleArguments:
    """What `sample` is told besides."""

    heading: ClassVar = "files"

    input: str = _argument(_MODEL, metavar="MODEL")
    images: list | None = _files(
        "IMAGE", "folders and pictures to walk through, two or more; give it last"
    )
    latents: str | None = _file(
        "FILE", "decode its z_mean, of reconstruct --latents or of explore's page"
    )
    constant_speed: bool = _flag("space steps by equal change of the picture")
    direction: list | None = _files(("FROM", "TO"), _DIRECTION)
    save_direction: str | None = _file("NAME", "keep --direction in the model")
    film: str | None = _file(
        "FILE", "write a film instead of pictures: .mp4 .mov .webm .gif .webp .png"
    )
    overwrite: bool = _flag(_OVERWRITE)
    list: bool = _flag("list the directions that are kept, and stop")


@dataclass(frozen=True)
class ReconstructConfig(_Config):
    """How the crops of a person who is not the actor become the actor's."""

    heading: ClassVar = "expression"

    align: str = _option(
        "auto", "map a stranger to the actor; auto: if it is one", choices=ALIGNMENTS
    )
    strength: float = _option(1.0, "factor on the expression, for strangers", 0.0, 10.0)
    smooth: float = _option(
        0.0, "frames over which to smooth a sequence; 0: none", 0.0, 1000.0
    )
    direction_strength: float = _option(1.0, "factor on --direction", -100.0, 100.0)
    fps: float = _option(
        25.0, "frames a second, of a film of what is no video", 0.01, 1000.0
    )


@dataclass(frozen=True)
class ReconstructArguments:
    """What `reconstruct` is told besides."""

    heading: ClassVar = "files and faces"

    input: str = _argument(_MODEL, metavar="MODEL")
    inputdir: str = _argument(
        "folder of crops, searched recursively; one crop; video of crops; or HDF5 file",
        metavar="CROPS",
    )
    output: str = _argument(
        "folder for the reconstructions, or a film: .mp4 .mov .webm .gif .webp .png",
        metavar="OUTPUT",
    )
    faces: bool = _flag("find the largest face of each picture, and cut it out upright")
    paste: bool = _flag("with --faces: put the actor's face back into the picture")
    patches: str | None = _file(
        "DIR", "with --faces: also write what --paste lays over, for a compositor"
    )
    each: bool = _flag("each folder in the input is another person")
    direction: list | None = _files(("FROM", "TO"), _DIRECTION)
    neutral: str | None = _file(
        "IMAGE",
        "the stranger at rest, for --align relative",
        shown="auto, the crop nearest to their average",
    )
    side_by_side: bool = _flag("put input and reconstruction next to each other")
    latents: str | None = _file(
        "FILE.npz", "also store file names, z_mean and z_log_var"
    )
    overwrite: bool = _flag(_OVERWRITE)


@dataclass(frozen=True)
class ExploreArguments:
    """What `explore` is told."""

    heading: ClassVar = "files"

    input: str = _argument(_MODEL, metavar="MODEL")
    output: str = _argument("page to write, NAME.html", metavar="PAGE")
    no_film: bool = _flag("leave out the codes of the film's frames")
    overwrite: bool = _flag("replace the page that is already there")


@dataclass(frozen=True)
class PrepareConfig(_Config):
    """How pictures become a data file, and which of them look bad."""

    heading: ClassVar = "images"

    fit: str = _option("crop", "how an image of another shape gets it", choices=FITS)
    every: int = _option(1, "take one of so many frames of a video", 1, 1_000_000)
    min_confidence: float = _option(0.0, "skip OpenFace crops below it", 0.0, 1.0)
    hdf5_dataset_name: str = _option(
        "data", "dataset to read from an HDF5 input", metavar="NAME"
    )
    layout: str = _option(
        "auto", "which axis is which in an HDF5 input", choices=LAYOUTS
    )
    compression: str = _option("none", "of the output", choices=COMPRESSIONS)
    duplicate_distance: float = _option(  # RMS at 16x16
        0.75, "gray levels under which two are one", 0.0, 255.0
    )
    blur_ratio: float = _option(0.3, "share of the median sharpness", 0.0, 1.0)
    outlier_score: float = _option(
        8.0, "robust deviations from the average face", 0.0, 1e6
    )


@dataclass(frozen=True)
class PrepareArguments:
    """What `prepare` is told besides."""

    heading: ClassVar = "files and faces"

    inputs: list = _argument(
        "folder of crops, image, video or HDF5 file", metavar="INPUT", nargs="+"
    )
    output: str = _argument("HDF5 file to write", metavar="DATA")
    face: int | None = _option(
        None, "of several people's OpenFace crops, the face to take", shown="all"
    )
    width: int | None = _option(
        None, "width of the images", metavar="PIXELS", shown=_OWN_SIZE
    )
    height: int | None = _option(
        None, "height of the images", metavar="PIXELS", shown=_OWN_SIZE
    )
    faces: bool = _flag("find the largest face of each picture, and cut it out upright")
    mask: bool = _flag("with --faces: blacken what is outside the face")
    dedupe: bool = _flag("drop near duplicates, and show them in OUTPUT.duplicates.png")
    drop_blurred: bool = _flag(
        "drop blurred images, and show them in OUTPUT.blurred.png"
    )
    drop_outliers: bool = _flag(
        "drop images far from the average, and show them likewise"
    )
    shard_size: int | None = _option(
        None, "write several files, of so many images each", metavar="N"
    )
    append: bool = _flag("add to the file that is in output")
    overwrite: bool = _flag("replace the file that is in output")


@dataclass(frozen=True)
class EvaluateConfig(_Config):
    """How a model is judged."""

    heading: ClassVar = "images"

    hdf5_dataset_name: str = _option("data", _DATASET, metavar="NAME")
    layout: str = _option("auto", _LAYOUT, choices=LAYOUTS)
    samples: int = _option(64, "codes drawn an image, for the likelihood", 1, 1_000_000)


@dataclass(frozen=True)
class EvaluateArguments:
    """What `evaluate` is told besides."""

    heading: ClassVar = "files"

    models: list = _argument(
        "model directory, as train wrote it; give two to compare them",
        metavar="MODEL",
        nargs="+",
    )
    data: str | None = _argument(
        "HDF5 file, a quoted pattern of several, or folder of crops, in order of time;"
        " none with --stranger",
        metavar="IMAGES",
        optional=True,
    )
    stranger: str | None = _file(
        "CROPS",
        "instead: how well expressions of this person, whose crops are given as to"
        " reconstruct, come across; needs the extra faces",
    )
    actor: str | None = _file(
        "FILE.h5", "compare what the model draws with the file, or pattern, it learnt"
    )
    json: str | None = _file("FILE.json", "also write what was measured")
    sheet: str | None = _file("FILE.png", "also draw the best and the worst")
    projector: str | None = _file(
        "DIR", "also write codes and faces for TensorBoard's Embedding Projector"
    )
    overwrite: bool = _flag("replace files that are already there")


@dataclass(frozen=True)
class ExportConfig(_Config):
    """In which form a model leaves."""

    heading: ClassVar = "kind"

    format: str = _option("saved-model", "of what is written", choices=tuple(EXPORTS))


@dataclass(frozen=True)
class ExportArguments:
    """What `export` is told besides."""

    heading: ClassVar = "files"

    input: str = _argument(_MODEL, metavar="MODEL")
    output: str = _argument(
        "folder to write; a SavedModel gets the next number in it", metavar="DIR"
    )
    overwrite: bool = _flag("replace files that are already there")


@dataclass(frozen=True)
class MessageArguments:
    """What every command is told besides."""

    heading: ClassVar = "messages"

    quiet: bool = _flag("show errors alone on stderr, no progress and no notes")
