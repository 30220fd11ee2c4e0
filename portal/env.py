"""Settings read from the environment, each checked, each wrong one named in a sentence."""

import os
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from portal.values import whole

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def text(name: str, default: str | None = None) -> str:
    """Return a setting without blanks around it; ImproperlyConfigured when it must be set."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set. The README says what belongs in it.")
    return default


def flag(name: str, default: bool = False) -> bool:
    """Return a yes-or-no setting; 1/true/yes/on and 0/false/no/off are understood."""
    value = os.environ.get(name, "1" if default else "0").strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it takes yes or no.")


def number(name: str, default: int, minimum: int, maximum: int) -> int:
    """Return a whole number within its limits."""
    value = text(name, str(default))
    found = whole(value, maximum)
    if found is None or found < minimum:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it takes a whole number from {minimum} to {maximum}."
        )
    return found


def words(name: str, default: str) -> list[str]:
    """Return a comma-separated setting as a list without empty entries."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def address(name: str, default: str) -> str:
    """Return the address of a host of Sinch's (or of ours) without a trailing slash.

    Anything but https is refused, except plain http on this machine, so that no credential
    can leave it unencrypted by a typing mistake.
    """
    value = text(name, default)
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it takes an address such as https://host.example."
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must begin with https:// (http:// only on this machine)."
        )
    return value.rstrip("/")
