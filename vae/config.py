"""What a model is and how it is trained: the only home of defaults.

Both classes go to and from plain dictionaries, so that the command line, the metadata
file and a checkpoint share one list of fields with one set of limits.
"""
import math
from dataclasses import asdict, dataclass, field, fields

from vae.errors import RefusedError

LIKELIHOODS = ("gaussian", "bernoulli", "discretized")
LAYOUTS = ("auto", "width-first", "rows-first")
AUGMENTS = ("none", "light", "full")
ALIGNMENTS = ("auto", "none", "register", "recentre", "standardise", "relative")
PRECISIONS = ("auto", "float32", "bfloat16")
FITS = ("crop", "pad", "stretch")
COMPRESSIONS = ("none", "gzip")
MAX_SIDE = 1024  # pixels; a larger face crop is a mistake or an attack
MAX_LATENT_DIM = 4096
FALLBACK_SIDE = 112  # pixels of a prepared image where the inputs don't agree


def option_name(field_name):
    """Returns the command-line option that sets a field."""
    prefix = "--input-" if field_name in ("width", "height") else "--"
    return prefix + field_name.replace("_", "-")


def _limit(default, low=None, high=None, choices=None):
    """A dataclass field that carries the values it accepts."""
    limits = {"low": low, "high": high, "choices": choices}
    return field(default=default, metadata=limits)


def _check(config):
    for item in fields(config):
        value, limits = getattr(config, item.name), item.metadata
        problem = _problem(value, item.type, limits)
        if problem:
            option = option_name(item.name)
            raise RefusedError(f"{option}: {value!r:.80} found, {problem} expected")


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

    def to_dict(self):
        """Returns the fields as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def pick(cls, values):
        """Returns those of `values`, a dictionary, that are fields and not None."""
        names = [item.name for item in fields(cls)]
        return {name: values[name] for name in names if values.get(name) is not None}

    @classmethod
    def from_dict(cls, values):
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

    width: int = _limit(64, 4, MAX_SIDE)  # pixels
    height: int = _limit(64, 4, MAX_SIDE)  # pixels
    channels: int = _limit(3, 1, 3)  # 3: RGB, 1: gray
    latent_dim: int = _limit(30, 1, MAX_LATENT_DIM)
    likelihood: str = _limit("gaussian", choices=LIKELIHOODS)


@dataclass(frozen=True)
class TrainConfig(_Config):
    """How the network is trained and on which part of the file."""

    hdf5_dataset_name: str = _limit("data")
    layout: str = _limit("auto", choices=LAYOUTS)
    batch_size: int = _limit(64, 1, 65536)  # images, at most
    epochs: int = _limit(500, 1, 1_000_000)
    learning_rate: float = _limit(2e-3, 0.0, 1e6)  # the peak of the schedule
    beta: float = _limit(1.0, 0.0, 1e6)  # weight of the KL term
    augment: str = _limit("full", choices=AUGMENTS)
    kl_warmup: int = _limit(0, 0, 1_000_000)  # epochs over which beta grows from 0
    validation_split: float = _limit(0.1, 0.0, 0.9)  # share held out, at the end
    patience: int = _limit(0, 0, 1_000_000)  # epochs without progress; 0: never stop
    seed: int = _limit(0, 0, 2**31 - 1)
    precision: str = _limit("auto", choices=PRECISIONS)
    checkpoint_minutes: float = _limit(5.0, 0.0, 1e6)


CHANGEABLE_ON_RESUME = frozenset({"epochs", "patience", "checkpoint_minutes"})


@dataclass(frozen=True)
class SampleConfig(_Config):
    """How many pictures `sample` draws, and where they go."""

    walks: int = _limit(30, 1, 100_000)
    steps: int = _limit(10, 1, 100_000)  # pictures a walk
    seed: int = _limit(0, 0, 2**31 - 1)
    output_dir: str = _limit("samples/")


@dataclass(frozen=True)
class PrepareConfig(_Config):
    """How pictures become a data file, and which of them look bad."""

    hdf5_dataset_name: str = _limit("data")
    layout: str = _limit("auto", choices=LAYOUTS)
    fit: str = _limit("crop", choices=FITS)
    compression: str = _limit("none", choices=COMPRESSIONS)
    every: int = _limit(1, 1, 1_000_000)  # frames of a video, one of them kept
    min_confidence: float = _limit(0.0, 0.0, 1.0)  # OpenFace's, of a crop that is kept
    duplicate_distance: float = _limit(0.75, 0.0, 255.0)  # gray levels, RMS at 16x16
    blur_ratio: float = _limit(0.3, 0.0, 1.0)  # of the median sharpness
    outlier_score: float = _limit(8.0, 0.0, 1e6)  # robust standard deviations


@dataclass(frozen=True)
class ReconstructConfig(_Config):
    """How the crops of a person who is not the actor become the actor's."""

    align: str = _limit("auto", choices=ALIGNMENTS)
    strength: float = _limit(1.0, 0.0, 10.0)
    smooth: float = _limit(0.0, 0.0, 1000.0)  # frames


@dataclass(frozen=True)
class EvaluateConfig(_Config):
    """How a model is judged."""

    hdf5_dataset_name: str = _limit("data")
    layout: str = _limit("auto", choices=LAYOUTS)
    samples: int = _limit(64, 1, 1_000_000)  # codes drawn an image
