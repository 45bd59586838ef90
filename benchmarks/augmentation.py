"""The tool without its augmentation, whichever of its configurations holds that."""
from dataclasses import fields, replace

from vae.config import ModelConfig, TrainConfig

FIELD, OFF = "augment", "none"
OPTION = [f"--{FIELD}", OFF]  # of `vae.py train`


def has_augmentation():
    """Whether the tool can train with and without augmentation."""
    return any(_holds(config) for config in (ModelConfig, TrainConfig))


def without_augmentation(config):
    """Returns a config with augmentation off, if it is there that it is chosen."""
    return replace(config, **{FIELD: OFF}) if _holds(config) else config


def _holds(config):
    return FIELD in {item.name for item in fields(config)}
