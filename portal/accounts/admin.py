"""People in the admin."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from portal.accounts.models import User


@admin.register(User)
class PersonAdmin(UserAdmin):
    """Django's own user admin, with the time zone."""

    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_staff"]
    list_filter = ["is_active", "is_staff", "groups"]
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Desk", {"fields": ["time_zone"]}))
    add_fieldsets = (
        *UserAdmin.add_fieldsets,
        ("Desk", {"fields": ["email", "first_name", "last_name", "groups"]}),
    )
