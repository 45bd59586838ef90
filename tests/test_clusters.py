"""The launch files of docs/distributed.md: what they tell TensorFlow."""

import json
import os
import subprocess

import pytest

from tests.files import ROOT
from vae.training.cluster import read_cluster

CLUSTERS = ROOT / "examples" / "clusters"
STAND_INS = {  # two nodes of two tasks each, and programs that say what they are told
    "srun": """#!/bin/bash
[ "$1" = --kill-on-bad-exit=0 ] || exit 9
shift
for ((task = 0; task < SLURM_NTASKS; task++)); do SLURM_PROCID=$task "$@"; done
""",
    "scontrol": """#!/bin/bash
[ "$*" = "show hostnames node[07-08]" ] && printf 'node07\\nnode08\\n'
""",
    "vae": """#!/bin/bash
echo "$TF_CONFIG" | tr '\\n' ' '
echo
echo "$@"
""",
}


def run_slurm(folder, **environment):
    """Runs the script as `sbatch` would; returns [(TF_CONFIG, command line)]."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in STAND_INS.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment |= {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": "20123",
        "SLURM_NTASKS": "4",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "node[07-08]",
    }
    command = ["bash", CLUSTERS / "slurm.sh"]
    settings = {"capture_output": True, "text": True, "check": True}
    done = subprocess.run(command, cwd=folder, env=environment, **settings)
    lines = done.stdout.splitlines()
    return list(zip(lines[::2], lines[1::2], strict=True))


def test_slurm_tells_each_task_all_addresses_and_its_own_number(tmp_path):
    for index, (config, command) in enumerate(run_slurm(tmp_path)):
        found = read_cluster(config)
        assert found.index == index
        expected = [("node07", 20123), ("node07", 20124)]
        expected += [("node08", 20123), ("node08", 20124)]
        assert list(found.addresses) == expected
        assert json.loads(config)["task"]["type"] == "worker"
        assert command == "train faces.h5 model"


def test_slurm_goes_on_where_a_checkpoint_is(tmp_path):
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    found = run_slurm(tmp_path, DATA="shards/*.h5", MODEL="out")
    assert {command for _, command in found} == {"train --resume shards/*.h5 out"}


def test_the_job_for_kubeflow_has_the_form_that_its_operator_takes(tmp_path):
    yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
    job = yaml.safe_load((CLUSTERS / "tfjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    specs = job["spec"]["tfReplicaSpecs"]
    assert {kind: spec["replicas"] for kind, spec in specs.items()} == {
        "Chief": 1,
        "Worker": 3,
    }
    for spec in specs.values():
        assert spec["restartPolicy"] == "OnFailure"
        [container] = spec["template"]["spec"]["containers"]
        assert container["name"] == "tensorflow"  # the operator looks for it
        [port] = container["ports"]
        assert (port["name"], port["containerPort"]) == ("tfjob-port", 2222)
        assert container["command"][:2] == ["sh", "-c"]
    script = container["command"][2].replace("/data", str(tmp_path))
    (tmp_path / "vae").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "vae").chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    for again in ("", "--resume "):
        command = ["sh", "-c", script]
        told = subprocess.check_output(command, env=environment, text=True)
        assert told == f"train {again}{tmp_path}/faces.h5 {tmp_path}/model\n"
        (tmp_path / "model" / "checkpoints").mkdir(parents=True, exist_ok=True)


def test_what_the_operator_tells_is_understood():
    hosts = {
        kind: f"vae-{kind}-{{}}.faces.svc:2222".format for kind in ("chief", "worker")
    }
    cluster = {
        "chief": [hosts["chief"](0)],
        "worker": [*map(hosts["worker"], range(3))],
    }
    task = {"type": "worker", "index": 2}
    told = {"cluster": cluster, "task": task, "environment": "cloud"}
    assert read_cluster(json.dumps(told)).index == 3
