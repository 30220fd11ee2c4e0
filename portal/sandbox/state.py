"""What the simulated Sinch remembers: orders, settings, tokens, counters; kept in a JSON file."""

import json
import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from portal.sandbox.clock import iso_instant
from portal.sandbox.config import Personality
from portal.sandbox.hosting_state import HostingState
from portal.sandbox.rules import country_code, losing_carrier

PENDING = "PENDING"
CONFIRMED = "CONFIRMED"
COMPLETED = "COMPLETED"
PENDING_CANCELATION = "PENDING_CANCELATION"
CANCELED = "CANCELED"
ACTIVATED = "ACTIVATED"
REJECTED = "REJECTED"
EXCLUDED = "EXCLUDED"

LIVING = frozenset({PENDING, CONFIRMED, PENDING_CANCELATION})
NUMBER_KEYS = (
    "endUser",
    "portOutInfo",
    "voiceConfiguration",
    "smsConfiguration",
    "features",
    "newPortOutPin",
)
FIRST_ORDER_ID = 40_116_204
FILE_VERSION = 1
# How long after a change the file is written, in seconds; changes in between go along.
SAVE_DELAY = 2.0

Json = dict[str, Any]


@dataclass
class Number:
    """One number of an order. `details` holds what the customer sent, the rest what became of it.

    Dates are ISO dates, instants ISO date-times in UTC. `refused` are the values a carrier said
    no to; another value lifts the rejection.
    """

    phone_number: str
    details: Json = field(default_factory=dict, repr=False)
    status: str = PENDING
    group: str = ""
    foc_date: str | None = None
    confirmed_at: str | None = None
    reject_reason: str = ""
    exclusion_reason: str = ""
    excluded_at: str | None = None
    excluded_features: list[Json] = field(default_factory=list)
    refused: list[str] = field(default_factory=list, repr=False)
    ready_at: str | None = None
    activating_at: str | None = None
    activated_at: str | None = None
    activate_user: str = ""

    @property
    def country(self) -> str:
        """US or CA, by area code."""
        return country_code(self.phone_number)

    @property
    def carrier(self) -> str:
        """The losing carrier."""
        return losing_carrier(self.phone_number)


@dataclass
class Order:
    """One port-in order. `origin` is "api", "demo" or "elsewhere" (made in Sinch's dashboard).

    `held` keeps an order from moving by itself: the demo's overdue order would go live at once.
    """

    id: int
    created_at: str
    status: str = PENDING
    reference: str | None = None
    schedule: Json = field(default_factory=dict)
    on_demand: bool = False
    loa_uploaded_by: str | None = None
    loa_attachment_date: str | None = None
    reseller_name: str | None = None
    numbers: list[Number] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    notes: list[Json] = field(default_factory=list)
    documents: list[Json] = field(default_factory=list, repr=False)
    origin: str = "api"
    held: bool = False
    waited: int = 0

    @property
    def zone(self) -> str | None:
        """Name of the zone its port date is in."""
        return self.schedule.get("desiredPortTimeZone")

    @property
    def end_user(self) -> str:
        """Name of the first number's end user."""
        first = self.numbers[0].details if self.numbers else {}
        return str((first.get("endUser") or {}).get("name") or "")

    def number(self, phone_number: str) -> Number | None:
        """Return one number, or None when the order does not hold it."""
        return next((n for n in self.numbers if n.phone_number == phone_number), None)

    def in_status(self, *statuses: str) -> list[Number]:
        """Return the numbers in any of these statuses."""
        return [number for number in self.numbers if number.status in statuses]

    def join_group(self, number: Number) -> None:
        """Put a number into the group of its carrier, opening the group when it is the first."""
        for name in self.groups:
            if name.startswith(f"GW {number.carrier} Grp"):
                number.group = name
                return
        number.group = f"GW {number.carrier} Grp{len(self.groups) + 1}"
        self.groups.append(number.group)

    def group_id(self, name: str) -> str:
        """Return the id of a group, as the seed documents show it: grp-001."""
        return f"grp-{self.groups.index(name) + 1:03d}"


class State:
    """Everything a sandbox remembers. Hold `lock` while reading or changing it."""

    def __init__(self, personality: Personality) -> None:
        self.lock = threading.RLock()
        self.personality = personality
        self.orders: dict[int, Order] = {}
        self.hosting = HostingState()
        self.configuration: Json | None = None
        self.webhook_url: str | None = None
        self.zero_balance = False
        self.calls: Counter[str] = Counter()
        self.last_order_id = FIRST_ORDER_ID
        self.last_note_id = 50
        self.last_document_id = 7000
        self.spawned = 0
        self.dirty = threading.Event()
        self._by_number: dict[str, list[int]] = {}
        self._tokens: dict[str, datetime] = {}

    def touch(self) -> None:
        """Note that something worth keeping has changed."""
        self.dirty.set()

    def next_order_id(self) -> int:
        """Return a new order id; they grow."""
        self.last_order_id += 1
        return self.last_order_id

    def add_order(self, order: Order) -> Order:
        """Remember a new order, with its carrier groups made."""
        self.orders[order.id] = order
        for number in order.numbers:
            order.join_group(number)
        self.index(order)
        self.touch()
        return order

    def index(self, order: Order) -> None:
        """Make the order findable by its numbers; call it again when numbers were added."""
        for number in order.numbers:
            ids = self._by_number.setdefault(number.phone_number, [])
            if order.id not in ids:
                ids.append(order.id)

    def orders_of(self, phone_number: str) -> Iterator[Order]:
        """Yield the orders that hold a number, oldest first."""
        for order_id in self._by_number.get(phone_number, ()):
            order = self.orders[order_id]
            if order.number(phone_number):
                yield order

    def order_holding(self, phone_number: str, *, besides: int | None = None) -> Order | None:
        """Return the living order in which this number still moves, if there is one.

        A number that was refused or left out of a locked order is free to be ordered again.
        """
        for order in self.orders_of(phone_number):
            number = order.number(phone_number)
            if order.id == besides or order.status not in LIVING or number is None:
                continue
            if number.status in {PENDING, CONFIRMED, ACTIVATED} or (
                number.status == REJECTED and order.status != CONFIRMED
            ):
                return order
        return None

    def add_note(self, order: Order, text: str, *, by: str, now: datetime) -> Json:
        """Append a note to an order and return it, with the id Sinch answers once."""
        self.last_note_id += 1
        note = {
            "id": self.last_note_id,
            "note": text,
            "createdTime": iso_instant(now),
            "createdBy": by,
        }
        order.notes.append(note)
        self.touch()
        return note

    def add_document(self, order: Order, name: str, description: str | None, content: str) -> Json:
        """Append a document (`content` in base64) to an order and return it."""
        self.last_document_id += 1
        document = {
            "id": self.last_document_id,
            "documentName": name,
            "description": description,
            "fileContent": content,
        }
        order.documents.append(document)
        self.touch()
        return document

    def issue_token(self, *, now: datetime, seconds: int) -> str:
        """Return a new access token that is good for `seconds`."""
        token = secrets.token_urlsafe(48)
        self._tokens = {t: until for t, until in self._tokens.items() if until > now}
        self._tokens[token] = now + timedelta(seconds=seconds)
        return token

    def is_good_token(self, token: str, now: datetime) -> bool:
        """Say whether a token was issued here and has not run out."""
        until = self._tokens.get(token)
        return until is not None and until > now

    def revoke_tokens(self) -> None:
        """Make every token issued so far invalid."""
        self._tokens.clear()

    def clear(self) -> None:
        """Forget orders, settings and counters; tokens and the personality stay."""
        self.orders.clear()
        self.hosting.clear()
        self._by_number.clear()
        self.calls.clear()
        self.configuration = None
        self.zero_balance = False
        self.spawned = 0
        self.touch()

    def to_json(self) -> Json:
        """Return what is kept between two runs; tokens and counters are not."""
        return {
            "version": FILE_VERSION,
            "personality": asdict(self.personality),
            "configuration": self.configuration,
            "webhookUrl": self.webhook_url,
            "zeroBalance": self.zero_balance,
            "lastOrderId": self.last_order_id,
            "lastNoteId": self.last_note_id,
            "lastDocumentId": self.last_document_id,
            "spawned": self.spawned,
            "orders": [asdict(order) for order in self.orders.values()],
            "hosting": self.hosting.to_json(),
        }

    def load_json(self, kept: Json) -> None:
        """Take over what `to_json` gave; raises ValueError when it is not that."""
        if kept.get("version") != FILE_VERSION:
            raise ValueError("The state file was written by another version.")
        self.clear()
        # A file of an older version has fewer switches, and no hosting.
        self.personality = Personality(**kept["personality"])
        self.hosting.load_json(kept.get("hosting", {}))
        self.configuration = kept["configuration"]
        self.webhook_url = kept["webhookUrl"]
        self.zero_balance = kept["zeroBalance"]
        self.last_order_id = kept["lastOrderId"]
        self.last_note_id = kept["lastNoteId"]
        self.last_document_id = kept["lastDocumentId"]
        self.spawned = kept["spawned"]
        for entry in kept["orders"]:
            order = Order(**{**entry, "numbers": [Number(**n) for n in entry["numbers"]]})
            self.orders[order.id] = order
            self.index(order)
        self.dirty.clear()


class StateFile:
    """Keeps a state in a file: written whole, then put in place, so it is never half there."""

    def __init__(self, state: State, path: Path) -> None:
        self._state = state
        self._path = path
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._writing = threading.Lock()

    def load(self) -> bool:
        """Read the file into the state; return whether there was one.

        Raises ValueError, naming the file, when it cannot be understood.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        try:
            self._state.load_json(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self._path} is not a sandbox state this version can read; "
                "move it away to start afresh."
            ) from error
        return True

    def save(self) -> None:
        """Write the file now."""
        with self._writing:
            with self._state.lock:
                self._state.dirty.clear()
                kept = self._state.to_json()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside = self._path.with_name(f"{self._path.name}.new")
            # Staff in training may type a real PIN: nobody else on the machine reads it here.
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)

    def start(self) -> None:
        """Save in the background from now on, at most every two seconds."""
        self._thread = threading.Thread(target=self._run, name="sandbox-state", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the background saving, with one last save when something is unsaved."""
        self._stop.set()
        self._state.dirty.set()
        if self._thread:
            self._thread.join(timeout=10)
        self.save()

    def _run(self) -> None:
        while not self._stop.wait(SAVE_DELAY):
            self._state.dirty.wait()
            if not self._stop.is_set():
                self.save()
