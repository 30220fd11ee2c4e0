"""Encrypt what is stored with the first of ENCRYPTION_KEYS, so that an old key can go."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import BinaryField, F, Model, Value
from django.db.models.functions import Cast

from portal import crypto, words

TOGETHER = 20  # rows; each may hold a document of some megabytes


class Command(BaseCommand):
    """One line for each column; exit code 1 when something is left that no key decrypts."""

    help = (
        "Encrypt everything that is stored encrypted with the first of ENCRYPTION_KEYS. Safe to "
        "run beside the portal and to run again: start every process with the new key first."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through every column that is encrypted."""
        lost = 0
        for model in apps.get_models():
            for field in model._meta.concrete_fields:
                if isinstance(field, crypto.EncryptedBytesField):
                    lost += self._column(model, field.attname)
        if lost:
            were, them = ("it was", "it") if lost == 1 else ("they were", "them")
            self.stderr.write(
                f"{words.count_text(lost, 'value')} left as {were}: no key in ENCRYPTION_KEYS "
                f"decrypts {them}. Put the key of that time back there and run this again."
            )
            raise SystemExit(1)
        self.stdout.write("The first key decrypts everything; the others may go.")

    def _column(self, model: type[Model], column: str) -> int:
        """Encrypt one column anew; return how many values no key decrypts."""
        stored = Cast(F(column), BinaryField())
        rows = model._base_manager.annotate(stored=stored).exclude(stored=None).order_by("pk")
        done = lost = 0
        last = None
        while True:
            beyond = rows if last is None else rows.filter(pk__gt=last)
            batch = list(beyond.values_list("pk", "stored")[:TOGETHER])
            if not batch:
                break
            last = batch[-1][0]
            with transaction.atomic():
                for pk, kept in batch:
                    try:
                        anew = crypto.under_first_key(bytes(kept))
                    except InvalidToken:
                        lost += 1
                        continue
                    if anew != bytes(kept):
                        # What somebody has written meanwhile is under the first key already.
                        row = model._base_manager.annotate(stored=stored).filter(pk=pk, stored=kept)
                        done += row.update(**{column: Value(anew, BinaryField())})
        name = f"{model._meta.label}.{column}"
        self.stdout.write(f"{name}: {words.count_text(done, 'value')} encrypted anew")
        return lost
