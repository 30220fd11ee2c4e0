"""Orders as Sinch would describe them, and the engine run by hand."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def order_json() -> Callable[..., dict[str, Any]]:
    """Make an order's JSON: `order_json({"+12065550140": {"status": "CONFIRMED"}}, status=…)`."""

    def make(numbers: dict[str, dict[str, Any]] | int = 3, **fields: Any) -> dict[str, Any]:
        if isinstance(numbers, int):
            numbers = {f"+1206555{100 + n:04d}": {} for n in range(numbers)}
        return {
            "id": "40118273",
            "status": "PENDING",
            "customerOrderReference": "HVD-2026-014",
            "createdDate": "2026-06-03T13:31:00Z",
            "onDemandActivation": False,
            "desiredPortSchedule": {
                "desiredPortDate": "2099-06-16",
                "desiredPortTime": "09:00:00",
                "desiredPortTimeZone": "US/Pacific",
            },
            "phoneNumbers": [
                {
                    "phoneNumber": number,
                    "status": "PENDING",
                    "countryCode": "US",
                    "phoneNumberGroup": "GW Lumen Grp1",
                    "endUser": {
                        "name": "Harborview Dental LLC",
                        "streetNum": "1420",
                        "streetName": "Alder",
                        "city": "Seattle",
                        "state": "WA",
                        "zipCode": "98101",
                        "typeOfService": "B",
                    },
                    "portOutInfo": {
                        "existingPortOutPin": "****",
                        "accountPhoneNumber": "+12065550140",
                        "authorizingName": "Dana Holt",
                    },
                    **entry,
                }
                for number, entry in numbers.items()
            ],
            "notes": [],
            "documents": [],
            **fields,
        }

    return make


@pytest.fixture
def work_off() -> Callable[[], None]:
    """Carry out every operation and reading that is due now."""
    # Settings are not named yet when pytest reads this file.
    from portal.operations import readings, runner

    def run() -> None:
        while runner.run_one() or readings.run_one():
            pass

    return run


@pytest.fixture
def settle(work_off: Callable[[], None]) -> Callable[[], None]:
    """Carry out everything to its end, without waiting for the pauses between two looks."""
    from django.utils import timezone

    from portal.operations.models import Operation

    def run() -> None:
        for _ in range(20):
            work_off()
            waiting = Operation.objects.filter(next_try_at__isnull=False)
            if not waiting.update(next_try_at=timezone.now()):
                return
        raise AssertionError("an operation does not come to its end")

    return run
