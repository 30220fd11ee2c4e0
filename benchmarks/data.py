"""Orders as Sinch would describe them, of any size; people and numbers invented."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST_ID = 40_000_000
CARRIERS = ("Lumen", "Comcast Business", "T-Mobile")


def phone(order: int, position: int) -> str:
    """Return the number at a position of an order; unique over both."""
    serial = order * 500 + position
    area, exchange = 200 + serial // 1_000_000 % 700, 200 + serial // 10_000 % 100
    return f"+1{area:03d}{exchange:03d}{serial % 10_000:04d}"


def order(number: int, quantity: int, *, status: str = "PENDING") -> dict[str, Any]:
    """Return a port-in order with as many numbers, in Sinch's JSON."""
    today = datetime.now(UTC).date()  # the same in each process, whatever its time zone
    wanted = (today + timedelta(days=10)).isoformat()
    return {
        "id": FIRST_ID + number,
        "status": status,
        "customerOrderReference": f"BENCH-{number:07d}",
        "createdDate": today.isoformat(),
        "onDemandActivation": False,
        "desiredPortSchedule": {
            "desiredPortDate": wanted,
            "desiredPortTime": "09:00:00",
            "desiredPortTimeZone": "US/Eastern",
        },
        "phoneNumbers": [
            {
                "phoneNumber": phone(number, position),
                "status": "PENDING",
                "countryCode": "US",
                "phoneNumberGroup": f"GW {CARRIERS[position % 3]} Grp1",
                "endUser": {
                    "name": f"Bench Company {number} LLC",
                    "streetNum": "410",
                    "streetName": "Harbor",
                    "city": "Baltimore",
                    "state": "MD",
                    "zipCode": "21201",
                    "typeOfService": "B",
                },
                "portOutInfo": {
                    "accountPhoneNumber": phone(number, 0),
                    "authorizingName": "Dana Holt",
                },
            }
            for position in range(quantity)
        ],
        "notes": [],
        "documents": [],
    }


def webhook(number: int, quantity: int) -> bytes:
    """Return an ORDER_UPDATED event about such an order; 125 kB with 500 numbers."""
    told = order(number, quantity)
    for entry in told["phoneNumbers"]:
        del entry["portOutInfo"]
    event = {"type": "ORDER_UPDATED", "orderId": str(told["id"]), "order": told}
    return json.dumps(event, separators=(",", ":")).encode()
