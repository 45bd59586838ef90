"""What is foretold of a training's length, from the times of its first steps."""

import pytest

from vae.training.pace import EXPORT_SECONDS, MEASURED_STEPS, Pace, describe_seconds


def make_pace(step=0.5, ends=(9.0, 2.0, 2.5), batches=10):
    pace = Pace(batches)
    pace.add_step(30.0)  # the first one, which compiles
    for _ in range(MEASURED_STEPS - 1):
        pace.add_step(step)
    for seconds in ends:
        pace.add_end(seconds)
    return pace


def test_a_step_has_its_share_of_the_end_of_an_epoch_but_not_of_compiling():
    assert make_pace().step == pytest.approx(0.5 + 2.0 / 10)
    assert make_pace(ends=()).step == 0.5


def test_the_pace_is_known_after_fifty_steps():
    pace = Pace(10)
    for _ in range(MEASURED_STEPS - 1):
        pace.add_step(1.0)
    assert not pace.is_known
    pace.add_step(1.0)
    assert pace.is_known


def test_a_plan_fills_the_time_with_whole_epochs_and_leaves_some_for_saving():
    pace = make_pace()  # 7 seconds an epoch
    left = 700 * 1.1 + 30 + EXPORT_SECONDS
    assert pace.plan(left, 50, save=30, between_saves=300) == 50 + 1000
    assert pace.plan(left - 3, 50, save=30, between_saves=300) == 50 + 1000


def test_a_plan_ends_with_the_epoch_that_is_begun_when_no_time_is_left():
    assert make_pace().plan(1.0, 53, save=30, between_saves=300) == 60
    assert make_pace().plan(1.0, 3, save=30, between_saves=0) == 10


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "2 seconds"), (62, "62 seconds"), (100, "2 minutes"), (9000, "2.5 hours")],
)
def test_times_are_told_roughly(seconds, words):
    assert describe_seconds(seconds) == words
