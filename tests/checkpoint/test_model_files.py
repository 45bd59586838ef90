"""A model's arrays and their digests: replaced together, verified before use."""

import json
import os
import pickle

import numpy as np
import pytest

from tests.actors import PLAIN
from tests.faults import DAMAGES, MANY, Code, Faults, Killed
from vae.checkpoint.model_files import (
    NAMES,
    open_model,
    read_model_files,
    write_model_files,
)
from vae.checkpoint.storage import pack_arrays, read_json
from vae.config import ModelConfig
from vae.errors import RefusedError, VaeError
from vae.model.architecture import shape_arrays
from vae.model.latent import LatentStatistics

META = {"schema": 1, "model": ModelConfig(16, 12, 3, 3).to_dict()}


def contents(value=0.0):
    """Returns the files of a model whose numbers are all alike."""
    statistics = PLAIN | {"mean": np.full(3, value, np.float32)}
    weights = pack_arrays({"a/kernel": np.full((3, 2), value)})
    return {"weights.h5": weights, "latent.npz": LatentStatistics(**statistics).pack()}


def verify(folder):
    """Raises what is wrong with a model."""
    read_model_files(folder, read_json(folder / "metadata.json"))


@pytest.fixture
def model(tmp_path):
    """A model directory that `sample` takes up to its weights."""
    write_model_files(tmp_path / "model", META, contents())
    return tmp_path / "model"


def test_the_digests_are_those_of_the_files(model):
    verify(model)
    metadata = read_json(model / "metadata.json")
    assert metadata.keys() == {*META, "files"}
    assert metadata["files"]["weights.h5"]["bytes"] == len(contents()["weights.h5"])
    write_model_files(model, META | {"epochs_done": 3})
    verify(model)
    assert read_json(model / "metadata.json") == metadata | {"epochs_done": 3}


def test_row_77_files_that_are_replaced_once_verified_are_not_used(model):
    files = open_model(model, {}, pytest.fail)
    write_model_files(model, META, contents(1.0))
    assert files.contents == contents() != contents(1.0)
    path, content = files.find("latent.npz")
    assert (path, content) == (str(model / "latent.npz"), contents()["latent.npz"])


@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
def test_row_02_an_export_that_ends_anywhere_is_the_old_or_the_new(kill, tmp_path):
    found = []
    for fatal_call in range(1, MANY):
        folder = tmp_path / str(fatal_call)
        write_model_files(folder, META, contents(1))
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, fatal_call, kill)
            try:
                write_model_files(folder, META, contents(2))
            except (VaeError, Killed):
                pass
        now = {name: (folder / name).read_bytes() for name in NAMES}
        found.append([contents(1), contents(2)].index(now) if now != mixed() else "mix")
        if found[-1] == "mix":  # between two renames; never taken for a whole one
            with pytest.raises(
                RefusedError, match=": weights.h5 and latent.npz are of"
            ):
                verify(folder)
        else:
            verify(folder)
        write_model_files(folder, META, contents(2))
        verify(folder)
        if faults.calls < fatal_call:
            break
    assert found[0] == 0 and found[-1] == 1 and fatal_call < MANY - 1


def mixed():
    """Returns the new weights with the statistics of the old ones."""
    return {**contents(1), "weights.h5": contents(2)["weights.h5"]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_row_51_damaged_arrays_are_refused(name, damage, model, refused):
    path = model / name
    DAMAGES[damage](path)
    message = refused("sample model")
    size = len(contents()[name])
    left = {"cut": size - 1, "empty": 0}.get(damage)
    reason = {
        "missing": "no such file or directory; the arrays of a model expected",
        "flip": "damaged (not the bytes that train wrote); copy it again",
    }.get(damage, f"damaged ({left} bytes found, {size} expected); copy it again")
    assert message == f"model/{name}: {reason}"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_row_51_arrays_that_are_no_file_are_refused(make, model, refused):
    (model / "weights.h5").unlink()
    make(model / "weights.h5")
    assert refused("sample model").startswith("model/weights.h5: not a regular file; t")


def test_row_51_a_pickle_is_never_loaded(model, refused):
    write_model_files(model, META, contents() | {"weights.h5": pickle.dumps(Code())})
    assert refused("sample model", status=1) == (
        "model/weights.h5: damaged; the weights of a model expected"
    )
    assert not os.path.exists("executed")


def test_row_51_weights_that_are_not_finite_are_refused(model, refused):
    shapes = shape_arrays(ModelConfig.from_dict(META["model"]))
    arrays = {name: np.full(shape, np.nan, "f4") for name, shape in shapes.items()}
    write_model_files(model, META, contents() | {"weights.h5": pack_arrays(arrays)})
    message = refused("sample model", status=1)
    assert message.startswith("model/weights.h5: ")
    assert message.endswith("not finite; the weights of a model expected")


GOOD = {"bytes": 1, "sha256": "0" * 64}
FALSE = {
    "none": None,
    "list": [GOOD, GOOD],
    "one": {"weights.h5": GOOD},
    "more": {name: GOOD for name in (*NAMES, "../secret")},
    "text": {name: "0" * 64 for name in NAMES},
    "true": {name: GOOD | {"bytes": True} for name in NAMES},
    "null": {name: GOOD | {"sha256": None} for name in NAMES},
    "word": {name: GOOD | {"bytes": "1"} for name in NAMES},
}


@pytest.mark.parametrize("case", FALSE)
def test_row_50_digests_of_another_form_are_refused(case, model, refused):
    text = json.dumps(META | {"files": FALSE[case]})
    (model / "metadata.json").write_text(text)
    assert refused("sample model") == (
        "model/metadata.json: no sizes and hashes of weights.h5 and latent.npz found, a"
        " model that train wrote expected"
    )
