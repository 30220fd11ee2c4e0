"""Chromium for the browser tests: found on this machine, or installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PACKAGES = ("chromium", "chromium-driver", "fonts-liberation")


class NoChromium(Exception):
    """There is no Chromium and none could be installed; the text says what was tried."""


def _starts(path: str) -> bool:
    """Tell whether this is a browser and not, say, a script that asks to install one."""
    try:
        shown = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return shown.returncode == 0 and "chrom" in shown.stdout.lower()


def find() -> str | None:
    """Return the path of a Chromium that starts: CHROMIUM, one on PATH, or Playwright's own."""
    named = os.environ.get("CHROMIUM", "").strip()
    on_path = [shutil.which(name) for name in NAMES]
    kept = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "").strip()
    caches = [Path(kept)] if kept not in {"", "0"} else []
    caches += [Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright"]
    bundled = [
        str(path)
        for cache in caches
        for pattern in ("chrome-linux*/chrome", "chrome-mac*/*.app/Contents/MacOS/*")
        for path in sorted(cache.glob(f"chromium-*/{pattern}"), reverse=True)
    ]
    for candidate in [named, *on_path, *bundled]:
        if candidate and _starts(candidate):
            return candidate
    return None


def _try(*command: str, **environment: str) -> str:
    """Run one step of an installation; return "" when it went well, else its last line."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = (done.stderr or done.stdout).strip().split("\n")
    return "" if done.returncode == 0 else said[-1] or f"exit status {done.returncode}"


def ensure() -> str:
    """Return the path of a Chromium, installing one first when there is none.

    Root with apt-get installs the distribution's package, everyone else Playwright's own build.
    Raises NoChromium with what was tried.
    """
    if found := find():
        return found
    tried = []
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests with apt-get …", flush=True)
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        # An old list of packages is good enough when it can be installed from.
        _try("apt-get", "-q", "update", **quiet)
        reason = _try(
            "apt-get", "-q", "-y", "install", "--no-install-recommends", *PACKAGES, **quiet
        )
        if found := find():
            return found
        tried.append(f"apt-get install chromium: {reason or 'no browser afterwards'}")
    print("Installing Playwright's Chromium for the browser tests …", flush=True)
    reason = _try(sys.executable, "-m", "playwright", "install", "chromium")
    if found := find():
        return found
    tried.append(f"playwright install chromium: {reason or 'the browser does not start'}")
    raise NoChromium(
        "The browser tests need Chromium, and none could be installed ("
        + "; ".join(tried)
        + "). Install it, or name one in CHROMIUM."
    )
