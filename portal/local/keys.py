"""Secrets of the one-machine desk: made once, kept in a file only its owner may read."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet

from portal.local import paths


def keep(local_dir: Path, name: str, content: Mapping[str, object]) -> None:
    """Write a small JSON file, readable by its owner only, whole or not at all."""
    path = local_dir / name
    fresh = path.with_name(f".{name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def ensure_secrets(local_dir: Path) -> dict[str, str]:
    """Return the secrets of this machine by setting, making those that are not there yet.

    SECRET_KEY and ENCRYPTION_KEYS (one Fernet key), and the sandbox's own access key. What is
    there is never changed: a lost ENCRYPTION_KEYS is lost data.
    """
    path = local_dir / "secrets.json"
    kept = paths.secrets(local_dir)
    if path.exists() and not kept and path.stat().st_size:
        raise ValueError(
            f"{path} is not readable as JSON. It holds the keys of the stored secrets: "
            "put a good copy back, or remove it and the local data with `make reset`."
        )
    made = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "SANDBOX_KEY_SECRET": secrets.token_urlsafe(24),
    }
    complete = {**made, **kept}
    if complete != kept:
        keep(local_dir, "secrets.json", complete)
    return complete
