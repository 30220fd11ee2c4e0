"""What the network has to say: addresses that may be called, headers, bodies, and failures."""

import json
import math
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from portal.sinch.payloads import storable_text

UNSTATED_LIFETIME = 300.0  # seconds a token is kept whose lifetime Sinch did not state
LONGEST_LIFETIME = 86400.0  # seconds a token is kept at most


def check_address(name: str, url: str) -> None:
    """Raise ValueError for an address that is neither https nor loopback; `name` says which."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError(f"{name} must be a plain address such as https://host.example")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise ValueError(
            f"{name} must begin with https:// (http:// is for loopback only), "
            f"not {parts.scheme}://{parts.hostname}"
        )


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lifetime(stated: object) -> float:
    """Return the seconds a token lives, from what Sinch stated."""
    try:
        seconds = float(str(stated))
    except ValueError:
        return UNSTATED_LIFETIME
    return min(seconds, LONGEST_LIFETIME) if seconds > 0 else UNSTATED_LIFETIME


def parsed(content: bytes) -> Any:
    """Return the JSON of an answer, as a database can keep it; None for an empty one.

    Raises ValueError or RecursionError for what is not JSON.
    """
    if not content.strip():
        return None
    return _storable(json.loads(content, parse_constant=_finite, parse_float=_finite))


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable_text(key): _storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return storable_text(value) if isinstance(value, str) else value


def _finite(word: str) -> float:
    # NaN and Infinity are no JSON, 1e999 is one of them to Python; no database column takes them.
    if not math.isfinite(value := float(word)):
        raise ValueError(word)
    return value


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, whether it holds seconds or a date."""
    stated = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", stated):
        return float(stated)
    until = _timestamp(stated)
    if until is None:
        return None
    # Measured on Sinch's clock where it shows one, so that ours may be wrong.
    now = _timestamp(headers.get("Date") or "") or time.time()
    return max(0.0, until - now)


def _timestamp(http_date: str) -> float | None:
    try:
        return parsedate_to_datetime(http_date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the ones requests and urllib3 have wrapped in it."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [*cause.args, getattr(cause, "reason", None), cause.__cause__]
        waiting.extend(item for item in inner if isinstance(item, BaseException))


def never_left(error: BaseException) -> bool:
    """Whether the request certainly did not reach Sinch: there was no connection to send it on."""
    return any(
        isinstance(
            cause,
            (
                requests.ConnectTimeout,
                requests.exceptions.ProxyError,
                urllib3.exceptions.NewConnectionError,
                urllib3.exceptions.ConnectTimeoutError,
                ssl.SSLCertVerificationError,
            ),
        )
        for cause in _causes(error)
    )


def words_for(error: BaseException, timeout: tuple[float, float]) -> str:
    """Return why no answer came, in a few words; `timeout` is for connecting and for reading."""
    kinds = tuple(_causes(error))
    for kind, words in (
        (urllib3.exceptions.NameResolutionError, "the host name was not found"),
        # Before the time-outs: to urllib3 a refused connection is one of them.
        (urllib3.exceptions.NewConnectionError, "no connection"),
        (requests.ConnectTimeout, f"no connection within {timeout[0]:g} s"),
        (
            urllib3.exceptions.ConnectTimeoutError,
            f"no connection within {timeout[0]:g} s",
        ),
        (requests.exceptions.ProxyError, "the proxy gave no connection"),
        (ssl.SSLCertVerificationError, "the certificate was not accepted"),
        (requests.exceptions.SSLError, "no secure connection"),
        (requests.ReadTimeout, f"no answer within {timeout[1]:g} s"),
        (
            urllib3.exceptions.ReadTimeoutError,
            f"no answer within {timeout[1]:g} s",
        ),
    ):
        if any(isinstance(cause, kind) for cause in kinds):
            return words
    return "the connection was dropped"
