"""Where the one-machine desk keeps its data, and the addresses of its embedded servers.

Settings import this module, so it looks at the file system as little as possible, changes nothing
there, and knows neither Django nor the servers themselves.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LOCAL_DIR = Path(os.environ.get("PORTAL_LOCAL_DIR", "").strip() or REPOSITORY / ".local").resolve()

# A unix socket's address is at most 107 bytes; the names below the folder take up to 17.
LONGEST_SOCKET_DIR = 88
# Every client writes a socket address as a URL in its own way; these characters all agree on.
PLAIN = re.compile(r"[A-Za-z0-9._/-]+\Z")
DATABASE_USER = DATABASE_NAME = "portal"


def is_open_to_others(folder: Path) -> bool:
    """Tell whether any user may walk down to this folder (it need not exist yet)."""
    for parent in [folder, *folder.parents]:
        try:
            mode = parent.stat().st_mode
        except FileNotFoundError:
            continue
        except PermissionError:
            return False
        if not mode & stat.S_IXOTH:
            return False
    return True


def _short_name(local_dir: Path) -> str:
    return hashlib.sha256(os.fsencode(local_dir)).hexdigest()[:12]


def _shut_to_postgres(local_dir: Path) -> bool:
    # PostgreSQL refuses to run as root, so root lends it to an ordinary user, who must be able
    # to walk to its files. Below a private home folder such as /root that user cannot.
    return os.geteuid() == 0 and not is_open_to_others(local_dir.parent)


def socket_dir(local_dir: Path = LOCAL_DIR) -> Path:
    """Return the folder of the embedded servers' sockets.

    Inside the local folder when the address stays short and plain enough for a socket, else a
    folder of its own under the system's temporary one.
    """
    inside = local_dir / "sockets"
    if (
        len(os.fsencode(inside)) < LONGEST_SOCKET_DIR
        and PLAIN.match(str(inside))
        and not _shut_to_postgres(local_dir)
    ):
        return inside
    return Path(tempfile.gettempdir()) / f"portal-{os.geteuid()}-{_short_name(local_dir)}"


def postgres_dir(local_dir: Path = LOCAL_DIR) -> Path:
    """Return the data folder of the embedded PostgreSQL.

    `postgres` inside the local folder; for root working below a folder that is closed to other
    users, a folder under /var/lib, because PostgreSQL cannot run as root.
    """
    if _shut_to_postgres(local_dir):
        return Path("/var/lib/porting-portal") / _short_name(local_dir) / "postgres"
    return local_dir / "postgres"


def redis_dir(local_dir: Path = LOCAL_DIR) -> Path:
    """Return the data folder of the embedded Redis."""
    return local_dir / "redis"


def postgres_socket_dir(local_dir: Path = LOCAL_DIR) -> Path:
    """Return the folder in which the embedded PostgreSQL opens its socket."""
    return socket_dir(local_dir) / "pg"


def redis_socket(local_dir: Path = LOCAL_DIR) -> Path:
    """Return the socket of the embedded Redis."""
    return socket_dir(local_dir) / "redis.sock"


def postgres_url(folder: Path, name: str = DATABASE_NAME) -> str:
    """Return the address of a database on the server whose socket is in this folder."""
    return f"postgresql://{DATABASE_USER}@{quote(str(folder), safe='')}/{name}"


def database_url(local_dir: Path = LOCAL_DIR) -> str:
    """Return the address of the embedded PostgreSQL's database, running or not."""
    return postgres_url(postgres_socket_dir(local_dir))


def redis_url(local_dir: Path = LOCAL_DIR) -> str:
    """Return the address of the embedded Redis, running or not."""
    return f"unix://{quote(str(redis_socket(local_dir)))}"


def _read_json(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(name): value for name, value in content.items() if isinstance(value, str)}


def secrets(local_dir: Path = LOCAL_DIR) -> dict[str, str]:
    """Return the secrets `make run` made for this machine, by setting; empty where it never ran."""
    return _read_json(local_dir / "secrets.json")


def running(local_dir: Path = LOCAL_DIR) -> dict[str, str]:
    """Return the plain settings the running (or last run) desk was started with.

    With them a management command in a second terminal speaks to the same sandbox. Holds no
    secrets.
    """
    return _read_json(local_dir / "running.json")
