"""Child processes of the one-machine desk: started, listened to, started again, stopped."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TextIO

from portal.local.servers import dies_with_us

COLOURS = {"web": 36, "worker": 32, "people": 32, "beat": 35, "sandbox": 33, "desk": 1}
NAME_WIDTH = 8
QUICK_SECONDS = 10.0  # a child that lived for less died quickly
QUICK_DEATHS = 5
# The secret part of a webhook address is cut out of whatever a process prints.
WEBHOOK_TOKEN = re.compile(r"(/webhooks/\w+/)[^/\s\"'?]+")


class DeskError(Exception):
    """The desk cannot go on; the text is a sentence for whoever typed the command."""


class Log:
    """One readable log of many processes: each line begins with the name of its process."""

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self._lock = threading.Lock()
        self._colour = self._output.isatty() and "NO_COLOR" not in os.environ

    def write(self, name: str, line: str) -> None:
        """Print one line of a process."""
        line = WEBHOOK_TOKEN.sub(r"\1…", line.rstrip())
        label = f"{name:<{NAME_WIDTH}} |"
        if self._colour:
            label = f"\x1b[{COLOURS.get(name, 0)}m{label}\x1b[0m"
        self.plain(f"{label} {line}")

    def plain(self, text: str) -> None:
        """Print text as it is."""
        with self._lock:
            try:
                self._output.write(f"{text}\n")
                self._output.flush()
            except (OSError, ValueError):
                # The terminal was closed. Stopping in order matters more than saying so.
                pass


class Child:
    """One process of the desk.

    `ready` is asked from time to time after the start; `quiet` names lines that are not worth
    showing; `grace` is how many seconds it may take to stop.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        log: Log,
        *,
        ready: Callable[[], bool],
        grace: float = 3.0,
        quiet: str = "",
        before_start: Callable[[], None] | None = None,
    ) -> None:
        self.name, self.command, self.env, self.cwd, self.log = (name, command, env, cwd, log)
        self.ready, self.grace, self.before_start = ready, grace, before_start
        self.quiet = re.compile(quiet) if quiet else None
        self.process: subprocess.Popen[str] | None = None
        self.reader: threading.Thread | None = None
        self.started_at = 0.0
        self.quick_deaths = 0
        self.start_again_at: float | None = None

    def start(self) -> None:
        """Start the process. To be called by the main thread only."""
        if self.before_start:
            self.before_start()
        self.start_again_at = None
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            list(self.command),
            cwd=self.cwd,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=0o077,
            # Ctrl-C in the terminal reaches the launcher alone, which stops all in order.
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGTERM),
        )
        self.reader = threading.Thread(
            target=self._listen, args=(self.process.stdout,), name=f"log {self.name}", daemon=True
        )
        self.reader.start()

    def _listen(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                if line.strip() and not (self.quiet and self.quiet.search(line)):
                    self.log.write(self.name, line)

    @property
    def pid(self) -> int | None:
        """The process number, None while the process does not run."""
        return self.process.pid if self.process and self.process.poll() is None else None

    def ended(self) -> str | None:
        """Return how the process came to an end ("exit status 1"), or None while it runs."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        return describe(status)

    def after_death(self) -> float:
        """Note a death and return the seconds to wait before the next start.

        Raises DeskError when the process has died quickly too many times in a row.
        """
        lived = time.monotonic() - self.started_at
        self.quick_deaths = self.quick_deaths + 1 if lived < QUICK_SECONDS else 0
        how = self.ended()
        self.kill_group()  # what it has started itself must not outlive it
        if self.quick_deaths >= QUICK_DEATHS:
            raise DeskError(
                f"{self.name} stopped {QUICK_DEATHS} times within seconds of its start ({how}); "
                "its last lines above say why."
            )
        wait = 0.5 * 2 ** max(0, self.quick_deaths - 1)
        self.start_again_at = time.monotonic() + wait
        return wait

    def ask_to_stop(self) -> None:
        """Send SIGTERM; the process itself passes it on to what it has started."""
        if self.pid is not None and self.process is not None:
            self.process.terminate()

    def wait_to_stop(self) -> None:
        """Wait for the end as long as it may take, then end it and all it has started."""
        if self.process is None:
            return
        try:
            self.process.wait(self.grace)
        except subprocess.TimeoutExpired:
            self.log.write("desk", f"{self.name} takes too long to stop and is ended.")
        self.kill_group()
        self.process.wait()
        if self.reader is not None:
            self.reader.join(1)

    def kill_group(self) -> None:
        """End at once whatever is left of the process and of all it has started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return


def describe(status: int) -> str:
    """Return an exit status in words."""
    if status < 0:
        try:
            return f"ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"ended by signal {-status}"
    return f"exit status {status}"
