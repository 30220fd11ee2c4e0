"""What staff do to a Sinch project and to their own account."""

from typing import Any

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.utils import timezone

from portal.accounts import configuration
from portal.accounts.models import SinchProject, User, WebhookToken
from portal.operations.actions import submit
from portal.operations.models import Operation

MOST_VALID_TOKENS = 2


class NotPossible(Exception):
    """What was asked for cannot be done now. Args: the sentence for staff."""


def log(project: SinchProject, by: User, text: str) -> None:
    """Keep who did what to a project; the admin shows it as the project's history."""
    LogEntry.objects.log_actions(
        user_id=by.pk,
        queryset=[project],
        action_flag=CHANGE,
        change_message=text,
        single_object=True,
    )


def test_connection(project: SinchProject, *, by: User) -> None:
    """Have the project's configuration read, which shows whether its key works."""
    with transaction.atomic():
        configuration.ask(project, "staff")
        log(project, by, "Tested the connection to Sinch.")


def show_address(project: SinchProject, token: WebhookToken, *, by: User) -> str:
    """Return the full address that a token makes; the look is logged."""
    log(project, by, f"Looked at the webhook address made on {token.created_at:%Y-%m-%d}.")
    return configuration.webhook_address(token.token, token.kind)


def make_token(project: SinchProject, *, by: User) -> WebhookToken:
    """Make a further token beside the present one. Raises NotPossible when two are valid."""
    with transaction.atomic():
        SinchProject.objects.select_for_update().get(pk=project.pk)
        if configuration.valid_tokens(project).count() >= MOST_VALID_TOKENS:
            raise NotPossible("Two tokens are valid already. End the old one first.")
        token = WebhookToken.make(project)
        log(project, by, "Made a new webhook token.")
    return token


def end_token(project: SinchProject, pk: int, *, by: User) -> None:
    """Let a token admit nobody any more. Raises NotPossible for the last valid one."""
    with transaction.atomic():
        SinchProject.objects.select_for_update().get(pk=project.pk)
        valid = {token.pk: token for token in configuration.valid_tokens(project)}
        if pk not in valid:
            return  # ended before; a second click changes nothing
        if len(valid) == 1:
            raise NotPossible("This is the only valid token. Make a new one first.")
        token = valid[pk]
        token.retired_at = timezone.now()
        token.save(update_fields=["retired_at"])
        log(project, by, f"Ended the webhook token made on {token.created_at:%Y-%m-%d}.")


def why_not_registered() -> str:
    """Return why this desk's address cannot be given to Sinch; "" when it can."""
    if settings.PUBLIC_URL.startswith("https://"):
        return ""
    if settings.SINCH_SANDBOX_PAGE:
        return "The sandbox was told this address when it started."
    return "Sinch takes addresses with https:// only. Set PUBLIC_URL to the address staff open."


def configure(
    project: SinchProject, values: dict[str, Any], *, attempt: str, by: User
) -> Operation:
    """Give Sinch the project's defaults and this desk's webhook address.

    `values` are the cleaned fields of ConfigurationForm; `attempt` is unique to the form shown, so
    that a double click makes one operation. Raises NotPossible.
    """
    if reason := why_not_registered():
        raise NotPossible(reason)
    token = configuration.valid_tokens(project).first()
    if token is None:
        raise NotPossible("There is no valid webhook token. Make a new one first.")
    body = {
        "contact": {name: values[name] for name in ("email", "name", "phone") if values.get(name)},
        "webhookUrl": configuration.webhook_address(token.token),
        "defaultPortTime": f"{values['time']:%H:%M:%S}",
        "defaultPortTimeZone": values["zone"],
    }
    with transaction.atomic():
        operation, made = submit(
            project,
            configuration.CONFIGURE,
            target=f"project:{project.pk}",
            payload={"configuration": body},
            by=by,
            subject=f"Porting configuration of {project.name}",
            marker=f"project:{project.pk}:configure:{attempt}",
        )
        if made:
            log(project, by, "Registered this desk's webhook address at Sinch.")
    return operation
