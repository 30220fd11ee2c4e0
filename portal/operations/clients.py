"""A client for a Sinch project: its key, the shared token, the shared speed limit."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.accounts.models import SinchProject
from portal.crypto import cipher
from portal.operations import calls
from portal.sinch.errors import SinchHeldBack
from portal.sinch.hosting import HostingClient
from portal.sinch.parts import CallRecord
from portal.sinch.porting import PortingClient
from portal.sinch.shared import Breaker, RedisTokenBucket, RedisTokenStore
from portal.sinch.transport import Transport

log = logging.getLogger(__name__)
# Calls in a row without an answer after which Sinch is left alone for some seconds: more than one
# read with all its retries.
PATIENCE = 6
KEY_LOST = (
    "The secret of this project's access key cannot be read: no key in ENCRYPTION_KEYS decrypts "
    "it. Ask an administrator to replace the access key in Settings."
)
KEY_ODD = (
    "The access key of this project cannot be one of Sinch's, so nothing is sent with it. "
    "Ask an administrator to replace the access key in Settings."
)
SECRET_SECONDS = 5.0  # after which a worker notices that a key's secret was changed
_lock = threading.Lock()
_clients: dict[tuple[str, ...], PortingClient | HostingClient] = {}
_transports: dict[tuple[str, ...], Transport] = {}
# By project: the id of its key, the secret, and until when that is believed.
_secrets: dict[int, tuple[str, str, float]] = {}

# Tests mount the sandbox here; None means the network.
mount: Callable[[Transport], None] | None = None
# How a read waits before it is tried again.
sleep: Callable[[float], None] = time.sleep


class KeyUnusable(SinchHeldBack):
    """Not sent at all: the project's access key cannot be read, or is none; `reason` says it."""

    @property
    def staff_message(self) -> str:
        return self.reason

    @property
    def question_message(self) -> str:
        return self.reason


def _told(project: int, call: CallRecord) -> None:
    calls.note(project, call)
    level = logging.WARNING if call.error else logging.INFO
    log.log(
        level,
        "Sinch %s %s → %s in %.2f s%s",
        call.method,
        call.path,
        call.status or "no answer",
        call.seconds,
        f" ({call.error})" if call.error else "",
    )


def porting_client(project: SinchProject) -> PortingClient:
    """Return the porting client of a project, one for all threads as long as its key is valid.

    Raises KeyUnusable.
    """
    client = _client(project, settings.SINCH_PORTING_URL, "porting", PortingClient)
    assert isinstance(client, PortingClient)
    return client


def hosting_client(project: SinchProject) -> HostingClient:
    """Return the hosting client of a project; it shares token and speed limit with porting.

    Raises KeyUnusable.
    """

    def make(transport: Transport) -> HostingClient:
        return HostingClient(transport, project.project_id)

    client = _client(project, settings.SINCH_HOSTING_URL, "hosting", make)
    assert isinstance(client, HostingClient)
    return client


def _client(
    project: SinchProject,
    base_url: str,
    api: str,
    make: Callable[[Transport], PortingClient | HostingClient],
) -> PortingClient | HostingClient:
    identity = _identity(project, base_url, api)
    with _lock:
        if identity not in _clients:
            # The library's own retries would hold every call to a dead server for seconds.
            server = redis.Redis.from_url(
                settings.REDIS_URL,
                socket_timeout=1,
                socket_connect_timeout=1,
                retry=Retry(NoBackoff(), 0),
            )
            breaker = Breaker()
            # Token and bucket are kept in Redis by key and by project: both APIs share them.
            try:
                transport = Transport(
                    base_url=base_url,
                    project_id=project.project_id,
                    key_id=project.key_id,
                    key_secret=project.key_secret,
                    auth_url=settings.SINCH_AUTH_URL,
                    token_store=RedisTokenStore(server, cipher=cipher(), breaker=breaker),
                    limiter=RedisTokenBucket(
                        server, rate=settings.SINCH_REQUESTS_PER_SECOND, breaker=breaker
                    ),
                    breaker=Breaker(patience=PATIENCE, who="Sinch"),
                    on_call=partial(_told, project.pk),
                    sleep=lambda seconds: sleep(seconds),
                )
            except ValueError as error:
                raise KeyUnusable(KEY_ODD) from error
            if mount is not None:
                mount(transport)
            _transports[identity], _clients[identity] = transport, make(transport)
        return _clients[identity]


def _identity(project: SinchProject, base_url: str, api: str) -> tuple[str, ...]:
    key = (project.project_id, project.key_id, _secret_of(project))
    return (api, base_url, settings.SINCH_AUTH_URL, *key)


def _secret_of(project: SinchProject) -> str:
    """Return the key's secret; who works through many readings does not decrypt it for each.

    Raises KeyUnusable.
    """
    known = _secrets.get(project.pk)
    if "key_secret" in project.get_deferred_fields() and known is not None:
        key_id, secret, until = known
        if key_id == project.key_id and time.monotonic() < until:
            return secret
    if project.key_secret is None:
        raise KeyUnusable(KEY_LOST)
    secret = str(project.key_secret)
    _secrets[project.pk] = (project.key_id, secret, time.monotonic() + SECRET_SECONDS)
    return secret


def token_seconds_left(project: SinchProject) -> float | None:
    """Return how long the shared access token of a project is good for; None without one.

    Raises KeyUnusable.
    """
    porting_client(project)
    with _lock:
        transport = _transports[_identity(project, settings.SINCH_PORTING_URL, "porting")]
    return transport.token_seconds_left


def forget_clients() -> None:
    """Drop all clients, so that the next call makes new ones."""
    with _lock:
        _clients.clear()
        _transports.clear()
        _secrets.clear()
