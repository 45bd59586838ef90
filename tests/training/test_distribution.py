"""Several workers are one training: its weights, its stops, its checkpoints.

Workers are processes on the loopback device, each at a port of its own. They are forked
from one that has imported TensorFlow, which takes longer than their steps do.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests.drawing import make_faces
from tests.files import ROOT, read_history, write_h5
from vae.cli import main
from vae.training import augment as augmentation
from vae.training.augment import NEIGHBOURS, augment
from vae.training.distribution import Share

pytestmark = pytest.mark.tensorflow

OPTIONS = ["--epochs", "3", "--batch-size", "16", "--latent-dim", "4"]
OPTIONS += ["--precision", "float32"]
# With seed 0 rounding grows: the second step's gradient differs by 4e-6 of its size,
# and weights by .002 after twelve steps; with the seeds 1, 2 and 3 they do by 2e-7.
OPTIONS += ["--seed", "1"]
STEPS = 12  # 54 training images in batches of 13 and 14, which no two workers share
LIMIT = 600  # seconds, of a run that hangs
WORKERS = """
import json, os, signal, sys
import h5py
from vae.terminal import quiet_tensorflow
with quiet_tensorflow():
    from vae.training import session
from vae.training.session import Session
fit = session.fit
def stop(step):
    number, place = map(int, os.environ["AT"].split())
    if step == place:
        os.kill(os.getpid(), number)
for kind in (Session, session.Follower):
    def on_step(self, losses, original=kind.on_step, kind=kind):
        owner = self if kind is Session else self._session
        stop(owner.progress.step)
        original(self, losses)
    kind.on_step = on_step
def keep(trainer, *rest):
    fit(trainer, *rest)
    with h5py.File(f"arrays_{trainer.team.worker}.h5", "w") as file:
        for name, variable in trainer.arrays.items():
            file[name.replace("/", "|")] = variable.numpy()
session.fit = keep
from vae.cli import main
def work(environment, command):
    os.environ.update(environment)
    with open(os.environ["TOLD"], "w") as told, open(os.devnull, "w") as nothing:
        os.dup2(told.fileno(), 2)
        os.dup2(nothing.fileno(), 1)
    sys.exit(main(["train", *command]))
processes = []
for worker in json.load(sys.stdin):
    processes.append(os.fork())
    if not processes[-1]:
        work(*worker)
statuses = [os.waitpid(process, 0)[1] for process in processes]
print(json.dumps(list(map(os.waitstatus_to_exitcode, statuses))))
"""


def free_ports(count):
    """Returns ports of the loopback device that nobody has now."""
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in with_ports]
    for each in with_ports:
        each.close()
    return ports


def run_workers(folder, *commands, at=None):
    """Runs one worker for each command line; returns (status, stderr) of each.

    `at` has worker -> "signal step", at which it sends itself that.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(commands))]
    workers, told = [], [folder / f"told_{at}" for at in range(len(commands))]
    for index, command in enumerate(commands):
        task = {"type": "worker", "index": index}
        cluster = {"cluster": {"worker": addresses}, "task": task}
        environment = {
            "TF_CONFIG": json.dumps(cluster),
            "AT": (at or {}).get(index, "0 -1"),
            "TOLD": str(told[index]),
        }
        workers.append((environment, list(map(str, command))))
    all_alike = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKERS],
        cwd=folder,
        env=os.environ | all_alike,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group, to be ended as a whole
    )
    try:
        statuses, _ = process.communicate(json.dumps(workers), timeout=LIMIT)
        told = [path.read_text() for path in told]
        return list(zip(json.loads(statuses), told, strict=True))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def read_arrays(path):
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


def assert_near(output, straight):
    """The weights are equal to 1e-5, so is all that the history tells."""
    found, expected = (read_arrays(out / "weights.h5") for out in (output, straight))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5)
    rows = zip(read_history(output), read_history(straight), strict=True)
    for row, other in rows:
        assert {k: float(v) for k, v in row.items()} == pytest.approx(
            {k: float(v) for k, v in other.items()}, rel=1e-4
        )


def assert_same(path, other):
    """Two files hold the same arrays, bit for bit."""
    found, expected = read_arrays(path), read_arrays(other)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.fixture(scope="module")
def straight(faces_file, tmp_path_factory):
    output = tmp_path_factory.mktemp("straight") / "out"
    assert main(["train", *OPTIONS, str(faces_file), str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def pair(faces_file, tmp_path_factory):
    """Returns (folder, status and stderr of each) of two workers that trained."""
    folder = tmp_path_factory.mktemp("pair")
    command = [*OPTIONS, faces_file]
    return folder, run_workers(folder, [*command, "out"], [*command, "other"])


def test_row_57_two_workers_train_to_the_weights_of_one(straight, pair):
    folder, found = pair
    assert [status for status, _ in found] == [0, 0], found
    assert "on 2 replicas, each on the processor" in found[0][1]
    assert found[1][1] == "worker 1 of 2; worker 0 tells the losses\n"
    assert not (folder / "other").exists()
    assert_near(folder / "out", straight)
    assert_same(folder / "arrays_0.h5", folder / "arrays_1.h5")


def test_row_55_a_signal_stops_all_and_a_kill_ends_all_and_any_number_goes_on(
    straight, pair, faces_file, tmp_path
):
    command = [*OPTIONS, faces_file, "out"]
    term = {1: f"{signal.SIGTERM.value} 5"}
    found = run_workers(tmp_path, command, command, at=term)
    assert [status for status, _ in found] == [143, 143], found
    steps = [re.search(r"stopped and saved at step (\d+);", err)[1] for _, err in found]
    assert steps[0] == steps[1] and int(steps[0]) in (5, 6)
    command = ["--resume", faces_file, "out"]
    found = run_workers(tmp_path, command, command, at={1: f"{signal.SIGKILL.value} 9"})
    assert [status for status, _ in found] == [1, -9], found
    assert f"going on from step {steps[0]}" in found[0][1]
    assert "--distribute: another worker is lost or can't be reached" in found[0][1]
    shutil.copytree(tmp_path / "out", tmp_path / "alone")
    found = run_workers(tmp_path, command, command)
    assert [status for status, _ in found] == [0, 0], found
    assert_same(tmp_path / "out" / "weights.h5", pair[0] / "out" / "weights.h5")
    assert_same(tmp_path / "arrays_1.h5", pair[0] / "arrays_1.h5")
    arguments = ["train", "--resume", str(faces_file), str(tmp_path / "alone")]
    assert main(arguments) == 0
    assert_near(tmp_path / "alone", straight)


def test_row_56_workers_that_differ_are_refused_on_all(faces_file, tmp_path):
    other = write_h5(tmp_path / "other.h5", make_faces(60, seed=1))
    images = [*OPTIONS, faces_file, "out"], [*OPTIONS, other, "out"]
    seeds = images[0], [*OPTIONS, "--seed", "5", faces_file, "out"]
    for commands, reason in (
        (images, "other.h5: other images than worker 0 has"),
        (seeds, "options: {"),
    ):
        for status, err in run_workers(tmp_path, *commands):
            assert status == 2 and reason in err and err.count("\n") == 1, err
        assert not (tmp_path / "out").exists()


def test_batches_smaller_than_the_team_are_refused(tmp_path):
    path = write_h5(tmp_path / "few.h5", make_faces(3, 16, 16))
    command = [*OPTIONS, "--validation-split", "0", "--batch-size", "1", path, "out"]
    for status, err in run_workers(tmp_path, command, command):
        assert status == 2 and "batches of 1 images found for 2 workers" in err


@pytest.mark.parametrize("amount", ["none", "light", "full"])
@pytest.mark.parametrize("total, count", [(13, 2), (8, 4), (3, 3)])
def test_row_57_a_share_is_augmented_as_in_the_whole_batch(
    amount, total, count, monkeypatch
):
    """Each row has another's eye and another's mouth: three rows before it matter."""
    monkeypatch.setattr(augmentation, "EYE_SHARE", 1.0)
    monkeypatch.setattr(augmentation, "JOIN_SHARES", {"light": 1.0, "full": 1.0})
    images = make_faces(total).astype("f4") / 255
    whole = np.asarray(augment(images, amount, 3, 7))
    halo, parts = NEIGHBOURS[amount], []
    for at in range(count):
        share = Share(total * at // count, total * (at + 1) // count, total, halo)
        given = images[np.asarray(share.rows)]
        parts.append(share.own(augment(given, amount, 3, 7, share)))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_row_57_shares_have_noise_of_their_own():
    noise = tf.random.stateless_normal((8, 3), [0, 5])
    parts = [np.asarray(Share(a, a + 4, 8, 0).pick(noise)) for a in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), noise)
    assert (parts[0] != parts[1]).all()


ON_TWO_DEVICES = """
import sys
import numpy as np, tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
import keras
from tests.drawing import make_faces
from vae.config import ModelConfig, TrainConfig
from vae.model.network import VAE
from vae.training.distribution import Team
from vae.training.progress import Progress
from vae.training.trainer import Trainer, fit
images, found = make_faces(30), []
class Silent:
    def on_step(self, losses): pass
    def on_epoch(self, row, improved): found.append(row["val_loss"])
for team in (None, Team(None, ["CPU:0", "CPU:1"])):
    keras.utils.set_random_seed(0)
    model = VAE(ModelConfig(20, 24, latent_dim=3))
    config = TrainConfig(batch_size=9, epochs=2, precision="float32")
    trainer = Trainer(model, config, 25, team)
    fit(trainer, Progress(), images[:25], images[25:], Silent())
    found.append({k: v.numpy() for k, v in model.arrays.items()})
assert team.count == 2
for name, array in found[2].items():
    np.testing.assert_allclose(found[5][name], array, rtol=1e-5, atol=1e-5)
np.testing.assert_allclose(found[3:5], found[:2], rtol=1e-4)
"""


def test_two_devices_of_one_process_train_to_the_weights_of_one():
    subprocess.run([sys.executable, "-c", ON_TWO_DEVICES], cwd=ROOT, check=True)


def test_mirrored_without_two_gpus_is_refused(faces_file, tmp_path, run_cli):
    command = ["train", "--distribute", "mirrored", faces_file, tmp_path / "out"]
    status, _, err = run_cli(*command)
    assert status == 2
    assert err.endswith(
        "--distribute: mirrored found and 0 GPUs, two or more expected\n"
    )
