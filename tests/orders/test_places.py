"""Where else a number stands, while what is on its way arrives."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from orders import bodies, places
from orders.models import PortInDraft
from portal.accounts.models import SinchProject, User
from portal.operations import runner
from portal.operations.actions import submit
from tests.tools import END_USER, port_day

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = "+12065550142"
REFERENCE = "HVD-2026-014"
LOOKS: dict[str, Callable[[SinchProject, PortInDraft], Any]] = {
    "numbers typed": lambda project, draft: places.places_of(project, [NUMBER]),
    "numbers counted": lambda project, draft: places.taken_numbers(project, [NUMBER])[0],
    "a reference": lambda project, draft: places.reference_owner(project, REFERENCE),
    "references": lambda project, draft: places.references_taken(project, [REFERENCE], but=draft),
}


@pytest.fixture
def sent(project: SinchProject, agent: User, porting_client: Any) -> PortInDraft:
    """A draft whose order is made at Sinch with the next look of a worker."""
    draft = PortInDraft.objects.create(
        project=project,
        by=agent,
        state=PortInDraft.State.SENDING,
        data={"numbers": NUMBER, "reference": REFERENCE},
    )
    body = bodies.create_body(
        numbers=[NUMBER],
        shared={
            "end_user": END_USER,
            "port_out": {"existingPortOutPin": "4821"},
        },
        overrides={},
        schedule={"date": port_day(14), "time": "09:00", "zone": "US/Pacific"},
        reference=REFERENCE,
        on_demand=False,
        reseller="",
        loa={},
    )
    draft.operation, _ = submit(
        project,
        "port_in.create",
        target=draft.target,
        payload={"body": dict(body), "draft": str(draft.pk)},
        by=agent,
    )
    draft.save()
    return draft


class Arriving:
    """Has a worker make the order once the first question of the look is answered."""

    def __init__(self) -> None:
        self.has_arrived = False

    def __call__(self, execute: Callable[..., Any], *question: Any) -> Any:
        answer = execute(*question)
        if not self.has_arrived:
            self.has_arrived = True
            worker = threading.Thread(target=self._work)
            worker.start()
            worker.join(20)
        return answer

    @staticmethod
    def _work() -> None:
        try:
            assert runner.run_one()
        finally:
            connection.close()


@pytest.mark.parametrize("look", LOOKS)
def test_an_order_that_arrives_while_it_is_looked_for_is_seen(
    look: str, sent: PortInDraft, project: SinchProject, agent: User
) -> None:
    another = PortInDraft.objects.create(project=project, by=agent)
    with connection.execute_wrapper(Arriving()):
        assert LOOKS[look](project, another)
    sent.refresh_from_db()
    assert sent.state == PortInDraft.State.SENT
