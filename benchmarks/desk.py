"""What the measurements run on: embedded servers of their own, and processes of the desk."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from portal.local.servers import EmbeddedPostgres, EmbeddedRedis

ROOT = Path(__file__).resolve().parent.parent


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
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python module beside us until the block ends."""
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
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
def web(workers: int = 1, threads: int = 4) -> Iterator[int]:
    """Serve the desk as in earnest and yield the port once it answers."""
    port = free_port()
    with process(
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        str(workers),
        "--blocking-threads",
        str(threads),
        "--no-access-log",
        "portal.wsgi:application",
    ):
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz/", timeout=2):
                    break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield port
