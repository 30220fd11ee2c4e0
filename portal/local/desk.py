"""The launcher behind `make run`: everything one machine needs, started and stopped in order."""

import contextlib
import fcntl
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from portal import env as given
from portal.local import paths
from portal.local.keys import ensure_secrets, keep
from portal.local.processes import Child, DeskError, Log
from portal.local.servers import EmbeddedPostgres, EmbeddedRedis, ServerError, private_dir
from portal.sandbox.hosting_demo import CAMPAIGNS, PLANS

SINCH_KEY = ("SINCH_PROJECT_ID", "SINCH_KEY_ID", "SINCH_KEY_SECRET")
SINCH_PLACES = ("SINCH_AUTH_URL", "SINCH_PORTING_URL", "SINCH_HOSTING_URL")
SANDBOX_PROJECT, SANDBOX_KEY_ID = "sandbox", "sandbox-key"
DEMO_PAIRS = tuple(f"{plan}:{campaign}" for plan in PLANS for campaign in CAMPAIGNS)
READY_SECONDS = 90.0
PREPARE_SECONDS = 300.0
# What the processes say at every start and nobody needs to read.
CHATTER = (
    r"superuser privileges|absolutely not recommended|specify a different user|uid=\d"
    r"|SecurityWarning|_warn_or_raise_security_error|Warm shutdown|warnings\.warn"
    r"|allows spawning up to"
    # One long warning of Celery's about tasks in progress when Redis goes away.
    r"|CPendingDeprecationWarning|In Celery 5\.1|on connection loss cancels all"
    r"|cannot be acknowledged as|back to the queue\. You can|on_connection_error_after_connected"
)


class Refused(DeskError):
    """The desk was not started because of what it was given; nothing has been changed."""


class _Stop(BaseException):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


def told_of_disk(error: OSError) -> str:
    """Return the sentence `No space left on device: /srv/portal/secrets.json.`."""
    place = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{place}."


def port_is_free(host: str, port: int) -> bool:
    """Tell whether a process could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # A port on which connections of the last run are fading away is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str, wanted: int) -> int:
    """Return the wanted port, else the next free one."""
    for port in range(wanted, min(wanted + 50, 65536)):
        if port_is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def answers(url: str, host: str | None = None) -> int:
    """Return the status a page is answered with, 0 when nobody answers within two seconds."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path or "/", headers={"Host": host} if host else {})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@contextlib.contextmanager
def only_one(local_dir: Path) -> Iterator[None]:
    """Hold the local folder for one launcher; raises Refused when another one holds it."""
    with open(os.open(local_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            where = desk_state(local_dir).get("address")
            raise Refused(
                f"it is running already{f' at {where}' if where else ''}; stop it with "
                "Ctrl-C in its window, or give this one a folder of its own in PORTAL_LOCAL_DIR."
            ) from error
        yield


def is_running(local_dir: Path) -> bool:
    """Tell whether a launcher is at work on this local folder."""
    try:
        with only_one(local_dir):
            return False
    except Refused:
        return True


def desk_state(local_dir: Path) -> dict[str, Any]:
    """Return what the launcher says about itself: `ready`, `address`, `sandbox`, `processes`."""
    try:
        content = json.loads((local_dir / "desk.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def make_local_dir(local_dir: Path) -> Path:
    """Make the local folder, which root leaves passable for PostgreSQL's ordinary user."""
    return private_dir(local_dir, 0o711 if os.geteuid() == 0 else 0o700)


def embedded_servers(local_dir: Path) -> list[EmbeddedPostgres | EmbeddedRedis]:
    """Return the servers this machine has to run itself: those without an address in settings."""
    logs = local_dir / "log"
    servers: list[EmbeddedPostgres | EmbeddedRedis] = []
    if not given.text("DATABASE_URL", ""):
        data, sockets = paths.postgres_dir(local_dir), paths.postgres_socket_dir(local_dir)
        servers.append(EmbeddedPostgres(data, sockets, log=logs / "postgres.log"))
    if not given.text("REDIS_URL", ""):
        private_dir(paths.socket_dir(local_dir), 0o711 if os.geteuid() == 0 else 0o700)
        data, at = paths.redis_dir(local_dir), paths.redis_socket(local_dir)
        servers.append(EmbeddedRedis(data, at, log=logs / "redis.log"))
    return servers


class Desk:
    """The whole portal on one machine."""

    def __init__(self, local_dir: Path = paths.LOCAL_DIR, log: Log | None = None) -> None:
        """Read the settings the launcher itself needs; raises Refused for a wrong one."""
        self.local_dir, self.log = local_dir, log or Log()
        try:
            self.port = given.number("PORT", 8000, 1, 65535)
            self.host = given.text("PORTAL_HOST", "127.0.0.1")
            self.workers = given.number("WEB_WORKERS", 2, 1, 64)
            self.sandbox_options = shlex.split(given.text("SANDBOX_OPTIONS", ""))
        except ImproperlyConfigured as error:
            raise Refused(str(error)) from error
        except ValueError as error:
            raise Refused(f"SANDBOX_OPTIONS is not readable: {error}.") from error
        keys = [bool(given.text(name, "")) for name in SINCH_KEY]
        if any(keys) and not all(keys):
            missing = [name for name, there in zip(SINCH_KEY, keys, strict=True) if not there]
            raise Refused(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set. "
                "SINCH_PROJECT_ID, SINCH_KEY_ID and SINCH_KEY_SECRET belong together: set all "
                "three, or none to work with the sandbox."
            )
        self.uses_sandbox = not any(keys)
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - names it, binds nothing
        self.reachable_host = everywhere.get(self.host, self.host)
        self.address = f"http://{self.reachable_host}:{self.port}"
        self.public_url = given.text("PUBLIC_URL", self.address).rstrip("/")
        self.sandbox_address = ""
        self.servers: list[EmbeddedPostgres | EmbeddedRedis] = []
        self.children: list[Child] = []
        self.env: dict[str, str] = {}
        self.ready = False
        self._stopping = False

    # --- The run, from start to end ------------------------------------------------------

    def run(self) -> int:
        """Start everything, stay until told to stop, stop everything; return the exit status.

        0 after Ctrl-C or SIGTERM, 1 when something does not work, 2 when what was given is wrong.
        """
        status = 0
        make_local_dir(self.local_dir)
        private_dir(self.local_dir / "log")
        private_dir(self.local_dir / "static")  # WhiteNoise complains when it is not there
        with only_one(self.local_dir):
            for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(sign, self._on_signal)
            try:
                self._check_port()
                self._start()
                self._watch()
            except _Stop:
                status = 0
            except Refused as error:
                self.log.plain(f"The portal cannot start: {error}")
                status = 2
            except (DeskError, ServerError) as error:
                self.log.plain(f"The portal stops: {error}")
                status = 1
            except OSError as error:  # a disk that is full, or takes nothing any more
                self.log.plain(f"The portal stops: {told_of_disk(error)}")
                status = 1
            finally:
                self._stopping = True
                self._stop()
        return status

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            raise _Stop

    def _say(self, text: str) -> None:
        self.log.write("desk", text)

    def _check_port(self) -> None:
        if not port_is_free(self.host, self.port):
            raise Refused(
                f"port {self.port} is taken by another program. "
                f"Choose another one: PORT={self.port + 1} make run"
            )

    def _start(self) -> None:
        began = time.monotonic()
        self._set_aside_foreign_data()
        try:
            secrets = ensure_secrets(self.local_dir)
        except ValueError as error:
            raise Refused(str(error)) from error
        for server in embedded_servers(self.local_dir):
            if not server.data_dir.exists():
                self._say(f"Setting up {server.name} in {server.data_dir}")
            self.servers.append(server)
            server.start()
        self.env = self._environment(secrets)
        self._check_redis()
        prepared = self._prepare()
        self.children = self._make_children(prepared["webhook"], secrets)
        # The sandbox first: the workers ask it for its orders as soon as they are up.
        for child in self.children:
            child.start()
            if child.name == "sandbox":
                self._wait_until_ready([child])
        self._wait_until_ready(self.children)
        self.ready = True
        self._tell_state()
        self._welcome(prepared["admin"], time.monotonic() - began)

    def _set_aside_foreign_data(self) -> None:
        """Keep clear of a database left by a copy of the project that was at this place before.

        Only data outside the local folder can outlive it; its keys are gone with that folder.
        """
        data = paths.postgres_dir(self.local_dir)
        if (self.local_dir / "secrets.json").exists() or data.is_relative_to(self.local_dir):
            return
        if data.parent.exists():
            aside = data.parent.with_name(f"{data.parent.name}-until-{int(time.time())}")
            data.parent.rename(aside)
            self._say(f"An older database without its keys was found and moved to {aside}")

    def _environment(self, secrets: dict[str, str]) -> dict[str, str]:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "PORTAL_LOCAL_DIR": str(self.local_dir),
            "PORT": str(self.port),
            "PUBLIC_URL": self.public_url,
            "DATABASE_URL": given.text("DATABASE_URL", paths.database_url(self.local_dir)),
            "REDIS_URL": given.text("REDIS_URL", paths.redis_url(self.local_dir)),
            "PYTHONUNBUFFERED": "1",
        }
        plain = {"PORT": str(self.port), "PUBLIC_URL": self.public_url}
        if self.uses_sandbox:
            wanted = given.number("SANDBOX_PORT", min(self.port + 1, 65535), 1, 65535)
            self.sandbox_address = f"http://127.0.0.1:{free_port('127.0.0.1', wanted)}"
            plain |= {
                "SINCH_AUTH_URL": f"{self.sandbox_address}/oauth2/token",
                "SINCH_PORTING_URL": self.sandbox_address,
                "SINCH_HOSTING_URL": self.sandbox_address,
                "SINCH_SANDBOX": "1",
                "SINCH_SANDBOX_PAGE": f"{self.sandbox_address}/",
            }
            if "--no-demo" not in self.sandbox_options:
                # Its hosting orders can be listed only by the plan and campaign they are on.
                plain["HOSTING_PAIRS"] = given.text("HOSTING_PAIRS", ",".join(DEMO_PAIRS))
            environment |= {
                "SINCH_PROJECT_ID": SANDBOX_PROJECT,
                "SINCH_KEY_ID": SANDBOX_KEY_ID,
                "SINCH_KEY_SECRET": secrets["SANDBOX_KEY_SECRET"],
            }
        else:
            # A command in a second terminal must not carry the project's key to another host.
            plain |= {name: text for name in SINCH_PLACES if (text := given.text(name, ""))}
        keep(self.local_dir, "running.json", plain)
        if hosts := given.text("ALLOWED_HOSTS", ""):
            # The launcher's question "are you up?" and the sandbox's webhooks come from here.
            environment["ALLOWED_HOSTS"] = f"{hosts},{self.reachable_host.strip('[]')}"
        return environment | plain

    def _check_redis(self) -> None:
        import redis

        try:
            client = redis.Redis.from_url(
                self.env["REDIS_URL"].replace("redis+socket://", "unix://"),
                socket_timeout=5,
                socket_connect_timeout=5,
            )
            client.ping()
            client.close()
        except ValueError as error:
            raise Refused("REDIS_URL must begin with redis://, rediss:// or unix://.") from error
        except redis.RedisError as error:
            raise Refused(
                f"Redis at REDIS_URL does not answer ({type(error).__name__})."
            ) from error

    def _prepare(self) -> dict[str, Any]:
        """Migrate, note the Sinch project and the first administrator; return what came of it."""
        done = subprocess.run(
            [sys.executable, "-m", "portal.local.prepare"],
            cwd=paths.REPOSITORY,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PREPARE_SECONDS,
        )
        *words, last = done.stdout.rstrip("\n").split("\n")
        for line in words:
            if line.strip():
                self._say(line)
        if done.returncode:
            reason = last or done.stderr
            raise (
                Refused(reason.strip())
                if done.returncode == 2
                else DeskError(f"the database could not be made ready. {done.stderr.strip()}")
            )
        return dict(json.loads(last))

    def _make_children(self, webhook: str, secrets: dict[str, str]) -> list[Child]:
        """Return the processes in the order in which they are started."""
        python, beat_file = sys.executable, self.local_dir / "beat" / "schedule"
        host = urlsplit(self.public_url).netloc

        def child(name: str, command: list[str], ready: Callable[[], bool], **more: Any) -> Child:
            return Child(
                name,
                [python, *command],
                {**self.env, **more.pop("env", {})},
                paths.REPOSITORY,
                self.log,
                ready=ready,
                quiet=more.pop("quiet", CHATTER),
                **more,
            )

        def worker(name: str, queues: str, threads: int) -> Child:
            node = f"{name}-{self.port}@{socket.gethostname()}"
            pool = given.text("DATABASE_POOL", str(threads + 4))
            return child(
                name,
                f"-m celery -q -A portal worker -P threads -c {threads} -Q {queues} -n {node} "
                "-l WARNING --without-gossip --without-mingle --without-heartbeat".split(),
                lambda: self._worker_answers(node),
                env={"DATABASE_POOL": pool},
                grace=6.0,
            )

        def fresh_schedule() -> None:
            # Every periodic task is harmless when run early; a half-written file is not.
            private_dir(beat_file.parent)
            for old in beat_file.parent.iterdir():
                old.unlink()

        beat = "-m celery -q -A portal beat -l WARNING --pidfile="
        children = []
        if self.uses_sandbox:
            local = urlsplit(webhook)._replace(scheme="http", netloc=urlsplit(self.address).netloc)
            port = urlsplit(self.sandbox_address).port
            children.append(
                child(
                    "sandbox",
                    [
                        *f"-m portal.sandbox --port {port}".split(),
                        *("--state", str(self.local_dir / "sandbox.json")),
                        *("--project", SANDBOX_PROJECT, "--key-id", SANDBOX_KEY_ID),
                        *("--webhook-url", local.geturl(), *self.sandbox_options),
                    ],
                    lambda: answers(f"{self.sandbox_address}/") == 200,
                    env={"SANDBOX_KEY_SECRET": secrets["SANDBOX_KEY_SECRET"]},
                )
            )
        children += [
            child(
                "web",
                f"-m granian --interface wsgi --host {self.host} --port {self.port} "
                f"--workers {self.workers} --blocking-threads 8 --no-ws --no-access-log "
                "--log-level warning --respawn-failed-workers --workers-kill-timeout 3 "
                "portal.wsgi:application".split(),
                lambda: answers(f"{self.address}/healthz/", host) == 200,
            ),
            worker("worker", "people,events,sync", 16),
            # A second, small one for what people wait for: a sweep never delays a person.
            worker("people", "people", 8),
            child(
                "beat",
                [*beat.split(), "-s", str(beat_file)],
                lambda: any(beat_file.parent.iterdir()),
                before_start=fresh_schedule,
            ),
        ]
        return children

    def _probe(self) -> Any:
        """Return a Celery application that knows the broker and nothing else."""
        from celery import Celery

        broker = self.env["REDIS_URL"].replace("unix://", "redis+socket://")
        app = Celery("probe", broker=broker, set_as_current=False)
        app.conf.broker_transport_options = {"socket_timeout": 5, "socket_connect_timeout": 2}
        return app

    def _worker_answers(self, node: str) -> bool:
        with self._probe() as app:
            return bool(app.control.ping(destination=[node], timeout=0.5))

    def _wait_until_ready(self, children: Sequence[Child]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(children)
        while waiting:
            for child in list(waiting):
                if child.ended() is None and child.ready():
                    waiting.remove(child)
            self._look_after_children()
            if time.monotonic() > deadline:
                names = " and ".join(child.name for child in waiting)
                raise DeskError(f"{names} did not become ready in {READY_SECONDS:g} seconds.")
            time.sleep(0.05)
            self._tell_state()

    # --- While it runs -------------------------------------------------------------------

    def _watch(self) -> None:
        while True:
            time.sleep(0.2)
            changed = self._look_after_servers()
            if self._look_after_children() or changed:
                self._tell_state()

    def _look_after_servers(self) -> bool:
        """Start again a server that has died; tell whether one had."""
        dead = [server for server in self.servers if server.died()]
        for server in dead:
            self._say(f"{server.name} stopped unexpectedly; starting it again.")
            server.stop()
            server.start()
        return bool(dead)

    def _look_after_children(self) -> bool:
        """Start again what has died; tell whether anything has changed."""
        changed = False
        for child in self.children:
            if child.start_again_at is not None:
                if time.monotonic() >= child.start_again_at:
                    child.start()
                    changed = True
            elif (how := child.ended()) is not None:
                wait = child.after_death()
                self._say(
                    f"{child.name} stopped unexpectedly ({how}); starting it again in {wait:g} s."
                )
                changed = True
        return changed

    def _tell_state(self) -> None:
        state = {
            "ready": self.ready,
            "launcher": os.getpid(),
            "address": self.address,
            "sandbox": self.sandbox_address,
            "processes": {child.name: child.pid for child in self.children}
            | {s.name: s.process.pid for s in self.servers if s.process is not None},
        }
        if state != desk_state(self.local_dir):
            keep(self.local_dir, "desk.json", state)

    def _welcome(self, admin: dict[str, str], seconds: float) -> None:
        """Print where the desk is and how to get in. The only place a password is shown."""
        if admin.get("password"):
            sign_in = [
                f"{admin['username']}  /  {admin['password']}",
                "(shown this once; write it down, or make one anew with `make password`)",
            ]
        elif admin.get("given"):
            sign_in = [f"{admin['username']}, with the password of DJANGO_SUPERUSER_PASSWORD"]
        else:
            sign_in = [
                admin["username"],
                "(with the password of the first start; `make password` makes a new one)",
            ]
        rows = [("Address", [f"{self.public_url}/"]), ("Sign in", sign_in)]
        if self.sandbox_address:
            rows.append(
                ("Sandbox", [f"{self.sandbox_address}/  (a simulated Sinch, for training)"])
            )
        rows.append(
            (
                "Webhooks",
                [f"{self.public_url}/webhooks/porting/…/", "(in full on the settings page)"],
            )
        )
        rows.append(("Stop", ["Ctrl-C"]))
        lines = [
            f"{title if position == 0 else '':<10}{text}"
            for title, texts in rows
            for position, text in enumerate(texts)
        ]
        width = max(len(line) for line in lines)
        frame = "─" * (width + 2)
        body = "\n".join(f"│ {line:<{width}} │" for line in lines)
        self.log.plain(
            f"\nThe portal is ready after {seconds:.1f} seconds.\n┌{frame}┐\n{body}\n└{frame}┘\n"
        )

    # --- The end -------------------------------------------------------------------------

    def _stop(self) -> None:
        """Stop everything in order: first what takes work in, last what keeps it."""
        if any(child.pid for child in self.children) or self.servers:
            self._say("Stopping…")
        by_name = {child.name: child for child in self.children}
        for together in (("web", "beat"), ("worker", "people"), ("sandbox",)):
            group = [by_name[name] for name in together if name in by_name]
            for child in group:
                child.ask_to_stop()
            for child in group:
                child.wait_to_stop()
        for server in reversed(self.servers):
            server.stop()
        if self.servers:
            self._say("Stopped.")
        (self.local_dir / "desk.json").unlink(missing_ok=True)


def give_new_password(local_dir: Path) -> int:
    """Give the administrator a new password, print it once, and return the exit status.

    Works beside a running desk; otherwise the embedded database is started for a moment.
    """
    make_local_dir(local_dir)
    private_dir(local_dir / "log")
    with contextlib.ExitStack() as stack:
        if not is_running(local_dir):
            stack.enter_context(only_one(local_dir))
            for server in embedded_servers(local_dir):
                if isinstance(server, EmbeddedPostgres):
                    stack.enter_context(server)
        return subprocess.run(
            [sys.executable, "-m", "portal.local.prepare", "--new-password"],
            cwd=paths.REPOSITORY,
            env={**os.environ, "PORTAL_LOCAL_DIR": str(local_dir)},
        ).returncode


def manage(local_dir: Path, arguments: Sequence[str]) -> int:
    """Run a management command with the settings of the desk on this folder; return its status.

    Settings of the environment come first. Without those of the desk a command would take Sinch's
    own hosts for those of the sandbox's project.
    """
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=paths.REPOSITORY,
        env={**paths.running(local_dir), **os.environ, "PORTAL_LOCAL_DIR": str(local_dir)},
    ).returncode


def reset(local_dir: Path) -> int:
    """Remove all local data: database, Redis, sandbox and secrets; return the exit status."""
    import shutil

    if not local_dir.exists():
        return 0
    with only_one(local_dir):
        postgres = paths.postgres_dir(local_dir)
        if not postgres.is_relative_to(local_dir):
            shutil.rmtree(postgres.parent, ignore_errors=True)
        for folder in (paths.socket_dir(local_dir), local_dir):
            shutil.rmtree(folder, ignore_errors=True)
    return 0
