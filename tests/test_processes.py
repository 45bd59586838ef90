"""Work in processes of their own: in order, ended by errors and kills, none left over."""
import itertools
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from vae.errors import RefusedError, VaeError
from vae.processes import map_forked
from vae.workers import count_cores

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes on Linux alone")
ENDLESS = """
import itertools, os, sys
from vae.processes import map_forked
for pid in map_forked(lambda item: os.getpid(), itertools.count()):
    print(pid, flush=True)
"""


def test_results_come_in_the_order_of_the_items():
    assert list(map_forked(lambda x: x * x, range(500))) == [x * x for x in range(500)]
    assert list(map_forked(str, [])) == []


@linux
def test_several_items_leave_this_process_a_single_one_stays():
    assert os.getpid() not in list(map_forked(lambda item: os.getpid(), range(9)))
    assert list(map_forked(lambda item: os.getpid(), [0])) == [os.getpid()]


def test_an_error_ends_an_endless_list():
    def work(item):
        if item == 40:
            raise RefusedError("--forty: 40 found")
        return item

    with pytest.raises(RefusedError, match="--forty: 40 found"):
        list(map_forked(work, itertools.count()))


@linux
def test_a_killed_process_is_told():
    def work(item):
        if item == 40:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(VaeError, match="a helping process was killed"):
        list(map_forked(work, itertools.count()))


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_when_the_first_one_ends(number):
    program = [sys.executable, "-c", ENDLESS]
    run = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=-1)
    assert len({run.stdout.readline() for _ in range(200)}) > 1 or count_cores() == 1
    run.send_signal(number)
    _, errors = run.communicate(timeout=60)  # ends when all that print have ended
    assert run.returncode == -number
    assert errors.count(b"Traceback") == (number == signal.SIGINT)
