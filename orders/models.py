"""Port-in orders: mirror rows of what Sinch holds, and the drafts staff still type."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.crypto import EncryptedBytesField, EncryptedJSONField
from portal.mirror import MirroredRecord
from portal.operations.models import Operation
from portal.work.models import WorkItem


class PortInOrder(MirroredRecord):
    """A port-in order as Sinch last described it; `orders.sync` is its only writer."""

    class Status(models.TextChoices):
        PENDING = "PENDING"
        CONFIRMED = "CONFIRMED"
        COMPLETED = "COMPLETED"
        PENDING_CANCELATION = "PENDING_CANCELATION"
        CANCELED = "CANCELED"

    project = models.ForeignKey(SinchProject, on_delete=models.PROTECT)
    item = models.OneToOneField(WorkItem, on_delete=models.PROTECT, related_name="port_in_order")
    # Digits, kept as text: Sinch sends them as a number in one place and as a string in another.
    sinch_id = models.CharField("Sinch order ID", max_length=32)
    # Whatever Sinch sends is kept: a status added next year must not stop the sync.
    status = models.CharField(max_length=32, db_index=True)
    reference = models.CharField(max_length=100, blank=True, db_index=True)
    desired_port_date = models.DateField(null=True)
    desired_port_time = models.CharField(max_length=8, blank=True)  # HH:MM[:SS] in the zone below
    desired_port_time_zone = models.CharField(max_length=20, blank=True)
    on_demand_activation = models.BooleanField(default=False)
    loa_uploaded_by = models.CharField(max_length=200, blank=True)
    loa_attachment_date = models.CharField(max_length=40, blank=True)
    reseller_name = models.CharField(max_length=200, blank=True)
    sinch_created_at = models.CharField(max_length=40, blank=True)
    # Our own store of what Sinch may mask: {"+1206…": {"existingPortOutPin": …, "accountNum": …}}.
    secrets = EncryptedJSONField(default=dict)
    # Groups Sinch offers for activation: [{"key", "shape", "focDate", "numbers": […]}].
    offered_groups = models.JSONField(default=list)
    offered_at = models.DateTimeField(null=True)
    # The list item's counters when the order was last read; a walk reads what differs.
    list_digest = models.CharField(max_length=200, blank=True)
    # Set when Sinch answered 404 for an order that was there before.
    gone_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "sinch_id"], name="one_row_for_an_order"),
        ]

    def __str__(self) -> str:
        return f"Port-in {self.sinch_id}"

    def get_absolute_url(self) -> str:
        """The page of the order."""
        return reverse("orders:detail", args=[self.pk])

    @property
    def is_editable(self) -> bool:
        """Whether Sinch accepts an update or a cancelation: PENDING orders only."""
        return self.status == self.Status.PENDING

    @property
    def target(self) -> str:
        """How operations name this order."""
        return f"port_in:{self.pk}"


class PortInNumber(models.Model):
    """One number of a port-in order as Sinch last described it; `orders.sync` writes it.

    Its raw JSON is not kept twice: it is in the order's payload, at `position`.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING"
        CONFIRMED = "CONFIRMED"
        ACTIVATED = "ACTIVATED"
        REJECTED = "REJECTED"
        EXCLUDED = "EXCLUDED"
        CANCELED = "CANCELED"

    order = models.ForeignKey(PortInOrder, on_delete=models.CASCADE, related_name="numbers")
    position = models.PositiveSmallIntegerField()
    phone_number = models.CharField(max_length=16)  # E.164
    # Digits from the end, so that "the last four" is a prefix search too.
    reversed_digits = models.CharField(max_length=16)
    status = models.CharField(max_length=32)  # upper case, whatever case Sinch used
    country_code = models.CharField(max_length=2, blank=True)
    group = models.CharField(max_length=120, blank=True)
    # From our portability check, else from the group's name; Sinch's order does not say it.
    losing_carrier = models.CharField(max_length=120, blank=True)
    foc_date = models.DateField(null=True)
    reject_reason = models.TextField(blank=True)
    exclusion_reason = models.TextField(blank=True)
    excluded_at = models.CharField(max_length=40, blank=True)
    excluded_features = models.JSONField(default=list)
    confirmed_at = models.CharField(max_length=40, blank=True)
    activated_at = models.CharField(max_length=40, blank=True)  # date-time, or "14:00" in UTC
    activate_user = models.CharField(max_length=100, blank=True)
    # When this desk first saw the present status.
    status_since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "phone_number"], name="a_number_once_in_an_order"
            ),
        ]
        indexes = [
            models.Index(OpClass("phone_number", "varchar_pattern_ops"), name="number_prefix"),
            models.Index(OpClass("reversed_digits", "varchar_pattern_ops"), name="number_suffix"),
        ]

    def __str__(self) -> str:
        return self.phone_number


class OrderNote(models.Model):
    """A note of the conversation with Sinch, as found in the order; `orders.sync` writes it."""

    order = models.ForeignKey(PortInOrder, on_delete=models.CASCADE, related_name="notes")
    # Sinch gives no id: text, time and how many alike came before make a note what it is.
    fact = models.CharField(max_length=64)
    text = models.TextField()
    created_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=200, blank=True)
    # The operation that sent it, when it is ours.
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["order", "fact"], name="a_note_once_in_an_order"),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class OrderDocument(models.Model):
    """A document of an order: our own copy, Sinch's, or both."""

    class Kind(models.TextChoices):
        LOA = "loa", "LOA"
        BILL = "bill", "Bill"
        OTHER = "other", "Other"

    order = models.ForeignKey(PortInOrder, on_delete=models.CASCADE, related_name="documents")
    sinch_id = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=300, blank=True)
    kind = models.CharField(max_length=6, choices=Kind, default=Kind.OTHER)
    content = EncryptedBytesField(null=True)
    content_type = models.CharField(max_length=60, blank=True)
    size = models.PositiveIntegerField(null=True)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "sinch_id"],
                name="a_document_once_in_an_order",
                condition=~models.Q(sinch_id=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PortInDraft(models.Model):
    """What staff are still typing; it becomes an order only through an operation."""

    class State(models.TextChoices):
        OPEN = "open"
        SENDING = "sending"  # locked while its create is under way
        SENT = "sent"
        THROWN_AWAY = "thrown_away"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(SinchProject, on_delete=models.PROTECT)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    # Form fields as typed, PINs among them: {"numbers": "…", "name": "…", "overrides": {…}}.
    data = EncryptedJSONField(default=dict)
    title = models.CharField(max_length=200, blank=True)  # for lists: end user or first number
    operation = models.ForeignKey(
        Operation, null=True, on_delete=models.SET_NULL, related_name="drafts"
    )
    check_operation = models.ForeignKey(
        Operation, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    order = models.ForeignKey(PortInOrder, null=True, on_delete=models.SET_NULL)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return self.title or "Draft"

    def get_absolute_url(self) -> str:
        """The page where it is typed."""
        return reverse("orders:draft", args=[self.pk])

    @property
    def target(self) -> str:
        """How operations name this draft."""
        return f"draft:{self.pk}"

    def field(self, name: str, default: Any = "") -> Any:
        """Return a typed field."""
        return self.data.get(name, default)


class PortabilityResult(models.Model):
    """What Sinch last said about whether a number can move."""

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    phone_number = models.CharField(max_length=16)
    portable = models.BooleanField()
    carrier = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    checked_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "phone_number"], name="one_result_for_a_number"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.phone_number}: {'yes' if self.portable else 'no'}"
