"""Every field Sinch takes: typed, sent, read back, and edited alone while nothing else changes.

The fields are enumerated from the types of the contract, so that a new one fails here until the
desk can type, send, read and edit it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from django.test import Client
from django.utils import timezone

from orders.models import PortInOrder
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from portal.sinch.payloads import PortInOrderWrite

pytestmark = pytest.mark.django_db

SHARED = ("+12065550140", "+12065550141")
SINGLE = "+12065550142"  # has everything of its own
KEY = "own1"


def in_days(days: int) -> str:
    return (timezone.localdate() + timedelta(days=days)).isoformat()


# --- What the contract has, and what the desk calls it ------------------------------------------


def writable_paths(shape: Any, above: str = "") -> set[str]:
    """Return the path of every value that may be sent, such as phoneNumbers.endUser.name."""
    found: set[str] = set()
    for key, hint in get_type_hints(shape).items():
        path = f"{above}.{key}" if above else key
        kinds = [hint, *get_args(hint)]
        kinds += [inner for kind in kinds if get_origin(kind) for inner in get_args(kind)]
        inner = next((kind for kind in kinds if is_typeddict(kind)), None)
        if inner is None:
            # What Sinch makes of an emergency address is read only.
            found |= set() if key.startswith("enh") else {path}
        else:
            found |= writable_paths(inner, path)
    return found


@dataclass(frozen=True)
class Field:
    """A field of the page, with the value an order begins with and the one it is edited to.

    `own` is the same pair for a number's own details; `stored` says how Sinch has a value, where
    that is not as it is typed; `given` is what else has to be typed for it to make sense, and
    `also` what has to change with it.
    """

    name: str
    first: str
    second: str
    own: tuple[str, str] = ("", "")
    stored: Callable[[str], Any] = str
    given: dict[str, str] = field(default_factory=dict)
    also: dict[str, str] = field(default_factory=dict)


def at_noon(day: str) -> str:
    return f"{day}T12:00:00Z"


def e911(name: str, *values: str) -> Field:
    first, second, own_first, own_second = values
    return Field(f"e911_{name}", first, second, (own_first, own_second))


NUMBER = "phoneNumbers"
USER, CARRIER, E911 = f"{NUMBER}.endUser", f"{NUMBER}.portOutInfo", f"{NUMBER}.features.e911"
VOICE = f"{NUMBER}.voiceConfiguration"
FIELDS: dict[str, Field] = {
    "desiredPortSchedule.desiredPortDate": Field("port_date", in_days(30), in_days(37)),
    "desiredPortSchedule.desiredPortTime": Field(
        "port_time", "09:00", "10:30", stored=lambda time: f"{time}:00"
    ),
    "desiredPortSchedule.desiredPortTimeZone": Field("port_zone", "US/Pacific", "US/Central"),
    "customerOrderReference": Field("reference", "PSB-2026-003", "PSB-2026-004"),
    "onDemandActivation": Field("on_demand", "on", "", stored=bool),
    "loaUploadedBy": Field("loa_by", "ada renner", "ben renner"),
    "loaAttachmentDate": Field("loa_date", in_days(-5), in_days(-4)),
    "resellerName": Field("reseller", "Northline Telecom", "Alder Voice Inc"),
    f"{USER}.name": Field("name", "Pike Books", "Pike Books LLC", ("Bay Deli", "Bay Deli Inc")),
    f"{USER}.streetNum": Field("street_num", "88", "90", ("7", "9")),
    f"{USER}.streetPreDir": Field("street_pre", "N", "NE", ("S", "SW")),
    f"{USER}.streetName": Field("street", "Pike", "Pine", ("Dock", "Bay")),
    f"{USER}.streetType": Field("street_type", "St", "Ave", ("Way", "Rd")),
    f"{USER}.streetPostDir": Field("street_post", "W", "E", ("SE", "NW")),
    f"{USER}.locationType1": Field(
        "unit", "Suite 210", "Floor 210", ("Apt 7", "Unit 7"), stored=lambda t: t.split()[0]
    ),
    f"{USER}.locationValue1": Field(
        "unit", "Suite 210", "Suite 300", ("Apt 7", "Apt 8"), stored=lambda t: t.split()[1]
    ),
    f"{USER}.locationType2": Field(
        "place2", "Floor 2", "Room 2", ("Rm 1", "Lot 1"), stored=lambda t: t.split()[0]
    ),
    f"{USER}.locationValue2": Field(
        "place2", "Floor 2", "Floor 3", ("Rm 1", "Rm 2"), stored=lambda t: t.split()[1]
    ),
    f"{USER}.locationType3": Field(
        "place3", "Bldg B", "Pier B", ("Slip 4", "Dept 4"), stored=lambda t: t.split()[0]
    ),
    f"{USER}.locationValue3": Field(
        "place3", "Bldg B", "Bldg C", ("Slip 4", "Slip 5"), stored=lambda t: t.split()[1]
    ),
    f"{USER}.city": Field("city", "Seattle", "Tukwila", ("Tacoma", "Kent")),
    f"{USER}.state": Field("state", "WA", "OR", ("ID", "WA")),
    f"{USER}.zipCode": Field("zip", "98101", "98102-1234", ("98402", "98403")),
    f"{USER}.typeOfService": Field("service", "B", "R", ("R", "B")),
    f"{CARRIER}.existingPortOutPin": Field("pin", "482193", "775310", ("1188", "2299")),
    f"{CARRIER}.accountNum": Field("account", "206-9930", "206-9931", ("A-77", "A-78")),
    f"{CARRIER}.accountPhoneNumber": Field(
        "btn", "+12065550140", "+12065550141", ("+12065550150", "+12065550151")
    ),
    f"{CARRIER}.authorizingName": Field("signer", "Ada Renner", "Ben Renner", ("Cy Ho", "Di Ho")),
    f"{CARRIER}.authorizingDate": Field(
        "signed_on", in_days(-9), in_days(-8), (in_days(-7), in_days(-6)), stored=at_noon
    ),
    f"{VOICE}.trunkId": Field("voice_id", "TRUNK1", "TRUNK2", ("TRUNK8", "TRUNK9")),
    f"{VOICE}.appId": Field("voice_id", "APP1", "APP2", ("APP8", "APP9"), given={"voice": "RTC"}),
    f"{VOICE}.serviceId": Field(
        "voice_id", "FAX1", "FAX2", ("FAX8", "FAX9"), given={"voice": "FAX"}
    ),
    f"{VOICE}.type": Field("voice", "EST", "RTC", ("EST", "FAX"), also={"voice_id": "OTHER1"}),
    f"{NUMBER}.smsConfiguration.smsAppId": Field("sms_app", "pike", "pine", ("bay", "dock")),
    f"{NUMBER}.newPortOutPin": Field("new_pin", "9081", "9082", ("3081", "3082")),
    f"{E911}.name": e911("name", "Pike Books", "Pike Shop", "Bay Deli", "Bay Shop"),
    f"{E911}.streetNum": e911("street_num", "88", "90", "7", "9"),
    f"{E911}.streetInfo": e911("street", "Pike St", "Pine St", "Dock St", "Bay St"),
    f"{E911}.location": e911("location", "Floor 2", "Floor 3", "Apt 5", "Apt 6"),
    f"{E911}.city": e911("city", "Seattle", "Tukwila", "Tacoma", "Kent"),
    f"{E911}.state": e911("state", "WA", "OR", "ID", "WA"),
    f"{E911}.postalCode": e911("zip", "98101", "98102", "98402", "98403"),
    f"{E911}.postalCodePlusFour": e911("zip4", "1234", "1235", "5678", "5679"),
}
# A number is what an order is about: it comes and goes with an order, and is not edited.
IDENTITY = f"{NUMBER}.phoneNumber"
SPARE = [
    path
    for path in FIELDS
    if path.rpartition(".")[2]
    in {
        *("streetPreDir", "streetType", "streetPostDir", "accountPhoneNumber", "authorizingName"),
        *("authorizingDate", "accountNum", "existingPortOutPin", "newPortOutPin", "smsAppId"),
        *("location", "postalCodePlusFour", "loaUploadedBy", "loaAttachmentDate"),
    }
]
SECRETS = ("pin", "account", "new_pin")
PERSONALITIES = [
    pytest.param("seed", {}, id="PINs echoed"),
    pytest.param("reference", {}, id="PINs absent"),
]


def test_the_desk_knows_every_field_that_sinch_takes():
    assert {*FIELDS, IDENTITY} == writable_paths(PortInOrderWrite)


# --- A person and the desk ----------------------------------------------------------------------


class Controls(HTMLParser):
    """What a browser would post of the forms of a page, by name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        name = found.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and "selected" in found:
            self.fields[self._select] = found.get("value", "")
        elif tag == "input" and name:
            if found.get("type") in ("checkbox", "radio"):
                if "checked" in found:
                    self.fields[name] = found.get("value", "on")
            else:
                self.fields[name] = found.get("value", "")


def full_order(given: dict[str, str]) -> dict[str, str]:
    """Return every field of the page typed, for the order and for one number of its own."""
    typed = {"numbers": "\n".join((*SHARED, SINGLE)), "has_overrides": "1", "override": KEY}
    typed[f"{KEY}-number"] = SINGLE
    for one in FIELDS.values():
        if one.given:
            continue
        typed[one.name] = one.first
        if one.own[0]:
            typed[f"{KEY}-{one.name}"] = one.own[0]
    for name, value in given.items():
        typed |= {name: value, f"{KEY}-{name}": value}
    return typed


class Person:
    """An agent who makes an order on the intake's page and edits it on its own."""

    def __init__(self, client: Client, sandbox: Sandbox, work_off: Callable[[], None]) -> None:
        self.client, self.sandbox, self.work_off = client, sandbox, work_off

    def page_of(self, url: str) -> dict[str, str]:
        answer = self.client.get(url)
        assert answer.status_code == 200
        return Controls(answer.content.decode()).fields

    def creates(self, typed: dict[str, str]) -> PortInOrder:
        url = "/orders/new/"
        page = self.page_of(url)
        for action in ("check", "send"):
            answer = self.client.post(url, page | typed | {"action": action})
            assert answer.status_code == 302, answer.content.decode()[:3000]
            self.work_off()
            if action == "check":
                url = answer["Location"].partition("#")[0]
                page = self.page_of(url)
                # What was typed is what the page shows, secrets aside.
                for name, value in typed.items():
                    if name != "numbers":
                        hidden = name.removeprefix(f"{KEY}-") in SECRETS
                        assert page[name] == ("" if hidden else value), name
        assert Operation.objects.get(kind="port_in.create").state == Operation.State.SUCCEEDED
        return PortInOrder.objects.get()

    def edits(self, order: PortInOrder, changed: dict[str, str], without: str = "") -> None:
        url = f"/orders/{order.pk}/edit/"
        page = self.page_of(url) | changed
        self.work_off()  # Sinch's copy is read anew for whoever opens an edit
        page.pop(without, None)
        checked = self.client.post(url, page | {"action": "check"})
        assert checked.status_code == 200, checked.content.decode()
        second = Controls(checked.content.decode()).fields
        sent = self.client.post(url, second | {"action": "send"})
        assert sent.status_code == 302, sent.content.decode()
        self.work_off()
        update = Operation.objects.filter(kind="port_in.update").latest("pk")
        assert update.state == Operation.State.SUCCEEDED

    def at_sinch(self, order: PortInOrder) -> dict[tuple[str, str], Any]:
        """Return everything Sinch holds, whatever it shows, by (path, number)."""
        held = self.sandbox.control.order(order.sinch_id)
        top: dict[str, Any] = {
            "desiredPortSchedule": held.schedule,
            "customerOrderReference": held.reference,
            "onDemandActivation": held.on_demand,
            "loaUploadedBy": held.loa_uploaded_by,
            "loaAttachmentDate": held.loa_attachment_date,
            "resellerName": held.reseller_name,
        }
        found = {(path, ""): value for path, value in leaves(top)}
        for number in held.numbers:
            for path, value in leaves(number.details):
                found[f"{NUMBER}.{path}", number.phone_number] = value
        return found


def leaves(value: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, inner in value.items():
        path = f"{above}.{key}" if above else key
        found += leaves(inner, path) if isinstance(inner, dict) else [(path, inner)]
    return [(path, inner) for path, inner in found if inner not in (None, "")]


@pytest.fixture
def person(
    agent_client: Client, porting_client: Any, sandbox: Sandbox, work_off: Callable[[], None]
) -> Person:
    return Person(agent_client, sandbox, work_off)


def differing(before: dict[Any, Any], after: dict[Any, Any]) -> dict[Any, Any]:
    keys = before.keys() | after.keys()
    return {key: after.get(key) for key in keys if before.get(key) != after.get(key)}


# --- What is shown ------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "switches"), PERSONALITIES)
def test_what_is_typed_is_what_sinch_has(person, sandbox, preset, switches):
    sandbox.control.personality(preset, **switches)
    order = person.creates(full_order({}))
    held = person.at_sinch(order)
    for path, one in FIELDS.items():
        if one.given:
            continue
        if not path.startswith(NUMBER):
            assert held[path, ""] == one.stored(one.first), path
            continue
        for number in SHARED:
            assert held[path, number] == one.stored(one.first), path
        assert held[path, SINGLE] == one.stored(one.own[0]), path
    # And nothing that nobody typed.
    assert {path for path, _ in held} == {path for path, one in FIELDS.items() if not one.given}
    assert not sandbox.violations


@pytest.mark.parametrize(("preset", "switches"), PERSONALITIES)
@pytest.mark.parametrize("path", FIELDS)
def test_one_field_is_edited_and_nothing_else(person, sandbox, path, preset, switches):
    sandbox.control.personality(preset, **switches)
    one = FIELDS[path]
    given = one.given | ({one.name: one.first} if one.given else {})
    own_given = {f"{KEY}-{one.name}": one.own[0]} if one.given else {}
    order = person.creates(full_order(given) | own_given)

    # For the order: the numbers without their own.
    before = person.at_sinch(order)
    unticked = one.name if not one.second else ""
    person.edits(order, {one.name: one.second} | one.also, without=unticked)
    edited = person.at_sinch(order)
    wanted: dict[Any, Any] = {}
    for number in SHARED if path.startswith(NUMBER) else ("",):
        wanted[path, number] = one.stored(one.second)
        if one.also:
            wanted |= {(f"{VOICE}.trunkId", number): None, (f"{VOICE}.appId", number): "OTHER1"}
    assert differing(before, edited) == wanted

    # And for the number that has its own.
    if one.own != ("", ""):
        own = f"n{SINGLE[1:]}"
        changed = {f"{own}-{one.name}": one.own[1]}
        changed |= {f"{own}-{name}": value for name, value in one.also.items()}
        person.edits(order, changed)
        wanted = {(path, SINGLE): one.stored(one.own[1])}
        if one.also:
            wanted |= {(f"{VOICE}.trunkId", SINGLE): None, (f"{VOICE}.serviceId", SINGLE): "OTHER1"}
        assert differing(edited, person.at_sinch(order)) == wanted
    assert not sandbox.violations


@pytest.mark.parametrize("path", SPARE)
def test_one_field_is_emptied_and_nothing_else(person, sandbox, path):
    one = FIELDS[path]
    order = person.creates(full_order({}))
    before = person.at_sinch(order)
    emptied = {f"{one.name}_remove": "1"} if one.name in SECRETS else {one.name: ""}
    person.edits(order, emptied)
    numbers = SHARED if path.startswith(NUMBER) else ("",)
    assert differing(before, person.at_sinch(order)) == {(path, n): None for n in numbers}
    assert not sandbox.violations
