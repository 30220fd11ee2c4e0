"""A write that is settled while its order is read."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from orders.models import PortInOrder
from portal.operations import runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from portal.work import items
from tests.orders.handlers.tools import State, state_of
from tests.tools import somebody_waits_for_a_lock, wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", [None, "402", "drop_after"])
def test_settling_a_write_and_storing_a_reading_never_wait_for_each_other(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, fault: str | None
) -> None:
    """Sinch's webhook about our own note has the order read in the moment the note is settled."""
    operation = send("note", {"text": "The PIN is on its way.", "alike_of_others": 0})
    if fault:
        sandbox.control.faults.add(fault, "addOrderNote")

    def worker() -> None:
        try:
            runner.run_one()
        finally:
            connection.close()

    settling = threading.Thread(target=worker)
    with transaction.atomic():
        PortInOrder.objects.select_for_update().get(pk=order.pk)  # as a reading begins
        settling.start()
        wait_for(somebody_waits_for_a_lock, what="the settling")
        items.touch(order.item_id)  # as a reading ends
    settling.join(20)
    ends = {None: State.SUCCEEDED, "402": State.REFUSED, "drop_after": State.UNCERTAIN}
    assert state_of(operation) == ends[fault]
    assert "Error" not in operation.last_error
