"""Work items in the admin: to look at, never to change, since the orders write them."""

from django.contrib import admin
from django.http import HttpRequest

from portal.work.models import TeamNote, TimelineEntry, WorkItem


class ReadOnly(admin.ModelAdmin):
    """A table to look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes rows by hand."""
        return False


@admin.register(WorkItem)
class WorkItemAdmin(ReadOnly):
    """One row for each order, as the lists see it."""

    list_display = ["__str__", "kind", "status", "bucket", "rank", "assignee", "changed_at"]
    list_filter = ["kind", "bucket", "status"]
    list_select_related = ["assignee"]
    search_fields = ["reference__istartswith", "sinch_id__startswith"]
    exclude = ["search"]
    show_full_result_count = False


@admin.register(TimelineEntry)
class TimelineEntryAdmin(ReadOnly):
    """What happened to orders, newest first."""

    list_display = ["at", "item", "source", "text", "by"]
    list_select_related = ["item", "by"]
    list_filter = ["source"]
    exclude = ["fact"]
    show_full_result_count = False


@admin.register(TeamNote)
class TeamNoteAdmin(ReadOnly):
    """What colleagues wrote to each other."""

    list_display = ["at", "item", "by"]
    list_select_related = ["item", "by"]
    show_full_result_count = False
