"""Checks a request for walks: the model, the numbers and the folder."""
from dataclasses import dataclass
from itertools import chain

from vae.checks.pictures import check_model, check_outputs
from vae.config import ModelConfig, SampleConfig
from vae.errors import RefusedError

SHEET_NAME = "walks.png"
MAX_PICTURES = 1_000_000


@dataclass(frozen=True)
class SampleRequest:
    """What `sample` was asked for, checked.

    Attributes:
        folder: the model directory. model: what it holds. config: what to draw.
    """

    folder: str
    model: ModelConfig
    config: SampleConfig


def check(args):
    """Returns a `SampleRequest`; raises `RefusedError` for what can't work."""
    config = SampleConfig(**SampleConfig.pick(vars(args)))
    if config.walks * config.steps > MAX_PICTURES:
        raise RefusedError(
            f"--walks: {config.walks} of {config.steps} steps found, at most"
            f" {MAX_PICTURES} pictures expected"
        )
    _, model = check_model(args)
    names = (
        name_picture(config, walk, step)
        for walk in range(config.walks)
        for step in range(config.steps)
    )
    check_outputs(config.output_dir, chain(names, [SHEET_NAME]), args.overwrite)
    return SampleRequest(args.input, model, config)


def name_picture(config, walk, step):
    """Returns `walk_000_step_00.png` and so on, padded so that they sort in order."""
    walk_digits = max(3, len(str(config.walks - 1)))
    step_digits = max(2, len(str(config.steps - 1)))
    return f"walk_{walk:0{walk_digits}}_step_{step:0{step_digits}}.png"
