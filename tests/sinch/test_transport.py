"""The transport against a real server: token, time-outs, retries, pace, and what errors tell."""

import copy
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests

from portal.sinch import network
from portal.sinch.errors import (
    SinchAuthError,
    SinchConflict,
    SinchError,
    SinchHeldBack,
    SinchInvalidRequest,
    SinchNotFound,
    SinchPaymentRequired,
    SinchRateLimited,
    SinchUnavailable,
    SinchUnexpectedReply,
    Violation,
)
from portal.sinch.parts import CallRecord, MemoryTokenStore, RateLimitExceeded
from portal.sinch.shared import Breaker
from portal.sinch.transport import MAX_SECONDS_BEFORE_A_WRITE, TOKEN_SECONDS, Transport
from tests.sinch.conftest import Call, Reply

ORDER = "/orders/portIns/12345"
READ = f"GET {ORDER}"
NOTE = f"POST {ORDER}/notes"
TOKEN = "POST /oauth2/token"
OK = Reply(200, {"id": 12345, "status": "PENDING"})
NOTHING = Reply(200, {})


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Token


def test_the_token_is_fetched_once_and_used_for_every_call(sinch, line):
    sinch.queue(READ, OK, OK)
    line.transport.get(ORDER)
    line.transport.get(ORDER)
    [fetched] = sinch.called(TOKEN)
    assert fetched.headers["authorization"].startswith("Basic ")
    assert fetched.body == b"grant_type=client_credentials"
    assert {call.headers["authorization"] for call in sinch.called(READ)} == {"Bearer token-1"}


def test_a_token_is_renewed_a_minute_before_its_end(sinch, line_to):
    clock = Clock()
    line = line_to(token_store=MemoryTokenStore(clock), clock=clock)
    sinch.otherwise = lambda call: OK
    line.transport.get(ORDER)
    clock.now += 3600 - 70
    line.transport.get(ORDER)
    assert sinch.tokens_given == 1
    clock.now += 15
    line.transport.get(ORDER)
    assert sinch.tokens_given == 2


def test_a_token_that_was_long_on_its_way_is_renewed_that_much_earlier(sinch, line_to):
    clock = Clock()

    def slow(call) -> None:
        clock.now += 50 if "token" in call.path else 0

    line = line_to(token_store=MemoryTokenStore(clock), clock=clock, on_call=slow)
    sinch.otherwise = lambda call: OK
    line.transport.get(ORDER)
    clock.now += 3600 - 60 - 50 + 5
    line.transport.get(ORDER)
    assert sinch.tokens_given == 2


@pytest.mark.parametrize("lifetime", [5, "3600", None, 0, -1, "soon", 1e300])
def test_any_stated_lifetime_of_a_token_is_lived_with(sinch, line, lifetime):
    sinch.token_lifetime = lifetime
    sinch.otherwise = lambda call: OK
    line.transport.get(ORDER)
    line.transport.get(ORDER)
    assert sinch.tokens_given == 1


def test_transports_with_one_store_share_the_token_and_another_secret_does_not(sinch, line_to):
    store = MemoryTokenStore()
    sinch.otherwise = lambda call: OK
    line_to(token_store=store).transport.get(ORDER)
    line_to(token_store=store).transport.get(ORDER)
    assert sinch.tokens_given == 1
    line_to(token_store=store, key_secret="rotated").transport.get(ORDER)
    assert sinch.tokens_given == 2


def test_many_threads_without_a_token_fetch_only_one(sinch, line):
    sinch.otherwise = lambda call: OK
    start = threading.Barrier(8)

    def read() -> None:
        start.wait(10)
        line.transport.get(ORDER)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(sinch.called(READ)) == 8
    assert sinch.tokens_given == 1


def test_threads_that_waited_for_a_renewal_share_its_failure(sinch, line_to):
    asked = threading.Semaphore(0)
    all_wait = threading.Event()

    class Counting(MemoryTokenStore):
        def get(self, key: str) -> str | None:
            asked.release()
            return super().get(key)

    def late_refusal(call: Call) -> Reply:
        all_wait.wait(10)
        return Reply(401)

    sinch.queue(TOKEN, late_refusal)
    # A clock that stands still: the failure is never older than anybody's question.
    line = line_to(token_store=Counting(), clock=Clock())
    caught: list[SinchError] = []

    def read() -> None:
        with pytest.raises(SinchAuthError) as error:
            line.transport.get(ORDER)
        caught.append(error.value)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(4):  # each looks once, and the one that renews looks twice
        assert asked.acquire(timeout=10)
    all_wait.set()
    for thread in threads:
        thread.join(10)
    assert len(caught) == 3
    assert len(sinch.called(TOKEN)) == 1


def test_after_a_401_the_token_is_renewed_and_the_call_repeated(sinch, line):
    sinch.refused_tokens = {"token-1"}
    sinch.otherwise = lambda call: OK
    assert line.transport.get(ORDER) == OK.body
    assert sinch.tokens_given == 2


def test_a_token_in_use_is_not_tried_again_once_it_was_refused(sinch, line):
    sinch.otherwise = lambda call: OK
    line.transport.get(ORDER)
    line.transport.get(ORDER)
    sinch.refused_tokens = {"token-1"}
    line.transport.get(ORDER)
    line.transport.get(ORDER)
    tried = [call.headers["authorization"] for call in sinch.called(READ)]
    assert tried == ["Bearer token-1"] * 3 + ["Bearer token-2"] * 2


def test_a_refused_token_is_not_tried_again_though_no_new_one_was_to_be_had(sinch, line):
    sinch.refused_tokens = {"old"}
    sinch.otherwise = lambda call: OK
    sinch.queue(TOKEN, Reply(200, {"access_token": "old"}), Reply(403))
    with pytest.raises(SinchAuthError):
        line.transport.get(ORDER)
    line.transport.get(ORDER)
    tried = [call.headers["authorization"] for call in sinch.called(READ)]
    assert tried == ["Bearer old", "Bearer token-1"]


def test_even_a_write_is_repeated_after_a_401_as_that_did_nothing(sinch, line):
    sinch.refused_tokens = {"token-1"}
    sinch.otherwise = lambda call: NOTHING
    line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert len(sinch.called(NOTE)) == 2


def test_a_second_401_is_given_up_on(sinch, line):
    sinch.refused_tokens = {"token-1", "token-2"}
    with pytest.raises(SinchAuthError) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert (caught.value.status, caught.value.outcome_unknown) == (401, False)
    assert len(sinch.called(NOTE)) == 2


def test_a_401_does_not_throw_away_a_newer_token_of_somebody_else(sinch, line_to):
    store = MemoryTokenStore()
    line = line_to(token_store=store)
    sinch.otherwise = lambda call: OK
    line.transport.get(ORDER)
    [key] = store._tokens

    def renewed_elsewhere(call: Any) -> Reply:
        if call.headers["authorization"] == "Bearer token-1":
            store.set(key, "newer", 600)
            return Reply(401)
        return OK

    sinch.otherwise = renewed_elsewhere
    line.transport.get(ORDER)
    assert sinch.tokens_given == 1
    assert store.get(key) == "newer"
    assert sinch.calls[-1].headers["authorization"] == "Bearer newer"


def test_many_calls_in_a_moment_ask_the_store_for_the_token_once(sinch, line_to):
    class Counted(MemoryTokenStore):
        asked = 0

        def get(self, key: str) -> str | None:
            self.asked += 1
            return super().get(key)

    clock = Clock()
    store = Counted(clock)
    line = line_to(token_store=store, clock=clock)
    sinch.otherwise = lambda call: OK
    line.transport.get(ORDER)
    line.transport.get(ORDER)
    before = store.asked
    for _ in range(20):
        line.transport.get(ORDER)
    assert store.asked == before
    # A newer one of another process is used soon, without a refusal having to come first.
    (key,) = store._tokens
    store.set(key, "newer", 600)
    clock.now += TOKEN_SECONDS
    line.transport.get(ORDER)
    assert sinch.calls[-1].headers["authorization"] == "Bearer newer"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_key_is_an_auth_error_and_nothing_was_sent(sinch, line, status):
    sinch.queue(TOKEN, Reply(status, {"error": "invalid_client"}))
    with pytest.raises(SinchAuthError) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is False
    assert caught.value.path == "/oauth2/token"
    assert sinch.called(NOTE) == []


def test_a_token_endpoint_that_fails_is_asked_again_and_leaves_no_doubt(sinch, line):
    sinch.queue(TOKEN, *[Reply(503)] * 4)
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is False
    assert len(sinch.called(TOKEN)) == 4
    assert len(line.waits) == 3
    assert sinch.called(NOTE) == []


def test_a_write_does_not_wait_for_a_token_until_it_may_not_leave_any_more(sinch, line):
    wait = MAX_SECONDS_BEFORE_A_WRITE + 1
    sinch.queue(TOKEN, Reply(503, headers={"Retry-After": str(wait)}))
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert (caught.value.outcome_unknown, caught.value.retry_after) == (False, wait)
    assert line.waits == []


@pytest.mark.parametrize(
    "body", [None, [], {}, {"access_token": 7}, {"access_token": "a b"}, b"<html>"]
)
def test_an_answer_without_a_token_is_unexpected(sinch, line, body):
    sinch.queue(TOKEN, Reply(200, body))
    with pytest.raises(SinchUnexpectedReply) as caught:
        line.transport.get(ORDER)
    assert caught.value.path == "/oauth2/token"


def test_a_netrc_entry_does_not_replace_the_token(sinch, line_to, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    def trusting() -> requests.Session:
        session = requests.Session()
        session.trust_env = True
        return session

    sinch.queue(READ, OK)
    line_to(session_factory=trusting).transport.get(ORDER)
    assert sinch.called(READ)[0].headers["authorization"] == "Bearer token-1"


def test_a_proxy_of_the_environment_does_not_stand_before_loopback(sinch, line, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    sinch.queue(READ, OK)
    assert line.transport.get(ORDER) == OK.body


# Retries


@pytest.mark.parametrize(
    "bad", [Reply(429), Reply(500), Reply(503), Reply(drop=True), Reply(200, {}, cut=True)]
)
def test_a_read_is_tried_again_until_it_succeeds(sinch, line, bad):
    sinch.queue(READ, bad, bad, OK)
    assert line.transport.get(ORDER) == OK.body
    assert len(sinch.called(READ)) == 3


def test_waits_grow_and_end_after_three_retries(sinch, line):
    sinch.otherwise = lambda call: Reply(500)
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.get(ORDER)
    assert caught.value.outcome_unknown is False
    assert len(sinch.called(READ)) == 4
    assert [0.25 <= line.waits[0] <= 0.5, 0.5 <= line.waits[1] <= 1, 1 <= line.waits[2] <= 2] == [
        True
    ] * 3


def test_the_portability_check_is_repeated_like_a_read(sinch, line):
    verdict = {"phoneNumber": "+12065550142", "portable": True}
    sinch.queue("POST /portabilityChecks", Reply(503), Reply(200, {"phoneNumbers": [verdict]}))
    assert line.client.check_porting_availability(["+12065550142"]) == [verdict]


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_write_is_sent_once_and_a_server_fault_leaves_its_outcome_unknown(sinch, line, status):
    sinch.otherwise = lambda call: Reply(status)
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is True
    assert len(sinch.called(NOTE)) == 1
    assert line.waits == []


def test_a_write_that_times_out_is_sent_once_and_its_outcome_is_unknown(sinch, line_to):
    line = line_to(read_timeout=0.3)
    sinch.queue(TOKEN, Reply(200, {"access_token": "t", "expires_in": 60}))
    sinch.queue(NOTE, Reply(hang=True))
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is True
    assert "no answer within 0.3 s" in str(caught.value)
    assert len(sinch.called(NOTE)) == 1


@pytest.mark.parametrize(
    ("method", "send"),
    [
        ("POST", lambda t: t.post(ORDER + "/notes", {"note": "Hello"})),
        ("DELETE", lambda t: t.delete(ORDER)),
    ],
)
def test_a_write_whose_answer_is_lost_is_sent_once_and_its_outcome_is_unknown(
    sinch, line, method, send
):
    sinch.otherwise = lambda call: Reply(drop=True)
    with pytest.raises(SinchUnavailable) as caught:
        send(line.transport)
    assert caught.value.outcome_unknown is True
    assert (
        len([call for call in sinch.calls if call.method == method and "oauth" not in call.path])
        == 1
    )


@pytest.mark.parametrize(
    "reply",
    [Reply(200, b"<html>"), Reply(201, b'{"id": '), Reply(200, b"[NaN]"), Reply(200, b"[1e999]")],
)
def test_an_unreadable_yes_to_a_write_leaves_its_outcome_unknown(sinch, line, reply):
    sinch.queue(NOTE, reply)
    with pytest.raises(SinchUnexpectedReply) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is True


def test_what_no_database_holds_is_taken_out_of_an_answer(sinch, line):
    """NUL is legal JSON that PostgreSQL refuses; half a surrogate pair is no legal text."""
    said = b'{"na\\u0000me": ["Harbor\\u0000view", {"note": "a \\ud83d b", "\\u00e9": 1}]}'
    sinch.queue(READ, Reply(200, said))
    answer = line.transport.get(ORDER)
    assert answer == {"name": ["Harborview", {"note": "a ? b", "\u00e9": 1}]}


def test_a_backslash_before_zeros_is_no_nul(sinch, line):
    sinch.queue(READ, Reply(200, rb'{"note": "C:\\u0000"}'))
    assert line.transport.get(ORDER) == {"note": r"C:\u0000"}


def test_a_yes_cut_short_leaves_the_outcome_of_a_write_unknown(sinch, line):
    sinch.queue(NOTE, Reply(201, {"id": 1}, cut=True))
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is True


def test_a_no_cut_short_is_still_a_no(sinch, line):
    sinch.queue(NOTE, Reply(422, {"message": "No"}, cut=True))
    with pytest.raises(SinchInvalidRequest) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is False


def test_a_refused_connection_certainly_did_nothing(sinch, line_to):
    store = MemoryTokenStore()
    sinch.queue(READ, OK)
    line_to(token_store=store).transport.get(ORDER)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: refused
        line = line_to(token_store=store, base_url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(SinchUnavailable) as caught:
            line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is False
    assert caught.value.path == f"{ORDER}/notes"
    assert str(caught.value) == f"POST {ORDER}/notes: no connection"


def test_an_unknown_host_certainly_did_nothing(line_to):
    line = line_to(auth_url="https://sinch.invalid/oauth2/token")
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is False


def test_a_server_that_does_not_speak_tls_gets_no_request(sinch, line_to):
    store = MemoryTokenStore()
    sinch.queue(READ, OK)
    line_to(token_store=store).transport.get(ORDER)
    line = line_to(token_store=store, base_url=sinch.url.replace("http:", "https:"))
    before = len(sinch.calls)
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.get(ORDER)
    assert "no secure connection" in str(caught.value)
    assert len(sinch.calls) == before


@pytest.mark.parametrize(
    ("error", "is_certain"),
    [
        (requests.ConnectTimeout(), True),
        (requests.exceptions.ProxyError(), True),
        (ssl.SSLCertVerificationError(), True),
        # Any of these may come when the request has arrived.
        (requests.ReadTimeout(), False),
        (ConnectionResetError(), False),
        (ssl.SSLError("decryption failed or bad record mac"), False),
    ],
)
def test_only_without_a_connection_is_it_certain_that_nothing_left(error, is_certain):
    assert network.never_left(requests.ConnectionError(error)) is is_certain


# Pace


class Pace:
    """A rate limiter that takes notes, and refuses when told."""

    def __init__(self, refuse: float | None = None) -> None:
        self.refuse = refuse
        self.acquired: list[str] = []
        self.paused: list[tuple[str, float]] = []

    def acquire(self, key: str) -> None:
        if self.refuse is not None and not key.endswith(":token"):
            raise RateLimitExceeded(self.refuse)
        self.acquired.append(key)

    def pause(self, key: str, seconds: float) -> None:
        self.paused.append((key, seconds))


def test_every_try_asks_the_pace_first(sinch, line_to):
    pace = Pace()
    sinch.queue(READ, Reply(500), OK)
    line_to(limiter=pace).transport.get(ORDER)
    assert pace.acquired == ["project-1:token", "project-1", "project-1"]


def test_a_request_held_back_by_our_own_pace_is_not_sent_nor_retried(sinch, line_to):
    line = line_to(limiter=Pace(refuse=12.5))
    with pytest.raises(SinchRateLimited) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert (caught.value.outcome_unknown, caught.value.retry_after) == (False, 12.5)
    with pytest.raises(SinchRateLimited):
        line.transport.get(ORDER)
    assert line.waits == []
    assert {call.path for call in sinch.calls} == {"/oauth2/token"}


def test_a_write_held_up_too_long_is_not_sent_any_more(sinch, line_to):
    clock = Clock()

    class SlowPace(Pace):
        def acquire(self, key: str) -> None:
            clock.now += MAX_SECONDS_BEFORE_A_WRITE * 0.6

    line = line_to(limiter=SlowPace(), clock=clock)
    with pytest.raises(SinchUnavailable) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is False
    assert sinch.called(NOTE) == []


@pytest.mark.parametrize("status", [401, 422, 429, 500])
def test_a_sinch_that_answers_is_asked_again_whatever_it_answers(sinch, line_to, status):
    line = line_to(breaker=Breaker(patience=2))
    sinch.otherwise = lambda call: Reply(status)
    for _ in range(3):
        with pytest.raises(SinchError):
            line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert len(sinch.called(NOTE)) >= 3


@pytest.mark.parametrize("bad", [Reply(502), Reply(503), Reply(504), Reply(drop=True)])
def test_a_sinch_that_does_not_answer_is_left_alone_and_nothing_is_tried_again(sinch, line_to, bad):
    line = line_to(breaker=Breaker(patience=2))
    sinch.otherwise = lambda call: bad
    with pytest.raises(SinchHeldBack):
        line.transport.get(ORDER)
    assert len(sinch.called(READ)) == 2
    assert len(line.waits) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_waited_for_and_told_to_all_workers(sinch, line_to, status):
    pace = Pace()
    line = line_to(limiter=pace)
    sinch.queue(READ, Reply(status, headers={"Retry-After": "7"}), OK)
    line.transport.get(ORDER)
    assert pace.paused == [("project-1", 7.0)]
    assert 7 <= line.waits[0] <= 7.5


def test_retry_after_as_a_date_is_measured_on_the_clock_of_the_server(sinch, line):
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    sinch.queue(READ, Reply(503, headers={"Retry-After": when}), OK)
    line.transport.get(ORDER)
    assert 17 <= line.waits[0] <= 21


@pytest.mark.parametrize("value", ["soon", "-5", "Wed, 99 Foo 2026", "1e9", ""])
def test_a_retry_after_that_makes_no_sense_is_passed_over(sinch, line, value):
    sinch.queue(READ, Reply(429, headers={"Retry-After": value}), OK)
    line.transport.get(ORDER)
    assert line.waits[0] <= 0.5


def test_a_retry_after_that_is_too_long_is_handed_to_the_caller(sinch, line_to):
    pace = Pace()
    line = line_to(limiter=pace)
    sinch.queue(READ, Reply(429, headers={"Retry-After": "90000"}))
    with pytest.raises(SinchRateLimited) as caught:
        line.transport.get(ORDER)
    assert caught.value.retry_after == 90000
    assert line.waits == []
    assert pace.paused == [("project-1", 3600.0)]


def test_a_429_to_a_write_pauses_everybody_and_is_not_repeated(sinch, line_to):
    pace = Pace()
    sinch.queue(NOTE, Reply(429))
    with pytest.raises(SinchRateLimited) as caught:
        line_to(limiter=pace).transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is False
    assert pace.paused == [("project-1", 1.0)]
    assert len(sinch.called(NOTE)) == 1


# What answers mean


@pytest.mark.parametrize(
    "body", [None, {"message": "Why"}, b"<html>Why</html>", b"Why", [], 7, "Why"]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, SinchInvalidRequest),
        (401, SinchAuthError),
        (402, SinchPaymentRequired),
        (403, SinchAuthError),
        (404, SinchNotFound),
        (409, SinchConflict),
        (413, SinchInvalidRequest),
        (418, SinchInvalidRequest),
        (422, SinchInvalidRequest),
        (429, SinchRateLimited),
    ],
)
def test_a_refusal_is_known_by_its_status_whatever_its_body(sinch, line, status, kind, body):
    sinch.otherwise = lambda call: Reply(status, body)
    with pytest.raises(SinchError) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    error = caught.value
    assert type(error) is kind
    assert (error.method, error.path, error.status) == ("POST", f"{ORDER}/notes", status)
    assert error.outcome_unknown is False
    assert error.sinch_message in ("", "Why")
    assert error.staff_message.endswith(".")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"title": "Bad Request", "detail": "numbers[1] is toll-free", "status": 400}, "numbers"),
        ({"type": "about:blank", "title": "numbers are wrong", "status": 400}, "numbers"),
        ({"title": "numbers are wrong", "detail": None, "status": "INVALID_ARGUMENT"}, "numbers"),
        ({"message": "Why", "title": "Bad Request", "detail": "numbers"}, "Why"),
        ({"error": {"message": "Why"}, "detail": "numbers"}, "Why"),
    ],
)
def test_a_problem_is_told_by_its_detail_else_its_title(sinch, line, body, message):
    sinch.otherwise = lambda call: Reply(400, body, {"Content-Type": "application/problem+json"})
    with pytest.raises(SinchInvalidRequest) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.sinch_message.startswith(message)
    assert f"Sinch did not accept this: {message}" in caught.value.staff_message


@pytest.mark.parametrize(
    "details",
    [
        {"fieldViolations": [{"field": "resellerName", "description": "Required"}]},
        [
            {"type": "ErrorInfo", "reason": "X"},
            {
                "type": "BadRequest",
                "fieldViolations": [{"field": "resellerName", "description": "Required"}],
            },
        ],
    ],
)
def test_field_violations_are_read_from_both_shapes(sinch, line, details):
    sinch.queue(NOTE, Reply(422, {"message": "Bad request.", "details": details}))
    with pytest.raises(SinchInvalidRequest) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.violations == [Violation("resellerName", "Required")]


@pytest.mark.parametrize(
    "details", [None, "x", [None], {"fieldViolations": "x"}, [{"fieldViolations": [None, {}]}]]
)
def test_odd_details_do_not_break_the_error(sinch, line, details):
    sinch.queue(NOTE, Reply(422, {"message": "Bad request.", "details": details}))
    with pytest.raises(SinchInvalidRequest, match="Bad request"):
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})


@pytest.mark.parametrize("status", [301, 302, 304, 307])
def test_a_redirect_is_not_followed(sinch, line, status):
    sinch.otherwise = lambda call: Reply(status, headers={"Location": f"{sinch.url}/elsewhere"})
    with pytest.raises(SinchUnexpectedReply):
        line.transport.get(ORDER)
    assert len(sinch.called(READ)) == 1
    with pytest.raises(SinchUnexpectedReply) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is True


def test_an_answer_beyond_the_size_limit_is_not_read_to_its_end(sinch, line_to):
    sinch.queue(READ, Reply(200, b"[" + b" " * 300_000 + b"]"))
    with pytest.raises(SinchUnexpectedReply, match="larger than 100000 bytes"):
        line_to(max_body=100_000).transport.get(ORDER)


def test_a_yes_that_is_too_large_leaves_the_outcome_of_a_write_unknown(sinch, line_to):
    sinch.queue(NOTE, Reply(201, b"[" + b" " * 300_000 + b"]"))
    with pytest.raises(SinchUnexpectedReply) as caught:
        line_to(max_body=100_000).transport.post(f"{ORDER}/notes", {"note": "Hello"})
    assert caught.value.outcome_unknown is True


def test_an_answer_that_trickles_in_does_not_hold_a_worker_for_ever(sinch, line_to):
    class Passing(Clock):
        def __call__(self) -> float:
            self.now += 1.0
            return self.now

    sinch.otherwise = lambda call: Reply(200, b"[" + b" " * 20_000_000 + b"]")
    with pytest.raises(SinchUnavailable):
        line_to(clock=Passing()).transport.get(ORDER)
    sinch.otherwise = lambda call: Reply(422, b" " * 20_000_000)
    with pytest.raises(SinchInvalidRequest):
        line_to(clock=Passing()).transport.get(ORDER)


@pytest.mark.parametrize("body", [b"", b"  \n", b"null"])
def test_an_empty_answer_is_none(sinch, line, body):
    sinch.queue(READ, Reply(200, body))
    assert line.transport.get(ORDER) is None


def test_a_large_body_arrives_whole(sinch, line):
    sinch.otherwise = lambda call: Reply(200, {"id": 7001})
    line.client.add_order_documents("12345", "loa.pdf", "", b"\x00\xff" * 500_000)
    [call] = sinch.called(f"POST {ORDER}/documents")
    assert len(call.json["fileContent"]) > 1_300_000
    assert call.headers["content-length"] == str(len(call.body))


# Discretion

PIN, ACCOUNT, NEW_PIN = "4821", "ACC-99812", "775310"
ORDER_BODY = {
    "desiredPortSchedule": {"desiredPortDate": "2026-05-15"},
    "phoneNumbers": [
        {
            "phoneNumber": "+12065554821",
            "endUser": {
                "name": "Harborview Dental LLC",
                "streetNum": "410",
                "streetName": "Juniper Hill",
                "city": "Reno",
                "state": "NV",
                "zipCode": "89501",
            },
            "portOutInfo": {"existingPortOutPin": PIN, "accountNum": ACCOUNT},
            "newPortOutPin": NEW_PIN,
        }
    ],
}


def test_nothing_secret_we_sent_comes_back_in_an_error(sinch, line):
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    echo = (
        f"PIN {PIN} of {ACCOUNT.lower()} at 410 Juniper Hill 89501 for +12065554821, "
        f"new {NEW_PIN}, sent with token-1 and {jwt}, secret correct horse"
    )
    sinch.queue(
        "POST /orders/portIns",
        Reply(
            422,
            {
                "message": echo,
                "details": {"fieldViolations": [{"field": "x", "description": echo}]},
            },
        ),
    )
    with pytest.raises(SinchInvalidRequest) as caught:
        line.client.order_port_in(ORDER_BODY)
    error = caught.value
    told = " | ".join([str(error), repr(error), error.staff_message, repr(error.violations)])
    told += repr(error.__dict__) + repr(line.told)
    for secret in (ACCOUNT, NEW_PIN, "Juniper", "89501", "token-1", jwt, "correct horse"):
        assert secret.lower() not in told.lower()
    assert f"PIN {PIN}" not in told
    assert "+12065554821" in told  # a PIN inside a number does not make the number unreadable


def test_a_piece_of_a_file_does_not_come_back_in_an_error(sinch, line):
    sinch.otherwise = lambda call: Reply(
        400, {"message": "cannot read " + call.json["fileContent"][:200] + "..."}
    )
    with pytest.raises(SinchInvalidRequest) as caught:
        line.client.add_order_documents("12345", "loa.pdf", "LOA", b"signed by Dana Holt" * 50)
    assert "c2lnbmVk" not in str(caught.value)


def test_the_query_stays_out_of_errors_and_logs(sinch, line):
    with pytest.raises(SinchNotFound) as caught:
        line.transport.get("/orders/portIns", {"phoneNumber": "+12065550142"})
    assert "5550142" not in str(caught.value) + repr(line.told)


def test_reprs_do_not_show_the_key(line):
    for thing in (line.transport, line.client):
        assert "correct horse" not in repr(thing)
        assert "key-1" not in repr(thing)


def test_an_error_can_be_taken_apart_and_rebuilt_as_between_processes(sinch, line):
    sinch.queue(NOTE, Reply(429, {"message": "Slow down"}, {"Retry-After": "5"}))
    with pytest.raises(SinchRateLimited) as caught:
        line.transport.post(f"{ORDER}/notes", {"note": "Hello"})
    twin = copy.deepcopy(caught.value)
    assert type(twin) is SinchRateLimited
    assert twin.__dict__ == caught.value.__dict__
    assert str(twin) == str(caught.value)


# The hook


def test_each_exchange_is_told_once_with_its_outcome(sinch, line):
    sinch.queue(READ, Reply(500), OK)
    line.transport.get(ORDER)
    assert [(c.method, c.path, c.status, c.error) for c in line.told] == [
        ("POST", "/oauth2/token", 200, None),
        ("GET", ORDER, 500, "SinchUnavailable"),
        ("GET", ORDER, 200, None),
    ]
    assert all(call.seconds >= 0 for call in line.told)


def test_a_broken_hook_does_not_spoil_a_done_write(sinch, line_to):
    def broken(call: CallRecord) -> None:
        raise RuntimeError("disk full")

    sinch.otherwise = lambda call: NOTHING
    assert line_to(on_call=broken).transport.post(f"{ORDER}/notes", {"note": "Hello"}) == {}


# Construction


@pytest.mark.parametrize("name", ["base_url", "auth_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://porting.api.sinch.com",
        "ftp://x.example",
        "porting.example",
        "",
        "https://",
        "https://user:hunter2@x.example",
        "https://x.example/?a=b",
        "http://127.0.0.1.example",
    ],
)
def test_an_address_that_is_neither_https_nor_loopback_is_refused(line_to, name, url):
    with pytest.raises(ValueError, match=name) as caught:
        line_to(**{name: url})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://x.example", "http://localhost:1", "http://[::1]:8090/"])
def test_https_and_loopback_are_accepted(line_to, url):
    assert isinstance(line_to(base_url=url).transport, Transport)


@pytest.mark.parametrize(
    "other", [{"project_id": ""}, {"key_id": " k"}, {"key_secret": ""}, {"key_id": "a:b"}]
)
def test_an_unusable_key_is_refused_by_name(line_to, other):
    with pytest.raises(ValueError, match=next(iter(other))):
        line_to(**other)


def test_a_mounted_adapter_carries_everything(line_to, sinch):
    carried: list[str] = []

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> Any:
            carried.append(str(request.url))
            request.url = str(request.url).replace("https://sinch.example", sinch.url)
            return super().send(request, *args, **more)

    sinch.queue(READ, OK)
    transport = line_to(
        base_url="https://sinch.example", auth_url="https://sinch.example/oauth2/token"
    ).transport
    transport.mount(Adapter())
    assert transport.get(ORDER) == OK.body
    assert len(carried) == 2
