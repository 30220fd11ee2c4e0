"""Mirror rows of hosting for administrators; `hosting.sync` and the desk are their writers."""

import json

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hosting.models import (
    Combination,
    HostingDraft,
    HostingOrder,
    ImportedNumber,
    NumberMove,
    QualifiedNumber,
)
from hosting.sync import IMPORTED_READER, ORDER_READER, QUALIFIED_READER
from portal.operations.admin import ReadOnlyAdmin, table, want_again

MOST_SHOWN = 100  # numbers on the page of one order


@admin.register(HostingOrder)
class HostingOrderAdmin(ReadOnlyAdmin):
    """Hosting orders as they were last read."""

    hidden = ("payload",)
    list_display = ("sinch_id", "display_name", "state", "item", "project", "fetched_at", "gone_at")
    list_filter = ("state", "order_type", "is_toll_free", "project")
    list_select_related = ("item", "project")
    search_fields = ("=sinch_id", "display_name", "=numbers__phone_number")
    readonly_fields = ("its_numbers", "what_sinch_sent")
    ordering = ("-pk",)
    actions = ("read_again",)

    @admin.display(description="Numbers")
    def its_numbers(self, order: HostingOrder) -> SafeString:
        """The first numbers with what their steps come to."""
        rows = order.numbers.values_list("phone_number", "verdict", "osr", "platform", "campaign")
        count = order.numbers.count()
        more = [(f"and {count - MOST_SHOWN} more",)] if count > MOST_SHOWN else []
        return table([*rows[:MOST_SHOWN], *more])

    @admin.display(description="What Sinch sent")
    def what_sinch_sent(self, order: HostingOrder) -> SafeString:
        """The order as JSON."""
        return format_html("<pre>{}</pre>", json.dumps(order.payload, indent=2))

    @admin.action(description="Read again", permissions=["start"])
    def read_again(self, request: HttpRequest, chosen: QuerySet[HostingOrder]) -> None:
        """Have the chosen orders read from Sinch again now."""
        keys = chosen.values_list("project_id", "sinch_id")
        count = want_again([(project, ORDER_READER, key) for project, key in keys])
        self.message_user(request, f"{count} being read again.", messages.SUCCESS)


class _NumberAdmin(ReadOnlyAdmin):
    """Numbers as they were last read."""

    reader = ""
    hidden = ("payload",)
    list_filter = ("project",)
    list_select_related = ("project",)
    search_fields = ("=phone_number",)
    ordering = ("-pk",)
    actions = ("read_again",)

    @admin.action(description="Read again", permissions=["start"])
    def read_again(self, request: HttpRequest, chosen: QuerySet[ImportedNumber]) -> None:
        """Have the chosen numbers read from Sinch again now."""
        keys = chosen.values_list("project_id", "phone_number")
        count = want_again([(project, self.reader, key) for project, key in keys])
        self.message_user(request, f"{count} being read again.", messages.SUCCESS)


@admin.register(ImportedNumber)
class ImportedNumberAdmin(_NumberAdmin):
    """Imported numbers as they were last read."""

    reader = IMPORTED_READER
    list_display = (
        "phone_number",
        "service_plan_id",
        "campaign_id",
        "verdict",
        "project",
        "fetched_at",
        "gone_at",
    )


@admin.register(QualifiedNumber)
class QualifiedNumberAdmin(_NumberAdmin):
    """Qualified numbers as they were last read."""

    reader = QUALIFIED_READER
    list_display = (
        "phone_number",
        "state",
        "eligibility",
        "ownership",
        "hosted",
        "project",
        "fetched_at",
    )


@admin.register(NumberMove)
class NumberMoveAdmin(ReadOnlyAdmin):
    """Moves of imported numbers between service plans and campaigns, step by step."""

    list_display = ("number", "state", "from_plan", "to_plan", "by", "state_since")
    list_filter = ("state",)
    list_select_related = ("number", "by")
    search_fields = ("=number__phone_number",)
    ordering = ("-pk",)


@admin.register(HostingDraft)
class HostingDraftAdmin(ReadOnlyAdmin):
    """Drafts without what was typed into them."""

    hidden = ("data",)
    list_display = ("title", "kind", "state", "by", "project", "updated_at")
    list_filter = ("state", "kind", "project")
    list_select_related = ("by", "project")
    search_fields = ("title",)


@admin.register(Combination)
class CombinationAdmin(ReadOnlyAdmin):
    """Pairs of service plan and campaign that are searched for orders."""

    list_display = ("service_plan_id", "campaign_id", "name", "project", "walked_at", "trouble")
    list_filter = ("project",)
    list_select_related = ("project",)
    ordering = ("-pk",)
