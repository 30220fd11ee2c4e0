"""The whole portal as separate processes, started by the launcher as `make run` does."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.tools import ROOT, free_port, wait_for

USERNAME = "ada"
PASSWORD = f"test-{secrets.token_hex(8)}"
# An order moves only when a test moves it, and an accepted activation takes half a second.
SANDBOX_OPTIONS = "--speed 0 --no-demo --activation-seconds 0.5"
START_SECONDS, STOP_SECONDS = 120.0, 30.0
# The servers and settings of the run of pytest are not those of the desk.
OWN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "DJANGO_SETTINGS_MODULE")


class RunningDesk:
    """A desk at work: where it is, which processes it has, and what it printed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Start the launcher on a local folder and return when everything is ready."""
        self.folder, self.local_dir = folder, folder / "local"
        self.output = folder / "output.log"
        port = free_port()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in OWN and not name.startswith("SINCH_")
        }
        self.env = {
            **kept,
            "PORT": str(port),
            "PORTAL_LOCAL_DIR": str(self.local_dir),
            "DJANGO_SUPERUSER_USERNAME": USERNAME,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "SANDBOX_PORT": str(free_port()),
            "SANDBOX_OPTIONS": SANDBOX_OPTIONS,
            **settings,
        }
        with self.output.open("ab") as output:
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "portal.local", "run"],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            wait_for(self._is_up, START_SECONDS, "the desk's readiness", pause=0.2)
        except BaseException:
            self.stop()
            raise
        self.address = self.state()["address"]
        self.sandbox = self.state()["sandbox"]

    def _is_up(self) -> bool:
        assert self.launcher.poll() is None, f"the launcher ended:\n{self.log()}"
        return bool(self.state().get("ready"))

    def state(self) -> dict[str, Any]:
        """What the launcher says about itself at the moment."""
        try:
            return dict(json.loads((self.local_dir / "desk.json").read_text()))
        except (OSError, ValueError):
            return {}

    def log(self) -> str:
        """Everything printed so far."""
        return self.output.read_text(errors="replace")

    def pid(self, name: str) -> int | None:
        """The number of a process: web, worker, people, beat, sandbox, PostgreSQL or Redis."""
        number = self.state().get("processes", {}).get(name)
        return int(number) if number else None

    def kill(self, name: str) -> None:
        """End a process of the desk with SIGKILL, and all it has started, as a power cut would."""
        if number := self.pid(name):
            os.killpg(number, signal.SIGKILL)

    def kill_and_wait(self, name: str, seconds: float = 30.0) -> int:
        """End a process with SIGKILL and return the number of the one that takes its place."""
        before = self.pid(name)
        self.kill(name)
        return wait_for(lambda: (now := self.pid(name)) != before and now, seconds, f"a new {name}")

    def manage(self, *arguments: str, seconds: float = 60.0) -> str:
        """Run a management command against this desk and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "portal.local", "manage", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask_sandbox(self, path: str, body: object = None) -> Any:
        """Ask the sandbox's control API: GET without a body, POST with one."""
        request = urllib.request.Request(
            f"{self.sandbox}/sandbox/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def stop(self) -> int:
        """Stop the desk as Ctrl-C does and return the launcher's exit status."""
        if self.launcher.poll() is None:
            self.launcher.send_signal(signal.SIGINT)
        try:
            return self.launcher.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.launcher.kill()
            return self.launcher.wait()


@contextlib.contextmanager
def running_desk(**settings: str) -> Iterator[RunningDesk]:
    """Give a desk of its own, in a folder of its own; settings are its environment."""
    folder = Path(tempfile.mkdtemp(prefix="portal-desk-"))
    # Root lends PostgreSQL to an ordinary user, who must be able to walk to its data.
    folder.chmod(0o711)
    try:
        desk = RunningDesk(folder, **settings)
        try:
            yield desk
        finally:
            desk.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
