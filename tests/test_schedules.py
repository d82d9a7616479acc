"""Schedules: which steps are rounds."""

import numpy as np
import pytest

import nta_tf as nta


def _all_steps(schedule, steps_per_epoch, epochs):
    schedule = nta.schedules.get(schedule)
    parts = [
        schedule.steps(epoch, steps_per_epoch, epochs) + epoch * steps_per_epoch
        for epoch in range(epochs)
    ]
    return np.concatenate(parts)


def test_every_step():
    np.testing.assert_array_equal(_all_steps("every step", 7, 3), np.arange(21))


@pytest.mark.parametrize("interval", [1, 2, 5, 7, 10, 30])
def test_every_k_steps_runs_on_across_epochs(interval):
    found = _all_steps(f"every {interval} steps", 7, 5)
    np.testing.assert_array_equal(found, np.arange(0, 35, interval))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_k_an_epoch_ends_with_the_epoch(count):
    found = _all_steps(f"{count} an epoch", 7, 4).reshape(4, count)
    assert (found[:, -1] == np.arange(1, 5) * 7 - 1).all()
    assert (np.diff(found.reshape(-1)) > 0).all()


def test_log_spaced_begins_at_the_first_and_ends_at_the_last_step():
    found = _all_steps("20 log-spaced", 50, 10)
    assert found[0] == 0 and found[-1] == 499 and len(found) <= 20
    assert (np.diff(np.diff(found))[-5:] > 0).all()


@pytest.mark.parametrize("text", ["every step", "every 3 steps", "2 an epoch", "9 log-spaced"])
def test_description_and_schedule_are_the_same(text):
    schedule = nta.schedules.get(text)
    assert str(schedule) == text and nta.schedules.get(schedule) is schedule


@pytest.mark.parametrize("text", ["every 0 steps", "0 an epoch", "sometimes", "", 3])
def test_wrong_schedules(text):
    with pytest.raises(ValueError, match="Received"):
        nta.schedules.get(text)


def test_more_rounds_than_steps():
    with pytest.raises(ValueError, match="has 7 steps.*8 rounds"):
        _all_steps("8 an epoch", 7, 1)
