"""What staff do to a Sinch project and to their own account."""

from datetime import date
from typing import Any

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal import words
from portal.accounts.models import SinchProject, User, WebhookToken
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.projects import configuration

MOST_VALID_TOKENS = 2
MOST_DAYS_OFF = 200


class NotPossible(Exception):
    """What was asked for cannot be done now. Args: the sentence for staff."""


class ChangedAtSinch(NotPossible):
    """The configuration at Sinch is not the one somebody had before them."""


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
    """Return the full address that a token makes; the look is logged.

    Raises NotPossible for a token that no key of ours decrypts.
    """
    if token.token is None:
        raise NotPossible("This address cannot be read any more. Make a new one, then end it.")
    log(project, by, f"Looked at the webhook address made on {token.created_at:%Y-%m-%d}.")
    return configuration.webhook_address(token.token, token.kind)


def refuse_older_page(valid: QuerySet[Any], newest: str | None) -> None:
    """Raise NotPossible if another one is the newest by now: a page makes one, sent as often."""
    if newest is not None and newest != str(valid.values_list("pk", flat=True).first() or ""):
        raise NotPossible(
            "One was made or ended since this page was opened. Make another only if you need it."
        )


def make_token(project: SinchProject, *, by: User, newest: str | None = None) -> WebhookToken:
    """Make a further token beside the present one.

    `newest` is the key of the newest that somebody had before them. Raises NotPossible, also when
    two are valid.
    """
    with transaction.atomic():
        SinchProject.objects.select_for_update().get(pk=project.pk)
        refuse_older_page(configuration.valid_tokens(project), newest)
        if configuration.valid_tokens(project).count() >= MOST_VALID_TOKENS:
            raise NotPossible("Two tokens are valid already. End the old one first.")
        token = WebhookToken.make(project)
        log(project, by, "Made a new webhook token.")
    return token


def end_token(project: SinchProject, pk: int, *, by: User) -> None:
    """Let a token admit nobody any more. Raises NotPossible for the last valid one."""
    with transaction.atomic():
        SinchProject.objects.select_for_update().get(pk=project.pk)
        kind = project.tokens.filter(pk=pk).values_list("kind", flat=True).first() or "porting"
        valid = {token.pk: token for token in configuration.valid_tokens(project, kind)}
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
    project: SinchProject, values: dict[str, Any], *, base: str, attempt: str, by: User
) -> Operation:
    """Give Sinch the project's contact and defaults; its webhook address stays what it is.

    `values` are the cleaned fields of ConfigurationForm, `base` is the digest of the configuration
    that stood beside them; `attempt` is unique to the form shown, so that a double click makes one
    operation. Raises ChangedAtSinch.
    """
    contact = {name: values[name] for name in configuration.CONTACT if values.get(name)}
    wanted = {
        "contact": contact,
        "defaultPortTime": f"{values['time']:%H:%M:%S}",
        "defaultPortTimeZone": values["zone"],
    }
    return _write(project, wanted, base, attempt, by, "Sent contact and defaults to Sinch.")


def register_address(project: SinchProject, *, base: str, attempt: str, by: User) -> Operation:
    """Have Sinch send the project's events to this desk; contact and defaults stay.

    Raises NotPossible, ChangedAtSinch.
    """
    if reason := why_not_registered():
        raise NotPossible(reason)
    address = configuration.own_address(project)
    if not address:
        raise NotPossible("There is no valid webhook token. Make a new one first.")
    wanted = {"webhookUrl": address}
    text = "Registered this desk's webhook address at Sinch."
    return _write(project, wanted, base, attempt, by, text)


def _write(
    project: SinchProject, wanted: dict[str, Any], base: str, attempt: str, by: User, text: str
) -> Operation:
    # What was typed belongs to it: a form that was sent before may say something else by now.
    marker = f"project:{project.pk}:configure:{attempt}:{configuration.digest(wanted)}"
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        sent = Operation.objects.filter(marker=marker).defer("payload").first()
        if sent is not None:
            return sent
        under_way = Operation.objects.filter(
            target=f"project:{project.pk}",
            kind=configuration.CONFIGURE,
            state__in=Operation.UNDER_WAY,
        )
        if under_way.exists():
            raise ChangedAtSinch(
                "Another change is on its way to Sinch. What you typed is kept: send it when that "
                "one has arrived and stands in the table."
            )
        if base != configuration.digest(kept.porting_configuration):
            raise ChangedAtSinch(
                "The configuration at Sinch is not the one this form was opened with. What is "
                "there now stands in the table; what you typed is kept. Send it if it still holds."
            )
        operation, made = submit(
            project,
            configuration.CONFIGURE,
            target=f"project:{project.pk}",
            payload={"configuration": wanted, "base": base},
            by=by,
            subject=f"Porting configuration of {project.name}",
            marker=marker,
        )
        if made:
            log(project, by, text)
    return operation


# --- Dates and clocks -------------------------------------------------------------------------


def add_day_off(project: SinchProject, day: date, name: str, *, by: User) -> None:
    """Add a day on which nobody works to the public holidays. Raises NotPossible."""
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        days = kept.extra_days_off
        if days.get(day) == name:
            return  # added before; a second click changes nothing
        if day in days:
            raise NotPossible(f"{words.day_text(day)} is in the list already, as “{days[day]}”.")
        if len(days) >= MOST_DAYS_OFF:
            raise NotPossible(f"There are {MOST_DAYS_OFF} days already. Remove old ones first.")
        _keep_days_off(kept, days | {day: name}, by, f"Added the day off {day:%Y-%m-%d}, {name}.")


def remove_day_off(project: SinchProject, day: date, *, by: User) -> None:
    """Take a day off out of the list; one that is not there is no error."""
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        days = kept.extra_days_off
        if name := days.pop(day, ""):
            _keep_days_off(kept, days, by, f"Removed the day off {day:%Y-%m-%d}, {name}.")


def _keep_days_off(project: SinchProject, days: dict[date, str], by: User, text: str) -> None:
    project.days_off = [{"day": d.isoformat(), "name": name} for d, name in sorted(days.items())]
    project.save(update_fields=["days_off"])
    log(project, by, text)
    configuration.count_anew(project)


def expect_loa(project: SinchProject, expects: bool, *, by: User) -> None:
    """Keep whether port-in orders of the project need an LOA."""
    with transaction.atomic():
        kept = SinchProject.objects.select_for_update().get(pk=project.pk)
        if kept.expects_loa == expects:
            return
        kept.expects_loa = expects
        kept.save(update_fields=["expects_loa"])
        log(kept, by, f"Port-in orders {'need' if expects else 'do not need'} an LOA.")
        configuration.count_anew(kept)
