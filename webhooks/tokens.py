"""Which webhook addresses are valid, who may call them and what signs for them, from memory."""

import hashlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.db.models import Q
from django.utils import timezone

from portal.accounts.models import CallbackSecret, SinchProject, WebhookToken

VALID_SECONDS = 30.0  # how long a retired token may still be accepted by a process that knew it
UNKNOWN_SECONDS = 5.0  # how long a new token may be refused by a process that was asked too early
# How soon after it was asked for a door is asked for anew because a signature did not fit: a
# secret made a moment ago may be unknown to this process. Wrong signatures must not be dear.
FRESH_SECONDS = 1.0
MOST_UNKNOWN = 1000  # refused tokens remembered at one time


@dataclass(frozen=True)
class Door:
    """What a token admits to: a project, the secrets that sign for it, where it is called from.

    `secrets` are those of hosting callbacks, newest first; without `sources` anybody may call.
    """

    project: int
    secrets: tuple[bytes, ...] = ()
    sources: tuple[IPv4Network | IPv6Network, ...] = ()

    def lets_in(self, address: str | None) -> bool:
        """Tell whether a call may come from this address; None is one that is not known."""
        if not self.sources:
            return True
        try:
            caller = ip_address(address or "")
        except ValueError:
            return False
        return any(caller in source for source in self.sources)


# Hash of the token → its door, when it was asked for, and until when that holds.
_known: dict[tuple[str, str], tuple[Door, float, float]] = {}
_unknown: dict[tuple[str, str], float] = {}
_lock = threading.Lock()


def project_of(token: str, kind: str = "porting") -> int | None:
    """Return the key of the project a token admits to, None for an unknown or retired one."""
    door = door_of(token, kind)
    return door.project if door else None


def door_of(token: str, kind: str = "porting", *, fresh: bool = False) -> Door | None:
    """Return what a token admits to, None for an unknown or retired one.

    No statement for a token asked about less than VALID_SECONDS ago, or FRESH_SECONDS with
    `fresh`. The token itself is never compared: it is found by its SHA-256, so that the time it
    takes tells nothing about it.
    """
    now = time.monotonic()
    key = (kind, hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest())
    found = _known.get(key)
    if found is not None and found[2] > now and not (fresh and now - found[1] > FRESH_SECONDS):
        return found[0]
    if _unknown.get(key, 0.0) > now:
        return None
    door = _ask(kind, key[1])
    with _lock:
        if door is not None:
            _known[key] = (door, now, now + VALID_SECONDS)
        else:
            _known.pop(key, None)
            if len(_unknown) >= MOST_UNKNOWN:
                _unknown.clear()
            _unknown[key] = now + UNKNOWN_SECONDS
    return door


def _ask(kind: str, token_hash: str) -> Door | None:
    valid = Q(retired_at=None) | Q(retired_at__gt=timezone.now())
    tokens = WebhookToken.objects.filter(
        valid, kind=kind, token_hash=token_hash, project__is_active=True
    )
    row = tokens.order_by().values_list("project_id", "project__callback_sources").first()
    if row is None:
        return None
    project, sources = row
    if kind != "hosting":
        return Door(project)
    return Door(project, secrets_of(project), networks(sources))


def secrets_of(project: SinchProject | int) -> tuple[bytes, ...]:
    """Return the secrets that may sign a project's callbacks now, the newest first.

    One that no key of ours decrypts signs nothing and is left out; health tells of it.
    """
    valid = Q(retired_at=None) | Q(retired_at__gt=timezone.now())
    rows = CallbackSecret.objects.filter(valid, project=project).order_by("-created_at", "-pk")
    found = rows.values_list("secret", flat=True)
    return tuple(str(secret).encode() for secret in found if secret is not None)


def networks(sources: Iterable[object]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return addresses and ranges of addresses, as typed; what is none admits nobody."""
    found = []
    for source in sources:
        try:
            found.append(ip_network(str(source).strip(), strict=False))
        except ValueError:
            found.append(ip_network("255.255.255.255/32"))
    return tuple(found)


def forget() -> None:
    """Drop what this process remembers, so that the next question asks the database."""
    with _lock:
        _known.clear()
        _unknown.clear()
