"""What the settings page shows of hosting callbacks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.accounts.models import CallbackSecret, SinchProject, WebhookToken
from portal.operations import runner
from portal.operations.models import Operation, Reading
from portal.projects import actions_callbacks, callbacks, configuration


@dataclass(frozen=True)
class SecretRow:
    """One secret that is accepted; `shown` is its text for somebody who asked to see it."""

    secret: CallbackSecret
    shown: str
    is_at_sinch: bool
    may_end: bool


@dataclass(frozen=True)
class AddressRow:
    """One address that is accepted, its token as dots unless somebody asked to see it."""

    token: WebhookToken
    shown: str
    masked: str


@dataclass(frozen=True)
class Standing:
    """How what Sinch has compares with what is accepted here."""

    tone: str
    glyph: str
    word: str
    text: str
    is_strange: bool = False  # a secret of somebody else's


def context(
    project: SinchProject,
    shown: dict[int, str] | None = None,
    addresses: dict[int, str] | None = None,
) -> dict[str, Any]:
    """Return what the panel shows; `shown` are secrets in clear, `addresses` whole addresses."""
    secrets = list(callbacks.valid_secrets(project))
    operation = (
        Operation.objects.filter(
            target=f"project:{project.pk}", kind=callbacks.CONFIGURE, seen_at=None
        )
        .defer("payload")
        .order_by("-pk")
        .first()
    )
    runner.with_obstacle(operation)
    reading = Reading.objects.filter(project=project, kind=callbacks.KIND).first()
    asking = bool(
        reading
        and not reading.last_error
        and (reading.read_at is None or reading.requested_at > reading.read_at)
    )
    there = project.callback_secret_hash
    awaited = asking or (operation is not None and operation.is_under_way)
    return {
        "callback_secrets": [
            SecretRow(
                secret,
                (shown or {}).get(secret.pk, ""),
                secret.secret_hash == there,
                len(secrets) > 1 and not callbacks.signs(project, secret),
            )
            for secret in secrets
        ],
        "may_make_secret": len(secrets) < actions_callbacks.MOST_VALID_SECRETS,
        "callback_addresses": [
            AddressRow(
                token,
                (addresses or {}).get(token.pk, ""),
                configuration.webhook_address(configuration.HIDDEN, token.kind),
            )
            for token in configuration.valid_tokens(project, "hosting")
        ],
        "callback_standing": _standing(project, secrets),
        "callback_operation": operation,
        "callback_reading": reading,
        # News would take away what somebody is just reading out.
        "callbacks_live": awaited and not shown and not addresses,
        "callbacks_asking": asking,
        "why_no_callbacks": callbacks.why_no_callbacks(),
        "callback_read_at": project.callback_configuration_read_at,
    }


def _standing(project: SinchProject, secrets: list[CallbackSecret]) -> Standing:
    read_at: datetime | None = project.callback_configuration_read_at
    there = project.callback_secret_hash
    if read_at is None:
        return Standing("wait", "unknown", "Not read yet", "Sinch has not been asked yet.")
    if not there:
        return Standing(
            "us",
            "us",
            "No secret at Sinch",
            "Sinch signs nothing, so this desk turns every callback away. Make a secret.",
        )
    at_sinch = [secret for secret in secrets if secret.secret_hash == there]
    if any(secret.secret is None for secret in at_sinch):
        return Standing(
            "bad",
            "bad",
            "Cannot be read",
            "Sinch signs with a secret that this desk cannot read any more, so callbacks are "
            "turned away and changes are heard of by asking only. Make a new secret.",
        )
    if at_sinch:
        return Standing(
            "done", "done", "In step", "Sinch signs with a secret that this desk accepts."
        )
    return Standing(
        "us",
        "us",
        "Another secret at Sinch",
        "Sinch signs with a secret that this desk does not accept, so callbacks are turned away "
        "and changes are heard of by asking only. Accept it, or set one of ours.",
        is_strange=True,
    )
