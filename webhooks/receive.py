"""Taking in a webhook: size, token, one INSERT, 200. What it says is looked into later."""

import hashlib
import json
import zlib
from functools import lru_cache
from ipaddress import ip_address

from django.db import connection
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseNotAllowed,
    HttpResponseNotFound,
    UnreadablePostError,
)
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from portal.crypto import cipher
from portal.operations import doorbell
from webhooks import tokens
from webhooks.models import Delivery

LIMIT = 1_000_000  # bytes of a body
HEADERS = {"CONTENT_TYPE": "content-type", "HTTP_USER_AGENT": "user-agent"}
HEADER_LIMIT = 200  # characters of each

# Written out because this is the one statement that everything waits for: Django takes twice as
# long to put it together as PostgreSQL does to carry it out.
_INSERT = """
INSERT INTO webhooks_delivery
    (project_id, received_at, next_try_at, body, is_compressed, size, digest, headers, source,
     kind, state, event_type, resource_id, verdict, outcome, attempts, last_error)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'porting', 'received', '', '', '', '', 0, '')
"""


@csrf_exempt
def porting(request: HttpRequest, token: str) -> HttpResponse:
    """Store a porting webhook as it came and answer 200.

    404 for an address nobody gave out, 413 for more than LIMIT bytes; both lose the event, as
    Sinch says nothing about repeating. Everything else is kept, readable or not.
    Source: Porting API, "Webhooks".
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > LIMIT:
        return HttpResponse(status=413)
    project = tokens.project_of(token)
    if project is None:
        return HttpResponseNotFound()
    try:
        body = _read(request)
    except UnreadablePostError:
        return HttpResponseBadRequest()  # the sender hung up; there is nobody to read this
    if len(body) > LIMIT:
        return HttpResponse(status=413)
    store(project, body, request)
    doorbell.ring(doorbell.DELIVERIES)
    return HttpResponse()


def store(project: int, body: bytes, request: HttpRequest) -> None:
    """Put a delivery on disk: one INSERT, outside any transaction, so committed on return."""
    is_large = len(body) > Delivery.SMALL
    # Level 1 makes an order of 500 numbers a twentieth of its size in a fifth of a millisecond.
    kept = zlib.compress(body, 1) if is_large else body
    meta = request.META
    headers = {name: _printable(value) for key, name in HEADERS.items() if (value := meta.get(key))}
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                project,
                now,
                now,
                cipher().encrypt(kept),
                is_large,
                len(body),
                hashlib.sha256(kept).hexdigest(),
                json.dumps(headers),
                _address(meta.get("REMOTE_ADDR", "")),
            ],
        )


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


@lru_cache(maxsize=256)
def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None  # a unix socket has no address
