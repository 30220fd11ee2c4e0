"""The secret that signs hosting callbacks: read at Sinch now and then, set there on request.

Registered with the engine when the app starts. Sinch keeps one secret for each project; this desk
accepts several at once, so that a change loses no event.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from portal.accounts.guards import MAY_MANAGE, NO_MANAGING
from portal.accounts.models import CallbackSecret, SinchProject, WebhookToken
from portal.operations import readings, runner
from portal.operations.actions import submit
from portal.operations.clients import hosting_client
from portal.operations.models import Operation, Reading
from portal.projects import configuration

KIND = "callback_configuration"
CONFIGURE = "hosting.configure"
READ_AGAIN = timedelta(hours=6)
# How long an old secret is still accepted after Sinch has taken the new one: what was signed with
# it may still be on its way, or be repeated.
OVERLAP = timedelta(hours=24)
NEWER = "A newer secret has taken its place."


def register() -> None:
    """Make the reading and the write known to the engine."""
    readings.register(CallbackConfigurationReader())
    runner.register(CallbackConfigureHandler())


# --- What is valid -----------------------------------------------------------------------------


def valid_secrets(project: SinchProject) -> QuerySet[CallbackSecret]:
    """Return the secrets that may sign callbacks at the moment, the newest first."""
    valid = Q(retired_at=None) | Q(retired_at__gt=timezone.now())
    return project.callback_secrets.filter(valid).order_by("-created_at", "-pk")


def why_no_callbacks() -> str:
    """Return why Sinch cannot be given an address to call back; "" when it can."""
    is_here = settings.SINCH_HOSTING_URL.startswith(("http://127.", "http://localhost", "http://["))
    if settings.PUBLIC_URL.startswith("https://") or is_here:
        return ""
    return (
        "Sinch calls https:// addresses only. Set PUBLIC_URL to the address staff open; until "
        "then this desk hears of changes by asking."
    )


def callback_url(project: SinchProject) -> str:
    """Return the address Sinch is to send a project's hosting events to; "" when it cannot.

    Makes the token of the address when there is none yet, or none that can be read.
    """
    if why_no_callbacks():
        return ""
    if address := configuration.own_address(project, "hosting"):
        return address
    return configuration.webhook_address(WebhookToken.make(project, "hosting").token, "hosting")


def prepare(project: SinchProject, cause: str) -> None:
    """See that Sinch can call back about a project, and that its settings there are read.

    Call in a transaction. A first secret for callbacks is given to Sinch at once: those that
    nobody signed are turned away.
    """
    if not configuration.own_address(project):
        WebhookToken.make(project)
    configuration.ask(project, cause)
    callback_url(project)
    if not valid_secrets(project).exists():
        set_at_sinch(CallbackSecret.make(project), by=None)
    readings.want_one(project, KIND, project.project_id, cause)


def set_at_sinch(secret: CallbackSecret, *, by: Any) -> Operation:
    """Have a secret set at Sinch; once for each secret however often it is asked for."""
    operation, _ = submit(
        secret.project,
        CONFIGURE,
        target=f"project:{secret.project_id}",
        payload={"secret": secret.pk},
        by=by,
        subject=f"The callback secret of {secret.project.name}",
        marker=_marker(secret),
    )
    return operation


def is_on_its_way(secret: CallbackSecret) -> bool:
    """Tell whether a secret is being given to Sinch at the moment."""
    written = Operation.objects.filter(marker=_marker(secret), state__in=Operation.UNDER_WAY)
    return written.exists()


def signs(project: SinchProject, secret: CallbackSecret) -> bool:
    """Tell whether Sinch signs with a secret, as read there or as set there last since."""
    if secret.secret_hash == project.callback_secret_hash:
        return True
    read_at = project.callback_configuration_read_at
    if secret.set_at is None or (read_at is not None and read_at >= secret.set_at):
        return False
    return not project.callback_secrets.filter(set_at__gt=secret.set_at).exists()


def _marker(secret: CallbackSecret) -> str:
    return f"callback_secret:{secret.pk}"


# --- Reading and writing -----------------------------------------------------------------------


class CallbackConfigurationReader(readings.Reader):
    """Reads which secret Sinch signs with; it is kept encrypted, and not believed by itself."""

    kind = KIND

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read and store it; look again in some hours. Raises SinchError."""
        answer = hosting_client(reading.project).get_callback_configuration() or {}
        store(reading.project, str(answer.get("hmacSecret") or ""), started_at)
        return READ_AGAIN


def store(project: SinchProject, secret: str, read_at: datetime) -> None:
    """Store the secret Sinch has, "" for none, unless a newer reading is there.

    One this desk did not make is kept, and not accepted until somebody says so. One that it made
    and can read no more is read again from what Sinch says.
    """
    kept_hash = CallbackSecret.hash_of(secret) if secret else ""
    stored = (
        SinchProject.objects.filter(pk=project.pk)
        .filter(
            Q(callback_configuration_read_at=None) | Q(callback_configuration_read_at__lt=read_at)
        )
        .update(callback_secret_hash=kept_hash, callback_configuration_read_at=read_at)
    )
    if stored and secret:
        kept, _ = CallbackSecret.objects.get_or_create(
            project=project,
            secret_hash=kept_hash,
            defaults={"secret": secret, "set_at": read_at, "retired_at": read_at},
        )
        if kept.secret is None:
            kept.secret = secret
            kept.save(update_fields=["secret"])
        if not project.callback_secrets.filter(set_at__gt=read_at).exists():
            # One that was to run out is what Sinch signs with again.
            running_out = CallbackSecret.objects.filter(pk=kept.pk, retired_at__gt=timezone.now())
            running_out.update(retired_at=None)


class CallbackConfigureHandler(runner.Handler):
    """Sets the secret that signs a project's hosting callbacks. Payload: {"secret": its key}."""

    kind = CONFIGURE
    how_found_out = "The secret at Sinch is read and compared with ours; setting it again is safe."
    permission, no_right = MAY_MANAGE, NO_MANAGING

    def why_not_again(self, operation: Operation) -> str:
        """Set none that is not to sign any more; one that may have left is looked up first."""
        return "" if operation.uncertain_since else self._why_not(self._secret_or_none(operation))

    @staticmethod
    def _why_not(secret: CallbackSecret | None) -> str:
        if secret is None:
            return "This secret is not in the desk any more. Make a new one."
        if secret.secret is None:
            return "This secret cannot be read any more. Make a new one."
        has_ended = secret.retired_at is not None and secret.retired_at <= timezone.now()
        return "This secret has ended. Make a new one." if has_ended else ""

    def send(self, operation: Operation) -> dict[str, Any]:
        """Set it. Raises SinchError, and Refused for one that is not to sign any more."""
        secret = self._secret(operation)
        if why := self._why_not(secret):
            raise runner.Refused(why)
        newer = Operation.objects.filter(
            target=operation.target,
            kind=CONFIGURE,
            pk__gt=operation.pk,
            state__in=(*Operation.UNDER_WAY, Operation.State.SUCCEEDED),
        )
        if newer.exists():
            raise runner.Refused(NEWER)
        hosting_client(operation.project).update_callback_configuration(secret.secret)
        return {}

    def find_out(self, operation: Operation) -> runner.Found | None:
        """Compare what is there with what was sent."""
        there = hosting_client(operation.project).get_callback_configuration() or {}
        said = str(there.get("hmacSecret") or "")
        is_ours = bool(said) and CallbackSecret.hash_of(said) == self._secret(operation).secret_hash
        return runner.Found({}) if is_ours else None

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Let the older ones end in a while, and read back what is there."""
        now, secret = timezone.now(), self._secret(operation)
        # Sinch signs with it now, even if a newer one was taken while it was on its way.
        CallbackSecret.objects.filter(pk=secret.pk).update(set_at=now, retired_at=None)
        older = valid_secrets(operation.project).filter(pk__lt=secret.pk, retired_at=None)
        older.update(retired_at=now + OVERLAP)
        ask(operation.project)

    def failed(self, operation: Operation) -> None:
        """Read what is there, so that it stands beside what was refused."""
        ask(operation.project)

    @staticmethod
    def _secret_or_none(operation: Operation) -> CallbackSecret | None:
        return CallbackSecret.objects.filter(pk=operation.payload.get("secret")).first()

    def _secret(self, operation: Operation) -> CallbackSecret:
        found = self._secret_or_none(operation)
        if found is None:
            raise runner.Refused(self._why_not(None))
        return found


def ask(project: SinchProject) -> None:
    """Have the secret at Sinch read soon."""
    readings.want_one(project, KIND, project.project_id, "staff")
