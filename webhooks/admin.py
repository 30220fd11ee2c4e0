"""Deliveries for administrators."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.operations.admin import ReadOnlyAdmin
from webhooks import dispatch, log
from webhooks.models import Delivery


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Webhooks as they came, with PINs masked."""

    hidden = ("body",)
    list_display = (
        "received_at",
        "event_type",
        "resource_id",
        "state",
        "verdict",
        "outcome",
        "size",
        "project",
    )
    list_filter = ("state", "verdict", "event_type", "project")
    list_select_related = ("project",)
    search_fields = ("=resource_id", "=event_type")
    readonly_fields = ("as_it_came",)
    ordering = ("-pk",)
    actions = ("process_again",)

    @admin.display(description="As it came")
    def as_it_came(self, delivery: Delivery) -> SafeString:
        """The request without its token, its PINs masked."""
        return format_html("<pre>{}</pre>", log.shown(delivery))

    @admin.action(description="Process again", permissions=["start"])
    def process_again(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        """Have the chosen deliveries looked into once more."""
        count = dispatch.process_again(Delivery.objects.filter(pk__in=chosen.values("pk")))
        self.message_user(request, f"{count} being processed again.", messages.SUCCESS)
