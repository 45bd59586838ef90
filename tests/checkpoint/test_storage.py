"""What is in a model directory: arrays, JSON, a lock; and who may write there."""

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.checkpoints import save
from tests.drawing import make_faces
from tests.faults import MANY, Faults, Killed
from tests.files import ROOT, write_h5
from vae.checkpoint.directory import clear, describe_output, locked
from vae.checkpoint.storage import (
    MAX_JSON_BYTES,
    pack_arrays,
    read_json,
    unpack_arrays,
    write_json,
)
from vae.config import ModelConfig
from vae.errors import RefusedError, VaeError

ARRAYS = {
    "layer/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "sigma": np.float32(0.25),
    "step": np.array([3, 4]),
}
SHAPES = {name: array.shape for name, array in ARRAYS.items()}


@pytest.fixture
def packed(tmp_path):
    """A file that holds ARRAYS."""
    path = tmp_path / "weights.h5"
    path.write_bytes(pack_arrays(ARRAYS))
    return path


def test_arrays_come_back_as_they_were(packed):
    found = unpack_arrays(packed, SHAPES)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_equal_arrays_give_equal_bytes():
    assert pack_arrays(ARRAYS) == pack_arrays(ARRAYS)


def refuse(packed, shapes=None):
    """Returns why a file of arrays is refused."""
    with pytest.raises(VaeError) as caught:
        unpack_arrays(packed, SHAPES if shapes is None else shapes)
    text = str(caught.value)
    end = "; the weights of a model expected"
    assert text.startswith(f"{packed}: ") and text.endswith(end) and "\n" not in text
    return text[len(f"{packed}: ") : -len(end)]


def test_row_51_arrays_of_other_names_and_shapes_are_refused(packed):
    assert refuse(packed, SHAPES | {"bias": (3,)}) == "no array 'bias'"
    short = {name: SHAPES[name] for name in ("sigma", "step")}
    assert refuse(packed, short) == "unknown array 'layer.kernel' found"
    turned = SHAPES | {"layer/kernel": (4, 3)}
    assert refuse(packed, turned) == "'layer.kernel' has shape (3, 4), (4, 3) expected"


@pytest.mark.parametrize("written", [True, False])
def test_row_92_arrays_that_are_packed_or_never_written_are_refused(written, packed):
    with h5py.File(packed, "a") as file:
        del file["step"]
        packing = {"chunks": True, "compression": "gzip"} if written else {}
        step = file.create_dataset("step", (2,), "f4", **packing)
        if written:
            step[...] = 1
    assert refuse(packed) == "'step' is packed, or not all there"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_row_51_arrays_that_are_not_finite_are_refused(value, packed):
    packed.write_bytes(pack_arrays(ARRAYS | {"sigma": value}))
    assert refuse(packed) == "'sigma' holds values that are not finite"


@pytest.mark.parametrize("value", [np.bytes_(b"code"), np.complex64(1), True])
def test_row_51_arrays_that_are_no_numbers_are_refused(value, packed):
    packed.write_bytes(pack_arrays(ARRAYS | {"sigma": value}))
    assert refuse(packed) == "'sigma' has shape (), () expected"


def view(file):
    """Puts a view of another array in the place of `step`."""
    layout = h5py.VirtualLayout((2,), "i8")
    layout[:] = h5py.VirtualSource("secret.h5", "data", (2,))
    file.create_virtual_dataset("step", layout)


STRANGERS = {
    "soft": lambda file: file.__setitem__("step", h5py.SoftLink("/sigma")),
    "out": lambda file: file.__setitem__("step", h5py.ExternalLink("x.h5", "data")),
    "view": view,
    "raw": lambda f: f.create_dataset("step", (2,), "i8", external=[("secret", 0, 16)]),
    "group": lambda file: file.create_group("step"),
    "nothing": lambda file: None,
}


@pytest.mark.parametrize("case", STRANGERS)
def test_row_51_arrays_that_are_not_in_the_file_itself_are_refused(case, packed):
    with h5py.File(packed, "a") as file:
        del file["step"]
        STRANGERS[case](file)
    assert refuse(packed) == "no array 'step'"


def test_a_file_of_arrays_that_is_missing_or_none_is_refused(packed):
    packed.write_bytes(packed.read_bytes()[:-1])
    assert refuse(packed) == "damaged"
    packed.write_bytes(b"")
    assert refuse(packed) == "damaged"
    packed.unlink()
    assert refuse(packed) == "no such file or directory"
    os.mkfifo(packed)
    assert refuse(packed) == "damaged"


def test_a_flipped_bit_is_never_a_traceback(packed):
    whole = pack_arrays({"a": np.full(50, 0.5, np.float32)})
    for at in range(0, len(whole), 17):  # of the numbers themselves a hash tells
        changed = bytearray(whole)
        changed[at] ^= 0x10
        packed.write_bytes(changed)
        try:
            assert unpack_arrays(packed, {"a": (50,)})["a"].shape == (50,)
        except VaeError as error:
            assert "\n" not in str(error)


def test_json_comes_back_as_it_was(tmp_path):
    values = {"schema": 1, "name": "Zoë", "list": [1, 2.5, None]}
    write_json(tmp_path / "a.json", values)
    assert read_json(tmp_path / "a.json") == values


def test_json_that_is_too_large_is_refused(tmp_path):
    path, content = tmp_path / "a.json", b'{"schema": 1}'
    reason = "a.json: too large, a model's description"
    for most, limit in ((MAX_JSON_BYTES, {}), (50, {"most": 50})):
        path.write_bytes(content.ljust(most))
        assert read_json(path, **limit) == {"schema": 1}
        path.write_bytes(content.ljust(most + 1))
        with pytest.raises(RefusedError, match=reason):
            read_json(path, **limit)


@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
def test_row_02_a_write_that_ends_anywhere_leaves_the_old_or_the_new(kill, tmp_path):
    path, found = tmp_path / "a.json", []
    for fatal_call in range(1, MANY):
        write_json(path, {"schema": 1, "tag": "old"})
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, fatal_call, kill)
            try:
                write_json(path, {"schema": 1, "tag": "new"})
            except (VaeError, Killed):
                pass
        found.append(read_json(path)["tag"])
        assert kill or os.listdir(tmp_path) == ["a.json"]
        if faults.calls < fatal_call:
            break
    assert len(found) > 5 and found == sorted(found, reverse=True) and "new" in found


def describe(**changes):
    """Returns a function that writes a model's description with some fields changed."""
    model = ModelConfig(16, 12, 3, 5).to_dict() | changes
    return raw(json.dumps({"schema": 1, "model": model}))


def raw(text):
    """Returns a function that writes a text as metadata.json."""
    return lambda path: path.write_text(text)


META = "model/metadata.json: "
FIELDS = f"{sorted(ModelConfig().to_dict())} expected"
MODELS = {
    "missing": (lambda path: None, "no such file or directory; a model directory that"),
    "directory": (lambda path: path.mkdir(), "not a regular file; a model directory"),
    "pipe": (os.mkfifo, "not a regular file; a model directory that train wrote"),
    "empty": (raw(""), "not JSON, a model's description expected"),
    "text": (raw("model"), "not JSON, a model's description expected"),
    "deep": (raw("[" * 100_000), "not JSON, a model's description expected"),
    "binary": (lambda p: p.write_bytes(b"\xff\x00{"), "not JSON, a model's"),
    "long": (raw('{"schema": ' + "9" * 5000 + "}"), "not JSON, a model's"),
    "list": (raw("[1]"), "schema None found, 1 expected"),
    "no schema": (raw("{}"), "schema None found, 1 expected"),
    "schema": (raw('{"schema": 2}'), "schema 2 found, 1 expected"),
    "true": (raw('{"schema": true}'), "schema True found, 1 expected"),
    "no model": (raw('{"schema": 1}'), f"ModelConfig: fields None found, {FIELDS}"),
    "fields": (
        raw('{"schema": 1, "model": {}}'),
        f"ModelConfig: fields [] found, {FIELDS}",
    ),
    "huge": (describe(width=10**50), f"--input-width: {10**50} found, 4 to 1024"),
    "fraction": (describe(latent_dim=2.5), "--latent-dim: 2.5 found, a value of type"),
    "boolean": (describe(channels=True), "--channels: True found, a value of type int"),
    "word": (describe(width="64"), "--input-width: '64' found, a value of type int"),
    "choice": (
        describe(likelihood="x"),
        "--likelihood: 'x' found, one of gaussian, bernoulli, discretized expected",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_row_50_a_false_description_is_refused(case, refused, tmp_path):
    make, message = MODELS[case]
    (tmp_path / "model").mkdir()
    make(tmp_path / "model" / "metadata.json")
    assert refused("sample model").startswith(META + message)


OUTPUTS = {
    "row_07 used": (
        lambda out: (out / "note").mkdir(parents=True),
        "out: not empty, a new folder expected; go on with --resume, replace the model"
        " with --overwrite, or name another folder",
    ),
    "row_11 link to a file": (
        lambda out: out.symlink_to("in.h5"),
        "out: a file found, a folder expected",
    ),
    "row_11 file": (lambda out: out.touch(), "out: a file found, a folder expected"),
    "row_11 dangling": (
        lambda out: out.symlink_to("nowhere"),
        "out: a dangling link found, a folder expected",
    ),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_train_refuses_an_output(case, refused, tmp_path):
    make, message = OUTPUTS[case]
    write_h5(tmp_path / "in.h5", make_faces(12, 8, 8))
    make(tmp_path / "out")
    assert refused("train in.h5 out") == message


def test_an_output_is_absent_empty_or_used(tmp_path):
    assert describe_output(tmp_path / "a" / "b") == "absent"
    assert describe_output(tmp_path) == "empty"
    (tmp_path / ".lock").touch()
    assert describe_output(tmp_path) == "empty"
    (tmp_path / "a").touch()
    assert describe_output(tmp_path) == "used"
    with pytest.raises(RefusedError, match=f"b: below {tmp_path}/a, which is a file"):
        describe_output(tmp_path / "a" / "b")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_row_11_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RefusedError, match="permission denied, a folder to write expe"):
        describe_output(tmp_path / "out")


def test_clear_removes_what_train_writes_and_nothing_else(tmp_path):
    save(tmp_path / "out", 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keep").touch()
    for name in ("metadata.json", "weights.h5", "history.csv", "notes.txt", "my.png"):
        (tmp_path / "out" / name).touch()
    (tmp_path / "out" / "history.png").symlink_to(elsewhere / "keep")
    (tmp_path / "out" / "previews").symlink_to(elsewhere)
    (tmp_path / "out" / "mine").mkdir()
    clear(tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["mine", "my.png", "notes.txt"]
    assert os.listdir(elsewhere) == ["keep"]
    clear(tmp_path / "out")


def test_row_12_a_second_training_in_one_folder_is_refused(tmp_path):
    output = tmp_path / "new" / "out"
    message = f"^{output}: another training is writing it, a folder of its own exp"
    with locked(output):
        with pytest.raises(RefusedError, match=message), locked(output):
            pass
    with locked(output):
        assert os.listdir(output) == [".lock"]


def test_row_12_a_lock_ends_with_its_process(tmp_path):
    code = "import os, sys; from vae.checkpoint.directory import locked; "
    code += "held = locked(sys.argv[1]); held.__enter__(); os._exit(9)"
    command = [sys.executable, "-c", code, tmp_path]
    assert subprocess.run(command, cwd=ROOT).returncode == 9
    with locked(tmp_path):
        assert os.listdir(tmp_path) == [".lock"]
