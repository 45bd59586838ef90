"""Workers meet before TensorFlow waits for them: deadlines and differences."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.drawing import make_faces
from tests.files import ROOT, write_h5
from vae.errors import RefusedError, VaeError
from vae.training import cluster as clusters
from vae.training.cluster import Cluster, meet, read_cluster

FOREVER = time.monotonic() + 600  # seconds


def configure(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.fixture
def two(request):
    """Two workers at free ports of the loopback device."""
    return make_clusters(2)


def make_clusters(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = tuple(each.getsockname() for each in held)
    for each in held:
        each.close()
    return [Cluster(addresses, index) for index in range(count)]


def run_together(*functions):
    """Calls functions in threads; returns what each returned, or its error."""
    with ThreadPoolExecutor(len(functions)) as pool:
        pending = [pool.submit(function) for function in functions]
        return [each.exception() or each.result() for each in pending]


def attend(cluster, greeting=None, work=lambda lines: None):
    """Returns a function that meets the others and does some work there."""

    def run():
        with meet(cluster, greeting or {"version": "1"}) as lines:
            return work(lines)

    return run


def test_what_tf_config_says_is_read():
    assert read_cluster(None) is None and read_cluster("") is None
    assert read_cluster(configure({"worker": ["a:1"]})) is None
    found = read_cluster(configure({"worker": ["a:1", "[::1]:2"]}, index=1))
    assert found == Cluster((("a", 1), ("::1", 2)), 1) and not found.is_chief
    cluster = {"chief": ["c:1"], "worker": ["a:1", "b:1"]}
    assert read_cluster(configure(cluster, "chief")).is_chief
    assert read_cluster(configure(cluster, "worker", "1")).index == 2


BAD = {
    "not json": "{",
    "no task": '{"cluster": {"worker": ["a:1", "b:1"]}}',
    "a list": "[1]",
    "no port": configure({"worker": ["a", "b"]}),
    "port 0": configure({"worker": ["a:0", "b:1"]}),
    "port 99999": configure({"worker": ["a:99999", "b:1"]}),
    "a number": configure({"worker": 5}),
    "deep": "[" * 10**5,
    "ps": configure({"ps": ["c:1"], "worker": ["a:1", "b:1"]}),
    "evaluator": configure({"worker": ["a:1", "b:1"]}, "evaluator"),
    "index 2": configure({"worker": ["a:1", "b:1"]}, index=2),
    "index -1": configure({"worker": ["a:1", "b:1"]}, index=-1),
    "one address twice": configure({"worker": ["a:1", "a:1"]}),
}


@pytest.mark.parametrize("case", BAD)
def test_row_54_a_bad_tf_config_is_refused(case, refused, monkeypatch, tmp_path):
    write_h5(tmp_path / "in.h5", make_faces(4))
    monkeypatch.setenv("TF_CONFIG", BAD[case])
    assert refused("train in.h5 out").startswith("TF_CONFIG: ")
    assert not (tmp_path / "out").exists()


def test_without_a_cluster_multi_worker_is_refused(refused, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    reason = refused("train --distribute multi-worker in.h5 out")
    assert reason.startswith("--distribute: multi-worker found and no TF_CONFIG that")


def test_messages_go_to_and_fro(two):
    def chief(lines):
        lines[0].send({"state": [1, 2]})
        return lines[0].receive(FOREVER)

    def other(lines):
        told = lines[0].receive(FOREVER)
        lines[0].send({"ready": told["state"]})
        return told

    found = run_together(attend(two[0], work=chief), attend(two[1], work=other))
    assert found == [{"ready": [1, 2]}, {"state": [1, 2]}]


def test_row_54_a_missing_worker_is_named_after_the_deadline(two, monkeypatch):
    monkeypatch.setattr(clusters, "JOIN_SECONDS", 0.3)
    [error] = run_together(attend(two[0]))
    host, port = two[1].addresses[1]
    assert str(error) == (
        f"TF_CONFIG: 1 of 2 workers did not come within 0.3 s: {host}:{port}"
    )
    [error] = run_together(attend(two[1]))
    assert "can't be reached (connection refused) within 0.3 s" in str(error)


def test_row_54_a_port_in_use_is_refused(two):
    for cluster in two:
        address = cluster.addresses[cluster.index]
        with socket.create_server(address):
            [error] = run_together(attend(cluster))
        assert isinstance(error, RefusedError)
        assert f"{address[1]}: address already in use" in str(error)


def test_row_54_two_workers_of_one_index_are_refused():
    chief, second, _ = make_clusters(3)

    def wait(lines):
        lines[0].receive(FOREVER)

    twin = Cluster(second.addresses, 1)
    found = run_together(
        attend(chief), attend(second, work=wait), attend_elsewhere(twin, wait)
    )
    for error in found:
        assert isinstance(error, RefusedError)
        assert "two workers say they are number 1 of 3" in str(error)


def attend_elsewhere(cluster, work):
    """As `attend`, of a worker on another computer: its port is free there."""

    def run():
        with pytest.MonkeyPatch.context(), ExitStack() as stack:
            line = clusters._knock(cluster, FOREVER)
            stack.callback(line.close)
            line.send({"index": cluster.index, "greeting": {"version": "1"}})
            return work([line])

    return run


def test_row_56_workers_that_differ_hear_why(two):
    def wait(lines):
        lines[0].receive(FOREVER)

    found = run_together(
        attend(two[0], {"version": "1", "options": {"--seed": 0}}),
        attend(two[1], {"version": "2", "options": {"--seed": 0}}, wait),
    )
    reason = "version: '2' found on worker 1, '1' expected, as on worker 0"
    assert str(found[0]).startswith(reason)
    assert str(found[1]).startswith(f"worker 0: {reason}")


def test_row_56_an_error_of_one_ends_all(two):
    def fail(lines):
        raise RefusedError("other.h5: other images")

    def wait(lines):
        lines[0].receive(FOREVER)

    for at in (0, 1):
        work = [wait, wait]
        work[at] = fail
        found = run_together(*map(attend, two, [None, None], work))
        assert str(found[at]) == "other.h5: other images"
        told = f"worker {at}: other.h5: other images"
        assert str(found[1 - at]) == told and isinstance(found[1 - at], RefusedError)


def test_a_worker_that_leaves_is_told_and_strangers_are_sent_away(two):
    def wait(lines):
        lines[0].receive(FOREVER)

    def stranger():
        for content in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\5hello", b"\xff" * 9):
            while True:
                try:
                    line = socket.create_connection(two[0].addresses[0])
                    break
                except ConnectionRefusedError:
                    continue
            line.sendall(content)
            line.close()

    def strangers_first():
        stranger()
        return attend(two[1])()

    found = run_together(attend(two[0], work=wait), strangers_first)
    assert found[1] is None
    assert isinstance(found[0], VaeError) and str(found[0]).startswith(
        "worker 1: left before the training began ("
    )


def test_row_54_sigterm_ends_a_worker_that_waits(two, tmp_path):
    path = write_h5(tmp_path / "in.h5", make_faces(4))
    addresses = [f"{host}:{port}" for host, port in two[0].addresses]
    for index in (0, 1):
        config = configure({"worker": addresses}, index=index)
        command = [sys.executable, "-m", "vae", "train", path, tmp_path / "out"]
        environment = os.environ | {"TF_CONFIG": config, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, env=environment) as child:
            while index == 0 and not (tmp_path / "out").exists():
                assert child.poll() is None
            child.send_signal(signal.SIGTERM)
            assert child.wait() in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_row_58_workers_listen_at_their_own_address_alone(two, monkeypatch):
    opened, create = [], socket.create_server

    def note(address, **settings):
        opened.append(address)
        return create(address, **settings)

    monkeypatch.setattr(socket, "create_server", note)
    run_together(*map(attend, two))
    assert sorted(opened) == sorted(two[0].addresses)
