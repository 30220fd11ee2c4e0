"""Secrets at rest: the cipher and the model fields that use it.

The first of ENCRYPTION_KEYS encrypts, all of them decrypt, so a key is rotated by putting a new
one in front and running `manage.py reencrypt`; the old one may go then.
"""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


@lru_cache(maxsize=4)
def _cipher_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def cipher() -> MultiFernet:
    """Return the cipher of the present ENCRYPTION_KEYS."""
    return _cipher_of(tuple(settings.ENCRYPTION_KEYS))


def under_first_key(stored: bytes) -> bytes:
    """Return stored bytes encrypted with the first key: the same ones when they are so already.

    Raises InvalidToken when no key decrypts them.
    """
    try:
        _cipher_of(tuple(settings.ENCRYPTION_KEYS[:1])).decrypt(stored)
    except InvalidToken:
        return cipher().rotate(stored)
    return stored


class EncryptedBytesField(models.BinaryField):
    """Bytes, encrypted in the database and plain in Python."""

    # What type checkers are told that a row holds.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Return the encrypted bytes to store."""
        if value is not None:
            value = cipher().encrypt(bytes(value))
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the plain bytes of what is stored."""
        return None if value is None else cipher().decrypt(bytes(value))


class EncryptedTextField(EncryptedBytesField):
    """Text, encrypted in the database and plain in Python; None where no key of ours decrypts it.

    What it holds are keys of one project among others, and whoever is to type a lost one again
    needs the pages that load it. The column takes no NULL: a lost text is never written back.
    """

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Return the encrypted text to store."""
        if isinstance(value, str):
            value = value.encode()
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the plain text of what is stored, None for what cannot be read."""
        try:
            plain = super().from_db_value(value, expression, connection)
        except InvalidToken:
            return None
        return None if plain is None else plain.decode()


class EncryptedJSONField(EncryptedBytesField):
    """A JSON value, encrypted in the database and plain in Python."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Return the encrypted JSON to store."""
        if value is not None:
            value = json.dumps(value, cls=DjangoJSONEncoder, separators=(",", ":")).encode()
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the JSON value of what is stored."""
        plain = super().from_db_value(value, expression, connection)
        return None if plain is None else json.loads(plain)


class LegibleJSONField(EncryptedJSONField):
    """An encrypted JSON value that is None where no key of ours decrypts it.

    One row that cannot be read must not keep a page from being shown, or what Sinch tells from
    being stored.
    """

    def deconstruct(self) -> Any:
        """Return what migrations know: it is stored as any other encrypted JSON."""
        name, _, args, kwargs = super().deconstruct()
        return name, f"{EncryptedJSONField.__module__}.{EncryptedJSONField.__name__}", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the JSON value of what is stored, None for what cannot be read."""
        try:
            return super().from_db_value(value, expression, connection)
        except InvalidToken:
            return None
