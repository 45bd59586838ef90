"""How long a training is, and its learning rate, as functions of its history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae.config import TrainConfig
from vae.training.progress import Progress
from vae.training.schedule import (
    FALL_SHARE,
    count_steps,
    is_finished,
    is_flat,
    learning_rate,
    plan_fall,
)

CONFIG = TrainConfig(learning_rate=1.0)
STEPS = st.integers(1, 10**6)


def history(psnr, batches=20):
    """Rows of a run of so many steps an epoch."""
    steps = range(batches, batches * (len(psnr) + 1), batches)
    return [{"step": s, "val_psnr": p} for s, p in zip(steps, psnr, strict=True)]


def test_the_rate_warms_up_is_held_and_falls_to_a_hundredth():
    rates = [learning_rate(CONFIG, step, 1000) for step in range(1001)]
    assert rates[:50] == pytest.approx([(step + 1) / 50 for step in range(50)])
    assert set(rates[50:401]) == {1.0}
    assert rates[700] == pytest.approx(0.505)
    assert rates[1000] == pytest.approx(0.01)
    assert rates[400:] == sorted(rates[400:], reverse=True)


def test_the_rate_of_a_short_run_warms_up_over_a_tenth_of_it():
    assert learning_rate(CONFIG, 0, 100) == pytest.approx(0.1)


@given(STEPS, st.integers(1, 1000))
def test_a_plan_changes_no_rate_of_a_step_that_is_done(step, batches):
    total = plan_fall(step, batches)
    assert total % batches == 0
    assert step <= (1 - FALL_SHARE) * total + 1e-6
    if step >= 500:  # of shorter runs the plan shortens the warm-up
        last = learning_rate(CONFIG, step - 1, None)
        assert learning_rate(CONFIG, step - 1, total) == pytest.approx(last)


def test_a_curve_is_flat_when_it_hardly_grew_from_a_third_to_the_next():
    rising = [20 + 0.1 * epoch for epoch in range(60)]
    assert not is_flat(history(rising))
    assert not is_flat(history([20.0] * 20 + [25.0] * 20 + [25.6] * 20))
    assert is_flat(history([20.0] * 20 + [25.0] * 20 + [25.4] * 20))


def test_single_epochs_decide_nothing():
    noisy = [25.0, 26.0, 27.0] * 20
    assert is_flat(history(noisy)) and is_flat(history([*noisy, 40.0]))
    assert not is_flat(history([20.0] * 30 + [25.0, 10.0, 25.0] * 10))


@pytest.mark.parametrize(
    "batches, epochs", [(1, 600), (5, 120), (10, 60), (15, 60), (60, 50), (2000, 3)]
)
def test_a_curve_that_has_only_begun_is_not_flat(batches, epochs):
    """Before 60 epochs, 600 steps at least and 3,000 at most, or three epochs."""
    assert not is_flat(history([20.0] * (epochs - 1), batches))
    assert is_flat(history([20.0] * epochs, batches))


def test_the_epochs_that_were_asked_for_come_before_a_plan():
    progress = Progress(step=70, epoch=7, planned=70)
    assert count_steps(CONFIG, Progress(), 10) is None
    assert count_steps(CONFIG, progress, 10) == 70
    assert is_finished(CONFIG, progress)
    more = TrainConfig(epochs=8)
    assert count_steps(more, progress, 10) == 80
    assert not is_finished(more, progress)


def test_an_unplanned_run_is_not_finished_unless_patience_is_out():
    progress = Progress(step=70, epoch=7, best_epoch=4)
    assert not is_finished(CONFIG, progress)
    assert is_finished(TrainConfig(patience=3), progress)
    assert not is_finished(TrainConfig(patience=4), progress)
