"""Ten rounds of the benchmark that kills a training and goes on with it."""

import os
import subprocess
import sys

import pytest

from tests.files import ROOT

pytestmark = pytest.mark.tensorflow


def test_row_01_row_03_row_16_no_save_is_lost_and_the_end_is_the_same():
    command = [sys.executable, ROOT / "benchmarks" / "faults" / "kills.py"]
    command += ["--rounds", "10", "--epochs", "3", "--seed", "3"]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stderr[-3000:]
    lines = found.stdout.splitlines()
    assert "kills survived: 10" in lines and "acknowledged saves lost: 0" in lines
