"""Hosting: mirror rows of orders and numbers, drafts, and what staff have under way."""

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Upper
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.mirror import MirroredRecord
from portal.operations.models import Operation
from portal.work.drafts import Draft
from portal.work.models import Decision, WorkItem

# The steps of a number, in the order in which they are shown: Sinch's key, our column.
STEPS: dict[str, str] = {
    "osrUpdate": "osr",
    "platformProvisioning": "platform",
    "campaignProvisioning": "campaign",
    "smsAtt": "sms_att",
    "smsTmo": "sms_tmo",
    "mmsAtt": "mms_att",
    "mmsTmo": "mms_tmo",
}


class Verdict(models.TextChoices):
    """What the steps of a number come to. Source: the desk's own rule, domain.md."""

    FAILED = "failed"  # a step failed
    DONE = "done"  # all steps there are are done
    PENDING = "pending"  # anything else


class Steps(models.Model):
    """A number's steps in Sinch's words; "" for one that does not apply."""

    osr = models.CharField(max_length=32, blank=True)
    platform = models.CharField(max_length=32, blank=True)
    campaign = models.CharField(max_length=32, blank=True)
    sms_att = models.CharField(max_length=32, blank=True)
    sms_tmo = models.CharField(max_length=32, blank=True)
    mms_att = models.CharField(max_length=32, blank=True)
    mms_tmo = models.CharField(max_length=32, blank=True)
    verdict = models.CharField(max_length=8, choices=Verdict, default=Verdict.PENDING)
    # The last failure codes that callbacks told, by step: {"campaign": "CAMPAIGN_EXPIRED"}.
    failure_codes = models.JSONField(default=dict)
    # When this desk first saw the steps as they are.
    status_since = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True


class HostingOrder(MirroredRecord):
    """A hosting order as Sinch last described it; `hosting.sync` is its only writer.

    Its numbers and its report are read with it, in the same reading.
    """

    class State(models.TextChoices):
        DRAFT = "DRAFT"
        SUBMITTED = "SUBMITTED"
        WAITING_FOR_LOA_SIGNATURE = "WAITING_FOR_LOA_SIGNATURE"
        IN_PROGRESS = "IN_PROGRESS"
        COMPLETED = "COMPLETED"
        REJECTED = "REJECTED"

    class Loa(models.TextChoices):
        DIRECT = "direct"
        RESELLER = "reseller"
        BLANKET = "blanket"

    project = models.ForeignKey(SinchProject, on_delete=models.PROTECT)
    item = models.OneToOneField(WorkItem, on_delete=models.PROTECT, related_name="hosting_order")
    sinch_id = models.CharField("Sinch order ID", max_length=64)
    # Whatever Sinch sends is kept: a state added next year must not stop the sync.
    state = models.CharField(max_length=32, db_index=True)
    order_type = models.CharField(max_length=32, blank=True)  # IMPORT, TYPE_TEXT_ENABLE
    is_toll_free = models.BooleanField(default=False)
    display_name = models.CharField(max_length=200, blank=True)
    region_code = models.CharField(max_length=8, blank=True)
    service_plan_id = models.CharField(max_length=100, blank=True, db_index=True)
    campaign_id = models.CharField(max_length=100, blank=True, db_index=True)
    nnid = models.CharField(max_length=32, blank=True)
    loa = models.CharField(max_length=16, blank=True)  # a Loa, else Sinch's word in lower case
    business_name = models.CharField(max_length=200, blank=True)
    signer_name = models.CharField(max_length=200, blank=True)
    signer_email = models.CharField(max_length=254, blank=True)
    voice_carrier = models.CharField(max_length=200, blank=True)
    # When the OSR update, or for toll-free the provisioning, is to run.
    scheduled_at = models.DateTimeField(null=True)
    migrates_tmo = models.BooleanField(default=False)
    callback_url = models.CharField(max_length=500, blank=True)
    sinch_created_at = models.DateTimeField(null=True)
    sinch_updated_at = models.DateTimeField(null=True)
    # {"total", "osrUpdated", "smsProvisioned", "addedToCampaign", "ongoingManualAction"}
    report = models.JSONField(default=dict)
    report_since = models.DateTimeField(null=True)  # since when the report has been as it is
    state_since = models.DateTimeField(default=timezone.now)  # when this desk first saw the state
    signed_seen_at = models.DateTimeField(null=True)  # when it was first seen past the signature
    numbers_read_at = models.DateTimeField(null=True)
    # The order whose numbers held at T-Mobile this one moves over.
    follows = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="follow_ups"
    )
    # Set when Sinch answered 404 for an order that was there before.
    gone_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "sinch_id"], name="one_row_for_a_hosting_order"
            ),
        ]
        indexes = [
            models.Index(fields=["service_plan_id", "campaign_id"], name="hosting_order_pair"),
            # What each walk looks for beyond the lists: living orders of a pair, or of none.
            models.Index(
                fields=["project", "campaign_id", "service_plan_id"],
                name="hosting_order_living",
                condition=models.Q(gone_at=None) & ~models.Q(state__in=["COMPLETED", "REJECTED"]),
            ),
        ]

    def __str__(self) -> str:
        return f"Hosting order {self.sinch_id}"

    def get_absolute_url(self) -> str:
        """The page of the order."""
        return reverse("hosting:detail", args=[self.pk])

    @property
    def target(self) -> str:
        """How operations name this order."""
        return f"hosting_order:{self.pk}"


class HostingNumber(Steps):
    """One number of a hosting order as Sinch last described it; `hosting.sync` writes it."""

    order = models.ForeignKey(HostingOrder, on_delete=models.CASCADE, related_name="numbers")
    position = models.PositiveSmallIntegerField()
    phone_number = models.CharField(max_length=16)  # E.164
    # Digits from the end, so that "the last four" is a prefix search too.
    reversed_digits = models.CharField(max_length=16)
    payload = models.JSONField("What Sinch sent", default=dict, editable=False)
    # When it was last read by itself; an older reading of its order does not replace that.
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "phone_number"], name="a_number_once_in_a_hosting_order"
            ),
        ]
        indexes = [
            models.Index(OpClass("phone_number", "varchar_pattern_ops"), name="hosted_prefix"),
            models.Index(OpClass("reversed_digits", "varchar_pattern_ops"), name="hosted_suffix"),
        ]

    def __str__(self) -> str:
        return self.phone_number

    def get_absolute_url(self) -> str:
        """The page of this number in its order."""
        return reverse("hosting:number", args=[self.order_id, self.phone_number.lstrip("+")])


class HostingMark(Decision):
    """What staff decided about a hosting order; its facts are named by `hosting.facts`."""

    class Kind(models.TextChoices):
        SETTLED = "settled"  # nothing more is to be done about a reason such as H3
        ASKED = "asked"  # the customer has been asked; comes back when the clock runs out
        # The customer's written word that the number left its other provider at T-Mobile.
        CONFIRMED = "confirmed"

    order = models.ForeignKey(HostingOrder, on_delete=models.CASCADE, related_name="marks")
    kind = models.CharField(max_length=12, choices=Kind)


class HostingDraft(Draft):
    """A hosting order that staff are still typing; it becomes one only through an operation."""

    class Kind(models.TextChoices):
        IMPORT = "import", "Import"
        TEXT_ENABLE = "text_enable", "Text-enable"
        TOLL_FREE = "toll_free", "Text-enable toll-free"

    kind = models.CharField(max_length=12, choices=Kind, default=Kind.TEXT_ENABLE)
    # Whether it is made of verified numbers of the qualified list: another operation at Sinch.
    is_qualified = models.BooleanField(default=False)
    operation = models.ForeignKey(
        Operation, null=True, on_delete=models.SET_NULL, related_name="hosting_drafts"
    )
    order = models.ForeignKey(
        HostingOrder, null=True, on_delete=models.SET_NULL, related_name="drafts"
    )
    # The order whose numbers held at T-Mobile it moves over.
    follows = models.ForeignKey(
        HostingOrder, null=True, on_delete=models.SET_NULL, related_name="draft_follow_ups"
    )

    beside = (*Draft.beside, "follows")

    def get_absolute_url(self) -> str:
        """The page where it is typed."""
        return reverse("hosting:draft", args=[self.pk])

    @property
    def target(self) -> str:
        """How operations name this draft."""
        return f"hosting_draft:{self.pk}"

    @property
    def why_sent(self) -> str:
        """That Sinch takes no changes."""
        return "This draft was sent. An order at Sinch cannot be changed."


class NumberRecord(MirroredRecord):
    """A number that Sinch knows by itself, beside any order."""

    project = models.ForeignKey(SinchProject, on_delete=models.PROTECT)
    phone_number = models.CharField(max_length=16)  # E.164
    reversed_digits = models.CharField(max_length=16)
    region_code = models.CharField(max_length=8, blank=True)
    # Grows with every visible change: what open pages ask by.
    version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField(default=timezone.now)
    gone_at = models.DateTimeField(null=True)  # Sinch answered 404, or it was deleted
    came_back_at = models.DateTimeField(null=True)  # it was gone, and was made anew at Sinch
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.phone_number

    @property
    def known_at(self) -> datetime:
        """When the newest of what is stored was asked for; an older answer does not replace it."""
        return self.fetched_at

    def was_gone_since(self, moment: datetime) -> bool:
        """Tell whether Sinch has not known it at some time since, be it there again or not."""
        times = (self.gone_at, self.came_back_at)
        return any(at is not None and at > moment for at in times)


class ImportedNumber(NumberRecord, Steps):
    """A number linked to a service plan at Sinch; `hosting.sync` is its only writer.

    `platform` and `campaign` hold the state of the last provisioning or deprovisioning, and the
    columns beside them which of the two it was.
    """

    display_name = models.CharField(max_length=200, blank=True)
    service_plan_id = models.CharField(max_length=100, blank=True)
    campaign_id = models.CharField(max_length=100, blank=True)
    platform_type = models.CharField(max_length=20, blank=True)  # PROVISIONING, DEPROVISIONING
    campaign_type = models.CharField(max_length=20, blank=True)
    # Whether anything is still being worked on at Sinch.
    is_settling = models.BooleanField(default=False)
    # When the newest write left whose short answer is stored: it is no reading, but a reading that
    # left before it tells how the number was before the write.
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "phone_number"], name="one_row_for_an_imported_number"
            ),
        ]
        indexes = [
            models.Index(fields=["service_plan_id", "phone_number"], name="imported_plan"),
            models.Index(fields=["campaign_id", "phone_number"], name="imported_campaign"),
            models.Index(fields=["verdict", "phone_number"], name="imported_verdict"),
            # The list as it opens, and names as they are typed.
            models.Index(
                fields=["phone_number", "id"],
                name="imported_listed",
                condition=models.Q(gone_at=None),
            ),
            models.Index(
                fields=["phone_number"],
                name="imported_settling",
                condition=models.Q(is_settling=True),
            ),
            models.Index(OpClass(Upper("display_name"), "text_pattern_ops"), name="imported_name"),
            models.Index(OpClass("phone_number", "varchar_pattern_ops"), name="imported_prefix"),
            models.Index(OpClass("reversed_digits", "varchar_pattern_ops"), name="imported_suffix"),
        ]

    def get_absolute_url(self) -> str:
        """The page of the number."""
        return reverse("hosting:imported_number", args=[self.pk])

    @property
    def target(self) -> str:
        """How operations name this number."""
        return f"imported:{self.pk}"

    @property
    def known_at(self) -> datetime:
        """When the newest of what is stored was asked for or sent."""
        return max(self.fetched_at, self.answered_at or self.fetched_at)


class NumberMove(models.Model):
    """An imported number on its way to another service plan or campaign: unlink, wait, link.

    It goes on whenever the number is stored, so that nothing is lost with a worker.
    """

    class State(models.TextChoices):
        UNLINKING = "unlinking"  # the first write is under way
        WAITING = "waiting"  # Sinch is taking the links away
        LINKING = "linking"  # the second write is under way
        SETTLING = "settling"  # Sinch is making the new links
        DONE = "done"
        STOPPED = "stopped"  # a write was refused or stopped; a person decides

    LIVING = (State.UNLINKING, State.WAITING, State.LINKING, State.SETTLING)

    number = models.ForeignKey(ImportedNumber, on_delete=models.CASCADE, related_name="moves")
    state = models.CharField(max_length=10, choices=State, default=State.UNLINKING)
    from_plan = models.CharField(max_length=100, blank=True)
    from_campaign = models.CharField(max_length=100, blank=True)
    to_plan = models.CharField(max_length=100, blank=True)
    to_campaign = models.CharField(max_length=100, blank=True)
    unlink_operation = models.ForeignKey(
        Operation, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    link_operation = models.ForeignKey(
        Operation, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    problem = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now)
    state_since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"],
                name="one_move_of_a_number",
                condition=models.Q(state__in=("unlinking", "waiting", "linking", "settling")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number_id}: {self.state}"


class QualifiedNumber(NumberRecord):
    """A number being qualified for text-enabling; `hosting.sync` is its only writer."""

    class State(models.TextChoices):
        ELIGIBLE_CHECK_PENDING = "ELIGIBLE_CHECK_PENDING"
        ELIGIBLE = "ELIGIBLE"
        NOT_ELIGIBLE = "NOT_ELIGIBLE"
        VERIFICATION_PENDING = "VERIFICATION_PENDING"
        VERIFICATION_FAILED = "VERIFICATION_FAILED"
        VERIFICATION_BLOCKED = "VERIFICATION_BLOCKED"
        VERIFIED = "VERIFIED"
        HOSTING_IN_PROGRESS = "HOSTING_IN_PROGRESS"
        HOSTING_DONE = "HOSTING_DONE"
        HOSTING_FAILED = "HOSTING_FAILED"

    # States in which Sinch has not accepted a proof, be it a code or invoices.
    UNPROVEN = (State.VERIFICATION_FAILED, State.VERIFICATION_BLOCKED)

    state = models.CharField(max_length=32)  # without Sinch's prefix
    state_since = models.DateTimeField(default=timezone.now)
    eligibility = models.CharField(max_length=32, blank=True)
    eligibility_error = models.CharField(max_length=500, blank=True)
    ownership = models.CharField(max_length=32, blank=True)
    ownership_error = models.CharField(max_length=500, blank=True)
    hosted = models.CharField(max_length=32, blank=True)  # "", HOSTED, FAILED or Sinch's word
    hosted_error = models.CharField(max_length=500, blank=True)
    # Ours: when the invoices that list the number were mailed to Sinch, as staff say.
    invoices_sent_at = models.DateTimeField(null=True)
    invoices_sent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    called_at = models.DateTimeField(null=True)  # when Sinch last accepted to call with a code

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "phone_number"], name="one_row_for_a_qualified_number"
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "phone_number"],
                name="qualified_state",
                condition=models.Q(gone_at=None),
            ),
            # What can be text-enabled, of each project.
            models.Index(
                fields=["project"],
                name="qualified_verified",
                condition=models.Q(gone_at=None, state="VERIFIED"),
            ),
            models.Index(
                fields=["phone_number", "id"],
                name="qualified_listed",
                condition=models.Q(gone_at=None),
            ),
            models.Index(OpClass("phone_number", "varchar_pattern_ops"), name="qualified_prefix"),
            models.Index(
                OpClass("reversed_digits", "varchar_pattern_ops"), name="qualified_suffix"
            ),
        ]

    def get_absolute_url(self) -> str:
        """The page of the number."""
        return reverse("hosting:qualified_number", args=[self.pk])

    @property
    def target(self) -> str:
        """How operations name this number."""
        return f"qualified:{self.pk}"


class AppliedEvent(models.Model):
    """The newest callback of a kind about a thing, as it was applied; older ones are ignored."""

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    resource_type = models.CharField(max_length=40)  # HOSTING_ORDER_NUMBER, IMPORTED_NUMBER
    resource_id = models.CharField(max_length=64)  # E.164, or an order's id
    event_type = models.CharField(max_length=60)  # in this API's spelling
    status = models.CharField(max_length=20, blank=True)
    failure_code = models.CharField(max_length=60, blank=True)
    at = models.DateTimeField()  # Sinch's time of the event
    event_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "resource_type", "resource_id", "event_type"],
                name="one_newest_event_of_a_kind",
            ),
        ]
        indexes = [models.Index(fields=["project", "resource_id"], name="applied_of_a_thing")]

    def __str__(self) -> str:
        return f"{self.event_type} {self.resource_id}"


class Combination(models.Model):
    """A service plan with a campaign: what Sinch's lists have to be asked for, one by one.

    They are remembered from everything this desk sees and sends; staff may add others.
    """

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE)
    service_plan_id = models.CharField(max_length=100)
    campaign_id = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=100, blank=True)  # what staff call it
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    first_seen_at = models.DateTimeField(default=timezone.now)
    # When all lists of it were last read from end to end, and what was found.
    walked_at = models.DateTimeField(null=True)
    orders_found = models.PositiveIntegerField(default=0)
    numbers_found = models.PositiveIntegerField(default=0)
    trouble = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["service_plan_id", "campaign_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "service_plan_id", "campaign_id"], name="one_row_for_a_pair"
            ),
        ]

    def __str__(self) -> str:
        return self.name or " · ".join(filter(None, (self.service_plan_id, self.campaign_id)))
