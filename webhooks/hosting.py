"""What a hosting callback says, and what follows from it."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from hosting.sync import IMPORTED_NUMBER
from hosting.wire import read_moment
from portal.values import text

# Source: Imported Numbers and Hosting Orders API, "Callbacks"; the names on the right are those
# the sibling Numbers API uses for the same events.
EVENTS = frozenset(
    {
        "PROVISIONING_TO_SMS_PLATFORM",
        "DEPROVISIONING_TO_SMS_PLATFORM",
        "LINK_TO_10DLC_CAMPAIGN",
        "UNLINK_TO_10DLC_CAMPAIGN",
        "HOSTING_PROCESS",
        "OSR_UPDATE",
        "DELETE",
    }
)
ALIASES = {
    "DEPROVISIONING_FROM_SMS_PLATFORM": "DEPROVISIONING_TO_SMS_PLATFORM",
    "PROVISIONING_TO_CAMPAIGN": "LINK_TO_10DLC_CAMPAIGN",
    "DEPROVISIONING_FROM_CAMPAIGN": "UNLINK_TO_10DLC_CAMPAIGN",
}
ID_LENGTH = 64
CLOCK_SLACK = timedelta(minutes=1)  # Sinch's clock may be before ours
_WORD = re.compile(r"[^\w.:\-]+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True)
class HostingNotice:
    """A callback as it was understood; "" where it does not say.

    `resource_id` is a number with its plus or an order's id, `at` Sinch's time of the event.
    """

    is_json: bool
    event: str = ""
    resource_type: str = ""
    resource_id: str = ""
    status: str = ""
    failure_code: str = ""
    event_id: str = ""
    at: datetime | None = None

    @property
    def is_known(self) -> bool:
        """Whether the event is one that Sinch documents."""
        return self.event in EVENTS

    def happened_at(self, received_at: datetime) -> datetime:
        """Return when the event happened: when it was received, if `at` is unsaid or cannot be.

        Nothing is told before it happens. Believed, a time in the future would make every later
        event of the kind older than what was applied, and none of them would be news any more.
        """
        if self.at is None or self.at > received_at + CLOCK_SLACK:
            return received_at
        return self.at


def read_notice(body: bytes) -> HostingNotice:
    """Return what a body says; never raises, whatever the body is.

    Source: Imported Numbers and Hosting Orders API, "Callbacks", fields of the event.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return HostingNotice(is_json=False)
    if not isinstance(said, dict):
        return HostingNotice(is_json=True)
    event, about = _word(said.get("eventType")), _word(said.get("resourceType"))[:40]
    return HostingNotice(
        is_json=True,
        event=ALIASES.get(event, event),
        resource_type=about,
        resource_id=_resource(said.get("resourceId"), about),
        status=_word(said.get("status"))[:20],
        failure_code=_word(said.get("failureCode")),
        event_id=event_id_of(said),
        at=read_moment(said.get("timestamp")),
    )


def event_id_of(said: Any) -> str:
    """Return the id of an event, "" when it has none; the digest of one that no column takes.

    Two ids that begin alike are two events; told by their beginning the second would be lost.
    """
    found = said.get("eventId") if isinstance(said, dict) else None
    if not isinstance(found, (str, int)):
        return ""
    kept, whole = text(found, ID_LENGTH), str(found).strip()
    return kept if kept == whole else sha256(json.dumps(whole).encode()).hexdigest()


def _word(value: object) -> str:
    return _WORD.sub("", value.upper())[:60] if isinstance(value, str) else ""


def _resource(value: object, about: str) -> str:
    """Return a number in E.164 or an order's id; "" for what can be asked for as neither.

    A leading plus tells a number, which what is about an imported number may lack.
    Source: Imported Numbers and Hosting Orders API, "Callbacks", `resourceId`.
    """
    said = re.sub(r"\s", "", text(value)) if isinstance(value, str) else ""
    phone = re.sub(r"[().-]", "", said)
    if about == IMPORTED_NUMBER and phone[:1].isdigit():
        phone = f"+{phone}"
    if _PHONE.fullmatch(phone):
        return phone
    return "" if said.startswith("+") or said in (".", "..") else said[:ID_LENGTH]
