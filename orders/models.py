"""Port-in orders: mirror rows of what Sinch holds, and the drafts staff still type."""

import uuid

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal import words
from portal.accounts.models import SinchProject
from portal.crypto import EncryptedBytesField, EncryptedJSONField, LegibleJSONField
from portal.mirror import MirroredRecord
from portal.operations.leases import LeasedRow
from portal.operations.models import Operation
from portal.work.drafts import Draft
from portal.work.models import Decision, WorkItem


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
    # Our own store of what Sinch may mask: {"+1206…": {"existingPortOutPin": …, "accountNum": …}};
    # None where no key of ours decrypts it: an order is followed all the same.
    secrets = LegibleJSONField(default=dict)
    # Groups Sinch offers for activation: [{"key", "shape", "focDate", "numbers": […]}].
    offered_groups = models.JSONField(default=list)
    offered_at = models.DateTimeField(null=True)
    # The newest change of a confirmed date, {"at", "text"}: the customer hears of it when an order
    # that was canceling or gone meanwhile comes back.
    moved = models.JSONField(null=True)
    # The list item's counters when the order was last read; a walk reads what differs.
    list_digest = models.CharField(max_length=200, blank=True)
    # The order whose refused numbers this one takes up again.
    follows = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="follow_ups"
    )
    # Set when Sinch answered 404 for an order that was there before.
    gone_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "port-in order"
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
    # Keys of the causes (`orders.causes`) of its refusals that are over, each once.
    refused_before = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
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
        RECORD = "csr", "Customer service record"
        OTHER = "other", "Other"

    order = models.ForeignKey(PortInOrder, on_delete=models.CASCADE, related_name="documents")
    sinch_id = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=300, blank=True)
    kind = models.CharField(max_length=6, choices=Kind, default=Kind.OTHER)
    content = EncryptedBytesField(null=True)  # our own copy, as it was added here
    content_type = models.CharField(max_length=60, blank=True)
    # Sinch's copy and when it was fetched; not kept twice when it is the same as ours.
    sinch_content = EncryptedBytesField(null=True)
    sinch_read_at = models.DateTimeField(null=True)
    size = models.PositiveIntegerField(null=True)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now)
    # The day the LOA was signed or the bill was written, as staff read it; its age counts from it.
    dated_on = models.DateField(null=True)
    # What staff saw with their own eyes, and about what: {"signed": {"by": "Mara Lindqvist",
    # "at": "2026-…"}, "numbers": {…, "numbers": ["+1206…"]}}; see `orders.papers`.
    ticks = models.JSONField(default=dict)

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


class PortInDraft(Draft):
    """What staff are still typing; it becomes an order only through an operation."""

    operation = models.ForeignKey(
        Operation, null=True, on_delete=models.SET_NULL, related_name="drafts"
    )
    check_operation = models.ForeignKey(
        Operation, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    order = models.ForeignKey(PortInOrder, null=True, on_delete=models.SET_NULL)
    # The order whose refused numbers it takes up again, or that it was copied from.
    follows = models.ForeignKey(
        PortInOrder, null=True, on_delete=models.SET_NULL, related_name="draft_follow_ups"
    )

    beside = (*Draft.beside, "check_operation")

    class Meta(Draft.Meta):
        verbose_name = "port-in draft"

    def get_absolute_url(self) -> str:
        """The page where it is typed."""
        return reverse("orders:draft", args=[self.pk])

    @property
    def target(self) -> str:
        """How operations name this draft."""
        return f"draft:{self.pk}"

    @property
    def why_sent(self) -> str:
        """That changes are made to what it has become."""
        what = "an order" if self.order_id else "orders"
        return f"This draft has become {what}. Changes are made there."


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


class NumberLists(models.Manager["NumberList"]):
    """Lists without their files: one may have 20 MB, and only the worker that reads it needs it."""

    def get_queryset(self) -> models.QuerySet["NumberList"]:
        """Return lists whose content is fetched only when it is asked for."""
        return super().get_queryset().defer("content")


class NumberList(LeasedRow):
    """A file of numbers for a draft, read row by row in the background; it may be left alone.

    UPLOADED → (its columns are guessed) → COLUMNS (a person confirms them) → READING → READY.
    """

    class State(models.TextChoices):
        UPLOADED = "uploaded"
        COLUMNS = "columns"
        READING = "reading"
        READY = "ready"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(SinchProject, on_delete=models.PROTECT)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    draft = models.OneToOneField(
        PortInDraft, null=True, on_delete=models.CASCADE, related_name="number_list"
    )
    # A file of corrected rows; they take the places of the wrong ones in that list.
    corrects = models.ForeignKey(
        "self", null=True, on_delete=models.CASCADE, related_name="corrections"
    )
    name = models.CharField(max_length=200)
    # Kept while its columns may still be changed; gone once the order is sent.
    content = EncryptedBytesField(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.UPLOADED)
    # Column titles as they stand in the file, and which field of ours each is: {"0": "name"}.
    titles = models.JSONField(default=list)
    columns = models.JSONField(default=dict)
    # The first rows as they stand in the file, to confirm the columns by.
    sample = EncryptedJSONField(default=list)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    objects = NumberLists()

    class Meta:
        base_manager_name = "objects"  # a draft's list comes without its file, too
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="number_list_due",
                condition=models.Q(next_try_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ListRows(models.QuerySet["ListRow"]):
    """Rows of lists, by what becomes of them."""

    def wrong(self) -> "ListRows":
        """Rows that have to be corrected or left out."""
        return self.filter(left_out="").exclude(problems=[])

    def going(self) -> "ListRows":
        """Rows whose numbers go into an order."""
        return self.filter(left_out="", problems=[], repeats=0).exclude(number="")


class ListRow(models.Model):
    """One row of a list: its number or what is wrong with it, and the details that stand in it."""

    # What keeps the row out: [{"field": "zip", "text": "5 digits, such as 98101 …"}]. It stands
    # before the field called list, which would be taken for its default.
    problems = models.JSONField(default=list)
    list = models.ForeignKey(NumberList, on_delete=models.CASCADE, related_name="rows")
    position = models.PositiveIntegerField()  # the row in the file, counted from 1
    number = models.CharField(max_length=16, blank=True)  # E.164; "" when it cannot be read
    # {"cells": [… as in the file, without secrets], "written": the number as it stands there,
    # "details": {"name": …, "pin": …} as a draft holds them; one that is wrong keeps its text}
    data = EncryptedJSONField(default=dict)
    remark = models.CharField(max_length=200, blank=True)
    repeats = models.PositiveIntegerField(default=0)  # the row the number stands on first
    # Taken out by hand, or because the number cannot move; the words say which.
    left_out = models.CharField(max_length=200, blank=True)
    # The draft the row went to when the list was sent as several orders.
    part = models.ForeignKey(PortInDraft, null=True, on_delete=models.SET_NULL, related_name="rows")

    objects = ListRows.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["list", "position"], name="a_row_once_in_a_list"),
        ]
        indexes = [models.Index(fields=["list", "number"], name="number_of_a_list")]

    def __str__(self) -> str:
        return f"{self.position}: {self.number}"


class PortabilityRun(LeasedRow):
    """A question to Sinch about many numbers, asked in batches in the background.

    The answers are `PortabilityResult` rows; `done` of `total` numbers have been asked about.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    # The draft the numbers stand in; None for a check of numbers alone.
    draft = models.ForeignKey(
        PortInDraft, null=True, on_delete=models.CASCADE, related_name="portability_runs"
    )
    title = models.CharField(max_length=200, blank=True)
    numbers = models.JSONField(default=list)  # E.164, in the order they are asked about
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    # Why it waits or what ended it, in words for staff; "" while all goes well.
    problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="portability_run_due",
                condition=models.Q(next_try_at__isnull=False),
            ),
            models.Index(fields=["-created_at"], name="portability_run_newest"),
        ]

    def __str__(self) -> str:
        return self.title or words.count_text(self.total, "number")

    @property
    def is_under_way(self) -> bool:
        """Whether Sinch is still being asked, or will be again by itself."""
        return self.next_try_at is not None


class EndUserProfile(models.Model):
    """An end user whose details are kept for the next order: name, address, account, signer."""

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    # Fields of a draft by their names; the account number among them, never a PIN.
    # None where no key of ours decrypts it: the list is shown all the same.
    data = LegibleJSONField(default=dict)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_profile_of_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class RoutingPreset(models.Model):
    """Where numbers go at Sinch, kept for the next order: voice with its id, SMS app."""

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    data = models.JSONField(default=dict)  # {"voice": "EST", "voice_id": …, "sms_app": …}
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_preset_of_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class NoteTemplate(models.Model):
    """A frequent note to Sinch, with gaps such as {reference} that the order fills."""

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    title = models.CharField(max_length=100)
    text = models.TextField()

    class Meta:
        ordering = ["title"]
        constraints = [
            models.UniqueConstraint(fields=["project", "title"], name="one_template_of_a_title"),
        ]

    def __str__(self) -> str:
        return self.title


class OrderMark(Decision):
    """What staff decided about an order; its facts are named by `orders.marks`."""

    class Kind(models.TextChoices):
        SETTLED = "settled"  # nothing more is to be done about a reason such as P3
        ASKED = "asked"  # the customer has been asked; comes back when the clock runs out
        NO_REPLY = "no_reply"  # the newest note of Sinch needs no answer
        NEEDS_REPLY = "needs_reply"  # … does need one although we wrote since
        NO_LOA = "no_loa"  # this order goes without an LOA

    order = models.ForeignKey(PortInOrder, on_delete=models.CASCADE, related_name="marks")
    kind = models.CharField(max_length=12, choices=Kind)
