"""Writes and readings for administrators: to look at, and to start once more."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from portal.accounts.guards import MAY_SEND
from portal.operations import panels, readings, runner
from portal.operations.models import Operation, Reading


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows to look at: their writer is the desk, so nobody adds, changes or deletes them here.

    `hidden` names columns that are not even read from the database: what is encrypted or large.
    Actions marked `permissions=["start"]` are for people who may send to Sinch.
    """

    hidden: tuple[str, ...] = ()
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows without what is hidden."""
        return super().get_queryset(request).defer(*self.hidden)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is shown: all columns but the hidden ones, then what is worked out."""
        columns = [field.name for field in self.model._meta.fields if field.name not in self.hidden]
        return [*columns, *(name for name in self.readonly_fields if name not in columns)]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_start_permission(self, request: HttpRequest) -> bool:
        """Tell who may start work: whoever may send to Sinch."""
        return request.user.has_perm(MAY_SEND)


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    """Writes to Sinch. What was sent is not shown: it holds PINs."""

    hidden = ("payload",)
    list_display = ("subject", "kind", "state", "project", "by", "created_at", "finished_at")
    list_filter = ("state", "kind", "project")
    list_select_related = ("project", "by")
    search_fields = ("subject", "target", "=key")
    readonly_fields = ("what_became_of_it",)
    ordering = ("-pk",)
    actions = ("try_again",)

    @admin.display(description="What became of it")
    def what_became_of_it(self, operation: Operation) -> str:
        """The words staff are shown."""
        panel = panels.panel_of(operation)
        return f"{panel.title}. {panel.text}"

    @admin.action(description="Try again", permissions=["start"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[Operation]) -> None:
        """Take up stopped writes once more; any other is left as it is."""
        # The newest first: of several about one thing only one can go on.
        whys = [
            runner.why_may_not(request.user, operation) or runner.take_up(operation)
            for operation in chosen.order_by("-pk")
        ]
        left = [why for why in whys if why]
        if len(left) < len(whys):
            taken_up = f"{len(whys) - len(left)} taken up again."
            self.message_user(request, taken_up, messages.SUCCESS)
        if left:
            said = " ".join(dict.fromkeys(left))
            self.message_user(request, f"{len(left)} left alone. {said}", messages.WARNING)


@admin.register(Reading)
class ReadingAdmin(ReadOnlyAdmin):
    """What is read from Sinch again and again, and when next."""

    list_display = (
        "kind",
        "resource_id",
        "project",
        "read_at",
        "next_try_at",
        "attempts",
        "missed_webhooks",
        "last_error",
    )
    list_filter = ("kind", "is_gone", "project")
    list_select_related = ("project",)
    search_fields = ("=resource_id",)
    ordering = ("-pk",)
    actions = ("read_again",)

    @admin.action(description="Read again", permissions=["start"])
    def read_again(self, request: HttpRequest, chosen: QuerySet[Reading]) -> None:
        """Have the chosen things read again now."""
        count = want_again(chosen.values_list("project_id", "kind", "resource_id"))
        self.message_user(request, f"{count} being read again.", messages.SUCCESS)


def want_again(things: Any) -> int:
    """Ask for a reading of each (project key, kind, resource id) from now on; return how many."""
    wishes: dict[tuple[int, str], dict[str, datetime]] = defaultdict(dict)
    now = timezone.now()
    for project, kind, resource_id in things:
        wishes[project, kind][resource_id] = now
    for (project, kind), wanted in sorted(wishes.items()):
        readings.want(project, kind, wanted, "staff")
    return sum(map(len, wishes.values()))


def table(rows: Any) -> SafeString:
    """Return rows of texts as lines of a read-only field."""
    return format_html_join("\n", "<div>{}</div>", ((" · ".join(map(str, row)),) for row in rows))
