"""What the sandbox remembers of hosting: orders, imported and qualified numbers, the secret."""

import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]

DRAFT, SUBMITTED = "DRAFT", "SUBMITTED"
SIGNATURE, IN_PROGRESS = "WAITING_FOR_LOA_SIGNATURE", "IN_PROGRESS"
COMPLETED, REJECTED = "COMPLETED", "REJECTED"
FINISHED = frozenset({COMPLETED, REJECTED})
WAITING, DONE, FAILED = "WAITING", "DONE", "FAILED"
ENDS = frozenset({DONE, FAILED})
IMPORT, TEXT_ENABLE = "IMPORT", "TYPE_TEXT_ENABLE"
STEPS = (
    "osrUpdate",
    "platformProvisioning",
    "campaignProvisioning",
    "smsAtt",
    "smsTmo",
    "mmsAtt",
    "mmsTmo",
)
CARRIERS = STEPS[3:]
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def ulid() -> str:
    """Return a new id of 26 lower-case characters that grows with time."""
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


@dataclass
class HostedNumber:
    """A number of an order; `steps` maps a step to {"state", "errorCode", "errorMessage", …}."""

    phone_number: str
    steps: dict[str, Json] = field(default_factory=dict)

    @property
    def is_at_its_end(self) -> bool:
        """Whether nothing more will happen to it."""
        states = [step["state"] for step in self.steps.values()]
        return all(state in ENDS for state in states) or FAILED in (
            self.steps.get("osrUpdate", {}).get("state"),
            self.steps.get("platformProvisioning", {}).get("state"),
            self.steps.get("campaignProvisioning", {}).get("state"),
        )

    @property
    def is_done(self) -> bool:
        """Whether every step ended well."""
        return all(step["state"] == DONE for step in self.steps.values())


@dataclass
class HostingOrder:
    """One hosting order; `origin` is "api", "demo" or "elsewhere"; `loa` as it was sent."""

    id: str
    type: str
    created_at: str
    updated_at: str
    state: str = DRAFT
    display_name: str = ""
    region: str = "US"
    service_plan: str = ""
    campaign: str = ""
    nnid: str = ""
    loa_kind: str = ""  # direct, reseller, blanket or ""
    loa: Json = field(default_factory=dict, repr=False)
    toll_free: bool = False
    scheduled: str = ""
    migrate: bool = False
    callback_url: str = field(default="", repr=False)
    numbers: list[HostedNumber] = field(default_factory=list)
    manual: int = 0
    origin: str = "api"
    held: bool = False

    def number(self, phone_number: str) -> HostedNumber | None:
        """Return one number, or None when the order does not hold it."""
        return next((n for n in self.numbers if n.phone_number == phone_number), None)

    @property
    def needs_signature(self) -> bool:
        """Whether an LOA has to be signed before anything moves."""
        return self.type == TEXT_ENABLE and self.loa_kind in ("direct", "reseller")


@dataclass
class Link:
    """The link of an imported number to a plan or a campaign, and what is being done to it."""

    id: str = ""
    type: str = ""  # PROVISIONING, DEPROVISIONING or ""
    state: str = ""
    target: str = ""  # the id a provisioning is for
    error_code: str = ""
    updated_at: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether something is still being done."""
        return self.state in (WAITING, IN_PROGRESS)


@dataclass
class Imported:
    """An imported number."""

    phone_number: str
    region: str = "US"
    display_name: str = ""
    plan: Link = field(default_factory=Link)
    campaign: Link = field(default_factory=Link)
    carriers: dict[str, Json] = field(default_factory=dict)
    callback_url: str = field(default="", repr=False)
    migrate: bool = False
    created_at: str = ""


@dataclass
class Qualified:
    """A number being qualified; `state` is without its prefix."""

    phone_number: str
    state: str
    created_at: str
    updated_at: str
    wrong_codes: int = 0
    called: bool = False
    eligibility_error: str = ""
    ownership_error: str = ""
    hosting_error: str = ""


class HostingState:
    """Everything of hosting. Hold the lock of the state around it."""

    def __init__(self) -> None:
        self.orders: dict[str, HostingOrder] = {}
        self.imported: dict[str, Imported] = {}
        self.qualified: dict[str, Qualified] = {}
        self.secret = ""

    def clear(self) -> None:
        """Forget everything but the secret, which belongs to the project."""
        self.orders.clear()
        self.imported.clear()
        self.qualified.clear()

    def orders_of(self, phone_number: str) -> list[HostingOrder]:
        """Return the orders that hold a number, oldest first."""
        return [order for order in self.orders.values() if order.number(phone_number)]

    def to_json(self) -> Json:
        """Return what is kept between two runs."""
        return {
            "orders": [asdict(order) for order in self.orders.values()],
            "imported": [asdict(number) for number in self.imported.values()],
            "qualified": [asdict(number) for number in self.qualified.values()],
            "secret": self.secret,
        }

    def load_json(self, kept: Json) -> None:
        """Take over what `to_json` gave; {} is nothing."""
        self.clear()
        self.secret = kept.get("secret", "")
        for entry in kept.get("orders", ()):
            numbers = [HostedNumber(**number) for number in entry["numbers"]]
            self.orders[entry["id"]] = HostingOrder(**{**entry, "numbers": numbers})
        for entry in kept.get("imported", ()):
            links = {name: Link(**entry[name]) for name in ("plan", "campaign")}
            self.imported[entry["phone_number"]] = Imported(**{**entry, **links})
        for entry in kept.get("qualified", ()):
            self.qualified[entry["phone_number"]] = Qualified(**entry)
