"""Taking in a webhook: size, token, signature, one INSERT, 200. It is looked into later."""

import hashlib
import json
import logging
import zlib
from typing import Any

from django.db import connection
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseForbidden,
    HttpResponseNotAllowed,
    HttpResponseNotFound,
    UnreadablePostError,
)
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from portal import callers
from portal.crypto import cipher
from portal.operations import doorbell
from portal.values import whole
from webhooks import refused, tokens
from webhooks.hosting import event_id_of
from webhooks.models import Delivery
from webhooks.signature import HEADER, is_signed

log = logging.getLogger(__name__)

LIMIT = 1_000_000  # bytes of a body
HEADERS = {"CONTENT_TYPE": "content-type", "HTTP_USER_AGENT": "user-agent"}
HEADER_LIMIT = 200  # characters of each

# Written out because this is the one statement that everything waits for: Django takes twice as
# long to put it together as PostgreSQL does to carry it out.
_COLUMNS = """
    (project_id, received_at, next_try_at, body, is_compressed, size, digest, headers, source,
     kind, event_id, repeats, state, event_type, resource_id, verdict, outcome, attempts,
     last_error)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 'received', '', '', '', '', 0, '')
"""
_INSERT = f"INSERT INTO webhooks_delivery {_COLUMNS}"
# An event that came before is counted where it stands; there is nothing more to do about it.
# Another one that was given the same id is no repeat.
_INSERT_ONCE = f"""{_INSERT}
ON CONFLICT (project_id, event_id) WHERE event_id <> ''
DO UPDATE SET repeats = webhooks_delivery.repeats + 1
WHERE webhooks_delivery.digest = EXCLUDED.digest
"""


@csrf_exempt
def porting(request: HttpRequest, token: str) -> HttpResponse:
    """Store a porting webhook as it came and answer 200.

    404 for an address nobody gave out, 413 for more than LIMIT bytes; both lose the event, as
    Sinch says nothing about repeating. Everything else is kept, readable or not.
    Source: Porting API, "Webhooks".
    """
    if refusal := _why_not(request):
        return refusal
    project = tokens.project_of(token)
    if project is None:
        return HttpResponseNotFound()
    body = _body(request)
    if isinstance(body, HttpResponse):
        return body
    store(project, body, request)
    doorbell.ring(doorbell.DELIVERIES)
    return HttpResponse()


@csrf_exempt
def hosting(request: HttpRequest, token: str) -> HttpResponse:
    """Store a hosting callback as it came and answer 200, a repeated one as well.

    404 for an address nobody gave out, 403 for a caller that the project does not list, 413 for
    more than LIMIT bytes, 401 for a signature that fits none of the project's secrets: nothing of
    these is stored. The signature is compared before anything is parsed.
    Source: Imported Numbers and Hosting Orders API, "Callbacks".
    """
    if refusal := _why_not(request):
        return refusal
    door = tokens.door_of(token, "hosting")
    if door is None:
        return HttpResponseNotFound()
    if not door.lets_in(callers.address_of(request)):
        log.warning("A hosting callback came from an address that is not on the list.")
        return HttpResponseForbidden()
    body = _body(request)
    if isinstance(body, HttpResponse):
        return body
    signature = request.headers.get(HEADER, "")
    if not is_signed(body, signature, door.secrets):
        # The secret may have been made a moment ago, by another process.
        fresh = tokens.door_of(token, "hosting", fresh=True)
        if fresh is None or fresh is door or not is_signed(body, signature, fresh.secrets):
            log.warning("A hosting callback was turned away: its signature is not ours.")
            refused.count(door.project)
            return HttpResponse(status=401)
    store(door.project, body, request, kind="hosting", event_id=_event_id(body))
    doorbell.ring(doorbell.DELIVERIES)
    return HttpResponse()


def store(
    project: int, body: bytes, request: HttpRequest, *, kind: str = "porting", event_id: str = ""
) -> None:
    """Put a delivery on disk: one INSERT, outside any transaction, so committed on return.

    It takes a second one for an event whose id another one has already.
    """
    is_large = len(body) > Delivery.SMALL
    # Level 1 makes an order of 500 numbers a twentieth of its size in a fifth of a millisecond.
    kept = zlib.compress(body, 1) if is_large else body
    meta = request.META
    headers = {name: _printable(value) for key, name in HEADERS.items() if (value := meta.get(key))}
    now = timezone.now()
    values: list[Any] = [
        project,
        now,
        now,
        cipher().encrypt(kept),
        is_large,
        len(body),
        hashlib.sha256(kept).hexdigest(),
        json.dumps(headers),
        callers.address_of(request),
        kind,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_ONCE if event_id else _INSERT, [*values, event_id])
        if not cursor.rowcount:
            cursor.execute(_INSERT, [*values, ""])


def _why_not(request: HttpRequest) -> HttpResponse | None:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    # A length that is no number is none we take.
    if whole(request.META.get("CONTENT_LENGTH") or "0", LIMIT) is None:
        return HttpResponse(status=413)
    return None


def _body(request: HttpRequest) -> bytes | HttpResponse:
    try:
        body = _read(request)
    except UnreadablePostError:
        return HttpResponseBadRequest()  # the sender hung up; there is nobody to read this
    return HttpResponse(status=413) if len(body) > LIMIT else body


def _event_id(body: bytes) -> str:
    try:
        return event_id_of(json.loads(body))
    except (ValueError, RecursionError):
        return ""  # kept all the same: it was signed


def _read(request: HttpRequest) -> bytes:
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        # Django reads as much as Content-Length says, and a chunked request has none; the server
        # has put the chunks together again and ends the stream.
        stream, body = request.META["wsgi.input"], b""
        while len(body) <= LIMIT and (part := stream.read(LIMIT + 1 - len(body))):
            body += part
        return body
    return request.read(LIMIT + 1)


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:HEADER_LIMIT] if letter.isprintable())
