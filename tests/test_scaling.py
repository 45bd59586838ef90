"""Planning: the arithmetic of `benchmarks/scaling.py`."""

import subprocess
import sys

import pytest

from benchmarks.scaling import Plan, count_gradient_bytes, format_plan
from tests.files import ROOT
from vae.config import ModelConfig

PLAN = Plan(10.0, 1.0, 64, 10**7, 1.0, 100.0)


def test_one_worker_exchanges_nothing_and_two_the_gradient_once():
    assert PLAN.step_ms(1) == 74.0
    assert PLAN.exchange_ms(2) == pytest.approx(80.0 + 0.2)  # 10 MB at 1 Gbit/s
    assert PLAN.compute_ms(2) == 42.0
    assert PLAN.exchange_ms(1000) < 2 * 80.0 + 200


def test_the_limit_is_where_the_exchange_takes_over():
    assert PLAN.find_limit() == 2
    fast = Plan(10.0, 1.0, 64, 10**7, 2.0, 1.0)
    limit = fast.find_limit()
    assert fast.exchange_ms(limit) > fast.compute_ms(limit)
    assert fast.exchange_ms(limit - 1) <= fast.compute_ms(limit - 1)
    assert Plan(10.0, 1.0, 64, 10, 40.0, 1.0).find_limit() is None
    assert "up to 64 workers" in format_plan(Plan(10.0, 1.0, 64, 10, 40.0, 1.0))[-1]


def test_workers_that_share_a_processor_are_no_faster():
    shared = Plan(10.0, 1.0, 64, 10**7, 1.0, 100.0, shared=True)
    assert shared.compute_ms(4) == 4 * 10 + 64


@pytest.mark.tensorflow
def test_the_bytes_are_those_of_the_trained_variables():
    from vae.model.network import VAE

    config = ModelConfig(20, 24, 3, 5)
    trained = VAE(config).trainable_variables
    size = sum(4 * int(variable.value.shape.num_elements()) for variable in trained)
    assert count_gradient_bytes(config) == size


def test_the_table_is_printed():
    command = [sys.executable, "benchmarks/scaling.py", "--image-ms", "0.8"]
    told = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    assert told[0].startswith("gradients of ")
    assert told[2].split() == ["1", "51.2", "0.0", "1250", "100%"]
