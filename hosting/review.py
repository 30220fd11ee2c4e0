"""What there is to say about a draft: its numbers, its fields, and why it cannot be sent yet."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from django.db.models import Q

from hosting import wire
from hosting.forms import FIELD_WORDS, DraftForm, Kind, Loa
from hosting.models import Combination, HostingDraft, HostingNumber, HostingOrder, ImportedNumber
from portal import words
from portal.accounts.models import SinchProject
from portal.numbers import (
    MAX_LINES,
    TOLL_FREE,
    Line,
    area_code,
    is_canadian,
    is_too_long,
    numbers_of,
    read_numbers,
)
from portal.projects import callbacks
from portal.sinch.hosting import TEXT_ENABLE_BATCH
from portal.work.blame import Blame, blame
from portal.work.drafts import OpenOrSaid

MOST_LINES_SHOWN: Final = 30
MOST_FIELDS_NAMED: Final = 4
CAMPAIGN_SIZE: Final = 50  # numbers most 10DLC campaigns take


@dataclass(frozen=True)
class Part:
    """One order of a draft: its place, its numbers, and what it will be called."""

    place: int
    numbers: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Reason:
    """One thing that keeps an order from being sent, and the id of where it is put right.

    `is_open` ones are named in a row ("the service plan"), the others are sentences.
    """

    text: str
    anchor: str
    is_open: bool = False


@dataclass(frozen=True)
class Place:
    """Where a number stands already."""

    phone_number: str
    text: str
    url: str
    blocks: bool


@dataclass
class Review(OpenOrSaid):
    """A draft as it stands; `complete` asks for everything."""

    draft: HostingDraft
    zone: str
    complete: bool = False
    now: datetime | None = None
    form: DraftForm = field(init=False)

    def __post_init__(self) -> None:
        self.form = DraftForm(
            self.draft.data,
            kind=self.draft.kind,
            zone=self.zone,
            complete=self.complete,
            now=self.now,
        )
        self.form.is_valid()

    @cached_property
    def lines(self) -> list[Line]:
        """What was read of the pasted numbers."""
        return read_numbers(str(self.draft.field("numbers")))

    @cached_property
    def numbers(self) -> list[str]:
        """The distinct numbers, in E.164."""
        return numbers_of(self.lines)

    @cached_property
    def unread(self) -> str:
        """That there are more lines than are read, as a sentence; "" when all are."""
        if not is_too_long(str(self.draft.field("numbers"))):
            return ""
        return f"Only the first {MAX_LINES:,} lines are read; the others need an order of their own"

    @property
    def wrong_lines(self) -> list[Line]:
        """Pieces that are no numbers."""
        return [line for line in self.lines if not line.number]

    @property
    def repeats(self) -> int:
        """How many numbers stand there more than once."""
        return sum(bool(line.repeats) for line in self.lines)

    @cached_property
    def misplaced(self) -> list[str]:
        """Numbers that cannot go this way: toll-free on the local path, or the other way round."""
        wanted = self.draft.kind == Kind.TOLL_FREE
        return [
            number
            for number in self.numbers
            if self.draft.kind != Kind.IMPORT and (area_code(number) in TOLL_FREE) != wanted
        ]

    @cached_property
    def countries(self) -> set[str]:
        """The countries of the numbers."""
        return {
            "CA" if is_canadian(number) else "US"
            for number in self.numbers
            if area_code(number) not in TOLL_FREE
        }

    @property
    def region(self) -> str:
        """The region that is sent: as chosen, else as the numbers say, else US."""
        chosen = str(self.draft.field("region"))
        return chosen if chosen in ("US", "CA") else next(iter(sorted(self.countries)), "US")

    @cached_property
    def places(self) -> list[Place]:
        """Where numbers stand already: living hosting orders, and imported numbers."""
        found = []
        project, follows = self.draft.project, self.draft.follows_id
        # All of them: one that is left out would be ordered twice.
        living = HostingNumber.objects.filter(
            ~Q(order__state__in=("COMPLETED", "REJECTED")),
            order__project=project,
            order__gone_at=None,
            phone_number__in=self.numbers,
        ).select_related("order")
        for row in living.only("phone_number", "order__display_name", "order__sinch_id"):
            name = row.order.display_name or row.order.sinch_id
            text = f"in the order {name}, which is under way"
            blocks = row.order_id != follows
            found.append(Place(row.phone_number, text, row.order.get_absolute_url(), blocks))
        # A number that T-Mobile holds with another provider is on a plan of ours all the same; its
        # move is this very order. Source: "T-Mobile 60135": 409 first, unlink only then.
        blocks = self.draft.kind == Kind.IMPORT and not self.draft.field("migrate")
        for number in self.imported:
            where = f"on the service plan {number.service_plan_id}"
            if not number.service_plan_id:
                where = "and its link to a service plan is being made"
            text = f"imported already, {where}"
            found.append(Place(number.phone_number, text, number.get_absolute_url(), blocks))
        return found

    @cached_property
    def imported(self) -> list[ImportedNumber]:
        """Its numbers that are on a service plan of ours, or about to be."""
        rows = ImportedNumber.objects.filter(
            project=self.draft.project, phone_number__in=self.numbers, gone_at=None
        )
        about_to_be = Q(is_settling=True) & ~Q(platform_type=wire.DEPROVISIONING)
        return list(rows.filter(~Q(service_plan_id="") | about_to_be).defer("payload"))

    @property
    def blocked(self) -> list[str]:
        """Its numbers that cannot be ordered now, each once."""
        return list(dict.fromkeys(p.phone_number for p in self.places if p.blocks))

    @cached_property
    def cautions(self) -> list[str]:
        """What to know before it is sent, and what blocks nothing."""
        found = []
        if len(self.countries) > 1:
            found.append("US and Canadian numbers in one order: the region is one of the two.")
        elif self.countries and self.region not in self.countries:
            found.append(f"The numbers are not in {self.region} by their area codes.")
        if self.draft.kind == Kind.TOLL_FREE and self.region == "CA":
            found.append("Sinch’s own dashboard offers toll-free in the US only.")
        campaign = str(self.draft.field("campaign"))
        us_local = self.draft.kind != Kind.TOLL_FREE and "US" in self.countries
        if us_local and not campaign:
            found.append("No campaign: US numbers carry no messages until one is linked.")
        if campaign and len(self.numbers) > CAMPAIGN_SIZE:
            found.append(f"{len(self.numbers)} numbers; most campaigns take about {CAMPAIGN_SIZE}.")
        if self.form.chosen_loa == Loa.BLANKET and self.form.loas:
            found.append(
                "Sinch checks the agreement. Without one it refuses the order and does not say why."
            )
        return found

    @property
    def limit(self) -> int:
        """How many numbers go into one order."""
        if self.draft.kind == Kind.IMPORT:
            return max(1, self.draft.project.import_limit)
        return TEXT_ENABLE_BATCH

    @cached_property
    def parts(self) -> list[Part]:
        """The orders that it becomes."""
        limit, name = self.limit, self.name
        chunks = [self.numbers[n : n + limit] for n in range(0, len(self.numbers), limit)]
        many = len(chunks) > 1
        return [
            Part(
                place,
                tuple(chunk),
                f"{name} ({place} of {len(chunks)})" if many else name,
            )
            for place, chunk in enumerate(chunks, 1)
        ]

    @property
    def name(self) -> str:
        """The name as typed, else one that is found again: kind, day and a few letters."""
        typed = str(self.draft.field("display_name")).strip()
        if typed:
            return typed
        day = f"{self.draft.created_at:%Y-%m-%d}"
        return f"{self.draft.get_kind_display()} {day} {str(self.draft.pk)[:6]}"

    @cached_property
    def reasons(self) -> list[Reason]:
        """Why it cannot be sent yet; none when it can."""
        found = []
        if not self.numbers and not self.wrong_lines:
            found.append(Reason(FIELD_WORDS["numbers"], "id_numbers", is_open=True))
        if self.unread:
            found.append(Reason(self.unread, "id_numbers"))
        if self.wrong_lines:
            count = words.count_text(len(self.wrong_lines), "line")
            found.append(Reason(f"{count} cannot be read as a number", "id_numbers"))
        if self.misplaced:
            count = words.count_text(len(self.misplaced), "number")
            where = "not toll-free" if self.draft.kind == Kind.TOLL_FREE else "toll-free"
            are = "is" if len(self.misplaced) == 1 else "are"
            found.append(Reason(f"{count} {are} {where} and cannot go this way", "id_numbers"))
        if self.blocked:
            count = words.count_text(len(self.blocked), "number")
            found.append(Reason(f"{count} cannot be ordered now", "taken"))
        names = [name for name in self._whole.fields if name in self._whole.errors]
        found += [
            Reason(FIELD_WORDS[name], f"id_{name}", is_open=True)
            for name in names[:MOST_FIELDS_NAMED]
        ]
        if more := names[MOST_FIELDS_NAMED:]:
            text = words.count_text(len(more), "more field")
            found.append(Reason(text, f"id_{more[0]}", is_open=True))
        return found

    @property
    def has_wrong(self) -> bool:
        """Whether some field holds something, and that cannot be sent."""
        return any(self.draft.field(name) for name in self._whole.errors)

    @cached_property
    def _whole(self) -> DraftForm:
        """The form that also wants what is missing."""
        return DraftForm(
            self.draft.data, kind=self.draft.kind, zone=self.zone, complete=True, now=self.now
        )

    def blame(self, shown: Collection[str] = ()) -> list[Blame]:
        """Return what is wrong beside the fields of a page that blames those in `shown`."""
        return blame([(self.form, self._whole)], shown)

    @property
    def advice(self) -> list[tuple[str, list[str]]]:
        """What is worth a look beside the fields that advise, by their ids; also what is not."""
        form = self.form
        if self.draft.kind == Kind.IMPORT:
            return []  # its page has none of these fields
        return [(form[name].auto_id, form.cautions.get(name, [])) for name in form.advised]

    @property
    def callback_url(self) -> str:
        """Whether Sinch can call us back; the address holds a secret and is shown as dots."""
        return "" if callbacks.why_no_callbacks() else "yes"

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """The steps of the form and how far each is."""
        errors = set(self._whole.errors)
        plan = {
            "plan",
            "campaign",
            "nnid",
            "on_date",
            "at_time",
            "region",
            "migrate",
            "left_provider",
        }
        is_wrong = self.unread or self.wrong_lines or self.misplaced
        numbers_done = bool(self.numbers) and not is_wrong
        rows: list[tuple[str, bool, str]] = [
            ("Numbers", numbers_done, words.count_text(len(self.numbers), "number"))
        ]
        if self.form.loas:
            rows.append(("Who signs", not (errors - plan - {"display_name"}), ""))
        rows += [("Where messages go", not (errors & plan), ""), ("Review and send", False, "")]
        found, now_shown = [], False
        for name, done, hint in rows:
            is_now = not done and not now_shown
            now_shown = now_shown or is_now
            found.append(
                {"name": name, "is_done": done, "is_now": is_now, "hint": hint if done else ""}
            )
        return found


def body_of(draft: HostingDraft, form: DraftForm, part: Part, region: str) -> dict[str, Any]:
    """Return what is sent for one order of a draft. Raises ValueError for an unready form.

    Source: "Import numbers", "Text-enable numbers" and "Text-enable toll-free numbers".
    """
    if not form.is_valid():
        raise ValueError("a form that is sent is valid")
    given = form.cleaned_data
    body: dict[str, Any] = {
        "displayName": part.name,
        "regionCode": region,
        "numbers": list(part.numbers),
        "servicePlanId": given["plan"],
    }
    if draft.kind != Kind.TOLL_FREE and given["campaign"]:
        body["campaignId"] = given["campaign"]
    if draft.kind == Kind.IMPORT:
        if given["migrate"]:
            body["migrateToSinchTmo"] = True
        return body
    if draft.kind == Kind.TEXT_ENABLE and given["nnid"]:
        body["nnid"] = given["nnid"]
    if form.scheduled_at is not None:
        key = (
            "scheduledZipwhipProvisioningTime"
            if draft.kind == Kind.TOLL_FREE
            else "scheduledOsrUpdateTime"
        )
        body[key] = wire.sent_moment(form.scheduled_at)
    body[f"{form.chosen_loa}LoaInfo"] = _loa(form.chosen_loa, given)
    return body


def _loa(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if kind == Loa.BLANKET:
        return {}
    info: dict[str, Any] = {
        "authorisedPerson": {
            "firstName": given["first_name"],
            "lastName": given["last_name"],
            "email": given["email"],
        },
        "address": {
            "buildingNumber": given["building"],
            "street": given["street"],
            "city": given["city"],
            "state": given["state"],
            "postalCode": given["postal"],
            "country": given["country"] or "US",
        },
        "currentVoiceCarrier": given["carrier"],
    }
    if kind == Loa.RESELLER:
        info["businessName"] = given["business"]
    return info


def known_pairs(project: SinchProject) -> list[Combination]:
    """Return the plans and campaigns this desk has seen, for the lists of the form."""
    return list(Combination.objects.filter(project=project)[:200])


def orders_of(draft: HostingDraft) -> list[HostingOrder]:
    """Return the orders a draft has become."""
    return list(HostingOrder.objects.filter(drafts__parent=draft).order_by("drafts__part"))
