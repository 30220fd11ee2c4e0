"""The porting configuration of a project at Sinch: read now and then, written on request.

Registered with the engine when the app starts. Sinch keeps one configuration and in it one
webhook address for each project.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from portal.accounts.guards import MAY_MANAGE, NO_MANAGING
from portal.accounts.models import SinchProject, WebhookToken
from portal.operations import heard, readings, runner
from portal.operations.clients import porting_client
from portal.operations.models import Operation, Reading
from portal.sinch.payloads import written_time

KIND = "configuration"
CONFIGURE = "porting.configure"
READ_AGAIN = timedelta(hours=6)
HIDDEN = "••••"
CONTACT = ("name", "email", "phone")
# What Sinch takes where nothing is set. Source: Porting API, "Configuration".
DEFAULT_TIME, DEFAULT_ZONE = "09:00:00", "US/Eastern"
MOST_LOOKED_BACK = 10


def register() -> None:
    """Make the reading and the write known to the engine."""
    readings.register(ConfigurationReader())
    runner.register(ConfigureHandler())


def sweep_pause() -> timedelta:
    """Return how often the desk looks for orders made elsewhere, whatever webhooks say."""
    seconds: Any = settings.CELERY_BEAT_SCHEDULE["discover orders"]["schedule"]
    return timedelta(seconds=seconds)


def sweep_minutes() -> int:
    """Return the same in whole minutes, at least one, for sentences."""
    return max(1, round(sweep_pause().total_seconds() / 60))


# --- Addresses -------------------------------------------------------------------------------


def valid_tokens(project: SinchProject, kind: str = "porting") -> QuerySet[WebhookToken]:
    """Return the tokens that Sinch may use at the moment, the newest first."""
    now = timezone.now()
    valid = Q(retired_at=None) | Q(retired_at__gt=now)
    return project.tokens.filter(valid, kind=kind).order_by("-created_at", "-pk")


def own_address(project: SinchProject, kind: str = "porting") -> str:
    """Return the full address that Sinch is to be given; "" when no valid token can be read."""
    tokens = valid_tokens(project, kind).values_list("token", flat=True)
    token = next((token for token in tokens if token is not None), None)
    return webhook_address(token, kind) if token is not None else ""


def webhook_address(token: str, kind: str = "porting") -> str:
    """Return the full address of a webhook; `token` may be dots."""
    return f"{settings.PUBLIC_URL}{_path(kind)}{token}/"


def _path(kind: str) -> str:
    # The route belongs to a room above, so it is named, not imported.
    return reverse(f"webhooks:{kind}", args=["token"]).removesuffix("token/")


def without_token(address: str) -> tuple[str, str]:
    """Return an address with its token as dots, and the token's hash; "" when it holds none."""
    before, path, rest = address.partition(_path("porting"))
    token = rest.strip("/")
    if not path or not token or "/" in token:
        return address, ""
    return f"{before}{path}{HIDDEN}/", WebhookToken.hash_of(token)


def same_address(one: str, other: str) -> bool:
    """Tell whether two addresses mean the same: Sinch may leave out the scheme or a slash.

    Source: Porting API, "Get configuration" (`webhookUrl`, shown once as a bare host name).
    """

    def bare(address: str) -> tuple[str, str]:
        parts = urlsplit(address if "//" in address else f"//{address}")
        return parts.netloc.lower(), parts.path.rstrip("/")

    return bool(one) and bool(other) and bare(one) == bare(other)


def same_host(said: str, address: str) -> bool:
    """Tell whether Sinch shows the bare host of an address and nothing else of it."""
    bare = said.rstrip("/").rpartition("//")[2]
    return bool(bare) and "/" not in bare and bare.lower() == urlsplit(address).netloc.lower()


# --- Reading ---------------------------------------------------------------------------------


class ConfigurationReader(readings.Reader):
    """Reads a project's porting configuration; also the test of its key."""

    kind = KIND

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read and store it; look again in some hours. Raises SinchError."""
        # Whoever has just typed a key tests that one, not the one that was in use a moment ago.
        reading.project.refresh_from_db(fields=["key_secret"])
        store(reading.project, porting_client(reading.project).get_configuration(), started_at)
        return READ_AGAIN


def store(project: SinchProject, configuration: Any, read_at: datetime) -> None:
    """Store a configuration as read at a moment, unless a newer one is there; None for none yet.

    Our token is not kept in it: its hash stands beside the address.
    """
    kept = masked(configuration)
    with transaction.atomic():
        rows = SinchProject.objects.select_for_update(no_key=True).defer("key_secret")
        stored = rows.get(pk=project.pk)
        last = stored.porting_configuration_read_at
        if last is not None and last >= read_at:
            return
        before = (stored.default_port_time, stored.default_port_time_zone)
        for row in (stored, project):
            row.porting_configuration, row.porting_configuration_read_at = kept, read_at
        stored.save(update_fields=["porting_configuration", "porting_configuration_read_at"])
        if (stored.default_port_time, stored.default_port_time_zone) != before:
            count_anew(stored)


def count_anew(project: SinchProject) -> None:
    """Have every living order's bucket worked out again; the rooms above do it in their time."""
    items = apps.get_model("work.WorkItem")._default_manager
    living = ("ready", "us", "date", "wait")
    items.filter(project=project, bucket__in=living).update(next_change_at=timezone.now())


def masked(configuration: Any) -> dict[str, Any]:
    """Return a configuration without our token in it; {} for none."""
    kept: dict[str, Any] = dict(configuration or {})
    if kept and "webhookTokenHash" not in kept:
        address, token_hash = without_token(str(kept.get("webhookUrl") or ""))
        kept |= {"webhookUrl": address, "webhookTokenHash": token_hash}
    return kept


def digest(configuration: Any) -> str:
    """Return what a configuration is known again by, as read or as stored; for none as well."""
    there = masked(configuration)
    contact = there.get("contact") or {}
    parts = [
        *(contact.get(name) or "" for name in CONTACT),
        there.get("webhookUrl") or "",
        there.get("webhookTokenHash") or "",
        str(there.get("defaultPortTime") or "")[:5],
        there.get("defaultPortTimeZone") or "",
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


# --- Writing ---------------------------------------------------------------------------------


ADDRESS_ENDED = (
    "The address in it has ended: what is sent to it would be turned away. Register this desk’s "
    "present address."
)


class ConfigureHandler(runner.Handler):
    """Writes a project's porting configuration, all four keys of it.

    Payload: {"configuration": some keys of ConfigurationWrite, "base": digest of what was there
    when somebody decided}. What is not in it stays as it is at Sinch.
    """

    kind = CONFIGURE
    how_found_out = "The configuration at Sinch is read and compared with what was sent."
    permission, no_right = MAY_MANAGE, NO_MANAGING

    def hold(self, operation: Operation) -> None:
        """Lock the project: whoever sends a change anew at this moment comes first, or waits."""
        rows = SinchProject.objects.filter(pk=operation.project_id).select_for_update(no_key=True)
        rows.values_list("pk").first()

    def why_not_again(self, operation: Operation) -> str:
        """Register no address whose token has ended; one that may have left is looked up first."""
        address = _wanted(operation).get("webhookUrl") or ""
        is_over = operation.uncertain_since is None and _has_ended(operation.project, address)
        return ADDRESS_ENDED if is_over else ""

    def send(self, operation: Operation) -> dict[str, Any]:
        """Create the configuration where there is none, else replace it. Raises SinchError."""
        wanted = _wanted(operation)
        if _has_ended(operation.project, wanted.get("webhookUrl") or ""):
            raise runner.Refused(ADDRESS_ENDED)
        client = porting_client(operation.project)
        there = client.get_configuration()
        if operation.payload.get("base", digest(there)) != digest(there):
            raise runner.Refused(
                "The configuration at Sinch was changed meanwhile. Look at what is there now, "
                "and send yours again if it is still right."
            )
        body = _whole(operation.project, there or {}, wanted)
        if there is None:
            client.create_configuration(body)
        else:
            client.update_configuration(body)
        return {"stored": True}

    def find_out(self, operation: Operation) -> runner.Found | None:
        """Compare what is there with what was sent; sending it again does no harm."""
        there: Any = porting_client(operation.project).get_configuration() or {}
        wanted = _wanted(operation)
        # The bare host of an address is the same before and after another of its tokens is sent.
        is_hidden = same_host(str(there.get("webhookUrl") or ""), wanted.get("webhookUrl") or "")
        has_changed = digest(there) != operation.payload.get("base", digest(there))
        is_ours = agrees(there, wanted) and (has_changed or not is_hidden)
        # Sinch may write it in a way of its own; what stands as before is not ours for that.
        is_ours = is_ours or (has_changed and agrees(_eased(there), _eased(wanted)))
        return runner.Found({"stored": True}) if is_ours else None

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Read it back."""
        ask(operation.project, "staff")

    def failed(self, operation: Operation) -> None:
        """Read what is there, so that it stands beside what was refused."""
        ask(operation.project, "staff")


def _wanted(operation: Operation) -> dict[str, Any]:
    wanted: dict[str, Any] = operation.payload["configuration"]
    return wanted


def _has_ended(project: SinchProject, address: str) -> bool:
    """Tell whether an address holds a token of ours that is valid no more."""
    _, token_hash = without_token(address)
    is_valid = valid_tokens(project).filter(token_hash=token_hash).exists()
    return not is_valid and project.tokens.filter(token_hash=token_hash).exists()


def _whole(
    project: SinchProject, there: Mapping[str, Any], wanted: dict[str, Any]
) -> dict[str, Any]:
    """Return all keys to send: what is wanted, else what is there, else Sinch's own defaults.

    Sinch does not say whether a key that is left out is kept or cleared. Raises Refused.
    """
    contact = there.get("contact") or {}
    at, zone = written_time(
        str(there.get("defaultPortTime") or DEFAULT_TIME),
        str(there.get("defaultPortTimeZone") or DEFAULT_ZONE),
        timezone.now().date().isoformat(),
    )
    body = {
        "contact": {name: contact[name] for name in CONTACT if contact.get(name)},
        "webhookUrl": "" if "webhookUrl" in wanted else _address_to_keep(project, there),
        "defaultPortTime": at,
        "defaultPortTimeZone": zone,
    } | wanted
    # Sinch takes no empty address: without one there is none to keep.
    return body if body["webhookUrl"] else {k: v for k, v in body.items() if k != "webhookUrl"}


def _address_to_keep(project: SinchProject, there: Mapping[str, Any]) -> str:
    """Return the webhook address at Sinch as it has to be sent back; "" for none.

    Raises Refused when Sinch shows only the host of an address that this desk does not know.
    """
    said = str(there.get("webhookUrl") or "")
    bare = said.rstrip("/").rpartition("//")[2]
    if not bare:
        # Shown by nobody, it may still be there, and what is left out may be cleared.
        written, _ = last_written(project)
        _, token_hash = without_token(str(written.get("webhookUrl") or ""))
        is_ours = valid_tokens(project).filter(token_hash=token_hash).exists()
        return own_address(project) if is_ours else ""
    if "/" in bare:
        return said if "//" in said else f"https://{said}"
    ours = own_address(project)
    if ours and same_host(said, ours):
        return ours
    raise runner.Refused(
        f"Sinch shows only the host of the webhook address, {bare}, and a change would cut it to "
        "that. Register this desk’s address first, or change the defaults in Sinch’s dashboard."
    )


def last_written(project: SinchProject) -> tuple[dict[str, Any], datetime | None]:
    """Return what this desk last had written of the configuration, key by key, and when.

    A registration of the address says nothing about contact and defaults; one statement.
    """
    found: dict[str, Any] = {}
    at: datetime | None = None
    written = Operation.objects.filter(
        target=f"project:{project.pk}", kind=CONFIGURE, state=Operation.State.SUCCEEDED
    ).only("finished_at")
    for operation in written.annotate(sends=heard.SENDS).order_by("-pk")[:MOST_LOOKED_BACK]:
        wanted = (operation.sends or {}).get("configuration") or {}
        if at is None and "contact" in wanted:
            at = operation.finished_at
        found = wanted | found
    return found, at


def agrees(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Tell whether a configuration as read is the one that was sent; what was left out agrees.

    An address of which Sinch shows only the host is taken for ours when the host is.
    """
    contact, said = there.get("contact") or {}, str(there.get("webhookUrl") or "")
    address = wanted.get("webhookUrl") or ""
    time = wanted.get("defaultPortTime") or ""
    zone = wanted.get("defaultPortTimeZone")
    return (
        (not address or same_host(said, address) or same_address(said, address))
        and (not time or str(there.get("defaultPortTime") or "")[:5] == time[:5])
        and (not zone or there.get("defaultPortTimeZone") == zone)
        and (
            "contact" not in wanted
            or all((contact.get(n) or "") == (wanted["contact"].get(n) or "") for n in CONTACT)
        )
    )


def _eased(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration however it is written: case, spaces, `8:30`, signs in a number."""
    found = dict(configuration)
    if contact := found.get("contact"):
        texts = {
            name: " ".join(str(text or "").split()).casefold() for name, text in contact.items()
        }
        found["contact"] = texts | {"phone": re.sub(r"\D", "", texts.get("phone", ""))}
    if time := found.get("defaultPortTime"):
        hour, colon, rest = str(time).partition(":")
        found["defaultPortTime"] = f"{hour:0>2}{colon}{rest}"
    if zone := found.get("defaultPortTimeZone"):
        found["defaultPortTimeZone"] = str(zone).casefold()
    return found


def ask(project: SinchProject, cause: str) -> None:
    """Have the configuration read soon."""
    # What failed before says nothing about this try.
    Reading.objects.filter(project=project, kind=KIND).update(last_error="", attempts=0)
    readings.want_one(project, KIND, project.project_id, cause)
