"""Mirror rows and drafts for administrators; `orders.sync` and the desk are their writers."""

import json

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders.models import OrderDocument, OrderNote, PortabilityResult, PortInDraft, PortInOrder
from orders.sync import READER
from orders.wire import redact
from portal.operations.admin import ReadOnlyAdmin, table, want_again

MOST_SHOWN = 100  # numbers, notes or documents on the page of one order


@admin.register(PortInOrder)
class PortInOrderAdmin(ReadOnlyAdmin):
    """Port-in orders as they were last read; PINs and account numbers are not shown."""

    hidden = ("secrets", "payload")
    list_display = ("sinch_id", "reference", "status", "item", "project", "fetched_at", "gone_at")
    list_filter = ("status", "on_demand_activation", "project")
    list_select_related = ("item", "project")
    search_fields = ("=sinch_id", "reference", "=numbers__phone_number")
    readonly_fields = ("its_numbers", "its_notes", "its_documents", "what_sinch_sent")
    ordering = ("-pk",)
    actions = ("read_again",)

    @admin.display(description="Numbers")
    def its_numbers(self, order: PortInOrder) -> SafeString:
        """The first numbers with what Sinch says of each."""
        rows = order.numbers.values_list("phone_number", "status", "group", "foc_date")
        count = order.numbers.count()
        more = [(f"and {count - MOST_SHOWN} more",)] if count > MOST_SHOWN else []
        return table([*rows[:MOST_SHOWN], *more])

    @admin.display(description="Notes")
    def its_notes(self, order: PortInOrder) -> SafeString:
        """The newest notes of the conversation with Sinch."""
        rows = order.notes.order_by("-pk").values_list("created_at", "created_by", "text")
        return table(rows[:MOST_SHOWN])

    @admin.display(description="Documents")
    def its_documents(self, order: PortInOrder) -> SafeString:
        """Names and sizes, without the files."""
        rows = order.documents.values_list("name", "kind", "content_type", "size", "sinch_id")
        return table(rows[:MOST_SHOWN])

    @admin.display(description="What Sinch sent")
    def what_sinch_sent(self, order: PortInOrder) -> SafeString:
        """The order as JSON; masked once more, should a PIN ever get into it."""
        return format_html("<pre>{}</pre>", json.dumps(redact(order.payload), indent=2))

    @admin.action(description="Read again", permissions=["start"])
    def read_again(self, request: HttpRequest, chosen: QuerySet[PortInOrder]) -> None:
        """Have the chosen orders read from Sinch again now."""
        things = [
            (project, READER, key) for project, key in chosen.values_list("project_id", "sinch_id")
        ]
        count = want_again(things)
        self.message_user(request, f"{count} being read again.", messages.SUCCESS)


@admin.register(PortInDraft)
class PortInDraftAdmin(ReadOnlyAdmin):
    """Drafts without what was typed into them, which holds PINs."""

    hidden = ("data",)
    list_display = ("title", "state", "by", "project", "updated_at")
    list_filter = ("state", "project")
    list_select_related = ("by", "project")
    search_fields = ("title",)


@admin.register(PortabilityResult)
class PortabilityResultAdmin(ReadOnlyAdmin):
    """What Sinch last said about numbers."""

    list_display = ("phone_number", "portable", "carrier", "reason", "checked_at", "project")
    list_filter = ("portable", "project")
    list_select_related = ("project",)
    search_fields = ("=phone_number",)
    ordering = ("-pk",)


@admin.register(OrderNote)
class OrderNoteAdmin(ReadOnlyAdmin):
    """Notes of the conversation with Sinch."""

    list_display = ("text", "order", "created_by", "created_at")
    list_select_related = ("order",)
    search_fields = ("=order__sinch_id", "text")
    ordering = ("-pk",)


@admin.register(OrderDocument)
class OrderDocumentAdmin(ReadOnlyAdmin):
    """Documents without their files."""

    hidden = ("content", "sinch_content")
    list_display = ("name", "kind", "order", "size", "sinch_id", "created_at")
    list_filter = ("kind",)
    list_select_related = ("order",)
    search_fields = ("=order__sinch_id", "name")
    ordering = ("-pk",)
