"""Hosting against the sandbox: the engine run by hand, orders and numbers in any state."""

from collections.abc import Callable
from typing import Any

import pytest

PLAN, CAMPAIGN = "07d6c2621f364b68856fe4938b7bb78f", "C3O8OGA"


@pytest.fixture
def work_off(hosting_client: Any, work_off: Callable[[], None]) -> Callable[[], None]:
    """Carry out everything that is due now, against the sandbox."""
    return work_off


@pytest.fixture
def read_order(project: Any, work_off: Callable[[], None]) -> Callable[..., Any]:
    """Read an order of the sandbox into the mirror and return its row."""
    from hosting import sync
    from hosting.models import HostingOrder
    from portal.operations import readings

    def read(order: Any) -> HostingOrder:
        sinch_id = order if isinstance(order, str) else order.id
        readings.want_one(project, sync.ORDER_READER, sinch_id, "staff")
        work_off()
        return HostingOrder.objects.select_related("item", "project").get(sinch_id=sinch_id)

    return read


@pytest.fixture
def read_imported(project: Any, work_off: Callable[[], None]) -> Callable[[str], Any]:
    """Read an imported number of the sandbox into the mirror and return its row."""
    from hosting import sync
    from hosting.models import ImportedNumber
    from portal.operations import readings

    def read(phone: str) -> ImportedNumber:
        readings.want_one(project, sync.IMPORTED_READER, phone, "staff")
        work_off()
        return ImportedNumber.objects.get(phone_number=phone)

    return read


@pytest.fixture
def read_qualified(project: Any, work_off: Callable[[], None]) -> Callable[[str], Any]:
    """Read a qualified number of the sandbox into the mirror and return its row."""
    from hosting import sync
    from hosting.models import QualifiedNumber
    from portal.operations import readings

    def read(phone: str) -> QualifiedNumber:
        readings.want_one(project, sync.QUALIFIED_READER, phone, "staff")
        work_off()
        return QualifiedNumber.objects.get(phone_number=phone)

    return read


@pytest.fixture
def imported(sandbox: Any, read_imported: Callable[[str], Any]) -> Any:
    """One number that is imported and linked."""
    from tests.hosting.tools import PHONE

    sandbox.hosting.add_imported(PHONE, "plan-a", "C3O8OGA", display_name="Front desk")
    return read_imported(PHONE)


@pytest.fixture(params=["seed", "reference"])
def both(request: Any, sandbox: Any) -> str:
    """Run a test against both personalities of the sandbox."""
    sandbox.control.personality(request.param)
    return str(request.param)


@pytest.fixture
def typed() -> Callable[..., dict[str, str]]:
    """What staff type into the form of a text-enable order: `typed(numbers="…", loa="direct")`."""

    def make(**changes: str) -> dict[str, str]:
        fields = {
            "numbers": "206 555 0101\n(206) 555-0102",
            "display_name": "Harborview texting",
            "plan": PLAN,
            "campaign": CAMPAIGN,
            "loa": "direct",
            "first_name": "Dana",
            "last_name": "Holt",
            "email": "dana.holt@harborview.example",
            "email2": "dana.holt@harborview.example",
            "building": "1420",
            "street": "Alder St",
            "city": "Seattle",
            "state": "wa",
            "postal": "98101",
            "country": "US",
            "carrier": "Comcast Business",
            "version": "0",
        }
        return fields | changes

    return make
