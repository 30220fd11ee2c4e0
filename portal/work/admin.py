"""People in the admin, and what they work on: to look at, never to change by hand."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.http import HttpRequest

from portal import words
from portal.accounts.forms import AsOpened
from portal.accounts.models import User
from portal.work import actions
from portal.work.models import TeamNote, TimelineEntry, WorkItem


class PersonForm(AsOpened, UserChangeForm):
    """Django's own form of a person, for whom two may look after."""


@admin.register(User)
class PersonAdmin(UserAdmin):
    """Django's own user admin, with the time zone; who leaves the desk leaves no order behind."""

    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_staff"]
    list_filter = ["is_active", "is_staff", "groups"]
    form = PersonForm
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Desk", {"fields": ["time_zone", "was"]}))
    add_fieldsets = (
        *UserAdmin.add_fieldsets,
        ("Desk", {"fields": ["email", "first_name", "last_name", "groups"]}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """The log of what somebody did would go with them: they are made inactive instead."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Store the person; the orders of somebody who is let in no more are nobody's."""
        super().save_model(request, obj, form, change)
        if change and not obj.is_active and "is_active" in form.changed_data:
            assert isinstance(request.user, User)
            if count := actions.leave_orders(obj, by=request.user):
                orders = words.count_text(count, "living order")
                are = "is" if count == 1 else "are"
                messages.info(request, f"{orders} of {obj.short_name} {are} nobody’s now.")


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
