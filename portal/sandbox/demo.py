"""Demo orders: a desk at work, with people and numbers invented, and dates counted from today.

Their area codes are not those of the examples, so that a trainee's own orders find their numbers
free.
"""

import base64
import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from portal.sandbox.api import PortingApi
from portal.sandbox.clock import add_business_days, iso_instant, today_in
from portal.sandbox.config import SandboxConfig
from portal.sandbox.hosting_demo import HostingDemo
from portal.sandbox.life import SINCH, SYSTEM, Life
from portal.sandbox.rules import FATES, value_at
from portal.sandbox.state import (
    ACTIVATED,
    CANCELED,
    COMPLETED,
    CONFIRMED,
    EXCLUDED,
    PENDING_CANCELATION,
    REJECTED,
    Json,
    Number,
    Order,
    State,
)

WRONG_PIN, WRONG_NAME, NOT_ON_ACCOUNT = (fate.reason for fate in FATES[:3])
MOST_SPAWNED = 40


@dataclass(frozen=True)
class Customer:
    """An invented customer: who it is, where, in whose name its port is signed."""

    name: str
    reference: str
    signer: str
    street: tuple[str, str, str]
    city: str
    state: str
    zip_code: str
    zone: str = "US/Pacific"


PDX = ("Portland", "OR", "97201")
BLUEBIRD = Customer("Bluebird Moving Co", "BBM", "Ida Marsh", ("88", "Quarry", "Rd"), *PDX)
HARBORVIEW = Customer(
    "Harborview Dental LLC", "HVD", "Dana Holt", ("1420", "Alder", "St"), "Tacoma", "WA", "98402"
)
JUNIPER = Customer(
    "Juniper and Pike Law PLLC", "JPL", "Owen Pike", ("77", "Juniper", "Ct"), "Bend", "OR", "97701"
)
CEDAR = Customer(
    "Cedar Falls Optical", "CFO", "Mae Lindgren", ("310", "Mill", "Ave"), "Salem", "OR", "97301"
)
PINECREST = Customer(
    "Pinecrest Veterinary Clinic",
    "PVC",
    "Lena Brandt",
    ("2200", "Foothill", "Blvd"),
    "Provo",
    "UT",
    "84601",
    "US/Mountain",
)
TAMARACK = Customer(
    "Tamarack Credit Union",
    "TCU",
    "Joan Reyes",
    ("5", "Larch", "St"),
    "Boise",
    "ID",
    "83702",
    "US/Mountain",
)
COPPER = Customer("Copper Kettle Bakery Inc", "CKB", "Theo Marsh", ("19", "Harbor", "Way"), *PDX)
FENNEL = Customer(
    "Fennel Street Florist", "FSF", "Ana Ruiz", ("640", "Fennel", "St"), "Eugene", "OR", "97401"
)
KESTREL = Customer("Kestrel Court Apartments", "KCA", "Paul Ames", ("12", "Kestrel", "Ct"), *PDX)
QUILL = Customer("Quill and Ledger Accounting", "QLA", "Nora Quill", ("401", "Main", "St"), *PDX)
FERROUS = Customer(
    "Ferrous Metal Works Ltd",
    "FMW-CA",
    "Luc Fontaine",
    ("1200", "Portage", "Ave"),
    "Winnipeg",
    "MB",
    "R3G 0T5",
    "US/Central",
)
NORTHGATE = Customer("Northgate Urgent Care", "NUC", "Ravi Sen", ("9000", "Northgate", "Way"), *PDX)
ORCHARD = Customer(
    "Orchard Lane Pediatrics",
    "OLP",
    "Grace Obi",
    ("33", "Orchard", "Ln"),
    "Spokane",
    "WA",
    "99201",
)
NEWCOMERS = (
    Customer("Saltmarsh Yacht Repair", "SYR", "Finn Salt", ("4", "Dock", "St"), *PDX),
    Customer("Halyard Marine Supply", "HMS", "Ruth Abara", ("71", "Pier", "Rd"), *PDX),
    Customer("Lakemont Cycles", "LMC", "Jon Weiss", ("260", "Lake", "Ave"), *PDX),
    Customer("Millbrook Print Shop", "MPS", "Eva Kranz", ("15", "Brook", "St"), *PDX),
    Customer("Alder Street Physio", "ASP", "Tess Nolan", ("1101", "Alder", "St"), *PDX),
    Customer("Stonebridge Garage", "SBG", "Al Petrov", ("52", "Bridge", "Rd"), *PDX),
)
NEWCOMER_AREA_CODES = ("360", "406", "458", "605", "701", "307")


class Demo:
    """Fills a sandbox with orders in every state of life, and lets new ones come in."""

    def __init__(
        self,
        state: State,
        api: PortingApi,
        life: Life,
        config: SandboxConfig,
        hosting: HostingDemo,
    ) -> None:
        self._hosting = hosting
        self._state = state
        self._api = api
        self._life = life
        self._config = config
        self._random = random.Random(config.random_seed)  # noqa: S311 - nothing secret

    def fill(self) -> None:
        """Make the demo orders, oldest first; nobody is told by webhook."""
        with self._state.lock:
            for make in (
                self._completed,
                self._canceled,
                self._overdue,
                self._confirmed_for_next_week,
                self._two_groups_one_ready,
                self._three_carriers,
                self._canadian,
                self._five_hundred_numbers,
                self._with_documents,
                self._refused_names,
                self._cancelation_under_way,
                self._on_demand_today,
                self._fresh,
            ):
                make()
            self._hosting.fill()

    def spawn(self) -> Order | None:
        """Let someone order in Sinch's own dashboard, and tell of it; None when enough did."""
        if self._state.spawned >= MOST_SPAWNED:
            return None
        numbers = self._free_numbers(self._random.choice(NEWCOMER_AREA_CODES))
        if not numbers:
            return None
        customer = self._random.choice(NEWCOMERS)
        self._state.spawned += 1
        order = self._order(
            customer,
            numbers,
            suffix=str(100 + self._state.spawned),
            asked=self._day(self._random.choice((2, 3, 5))),
            age=timedelta(),
            on_demand=self._random.random() < 0.4,
        )
        self._api.announce(order)
        return order

    # The orders

    def _completed(self) -> None:
        order = self._order(FENNEL, self._numbers("541", 120, 3), "3", self._day(-6), days(16))
        self._confirm(order.numbers, self._day(-6), days(13))
        self._live(order.numbers)
        order.status = COMPLETED

    def _canceled(self) -> None:
        order = self._order(KESTREL, self._numbers("503", 170, 2), "9", self._day(3), days(11))
        self._note(order, "The end user has decided to stay; canceled on request.", days(9))
        order.status = CANCELED
        for number in order.numbers:
            number.status = CANCELED

    def _overdue(self) -> None:
        order = self._order(COPPER, self._numbers("971", 131, 3), "02", self._day(-1), days(9))
        self._confirm(order.numbers, self._day(-1), days(6))
        self._live(order.numbers[:1])
        order.status = CONFIRMED
        # Left to itself it would go live with the first step; it is here to be noticed.
        order.held = True

    def _confirmed_for_next_week(self) -> None:
        asked = self._day(6)
        order = self._order(CEDAR, self._numbers("503", 140, 5), "main", asked, days(5))
        self._confirm(order.numbers, asked, days(2))
        order.status = CONFIRMED

    def _two_groups_one_ready(self) -> None:
        numbers = self._numbers("801", 120, 8) + self._numbers("801", 140, 3)
        order = self._order(PINECREST, numbers, "0091", self._day(0), days(12), on_demand=True)
        first = [n for n in order.numbers if n.group == order.groups[0]]
        later = [n for n in order.numbers if n.group != order.groups[0]]
        self._confirm(first, self._day(0), days(8))
        self._confirm(later, self._day(2), days(6))
        for number in first:
            number.ready_at = self._ago(timedelta(minutes=40))
        order.status = CONFIRMED

    def _three_carriers(self) -> None:
        # Three decades of numbers, and so by the carrier rule three carriers.
        blocks = ((130, 4), (120, 6), (115, 2))
        numbers = [n for first, count in blocks for n in self._numbers("253", first, count)]
        order = self._order(HARBORVIEW, numbers, "2026-014", self._day(5), days(7))
        refused, agreed, mixed = numbers[:2], numbers[4:10], numbers[11]
        self._reject([n for n in order.numbers if n.phone_number in refused], WRONG_PIN, hours(6))
        self._confirm([n for n in order.numbers if n.phone_number in agreed], self._day(7), days(1))
        self._exclude([n for n in order.numbers if n.phone_number == mixed], days(1))
        self._note(
            order,
            "The lobby line is billed apart; the rest is on two accounts.",
            days(4),
            by=self._config.key_id,
        )
        self._note(
            order,
            "The losing carrier asks for a copy of the latest bill for the account ending 31. "
            "Please attach it or answer here.",
            days(1),
        )

    def _canadian(self) -> None:
        order = self._order(
            FERROUS,
            self._numbers("431", 110, 5),
            "2",
            self._day(8),
            days(3),
            reseller="Prairie Telecom Reseller",
        )
        self._confirm(order.numbers[:2], self._day(9), days(1))

    def _five_hundred_numbers(self) -> None:
        # As many as one order takes: six sites, and by the carrier rule five carriers.
        sites = ("986", "385", "775", "725", "564", "279")
        numbers = [n for site in sites for n in self._numbers(site, 100, 90)][:500]
        order = self._order(NORTHGATE, numbers, "500", self._day(7), days(4))
        refused, misnamed, strange = numbers[3:17], numbers[95:100], numbers[480:487]
        self._reject([n for n in order.numbers if n.phone_number in refused], WRONG_PIN, hours(5))
        self._reject([n for n in order.numbers if n.phone_number in misnamed], WRONG_NAME, hours(5))
        self._exclude([n for n in order.numbers if n.phone_number in strange], days(1))
        for ahead, name in enumerate(order.groups[:3]):
            agreed = [
                n for n in order.numbers if n.group == name and n.status not in (REJECTED, EXCLUDED)
            ]
            self._confirm(agreed, self._day(7 + ahead % 2), days(1))

    def _with_documents(self) -> None:
        order = self._order(ORCHARD, self._numbers("509", 120, 4), "main", self._day(6), days(6))
        for name, description in (
            ("loa-orchard-lane.pdf", "Signed LOA"),
            ("bill-may.pdf", "Latest bill of the losing carrier"),
        ):
            self._state.add_document(order, name, description, _paper(description, ORCHARD.name))
        order.loa_uploaded_by = ORCHARD.signer
        order.loa_attachment_date = f"{self._day(-6)}T17:00:00Z"
        self._note(order, "Is the alarm line part of this move?", hours(5))

    def _refused_names(self) -> None:
        order = self._order(JUNIPER, self._numbers("541", 140, 6), "77", self._day(4), days(3))
        self._reject(order.numbers[:2], WRONG_NAME, hours(3))
        self._note(
            order,
            "Please send the end user's name exactly as it stands on the bill.",
            hours(2),
        )

    def _cancelation_under_way(self) -> None:
        order = self._order(QUILL, self._numbers("971", 150, 4), "9", self._day(5), days(2))
        order.status = PENDING_CANCELATION

    def _on_demand_today(self) -> None:
        order = self._order(
            TAMARACK, self._numbers("208", 170, 6), "3", self._day(0), days(9), on_demand=True
        )
        self._confirm(order.numbers, self._day(0), days(4))
        for number in order.numbers:
            number.ready_at = self._ago(hours(1))
        order.status = CONFIRMED

    def _fresh(self) -> None:
        self._order(
            BLUEBIRD, self._numbers("503", 110, 4), "4", self._day(5), timedelta(minutes=20)
        )

    # Their parts

    def _order(
        self,
        customer: Customer,
        numbers: list[str],
        suffix: str,
        asked: date,
        age: timedelta,
        *,
        on_demand: bool = False,
        reseller: str | None = None,
    ) -> Order:
        signed = (self._now - age - timedelta(days=2)).date()
        account = {
            "existingPortOutPin": self._digits(4),
            "accountNum": self._digits(8),
            "authorizingName": customer.signer,
            "authorizingDate": signed.isoformat(),
        }
        body: Json = {
            "desiredPortSchedule": {
                "desiredPortDate": asked.isoformat(),
                "desiredPortTime": "09:00:00",
                "desiredPortTimeZone": customer.zone,
            },
            "customerOrderReference": f"{customer.reference}-{suffix}",
            "onDemandActivation": on_demand,
            "phoneNumbers": [self._entry(customer, number, account) for number in numbers],
        }
        if reseller:
            body["resellerName"] = reseller
        order = self._api.make_order(body, origin="demo")
        order.created_at = self._ago(age)
        return order

    @staticmethod
    def _entry(customer: Customer, number: str, account: Json) -> Json:
        number_of_street, name, kind = customer.street
        return {
            "phoneNumber": number,
            "endUser": {
                "name": customer.name,
                "streetNum": number_of_street,
                "streetName": name,
                "streetType": kind,
                "city": customer.city,
                "state": customer.state,
                "zipCode": customer.zip_code,
                "typeOfService": "B",
            },
            "portOutInfo": dict(account),
            "voiceConfiguration": {"type": "EST", "trunkId": "01HX0TRUNK0000000000000001"},
            "smsConfiguration": {"smsAppId": f"{customer.reference.lower()}-sms"},
        }

    def _confirm(self, numbers: list[Number], foc_date: date, ago: timedelta) -> None:
        for number in numbers:
            number.status = CONFIRMED
            number.foc_date = foc_date.isoformat()
            number.confirmed_at = self._ago(ago)

    def _live(self, numbers: list[Number]) -> None:
        for number in numbers:
            number.status = ACTIVATED
            # Soon after nine in the Pacific zone, where these orders are.
            number.activated_at = f"{number.foc_date}T17:04:00Z"
            number.activate_user = SYSTEM

    def _reject(self, numbers: list[Number], reason: str, ago: timedelta) -> None:
        fate = next(fate for fate in FATES if fate.reason == reason)
        for number in numbers:
            number.status = REJECTED
            number.reject_reason = reason
            number.excluded_at = self._ago(ago)
            number.refused = [value_at(number.details, fate.corrected_by)]

    def _exclude(self, numbers: list[Number], ago: timedelta) -> None:
        for number in numbers:
            number.status = EXCLUDED
            number.exclusion_reason = NOT_ON_ACCOUNT
            number.excluded_at = self._ago(ago)

    def _note(self, order: Order, text: str, ago: timedelta, by: str = SINCH) -> None:
        self._state.add_note(order, text, by=by, now=self._now - ago)

    def _free_numbers(self, area_code: str) -> list[str]:
        """Return a handful of neighbours that nobody has ordered yet."""
        for start in range(100, 196, 4):
            block = self._numbers(area_code, start, 4)
            if not any(True for n in block for _order in self._state.orders_of(n)):
                # The last block of a hundred holds the number that cannot be ported.
                return [n for n in block if not n.endswith("99")]
        return []

    @staticmethod
    def _numbers(area_code: str, first: int, count: int) -> list[str]:
        """Return neighbours among the numbers set aside for invention, 555-0100 to 555-0199."""
        return [f"+1{area_code}555{n:04d}" for n in range(first, first + count)]

    @property
    def _now(self) -> datetime:
        return self._config.clock.now()

    def _ago(self, ago: timedelta) -> str:
        return iso_instant(self._now - ago)

    def _day(self, business_days: int) -> date:
        """Return a working day counted from today; 0 is today itself, whatever day it is."""
        today = today_in("US/Pacific", self._now)
        if business_days >= 0:
            return add_business_days(today, business_days)
        day = today
        while business_days:
            day -= timedelta(days=1)
            business_days += day.weekday() < 5
        return day

    def _digits(self, count: int) -> str:
        return "".join(self._random.choice("0123456789") for _ in range(count))


def days(count: int) -> timedelta:
    """Return so many days."""
    return timedelta(days=count)


def hours(count: int) -> timedelta:
    """Return so many hours."""
    return timedelta(hours=count)


def _paper(title: str, name: str) -> str:
    """Return a one-page PDF with a line of text, in base64."""
    text = f"BT /F1 14 Tf 72 700 Td ({title}: {name}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    pdf = "%PDF-1.4\n"
    offsets = []
    for place, entry in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += f"{place} 0 obj\n{entry}\nendobj\n"
    start = len(pdf)
    pdf += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    pdf += "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    pdf += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return base64.b64encode(pdf.encode()).decode()
