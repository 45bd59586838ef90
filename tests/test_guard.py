"""Costs that must not creep in, held as counts, which no busy machine can change."""

import pytest

from benchmarks.speed.faces import CHUNK_ROWS, write_sorted
from benchmarks.speed.guard import count_reads, count_step
from vae.data import arrays

pytestmark = pytest.mark.tensorflow

MOST_OPERATIONS = 4300  # 4,174 and a little; most of them are of the optimizer
MOST_COPIES = 430  # 412 and a little
MATRICES = 21  # kernels whose steps are made orthogonal, by nine products each


@pytest.fixture(scope="module")
def step():
    return count_step(batch=8)


def test_the_step_is_traced_once_whatever_the_size_of_a_batch(step):
    assert step["traces"] == 1


def test_a_step_gives_back_one_tensor_to_wait_for(step):
    assert step["fetched"] == 1


def test_the_step_has_the_networks_products_and_no_more(step):
    """18 convolutions and 3 dense layers, each with its gradients."""
    operations = step["operations"]
    for kind in ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"):
        assert operations[kind] == 18
    assert operations["MatMul"] == 9 + 9 * MATRICES


def test_the_step_has_few_small_operations(step):
    assert sum(step["operations"].values()) < MOST_OPERATIONS
    assert step["copies"] < MOST_COPIES


@pytest.mark.parametrize("held", [True, False], ids=["in memory", "from the file"])
def test_an_epoch_reads_each_chunk_once(tmp_path, monkeypatch, held):
    monkeypatch.setattr(arrays, "HOLD_BYTES", 1 << 30 if held else 0)
    path, chunks = tmp_path / "faces.h5", 8
    write_sorted(str(path), chunks * CHUNK_ROWS)
    found = count_reads(str(path))
    assert found["bytes"] == found["dataset_bytes"]
    assert found["calls"] <= chunks
