"""Where a training is, and what it computes in: with the arrays, all for a resume."""

import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from vae.config import ModelConfig, TrainConfig
from vae.errors import RefusedError
from vae.files import printable

PARTS = ("loss", "reconstruction_loss", "kl_loss")
_COLUMNS = {"epoch", "step", "learning_rate", *PARTS, "seconds"}
_HELD_OUT_COLUMNS = {f"val_{name}" for name in (*PARTS, "psnr")}
# Of 80 columns, two dozen are left for the bar.
BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
COUNTERS = ("step", "epoch", "step_in_epoch", "best_epoch", "planned")
MAX_THREADS = 1024
MAX_COUNT = 2**53  # JSON has whole numbers that no float can hold


@dataclass(frozen=True)
class Arithmetic:
    """What the last bits of all sums depend on: the same one gives the same run.

    Attributes:
        threads: that share an operation. tensorflow: its version.
        instructions: vector extensions of the processor, or its architecture.
    """

    threads: int
    tensorflow: str
    instructions: str

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Builds it from what may come from an untrusted file.

        Raises:
            RefusedError: a value is missing, unknown, or of another kind or range.
        """
        kinds = {item.name: item.type for item in fields(cls)}
        found = values if isinstance(values, dict) else {}
        if {name: type(value) for name, value in found.items()} != kinds:
            raise _bad("arithmetic", values, ", ".join(kinds))
        if not 1 <= found["threads"] <= MAX_THREADS:
            raise _bad("threads", found["threads"], f"1 to {MAX_THREADS}")
        return cls(**found)

    def describe_change(self, before: Self) -> str | None:
        """Returns what is another than before, or None."""
        old, new = asdict(before), asdict(self)
        changed = [name for name in old if old[name] != new[name]]
        lines = [f"{name} {old[name]} then, {new[name]} now" for name in changed]
        return printable(", ".join(lines)) or None  # they may be of a hostile file


@dataclass
class Progress:
    """Counters and history of a run.

    Attributes:
        step: optimizer steps done. epoch: epochs done. step_in_epoch: of the next one.
        sums: of the losses of the steps in the unfinished epoch.
        history: one dict an epoch. best: held-out loss of the best epoch, if any.
        best_epoch: 1 is the first epoch. seconds: spent training.
        planned: all steps of the run where `--epochs` doesn't say; 0: not known yet.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    planned: int = 0

    @property
    def holds_out(self) -> bool:
        """Whether the epochs done were judged by held-out images."""
        return bool(self.history) and "val_loss" in self.history[-1]

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Builds it from what may come from an untrusted file.

        Raises:
            RefusedError: a value is missing, unknown, or of another kind or range.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            found = sorted(values) if isinstance(values, dict) else values
            raise _bad("fields", found, sorted(names))
        for name in COUNTERS:
            if type(values[name]) is not int or not 0 <= values[name] < MAX_COUNT:
                raise _bad(name, values[name], "a count")
        _check_numbers("seconds", {"seconds": values["seconds"]})
        if values["best"] is not None:
            _check_numbers("best", {"best": values["best"]})
        _check_numbers("sums", values["sums"])
        if set(values["sums"]) != set(PARTS):
            raise _bad("sums", sorted(values["sums"]), sorted(PARTS))
        _check_history(values["history"], values["epoch"], values["best_epoch"])
        return cls(**values)


def _check_history(history: Any, epoch: int, best_epoch: int) -> None:
    """Refuses a history that has not one row of numbers an epoch, in order."""
    if not isinstance(history, list) or len(history) != epoch:
        raise _bad("history", history, f"{epoch} rows")
    if best_epoch > epoch or (epoch and not best_epoch):
        raise _bad("best_epoch", best_epoch, f"one of {epoch} epochs")
    for number, row in enumerate(history, 1):
        _check_numbers(f"row {number} of history", row)
        if row.get("epoch") != number or row.keys() != history[0].keys():
            raise _bad(f"row {number} of history", sorted(row), "the next epoch")
        if row.keys() not in (_COLUMNS, _COLUMNS | _HELD_OUT_COLUMNS):
            raise _bad(f"row {number} of history", sorted(row), sorted(_COLUMNS))


def _check_numbers(name: str, values: Any) -> None:
    """Refuses anything but a dictionary of names -> numbers."""
    if not isinstance(values, dict):
        raise _bad(name, values, "names and numbers")
    for value in values.values():
        whole = type(value) is int and abs(value) < MAX_COUNT
        if not whole and type(value) is not float:
            raise _bad(name, value, "a number")


def _bad(name: str, found: Any, expected: Any) -> RefusedError:
    return RefusedError(f"progress: {name} {found!r:.80} found, {expected} expected")


def describe_epoch(row: dict[str, float], epochs: int | None, improved: bool) -> str:
    """Returns the line that tells of an epoch, of so many if known, in 80 columns."""
    line = f"{count_epoch(row['epoch'], epochs)}  loss {row['loss']:.1f}"
    line += f" (KL {row['kl_loss']:.1f})"
    if "val_psnr" in row:
        line += f"  held-out {row['val_loss']:.1f}, {row['val_psnr']:.2f} dB"
        line += "  best" if improved else ""
    return line


def count_epoch(epoch: int, epochs: int | None) -> str:
    """Returns which epoch it is, of how many if known."""
    return f"epoch {epoch}/{epochs}" if epochs else f"epoch {epoch}"


def read_state(
    checkpoint: str, state: dict[str, Any]
) -> tuple[ModelConfig, TrainConfig, Progress, Arithmetic]:
    """Reads what the state.json of a checkpoint holds, which may be hostile.

    Raises:
        RefusedError: a value is of another kind or out of range.
    """
    kinds = {
        "model": ModelConfig,
        "config": TrainConfig,
        "progress": Progress,
        "arithmetic": Arithmetic,
    }
    try:
        return tuple(kind.from_dict(state.get(name)) for name, kind in kinds.items())
    except RefusedError as error:
        path = os.path.join(checkpoint, "state.json")
        raise RefusedError(f"{printable(path)}: {error}") from None
