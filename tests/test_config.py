"""Limits of every option, and the way of a config to and from a dictionary."""

import json
from dataclasses import fields

import pytest

from tests.drawing import make_faces
from tests.files import write_h5
from vae.config import ModelConfig, SampleConfig, TrainConfig
from vae.errors import RefusedError

CONFIGS = (ModelConfig, TrainConfig, SampleConfig)
OPTIONS = {
    "--batch-size 0": "0 found, 1 to 65536 expected",
    "--batch-size 65537": "65537 found, 1 to 65536 expected",
    "--epochs 0": "0 found, 1 to 1000000 expected",
    "--epochs 1000001": "1000001 found, 1 to 1000000 expected",
    "--minutes 0": "0.0 found, 0.01 to 1000000.0 expected",
    "--minutes 5 --epochs 3": "5 found and --epochs 3, one of them expected",
    "--learning-rate -1": "-1.0 found, 0.0 to 1000000.0 expected",
    "--learning-rate 1e7": "10000000.0 found, 0.0 to 1000000.0 expected",
    "--learning-rate nan": "nan found, a finite number expected",
    "--latent-dim 0": "0 found, 1 to 4096 expected",
    "--latent-dim 4097": "4097 found, 1 to 4096 expected",
    "--input-width 3": "3 found, 4 to 1024 expected",
    "--input-width 1025": "1025 found, 4 to 1024 expected",
    "--input-height 3": "3 found, 4 to 1024 expected",
    "--input-height 1025": "1025 found, 4 to 1024 expected",
    "--beta -0.1": "-0.1 found, 0.0 to 1000000.0 expected",
    "--beta inf": "inf found, a finite number expected",
    "--kl-warmup -1": "-1 found, 0 to 1000000 expected",
    "--validation-split -0.1": "-0.1 found, 0.0 to 0.9 expected",
    "--validation-split 0.91": "0.91 found, 0.0 to 0.9 expected",
    "--patience -1": "-1 found, 0 to 1000000 expected",
    "--seed -1": "-1 found, 0 to 2147483647 expected",
    "--seed 2147483648": "2147483648 found, 0 to 2147483647 expected",
    "--checkpoint-minutes -1": "-1.0 found, 0.0 to 1000000.0 expected",
    "--resume --overwrite": "--overwrite found as well, one of them expected",
    "--resume": "no checkpoint found in out, a whole one expected; train anew without"
    " --resume, with --overwrite if the folder is not empty",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_train_refuses_what_is_off_limits(option, refused, tmp_path):
    write_h5(tmp_path / "in.h5", make_faces(12, 8, 8))
    message = refused(f"train {option} in.h5 out")
    assert message == f"{option.split()[0]}: {OPTIONS[option]}"


@pytest.mark.parametrize("kind", CONFIGS)
def test_defaults_are_within_their_own_limits(kind):
    assert kind.from_dict(json.loads(json.dumps(kind().to_dict()))) == kind()


@pytest.mark.parametrize("kind", CONFIGS)
def test_both_limits_of_a_number_are_accepted_and_what_lies_beyond_is_not(kind):
    numbers = [item for item in fields(kind) if item.metadata["high"] is not None]
    for item in numbers:
        low, high = item.metadata["low"], item.metadata["high"]
        for value in (low, high):
            assert getattr(kind(**{item.name: value}), item.name) == value
        for value in (low - 1, high + 1):
            with pytest.raises(RefusedError):
                kind(**{item.name: value})


BAD_VALUES = {
    "a whole number where JSON has no fraction": ({"beta": 2}, None),
    "a number no float holds": (
        {"beta": 10**400},
        f"--beta: 1{'0' * 79} found, a value of type float expected",
    ),
    "true for a number": (
        {"beta": True},
        "--beta: True found, a value of type float expected",
    ),
    "a list": ({"layout": []}, "--layout: [] found, a value of type str expected"),
    "a fraction of a seed": (
        {"seed": 1.0},
        "--seed: 1.0 found, a value of type int expected",
    ),
    "an unknown choice": (
        {"precision": "float16"},
        "--precision: 'float16' found, one of auto, float32, bfloat16 expected",
    ),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_a_value_from_a_file_is_checked_like_an_option(case):
    changes, message = BAD_VALUES[case]
    try:
        config = TrainConfig.from_dict(TrainConfig().to_dict() | changes)
    except RefusedError as error:
        assert str(error) == message
    else:
        assert message is None and config.beta == 2


@pytest.mark.parametrize("values", [None, 3, [], {}, {"width": 8}])
def test_a_dictionary_without_the_fields_is_refused(values):
    with pytest.raises(RefusedError, match="^ModelConfig: fields .+ found, .+ exp"):
        ModelConfig.from_dict(values)


def test_an_unknown_field_is_refused():
    with pytest.raises(RefusedError, match="'code'"):
        ModelConfig.from_dict(ModelConfig().to_dict() | {"code": "print(1)"})


def test_pick_leaves_out_what_was_not_given():
    values = {"seed": 3, "epochs": None, "input": "a.h5"}
    assert TrainConfig.pick(values) == {"seed": 3}
