"""Carries requests to Sinch: token, time-outs, retries of reads, one pace for all workers.

A read is patient: connection failures, 429 and 5xx are tried again with growing, jittered waits
that heed `Retry-After`. A write leaves once, soon or not at all, and whoever asked for it learns
from `outcome_unknown` whether it may have been carried out.
"""

import copy
import hashlib
import hmac
import io
import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from portal.sinch import network
from portal.sinch.errors import (
    SinchAuthError,
    SinchError,
    SinchHeldBack,
    SinchRateLimited,
    SinchUnavailable,
    SinchUnexpectedReply,
    error_from_answer,
    secrets_in,
)
from portal.sinch.parts import (
    CallRecord,
    CircuitBreaker,
    MemoryTokenStore,
    RateLimiter,
    RateLimitExceeded,
    TokenStore,
    UnlimitedLimiter,
    flight_is_over,
)

log = logging.getLogger(__name__)
_jitter = random.SystemRandom().uniform

NO_ANSWERS = frozenset({502, 503, 504})  # said by what stands before a Sinch that is away
MAX_RETRIES = 3
MAX_WAIT = 30.0  # seconds before one retry; a longer Retry-After is the caller's to keep
MAX_PAUSE = 3600.0  # seconds all workers stand still at most, whatever Retry-After says
DEFAULT_PAUSE = 1.0  # seconds all workers stand still after a 429 that does not say how long
FIRST_BACKOFF = 0.5  # seconds, doubled for each further retry
MAX_BODY = 50 * 1024 * 1024  # bytes of one answer
MAX_SECONDS_OF_A_BODY = 60.0
RENEW_EARLY = 60.0  # seconds before a token's end
TOKEN_SECONDS = 2.0  # a token is used again without asking the store for it
# An operation's lease covers a write; one that was held up longer than this is not sent any
# more, or a second worker might send it as well.
MAX_SECONDS_BEFORE_A_WRITE = 15.0
# urllib3 gives one whole `bytes` body the connect time-out, but each block of a stream its own.
STREAM_ABOVE = 64 * 1024


@dataclass(frozen=True)
class _Request:
    method: str
    path: str  # as it may be told: after the project, no query
    url: str
    is_write: bool
    query: str = ""
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    secrets: tuple[str, ...] = field(default=(), repr=False)
    deadline: float | None = None  # monotonic time after which it must not leave any more


class _Bearer(AuthBase):
    # An auth object rather than a header: requests would let a .netrc entry replace the header.
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass
class _Renewal:
    lock: threading.Lock = field(default_factory=threading.Lock)
    error: SinchError | None = None
    failed_at: float = 0.0


# One renewal of a token per process at a time, however many transports share the key.
_renewals: dict[str, _Renewal] = {}


class Transport:
    """HTTP to one Sinch project, as JSON in and JSON out; safe to share between threads.

    Keep one for as long as its key is valid: connections are pooled inside. `base_url` is scheme
    and host; `/v1/projects/{project_id}` is added. `auth_url` is the full token endpoint.
    Time-outs are seconds. Raises ValueError for an address that is neither https nor loopback,
    and for an empty project or key. `sleep` is called between the tries of a read, `clock` counts
    seconds.
    Source: Porting API, "Authentication" and "Error messages".
    """

    def __init__(
        self,
        base_url: str,
        project_id: str,
        key_id: str,
        key_secret: str,
        auth_url: str,
        token_store: TokenStore | None = None,
        limiter: RateLimiter | None = None,
        breaker: CircuitBreaker | None = None,
        session_factory: Callable[[], requests.Session] = requests.Session,
        connect_timeout: float = 5,
        read_timeout: float = 20,
        user_agent: str = "porting-portal",
        on_call: Callable[[CallRecord], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        max_body: int = MAX_BODY,
    ) -> None:
        network.check_address("base_url", base_url)
        network.check_address("auth_url", auth_url)
        for name, value in {
            "project_id": project_id,
            "key_id": key_id,
            "key_secret": key_secret,
        }.items():
            if not value or value != value.strip():
                raise ValueError(f"{name} is empty or has spaces around it")
        if ":" in key_id:
            raise ValueError("key_id must not contain a colon")
        self._prefix = f"{base_url.rstrip('/')}/v1/projects/{quote(project_id, safe='')}"
        self._auth_url = auth_url
        self._auth_path = urlsplit(auth_url).path or "/"
        self._pace_key = project_id
        self._key_id = key_id
        self._key_secret = key_secret
        # A changed secret or endpoint is a different token; the secret itself is not in the key.
        self._token_key = hmac.new(
            key_secret.encode(), f"{auth_url}\n{key_id}".encode(), hashlib.sha256
        ).hexdigest()[:40]
        self._tokens: TokenStore = token_store or MemoryTokenStore()
        self._limiter: RateLimiter = limiter or UnlimitedLimiter()
        self._breaker = breaker
        self._session_factory = session_factory
        self._timeout = (connect_timeout, read_timeout)
        self._headers = {"Accept": "application/json", "User-Agent": user_agent}
        self._on_call = on_call
        self._sleep = sleep
        self._clock = clock
        self._max_body = max_body
        self._adapter: BaseAdapter | None = None
        self._local = threading.local()
        self._token: tuple[str, float] = ("", 0.0)  # the last one used, and until when unasked

    def __repr__(self) -> str:
        """Return what may be told: the project, never the key."""
        return f"<Transport {self._prefix}>"

    @property
    def token_seconds_left(self) -> float | None:
        """How long the present access token is used yet; None when there is none."""
        return self._tokens.seconds_left(self._token_key)

    def mount(self, adapter: BaseAdapter) -> None:
        """Send everything, tokens included, through this adapter instead of the network."""
        self._adapter = adapter
        self._local = threading.local()

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Return the parsed answer of a GET, None for an empty one; None values are not sent.

        Raises SinchError; SinchUnavailable when retries ran out.
        """
        return self._request("GET", path, query=query, is_write=False)

    def post(self, path: str, body: object = None, *, is_read: bool = False) -> Any:
        """Return the parsed answer of a POST, None for an empty one; without a body if None.

        `is_read` marks one that changes nothing and may be repeated. Raises SinchError.
        """
        return self._request("POST", path, body=body, is_write=not is_read)

    def put(self, path: str, body: object) -> Any:
        """Return the parsed answer of a PUT, None for an empty one. Raises SinchError."""
        return self._request("PUT", path, body=body, is_write=True)

    def patch(self, path: str, body: object) -> Any:
        """Return the parsed answer of a PATCH, None for an empty one. Raises SinchError."""
        return self._request("PATCH", path, body=body, is_write=True)

    def delete(self, path: str) -> Any:
        """Return the parsed answer of a DELETE, None for an empty one. Raises SinchError."""
        return self._request("DELETE", path, is_write=True)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        is_write: bool,
    ) -> Any:
        asked = {key: str(value) for key, value in (query or {}).items() if value is not None}
        request = _Request(
            method=method,
            path=path,
            url=self._prefix + path,
            is_write=is_write,
            query=urlencode(asked),
            body=None if body is None else json.dumps(body).encode(),
            secrets=(*secrets_in(body), self._key_secret),
            deadline=self._clock() + MAX_SECONDS_BEFORE_A_WRITE if is_write else None,
        )
        token = self._known_token() or self._renewed_token(None, request.deadline)
        is_renewed = False
        retry = 0
        while True:
            try:
                return self._exchange(request, _Bearer(token), token)
            except SinchUnavailable as error:
                if is_write:
                    raise
                self._sleep(self._wait_before_retry(retry, error))
                retry += 1
            except SinchAuthError as error:
                if error.status != 401 or is_renewed:
                    raise
                # A 401 did nothing, so that even a write may go out again.
                self._token = ("", 0.0)
                token = self._renewed_token(token, request.deadline)
                is_renewed = True

    # Tokens

    def _known_token(self) -> str | None:
        """Return the token to use; many calls in a moment ask the store for it once.

        One that Sinch no longer takes costs a 401, after which the store is asked at once.
        """
        token, until = self._token
        if token and self._clock() < until:
            return token
        stored = self._tokens.get(self._token_key)
        self._token = (stored or "", self._clock() + TOKEN_SECONDS)
        return stored

    def _renewed_token(self, refused: str | None, deadline: float | None) -> str:
        """Return a token other than the refused one: somebody's newer one, or a new one."""
        asked_at = self._clock()
        renewal = _renewals.setdefault(self._token_key, _Renewal())
        with renewal.lock:
            stored = self._tokens.get(self._token_key)
            if stored and stored != refused:
                return stored
            if stored:
                self._tokens.delete(self._token_key)
            if renewal.error is not None and renewal.failed_at >= asked_at:
                # It failed while we waited. Were each to try in turn, an outage of the token
                # endpoint would hold all threads for minutes.
                raise copy.copy(renewal.error)
            try:
                return self._fetch_token(deadline)
            except SinchError as error:
                renewal.error, renewal.failed_at = error, self._clock()
                raise

    def _fetch_token(self, deadline: float | None) -> str:
        """Return a new token and keep it until shortly before its end.

        Source: Sinch authentication guide, "OAuth2 client credentials".
        """
        request = _Request(
            method="POST",
            path=self._auth_path,
            url=self._auth_url,
            is_write=False,
            body=b"grant_type=client_credentials",
            content_type="application/x-www-form-urlencoded",
            secrets=(self._key_secret,),
            deadline=deadline,
        )
        basic = HTTPBasicAuth(self._key_id.encode(), self._key_secret.encode())
        retry = 0
        while True:
            started = self._clock()
            try:
                answer = self._exchange(request, basic)
                break
            except SinchUnavailable as error:
                self._sleep(self._wait_before_retry(retry, error, deadline))
                retry += 1
            except SinchError as error:
                if error.status != 400:
                    raise
                # OAuth2 answers 400 to a key it does not know.
                raise SinchAuthError(
                    "the token endpoint refused the key",
                    method="POST",
                    path=self._auth_path,
                    status=400,
                    sinch_message=error.sinch_message,
                ) from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise SinchUnexpectedReply(
                "no token in the answer", method="POST", path=self._auth_path
            )
        lifetime = network.lifetime(answer.get("expires_in"))
        # The lifetime counts from when Sinch made the token, which we did not see.
        kept = lifetime - min(RENEW_EARLY, lifetime / 2) - (self._clock() - started)
        if kept > 0:
            self._tokens.set(self._token_key, token, kept)
        return token

    # One exchange

    def _exchange(self, request: _Request, auth: AuthBase, *secrets: str) -> Any:
        """Send once; return the parsed 2xx answer or raise the SinchError it stands for."""
        if self._breaker is not None and not self._breaker.allows():
            raise SinchHeldBack(
                "held back, as the last calls were not answered",
                method=request.method,
                path=request.path,
                retry_after=self._breaker.seconds_left + _jitter(0, 0.5),
            )
        is_token_call = request.url == self._auth_url
        pace_key = f"{self._pace_key}:token" if is_token_call else self._pace_key
        try:
            self._limiter.acquire(pace_key)
        except RateLimitExceeded as refusal:
            raise SinchRateLimited(
                "held back by our own pace",
                method=request.method,
                path=request.path,
                retry_after=refusal.retry_after,
            ) from None
        if request.deadline is not None and (self._clock() > request.deadline or flight_is_over()):
            raise SinchUnavailable(
                "held up too long to be sent safely",
                method=request.method,
                path=request.path,
            )
        started = self._clock()
        status: int | None = None
        problem: str | None = None
        try:
            status, headers, content = self._send(request, auth)
            self._note(answered=status not in NO_ANSWERS)
            retry_after = network.retry_after(headers)
            if status == 429 or (status >= 500 and retry_after):
                pause = DEFAULT_PAUSE if retry_after is None else retry_after
                self._limiter.pause(pace_key, min(pause, MAX_PAUSE))
            if 200 <= status < 300:
                return _parsed(request, status, content)
            raise error_from_answer(
                method=request.method,
                path=request.path,
                status=status,
                content=content,
                retry_after=retry_after,
                is_write=request.is_write,
                secrets=(*request.secrets, *secrets),
            )
        except SinchError as error:
            if isinstance(error, SinchUnavailable) and status is None:
                self._note(answered=False)
            status = error.status
            problem = f"{type(error).__name__} {error.reason}".strip()
            raise
        finally:
            self._tell(request, status, self._clock() - started, problem)

    def _note(self, *, answered: bool) -> None:
        if self._breaker is not None:
            (self._breaker.worked if answered else self._breaker.failed)()

    def _send(self, request: _Request, auth: AuthBase) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body as they came; SinchUnavailable when nothing came."""
        status: int | None = None
        body: bytes | io.BytesIO | None = request.body
        headers = dict(self._headers)
        if request.body is not None:
            headers["Content-Type"] = request.content_type
            if len(request.body) > STREAM_ABOVE:
                body = io.BytesIO(request.body)
        try:
            with self._session(request.url).request(
                request.method,
                request.url,
                params=request.query or None,
                data=body,
                headers=headers,
                auth=auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                status = response.status_code
                return status, response.headers, self._body_of(request, response)
        # requests lets a few errors of the layers below through while a body is read.
        except (OSError, HTTPException, urllib3.exceptions.HTTPError) as error:
            if status is not None and status >= 300:
                return status, {}, b""  # the status decides; only its words were lost
            raise SinchUnavailable(
                network.words_for(error, self._timeout),
                method=request.method,
                path=request.path,
                status=status,
                outcome_unknown=request.is_write and not network.never_left(error),
            ) from None

    def _body_of(self, request: _Request, response: requests.Response) -> bytes:
        content, until = bytearray(), self._clock() + MAX_SECONDS_OF_A_BODY
        # In the pieces that come. Each has the read time-out for itself, and whoever waits for a
        # certain number of bytes may wait for any number of pieces.
        while chunk := response.raw.read1(64 * 1024, decode_content=True):
            content += chunk
            if self._clock() > until:
                raise requests.ReadTimeout("the answer does not come to its end")
            if len(content) > self._max_body:
                raise SinchUnexpectedReply(
                    f"the answer is larger than {self._max_body} bytes",
                    method=request.method,
                    path=request.path,
                    status=response.status_code,
                    outcome_unknown=request.is_write,
                )
        return bytes(content)

    def _session(self, url: str) -> requests.Session:
        """Return this thread's session for the host of the URL."""
        host = urlsplit(url).netloc
        sessions: dict[str, requests.Session] = self._local.__dict__.setdefault("sessions", {})
        if host not in sessions:
            session = self._session_factory()
            if network.is_loopback(url):
                session.trust_env = False  # no proxy reaches this machine's own loopback
            if self._adapter is not None:
                session.mount("https://", self._adapter)
                session.mount("http://", self._adapter)
            sessions[host] = session
        return sessions[host]

    def _wait_before_retry(
        self, retry: int, error: SinchUnavailable, deadline: float | None = None
    ) -> float:
        """Return the seconds to wait before trying again, or raise the error for good."""
        is_our_own_pace = isinstance(error, SinchRateLimited) and error.status is None
        is_held_back = is_our_own_pace or isinstance(error, SinchHeldBack)
        if retry >= MAX_RETRIES or is_held_back or (error.retry_after or 0) > MAX_WAIT:
            raise error
        # Jitter keeps workers that failed together from coming back together.
        backoff = FIRST_BACKOFF * 2**retry * _jitter(0.5, 1.0)
        wait = max(backoff, (error.retry_after or 0) + _jitter(0, 0.25))
        if deadline is not None and self._clock() + wait > deadline:
            raise error
        return wait

    def _tell(
        self, request: _Request, status: int | None, seconds: float, problem: str | None
    ) -> None:
        if self._on_call is None:
            return
        try:
            self._on_call(CallRecord(request.method, request.path, status, seconds, problem))
        except Exception:
            # A broken log must not turn a done write into a failed one.
            log.exception("The hook for calls to Sinch failed")


def _parsed(request: _Request, status: int, content: bytes) -> Any:
    try:
        return network.parsed(content)
    except (ValueError, RecursionError):
        raise SinchUnexpectedReply(
            "the answer is not JSON",
            method=request.method,
            path=request.path,
            status=status,
            outcome_unknown=request.is_write,
        ) from None
