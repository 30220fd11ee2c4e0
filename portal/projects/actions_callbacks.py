"""What staff do about hosting callbacks: secrets, who may call, and how much goes into an order."""

from ipaddress import ip_network

from django.db import transaction
from django.utils import timezone

from portal.accounts.models import CallbackSecret, SinchProject, User, WebhookToken
from portal.operations.models import Operation
from portal.projects import callbacks, configuration
from portal.projects.actions import NotPossible, log, refuse_older_page

MOST_VALID_SECRETS = 3
MOST_SOURCES = 100
MOST_IMPORTED = 500


class ChangedMeanwhile(NotPossible):
    """What somebody had before them is not what is kept by now."""


def make_secret(project: SinchProject, *, by: User, newest: str | None = None) -> Operation:
    """Make a secret, accept it from now on and have Sinch sign with it.

    `newest` is the key of the newest that somebody had before them. Raises NotPossible.
    """
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        refuse_older_page(callbacks.valid_secrets(kept), newest)
        if callbacks.valid_secrets(kept).count() >= MOST_VALID_SECRETS:
            raise NotPossible(f"{MOST_VALID_SECRETS} secrets are valid already. End an old one.")
        operation = callbacks.set_at_sinch(CallbackSecret.make(kept), by=by)
        log(kept, by, "Made a new callback secret and gave it to Sinch.")
    return operation


def take_secret_of_sinch(project: SinchProject, *, by: User) -> None:
    """Accept the secret that Sinch has and this desk did not make. Raises NotPossible."""
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        found = kept.callback_secrets.filter(secret_hash=kept.callback_secret_hash)
        if not kept.callback_secret_hash or not found.update(retired_at=None):
            raise NotPossible("Sinch has no secret that this desk has read. Read it again first.")
        log(kept, by, "Accepted the callback secret found at Sinch.")


def show_secret(project: SinchProject, pk: int, *, by: User) -> str:
    """Return a secret in clear; the look is logged.

    Raises NotPossible for one that has ended, or that no key of ours decrypts.
    """
    secret = callbacks.valid_secrets(project).filter(pk=pk).first()
    if secret is None:
        raise NotPossible("This secret has ended.")
    if secret.secret is None:
        raise NotPossible("This secret cannot be read any more. Make a new one.")
    log(project, by, f"Looked at the callback secret made on {secret.created_at:%Y-%m-%d}.")
    return secret.secret


def end_secret(project: SinchProject, pk: int, *, by: User) -> None:
    """Accept a secret no more.

    Raises NotPossible for the one Sinch signs with or is being given, and for the last.
    """
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        valid = {secret.pk: secret for secret in callbacks.valid_secrets(kept)}
        if pk not in valid:
            return  # ended before; a second click changes nothing
        if len(valid) == 1 or callbacks.signs(kept, valid[pk]):
            raise NotPossible("Sinch signs with this secret. Make a new one first.")
        if callbacks.is_on_its_way(valid[pk]):
            raise NotPossible("This secret is on its way to Sinch. Wait until it has arrived.")
        secret = valid[pk]
        secret.retired_at = timezone.now()
        secret.save(update_fields=["retired_at"])
        log(kept, by, f"Ended the callback secret made on {secret.created_at:%Y-%m-%d}.")


def make_address(project: SinchProject, *, by: User, newest: str | None = None) -> WebhookToken:
    """Make a further callback address beside the present one.

    `newest` is the key of the newest that somebody had before them. Raises NotPossible, also for a
    third.
    """
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        refuse_older_page(configuration.valid_tokens(kept, "hosting"), newest)
        if configuration.valid_tokens(kept, "hosting").count() >= 2:
            raise NotPossible("Two addresses are valid already. End the old one first.")
        token = WebhookToken.make(kept, "hosting")
        log(kept, by, "Made a new callback address.")
    return token


def read_sources(text: str) -> list[str]:
    """Return the addresses and ranges of a typed list, as they are kept. Raises NotPossible."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            network = ip_network(word, strict=False)
        except ValueError as error:
            raise NotPossible(
                f"“{word[:60]}” is no address; write one such as 54.76.19.159 or 10.0.0.0/8."
            ) from error
        found.append(str(network).removesuffix("/32").removesuffix("/128"))
    if len(found) > MOST_SOURCES:
        raise NotPossible(f"{len(found)} addresses; at most {MOST_SOURCES} fit.")
    return list(dict.fromkeys(found))


def keep_sources(project: SinchProject, text: str, *, was: str, by: User) -> None:
    """Keep where callbacks may come from; an empty list lets everybody call who signs.

    `was` is what stood there when somebody began to type. Raises NotPossible, naming what is no
    address; ChangedMeanwhile when something else stands there by now.
    """
    found = read_sources(text)
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        if kept.callback_sources == found:
            return
        if read_sources(was) != kept.callback_sources:
            now = ", ".join(kept.callback_sources) or "empty"
            raise ChangedMeanwhile(
                f"Somebody changed it meanwhile; now it is {now}. Save again if yours still holds."
            )
        kept.callback_sources = found
        kept.save(update_fields=["callback_sources"])
        log(kept, by, f"Callbacks may come from {', '.join(found) or 'anywhere'}.")


def keep_import_limit(project: SinchProject, limit: int, *, by: User) -> None:
    """Keep how many numbers Sinch takes in one import order. Raises NotPossible."""
    if not 1 <= limit <= MOST_IMPORTED:
        raise NotPossible(f"Between 1 and {MOST_IMPORTED} numbers fit into one import order.")
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        if kept.import_limit == limit:
            return
        kept.import_limit = limit
        kept.save(update_fields=["import_limit"])
        log(kept, by, f"One import order takes {limit} numbers.")
