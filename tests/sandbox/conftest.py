"""A sandbox on a clock that tests move, and a client that is plain `requests`."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from portal.sandbox import Personality, Sandbox, SandboxConfig, create_app
from portal.sandbox.adapter import SandboxAdapter
from portal.sandbox.clock import ManualClock

# A Tuesday, ten in the morning in New York.
TUESDAY = datetime(2026, 6, 9, 14, 0, tzinfo=UTC)
HOST = "https://porting.api.sinch.com"
END_USER = {
    "name": "Acme Dental LLC",
    "streetNum": "410",
    "streetName": "Harbor",
    "streetType": "Ave",
    "city": "Baltimore",
    "state": "MD",
    "zipCode": "21201",
}


class Api:
    """Calls the sandbox as a client calls Sinch."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.adapter = SandboxAdapter(sandbox)
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, self.adapter)
        self.base = f"{HOST}/v1/projects/{sandbox.config.project_id}"

    def token(self, **form: str) -> requests.Response:
        """Ask for an access token."""
        key = (self.sandbox.config.key_id, self.sandbox.config.key_secret)
        form = form or {"grant_type": "client_credentials"}
        return self.session.post("https://auth.sinch.com/oauth2/token", data=form, auth=key)

    def sign_in(self) -> "Api":
        """Use an access token from now on."""
        token = self.token().json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return self

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Make one call below the project."""
        if body is not None:
            options["json"] = body
        return self.session.request(method, f"{self.base}{path}", **options)

    def order(self, *numbers: str, **changes: Any) -> requests.Response:
        """Create an order of these numbers."""
        return self.call("POST", "/orders/portIns", order_body(*numbers, **changes))

    def read(self, order_id: Any) -> dict[str, Any]:
        """Read an order."""
        answer = self.call("GET", f"/orders/portIns/{order_id}")
        assert answer.status_code == 200
        return answer.json()

    def statuses(self, order_id: Any) -> dict[str, str]:
        """Return the status of each number, by its last four digits."""
        return {n["phoneNumber"][-4:]: n["status"] for n in self.read(order_id)["phoneNumbers"]}


def order_body(*numbers: str, **changes: Any) -> dict[str, Any]:
    """Return a whole, right order of these numbers."""
    return {
        "desiredPortSchedule": {
            "desiredPortDate": "2026-06-18",
            "desiredPortTime": "09:00:00",
            "desiredPortTimeZone": "US/Eastern",
        },
        "customerOrderReference": "acme-1",
        "phoneNumbers": [
            {
                "phoneNumber": number,
                "endUser": dict(END_USER),
                "portOutInfo": {"existingPortOutPin": "1234"},
                "voiceConfiguration": {"type": "EST", "trunkId": "01HX0TRUNK0000000000000001"},
            }
            for number in numbers or ("+12065550142",)
        ],
        **changes,
    }


def fields(answer: requests.Response) -> dict[str, str]:
    """Return the field violations of a refusal, in either shape."""
    details = answer.json().get("details") or {}
    if isinstance(details, list):
        details = details[0]
    return {v["field"]: v["description"] for v in details.get("fieldViolations", ())}


def basic(key: str) -> dict[str, str]:
    """Return the header of HTTP Basic for "id:secret"."""
    return {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands on a Tuesday in June."""
    return ManualClock(TUESDAY)


@pytest.fixture
def make_sandbox(clock: ManualClock) -> Iterator[Callable[..., Sandbox]]:
    """Return a maker of sandboxes; at the end all they said is held against the contract."""
    made: list[Sandbox] = []

    def make(preset: str = "seed", switches: dict[str, str] | None = None, **rest: Any) -> Sandbox:
        personality = Personality.preset(preset).with_switches(switches or {})
        config = {"clock": clock, "check_answers": True, "random_seed": 1, **rest}
        sandbox = create_app(SandboxConfig(personality=personality, **config))
        made.append(sandbox)
        return sandbox

    yield make
    for sandbox in made:
        sandbox.close()
        assert sandbox.answer_violations == []


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """A sandbox without demo orders that moves by hand."""
    return make_sandbox()


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    """A signed-in client of that sandbox."""
    return Api(sandbox).sign_in()
