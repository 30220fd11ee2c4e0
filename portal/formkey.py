"""The key a form carries, so that the same form sent twice is carried out once."""

import uuid
from typing import Final

LONGEST: Final = 32


def new_key() -> str:
    """Return a key for a form: the same form sent twice carries the same one."""
    return uuid.uuid4().hex


def read_key(text: str) -> str:
    """Return a posted key as the database takes it; "" for none."""
    return text.replace("\0", "")[:LONGEST]


def read_id(text: str) -> uuid.UUID:
    """Return a posted key that names the row to be made; a new one for none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid4()
