"""What the measurements run on: embedded servers of their own, and processes of the desk."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography.fernet import Fernet

from portal.local.servers import EmbeddedPostgres, EmbeddedRedis

ROOT = Path(__file__).resolve().parent.parent
NONE: Mapping[str, str] = MappingProxyType({})


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def servers(folder: Path) -> Iterator[EmbeddedRedis]:
    """Start PostgreSQL and Redis, durable as in earnest; yield Redis, which a figure stops."""
    postgres = EmbeddedPostgres(folder / "pg", folder / "pgs")
    redis = EmbeddedRedis(folder / "redis", folder / "r.sock")
    with postgres, redis:
        os.environ.update(
            DATABASE_URL=postgres.url,
            REDIS_URL=redis.url,
            SECRET_KEY="measured and thrown away",
            ENCRYPTION_KEYS=Fernet.generate_key().decode(),
            PORTAL_LOCAL_DIR=str(folder),
            DJANGO_SETTINGS_MODULE="benchmarks.settings",
            SINCH_PROJECT_ID="bench",
            SINCH_KEY_ID="bench-key",
            SINCH_KEY_SECRET="bench-secret",
            SINCH_AUTH_URL="http://127.0.0.1:9/oauth2/token",
            SINCH_PORTING_URL="http://127.0.0.1:9",
            SINCH_HOSTING_URL="http://127.0.0.1:9",
        )
        yield redis


@contextmanager
def process(
    *arguments: str, python: str = sys.executable, settings: Mapping[str, str] = NONE
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python module beside us until the block ends, with further environment settings."""
    child = subprocess.Popen(
        [python, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def worker(
    threads: int = 16, settings: Mapping[str, str] = NONE
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker as the one-machine desk does, for all queues; yield once it answers."""
    from portal.celery import app

    name = f"bench-{free_port()}@here"
    with process(
        *f"celery -q -A portal worker -P threads -c {threads} -n {name}".split(),
        *("-Q", "people,events,sync", "-l", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        settings={"DATABASE_POOL": str(threads + 4), **settings},
    ) as child:
        until = time.monotonic() + 60
        while not app.control.ping(destination=[name], timeout=0.5):
            if time.monotonic() > until:
                raise TimeoutError("The worker does not answer")
        yield child


def held() -> int:
    """Return how many tasks the workers have taken from the queues and not done yet."""
    from portal.celery import app

    look = app.control.inspect(timeout=0.5)
    found = (look.active() or {}, look.reserved() or {})
    return sum(len(tasks) for workers in found for tasks in workers.values())


@dataclass(frozen=True)
class Served:
    """A site that is being served: its port, and the process that looks after its workers."""

    port: int
    parent: int

    def kill_workers(self) -> None:
        """End the processes that answer, without a word; the parent starts new ones."""
        for child in Path(f"/proc/{self.parent}/task/{self.parent}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)


@contextmanager
def served(
    application: str,
    workers: int = 1,
    threads: int = 4,
    python: str = sys.executable,
    settings: Mapping[str, str] = NONE,
) -> Iterator[Served]:
    """Serve a WSGI application as in earnest until the block ends; yield once it answers."""
    port = free_port()
    with process(
        *f"granian --interface wsgi --host 127.0.0.1 --port {port} --workers {workers}".split(),
        *f"--blocking-threads {threads} --no-access-log --respawn-failed-workers".split(),
        application,
        python=python,
        settings=settings,
    ) as parent:
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz/", timeout=2):
                    break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield Served(port, parent.pid)


@contextmanager
def web(workers: int = 1, threads: int = 4) -> Iterator[int]:
    """Serve the desk as in earnest and yield the port once it answers."""
    with served("portal.wsgi:application", workers, threads) as site:
        yield site.port
