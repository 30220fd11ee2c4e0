"""The doorbell: many rings, few messages, and no waiting for a broker that is away."""

import json
import threading
import time

import pytest
import redis
from celery.signals import worker_shutting_down
from django.db import transaction

from portal.operations import doorbell, tasks
from portal.operations.models import Reading
from tests.tools import wait_for


@pytest.fixture
def queue(servers, settings):
    """The messages in Redis for the workers, by task name."""
    client = redis.Redis.from_url(servers.redis.url)

    def messages(header="task"):
        found = []
        for name in ("people", "events", "sync"):
            found += [json.loads(raw)["headers"][header] for raw in client.lrange(name, 0, -1)]
        return found

    with client:
        yield messages


def test_a_ring_becomes_a_message(queue):
    doorbell.ring(doorbell.DELIVERIES)
    wait_for(lambda: queue() == [doorbell.DELIVERIES], what="the message")
    # Without workers they would heap up, and the sweep has done the work long since.
    assert None not in queue("expires")


def test_many_rings_are_few_messages(queue):
    began = time.monotonic()
    for _ in range(2000):
        doorbell.ring(doorbell.READINGS)
    wait_for(queue, what="the message")
    spent = time.monotonic() - began
    assert len(queue()) <= 2 + spent / doorbell.SPACING


def test_a_ring_for_later_comes_later_and_one_for_now_does_not_wait_for_it(queue):
    later = 5.0  # seconds; a busy machine sends the first message well before
    began = time.monotonic()
    doorbell.ring(doorbell.READINGS, after=later)
    doorbell.ring(doorbell.READINGS)
    wait_for(queue, what="the first message")
    assert len(queue()) == 1
    wait_for(lambda: len(queue()) == 2, what="the second message")
    assert time.monotonic() - began >= later


def test_each_ring_for_later_comes_at_its_own_time(queue):
    first, last = 0.5, 2.0  # seconds
    began = time.monotonic()
    doorbell.ring(doorbell.OPERATIONS, after=first)
    doorbell.ring(doorbell.OPERATIONS, after=last)
    wait_for(lambda: queue().count(doorbell.OPERATIONS) == 2, what="the second message")
    assert time.monotonic() - began >= last


def test_ringing_waits_for_nobody_while_the_broker_is_away_and_works_when_it_is_back(
    servers, queue, caplog
):
    servers.redis.stop()
    try:
        # Neither an error nor an end without the broker: it is started only after these.
        for _ in range(500):
            doorbell.ring(doorbell.OPERATIONS)
        wait_for(lambda: "the sweep takes over" in caplog.text, what="the warning")
        warned = time.monotonic()
    finally:
        servers.redis.start()

    def heard():
        doorbell.ring(doorbell.OPERATIONS)
        return doorbell.OPERATIONS in queue()

    wait_for(heard, what="the doorbell ringing again")
    assert time.monotonic() - warned > doorbell.PAUSE / 2, "it is left alone for a while"


@pytest.mark.django_db(transaction=True)
def test_a_ring_waits_for_the_commit_and_a_rollback_rings_nothing(rung):
    with transaction.atomic():
        doorbell.ring_on_commit(doorbell.READINGS)
        assert rung == []
    assert rung == [doorbell.READINGS]
    with transaction.atomic():
        doorbell.ring_on_commit(doorbell.READINGS)
        transaction.set_rollback(True)
    assert rung == [doorbell.READINGS]


def test_a_task_works_until_nothing_is_due_and_wakes_one_more(rung):
    left = [True, True, True]
    assert tasks.work_through(lambda: bool(left and left.pop()), "some.task") == 3
    assert rung == ["some.task"]
    assert tasks.work_through(lambda: False, "some.task") == 0
    assert rung == ["some.task"]


def test_a_task_that_has_run_for_long_leaves_the_rest_to_another(rung, monkeypatch):
    monkeypatch.setattr(tasks, "LONGEST_RUN", 0.0)
    assert tasks.work_through(lambda: True, "some.task") == 1
    assert rung == ["some.task"] * 2


def test_who_is_told_to_stop_begins_nothing_more(rung, monkeypatch):
    monkeypatch.setattr(tasks, "_stopping", threading.Event())
    done = []

    def work() -> bool:
        done.append(1)
        worker_shutting_down.send(sender=None)
        return True

    assert tasks.work_through(work, doorbell.READINGS) == len(done) == 1


@pytest.mark.django_db
def test_the_tasks_themselves_find_nothing_and_say_so(rung):
    assert tasks.run_operations() == 0
    assert tasks.run_readings() == 0
    assert not Reading.objects.exists()
