"""Servers, settings and people for every test.

One PostgreSQL and one Redis of our own are started for each run of pytest, before Django reads
its settings, so no test can reach the data of a running portal, whatever the environment says.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from cryptography.fernet import Fernet

from portal.local.servers import EmbeddedPostgres, EmbeddedRedis

if TYPE_CHECKING:
    from django.test import Client

    from portal.accounts.models import SinchProject, User
    from portal.sandbox import Sandbox
    from portal.sinch.hosting import HostingClient
    from portal.sinch.porting import PortingClient

# The same examples in every short run, and none fails for being slow: on a busy machine a check
# must come out as it does on an idle one. `make faults` looks for new ones.
hypothesis.settings.register_profile(
    "desk",
    derandomize=os.environ.get("FAULTS") != "long",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("desk")
# Nobody listens there; tests mount the sandbox in its place.
SINCH = "http://127.0.0.1:1"
SINCH_KEY = {
    "SINCH_PROJECT_ID": "test-project",
    "SINCH_KEY_ID": "test-key",
    "SINCH_KEY_SECRET": "test-key-secret",
}
# Settings of a desk that runs elsewhere must not colour the tests.
FOREIGN = (
    "ALLOWED_HOSTS",
    "BEHIND_TLS_PROXY",
    "DATABASE_POOL",
    "DEBUG",
    "DISCOVER_SECONDS",
    "DJANGO_SUPERUSER_EMAIL",
    "DJANGO_SUPERUSER_PASSWORD",
    "DJANGO_SUPERUSER_USERNAME",
    "HSTS_SECONDS",
    "PORT",
    "PUBLIC_URL",
    "SINCH_REQUESTS_PER_SECOND",
    "SINCH_SANDBOX",
    "SINCH_SANDBOX_PAGE",
)


class Servers:
    """The servers of this run of pytest, and the folder they live in."""

    def __init__(self) -> None:
        # A short path: a socket's address may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="portal-tests-"))
        self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.postgres = EmbeddedPostgres(
            self.folder / "postgres", self.folder / "sockets" / "pg", durable=False
        )
        self.redis = EmbeddedRedis(self.folder / "redis", self.folder / "redis.sock", durable=False)

    def start(self) -> None:
        """Start both and put their addresses into the environment, settings and all."""
        self.postgres.start()
        self.redis.start()
        for name in FOREIGN:
            os.environ.pop(name, None)
        os.environ.update(
            {
                "PORTAL_LOCAL_DIR": str(self.folder),
                "DATABASE_URL": self.postgres.url,
                "REDIS_URL": self.redis.url,
                "SECRET_KEY": "a key for tests only",
                "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
                "SINCH_AUTH_URL": f"{SINCH}/oauth2/token",
                "SINCH_PORTING_URL": SINCH,
                "SINCH_HOSTING_URL": SINCH,
                **SINCH_KEY,
                # Playwright keeps an event loop in the thread that runs the tests; the database
                # is used between its calls only.
                "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
            }
        )

    def stop(self) -> None:
        """Stop both and remove what they wrote."""
        self.redis.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_servers = pytest.StashKey[Servers]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers before pytest-django sets Django up."""
    from django.conf import settings

    if settings.configured:
        # pytest-django has read them already, with the addresses of who knows what.
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: the tests name their own settings.")
    servers = config.stash[_servers] = Servers()
    try:
        servers.start()
    except BaseException:
        servers.stop()
        raise
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    # Read them now: pytest-django sets Django up before collecting only if they have been.
    assert settings.DATABASES


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers, however the run ended."""
    if servers := config.stash.get(_servers, None):
        servers.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder; the slow ones, with processes of their own, come last."""
    late = {"faults": 1, "e2e": 2}
    for item in items:
        for folder in late:
            if f"/tests/{folder}/" in item.path.as_posix():
                item.add_marker(folder)
    items.sort(key=lambda item: max((late.get(m.name, 0) for m in item.iter_markers()), default=0))


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Servers:
    """The PostgreSQL and the Redis of this run."""
    return request.config.stash[_servers]


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Hash passwords quickly: Django's own hash takes a third of a second for each person made."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _one_frame_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the counts of the frame for a whole test: a slow machine asks for them no more often."""
    from portal.work import context

    monkeypatch.setattr(context, "KEPT_SECONDS", 600)


@pytest.fixture(autouse=True)
def _no_call_log(settings: Any) -> None:
    """Keep no log of calls: a thread of its own writes it, beside the transaction of a test."""
    settings.CALL_LOG_DAYS = 0


@pytest.fixture(autouse=True)
def _empty_redis(servers: Servers) -> Iterator[None]:
    """Leave nothing in Redis for the next test: no cached page, token or message."""
    yield
    import redis

    with redis.Redis.from_url(servers.redis.url) as client:
        client.flushall()


# --- People ------------------------------------------------------------------------------


@pytest.fixture
def make_agent(db: None) -> "Callable[..., User]":
    """Make a person of the desk: `make_agent("ada", "send_to_sinch", is_staff=True)`.

    The permissions are those of `portal.accounts`, by their short names.
    """
    from django.contrib.auth.models import Permission

    from portal.accounts.models import User

    def make(username: str, *permissions: str, **fields: Any) -> User:
        fields.setdefault("email", f"{username}@desk.example")
        person = User.objects.create_user(username=username, password="a-long-test-word", **fields)
        found = Permission.objects.filter(
            content_type__app_label="accounts", codename__in=permissions
        )
        assert len(found) == len(set(permissions)), f"unknown among {permissions}"
        person.user_permissions.set(found)
        return person

    return make


@pytest.fixture
def agent(make_agent: "Callable[..., User]") -> "User":
    """A support agent who may send to Sinch and look at secrets."""
    return make_agent(
        "dana", "send_to_sinch", "reveal_secrets", first_name="Dana", last_name="Whitfield"
    )


@pytest.fixture
def agent_client(agent: "User") -> "Client":
    """A Django client in which the agent is signed in."""
    from django.test import Client

    client = Client()
    client.force_login(agent, backend="portal.accounts.backends.EmailOrUsernameBackend")
    return client


# --- Sinch -------------------------------------------------------------------------------


@pytest.fixture
def sandbox() -> "Sandbox":
    """A simulated Sinch in this process: empty, and moving only when told to."""
    from portal.sandbox import create_app
    from portal.sandbox.config import SandboxConfig

    return create_app(
        SandboxConfig(
            project_id=SINCH_KEY["SINCH_PROJECT_ID"],
            key_id=SINCH_KEY["SINCH_KEY_ID"],
            key_secret=SINCH_KEY["SINCH_KEY_SECRET"],
            check_answers=True,
        )
    )


@pytest.fixture
def sinch_session(sandbox: "Sandbox") -> Iterator[Any]:
    """A requests session whose every call to Sinch lands in the sandbox."""
    import requests

    from portal.sandbox.adapter import SandboxAdapter

    with requests.Session() as session:
        session.mount(SINCH, SandboxAdapter(sandbox))
        yield session


@pytest.fixture
def project(db: None) -> "SinchProject":
    """The Sinch project of the desk, with the key the sandbox knows."""
    from portal.accounts.models import SinchProject

    return SinchProject.objects.create(
        name="Test project",
        project_id=SINCH_KEY["SINCH_PROJECT_ID"],
        key_id=SINCH_KEY["SINCH_KEY_ID"],
        key_secret=SINCH_KEY["SINCH_KEY_SECRET"],
    )


@pytest.fixture
def porting_client(
    project: "SinchProject", sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch
) -> "Iterator[PortingClient]":
    """The real client of the project; everything it and the desk send lands in the sandbox."""
    from portal.operations import clients
    from portal.sandbox.adapter import SandboxAdapter

    monkeypatch.setattr(
        clients, "mount", lambda transport: transport.mount(SandboxAdapter(sandbox))
    )
    clients.forget_clients()
    yield clients.porting_client(project)
    clients.forget_clients()


@pytest.fixture
def hosting_client(project: "SinchProject", porting_client: "PortingClient") -> "HostingClient":
    """The real hosting client of the project; it lands in the same sandbox."""
    from portal.operations import clients

    return clients.hosting_client(project)


@pytest.fixture
def work_off() -> Callable[[], None]:
    """Carry out every write, delivery and reading that is due now."""
    from portal.operations import readings, runner
    from webhooks import dispatch

    def run() -> None:
        while runner.run_one() or dispatch.process_some() or readings.run_one():
            pass

    return run


@pytest.fixture
def settle(work_off: Callable[[], None]) -> Callable[[], None]:
    """Carry out everything to its end, without waiting for the pauses between two looks."""
    from django.utils import timezone

    from portal.operations.models import Operation

    def run() -> None:
        for _ in range(30):
            work_off()
            waiting = Operation.objects.filter(next_try_at__isnull=False)
            if not waiting.update(next_try_at=timezone.now()):
                return
        raise AssertionError("an operation does not come to its end")

    return run
