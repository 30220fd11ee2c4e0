"""Orders as Sinch would describe them, and the engine run by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.tools import END_USER


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
                    "endUser": {**END_USER, "typeOfService": "B"},
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
