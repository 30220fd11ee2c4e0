"""What can go wrong between us and Sinch, in a form that logs and screens can both use."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

HIDDEN = "[hidden]"
MAX_MESSAGE = 500  # characters of Sinch's own words kept on an error

# Values under these keys of a request never reach an error: Sinch may echo what we sent.
SECRET_KEYS = frozenset(
    {
        "existingPortOutPin",
        "newPortOutPin",
        "accountNum",
        "fileContent",
        "webhookUrl",  # its path holds the token that admits a delivery
        "callbackUrl",  # and so does this one
        "hmacSecret",
        "code",  # of a voice challenge
        "email",  # of whoever signs an LOA
    }
)
ADDRESS_KEYS = frozenset(
    {
        "street",
        "streetName",
        "streetInfo",
        "location",
        "locationValue1",
        "locationValue2",
        "locationValue3",
        "zipCode",
        "postalCode",
    }
)
# A shorter street name or suite would blank ordinary words and numbers out of a message.
MIN_ADDRESS_LENGTH = 4

# A long unbroken run is a token or a piece of a file, whole or cut off by Sinch.
_LONG_RUN = re.compile(r"[A-Za-z0-9+/=_.\-]{60,}|eyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_.\-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Violation:
    """One field Sinch did not accept, by Sinch's path for it, and why."""

    field: str
    description: str


class SinchError(Exception):
    """A call to Sinch that did not succeed.

    `outcome_unknown` is the question a write must ask before it is sent again: False means the
    request certainly changed nothing at Sinch, True means it may have been carried out and has
    to be looked up first. `retry_after` is in seconds. `path` starts after the project and has
    no query. `staff_message` is for the screen; `str()` is for logs. Neither holds a token, a
    PIN, an account number or an address.
    """

    def __init__(
        self,
        reason: str = "",
        *,
        method: str = "",
        path: str = "",
        status: int | None = None,
        sinch_message: str = "",
        violations: Iterable[Violation] = (),
        retry_after: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        self.reason = reason
        self.method = method
        self.path = path
        self.status = status
        self.sinch_message = sinch_message
        self.violations = list(violations)
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown
        words = [
            f"{method} {path}".strip(),
            f"{status or ''} {reason or sinch_message}".strip(),
        ]
        super().__init__(": ".join(word for word in words if word))

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the trip between worker processes, which pickles exceptions."""
        return _rebuild, (type(self), dict(self.__dict__))

    @property
    def staff_message(self) -> str:
        """What to tell the person who is waiting, in plain words."""
        return "Something went wrong between the portal and Sinch."

    @property
    def question_message(self) -> str:
        """What to tell when Sinch was only asked: nothing of what an earlier write came to."""
        return self.staff_message


def _rebuild(kind: type[SinchError], state: dict[str, Any]) -> SinchError:
    reason = state.pop("reason", "")
    return kind(reason, **state)


class SinchUnavailable(SinchError):
    """Sinch could not be reached, did not answer in time, or failed on its side."""

    @property
    def staff_message(self) -> str:
        if self.outcome_unknown:
            return "Sinch's answer did not arrive, so it is not known yet whether this was done."
        return f"{self.question_message} Nothing was changed there."

    @property
    def question_message(self) -> str:
        return "Sinch cannot be reached at the moment."


class SinchHeldBack(SinchUnavailable):
    """Not sent at all: Sinch has not answered the last calls, and is left alone for a moment."""


class SinchRateLimited(SinchUnavailable):
    """Sinch, or our own shared pace, asks for fewer requests; `retry_after` may say how long."""

    @property
    def staff_message(self) -> str:
        return f"Sinch asks us to slow down. Nothing was changed there.{self._again}"

    @property
    def question_message(self) -> str:
        return f"Sinch asks us to slow down.{self._again}"

    @property
    def _again(self) -> str:
        if not self.retry_after:
            return ""
        return f" It takes requests again in {_duration(self.retry_after)}."


class SinchAuthError(SinchError):
    """Sinch does not accept the access key (401), or not for this project (403)."""

    @property
    def staff_message(self) -> str:
        if self.status == 403:
            return (
                "This access key may not use this Sinch project. "
                "Ask an administrator to check the project in Settings."
            )
        return (
            "Sinch does not accept the access key of this project. "
            "Ask an administrator to check it in Settings."
        )


class SinchNotFound(SinchError):
    """Sinch does not know the resource, or does not show it to this project (404)."""

    @property
    def staff_message(self) -> str:
        return "Sinch does not know this, or it belongs to another project."


class SinchConflict(SinchError):
    """The request does not fit the present state at Sinch (409)."""

    @property
    def staff_message(self) -> str:
        return _with_reason("Sinch says this does not fit the present state", self.sinch_message)


class SinchInvalidRequest(SinchError):
    """Sinch refused what was sent; `violations` names the fields where Sinch does."""

    @property
    def staff_message(self) -> str:
        if self.status == 413:
            return "This is too large for Sinch."
        return _with_reason("Sinch did not accept this", self.sinch_message)


class SinchPaymentRequired(SinchInvalidRequest):
    """The balance of the Sinch account is used up (402)."""

    @property
    def staff_message(self) -> str:
        return (
            "The Sinch account has no balance left. "
            "Ask the account owner to top it up, then send this again."
        )


class SinchUnexpectedReply(SinchError):
    """An answer the contract does not allow for: a redirect, no JSON, the wrong shape."""

    @property
    def staff_message(self) -> str:
        if self.outcome_unknown:
            return (
                "Sinch answered in a way the portal does not understand, "
                "so it is not known yet whether this was done."
            )
        return "Sinch answered in a way the portal does not understand. Tell an administrator."


def error_from_answer(
    *,
    method: str,
    path: str,
    status: int,
    content: bytes,
    retry_after: float | None = None,
    is_write: bool = False,
    secrets: Iterable[str] = (),
) -> SinchError:
    """Return the error that an answer outside 2xx stands for.

    The HTTP status decides; the body only adds words and may be absent or anything.
    Source: Porting API, "Error messages".
    """
    message, violations = _words_of(content, list(secrets))
    kind: type[SinchError]
    unknown = False
    if status in {401, 403}:
        kind = SinchAuthError
    elif status == 402:
        kind = SinchPaymentRequired
    elif status in {404, 410}:
        kind = SinchNotFound
    elif status == 409:
        kind = SinchConflict
    elif status == 429:
        kind = SinchRateLimited
    elif status == 408 or status >= 500:
        kind, unknown = SinchUnavailable, is_write
    elif 400 <= status < 500:
        kind = SinchInvalidRequest
    else:
        kind, unknown = SinchUnexpectedReply, is_write
    return kind(
        method=method,
        path=path,
        status=status,
        sinch_message=message,
        violations=violations,
        retry_after=retry_after,
        outcome_unknown=unknown,
    )


def secrets_in(body: object) -> list[str]:
    """Return the values of a request body that must not appear in any message, longest first."""
    return sorted(set(_secret_values(body)), key=len, reverse=True)


def _secret_values(body: object) -> Iterator[str]:
    if isinstance(body, Mapping):
        for key, value in body.items():
            if isinstance(value, str):
                is_address = key in ADDRESS_KEYS and len(value) >= MIN_ADDRESS_LENGTH
                if value and (key in SECRET_KEYS or is_address):
                    yield value
            else:
                yield from _secret_values(value)
    elif isinstance(body, (list, tuple)):
        for item in body:
            yield from _secret_values(item)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return the text on one line with every secret value replaced, at most 500 characters."""
    text = _CONTROL.sub(" ", text[:20_000])
    for secret in secrets:
        if len(secret) > len(text) or not secret.strip():
            continue
        text = _pattern_for(secret).sub(HIDDEN, text)
    text = _LONG_RUN.sub(HIDDEN, text)
    return text.strip()[:MAX_MESSAGE]


def _pattern_for(secret: str) -> re.Pattern[str]:
    # A short PIN must not blank out the middle of every phone number that contains it.
    if secret.isdigit():
        return re.compile(rf"(?<!\d){re.escape(secret)}(?!\d)")
    if len(secret) < MIN_ADDRESS_LENGTH:
        return re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)", re.IGNORECASE)
    return re.compile(re.escape(secret), re.IGNORECASE)


def _words_of(content: bytes, secrets: list[str]) -> tuple[str, list[Violation]]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        text = content.decode("utf-8", "replace").strip()
        # An HTML page from a proxy says nothing to staff.
        return ("" if text.startswith("<") else scrub(text, secrets)), []
    if not isinstance(body, dict):
        return (scrub(body, secrets) if isinstance(body, str) else ""), []
    # Two shapes are documented for hosting: the error inside an envelope, or at the top.
    if isinstance(body.get("error"), dict):
        body = body["error"]
    # A gateway in between may write problems as RFC 9457 has it: `detail`, and `title` for short.
    keys = ("message", "detail", "error_description", "title", "error", "status")
    said = (body.get(key) for key in keys)
    message = next((word for word in said if isinstance(word, str) and word.strip()), "")
    violations = [
        Violation(scrub(violation.field, secrets), scrub(violation.description, secrets))
        for violation in _violations_in(body.get("details"))
    ]
    return scrub(message, secrets), violations


def _violations_in(details: object) -> Iterator[Violation]:
    """Yield the field violations of both documented shapes: one object, or a list of them."""
    for detail in details if isinstance(details, list) else [details]:
        found = detail.get("fieldViolations") if isinstance(detail, dict) else None
        for entry in found if isinstance(found, list) else []:
            if isinstance(entry, dict):
                field, description = entry.get("field"), entry.get("description")
                yield Violation(
                    field if isinstance(field, str) else "",
                    description if isinstance(description, str) else "",
                )


def _with_reason(lead: str, reason: str) -> str:
    if not reason:
        return f"{lead}, and gave no reason."
    return f"{lead}: {reason}" if reason.endswith((".", "!", "?")) else f"{lead}: {reason}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes"
