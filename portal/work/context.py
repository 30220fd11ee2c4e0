"""What the frame of every page shows: counts beside the links, and whether the desk is in step.

One statement for all of it, kept for a few seconds for each person; a page that shows no frame
(a fragment, an answer to a poll) asks nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db.models import F, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from portal import words
from portal.accounts.models import SinchProject, User
from portal.operations import readings, runner
from portal.operations.models import Operation
from portal.prepared import A_KEY, A_MOMENT, Prepared
from portal.projects import configuration
from portal.work import queue, unmade
from portal.work.filters import address
from portal.work.home import SUPERVISES
from portal.work.models import WorkItem
from portal.work.office import zone_named

KEPT_SECONDS = 5
STUCK_AFTER = timedelta(minutes=2)  # a write under way for longer is worth a look


@dataclass(frozen=True)
class Health:
    """Whether the desk is in step with Sinch; tones and shapes are those of the look."""

    tone: str
    word: str
    # (tone, sentence) of each part, for the strip on the home page and the settings page.
    parts: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """All parts in one sentence."""
        said = ", ".join(text[:1].lower() + text[1:] for _, text in self.parts)
        return said[:1].upper() + said[1:]


def desk(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `desk` with nav_counts, views, view, health and the sandbox's page."""
    return {"desk": SimpleLazyObject(lambda: _desk(request))}


def _desk(request: HttpRequest) -> dict[str, Any]:
    person = getattr(request, "user", None)
    shown: dict[str, Any] = {"sandbox_page": settings.SINCH_SANDBOX_PAGE}
    if settings.SINCH_SANDBOX_PAGE:
        shown["training"] = "Training: the Sinch sandbox"
    if person is None or not person.is_authenticated:
        return shown
    counts = counts_of(person)
    # Home tells of drafts as well; the view of the same orders does not.
    beside = counts | {"home": counts["home"] + unmade.count_of(counts)}
    return shown | {
        "nav_counts": {
            name: queue.count_text(beside[name]) if beside[name] else 0
            for name in ("home", "all", "ready", "imported", "qualified")
        },
        "views": _views(counts),
        "view": _view(request),
        "health": health_of(counts),
    }


VIEWS = (
    # key, name, filters, the count that belongs to it, and whether a count asks for work
    ("mine", "Mine + unassigned", {"bucket": "ready,us", "owner": "me,nobody"}, "home", False),
    ("ready", "Ready to activate", {"bucket": "ready"}, "ready", True),
    ("us", "Needs us", {"bucket": "us"}, "us", True),
    (
        "nobody",
        "Nobody owns it",
        {"owner": "nobody", "bucket": "ready,us,date,wait"},
        "nobody",
        False,
    ),
)


def _views(counts: dict[str, Any]) -> list[dict[str, Any]]:
    shown = [
        {
            "key": key,
            "name": name,
            "url": address("work:list", filters),
            "count": queue.count_text(counts[count]),
            "due": due and bool(counts[count]),
        }
        for key, name, filters, count, due in VIEWS
    ]
    drafts = (
        ("drafts", "Drafts", "orders:create"),
        ("hosting_drafts", "Hosting drafts", "hosting:choose"),
    )
    shown += [
        {
            "key": key,
            "name": name,
            "url": reverse(page),
            "count": queue.count_text(counts[key]),
            "due": False,
        }
        for key, name, page in drafts
        if counts[key]
    ]
    return shown


def _view(request: HttpRequest) -> str:
    """Return the key of the view that the page is, "" for none."""
    if request.path != reverse("work:list"):
        return ""
    narrowing = ("q", "bucket", "status", "owner", "kind")
    asked = {name: value for name, value in request.GET.items() if value and name in narrowing}
    return next((key for key, _, filters, _, _ in VIEWS if filters == asked), "")


def counts_of(person: User) -> dict[str, Any]:
    """Return the counts and moments behind the frame; at most one statement.

    Moments may be None: nothing of the kind has happened yet.
    """
    key = f"frame:{person.pk}"
    kept = cache.get(key)
    if kept is None:
        counted = _counts[person.has_perm(SUPERVISES)]
        kept = counted.first(person.pk, timezone.now() - STUCK_AFTER)
        cache.set(key, kept, KEPT_SECONDS)
    return kept


def zone_of(person: User) -> ZoneInfo:
    """Return the time zone that orders go live in unless they have their own.

    That of the project which was connected first; what the frame asks anyway tells it.
    """
    return zone_named(counts_of(person).get("zone") or "")


def forget(person: User) -> None:
    """Have the next page count anew for this person."""
    cache.delete(f"frame:{person.pk}")


def _counted(person: int, before: datetime, *, supervises: bool) -> QuerySet[Any, Any]:
    """Return the statement for all counts; what is older than `before` is stuck."""
    items = WorkItem.objects.all()
    home = items.filter(bucket__in=WorkItem.HOME)
    mine = Q(assignee=person) | Q(assignee=None)
    under_way = Operation.objects.filter(
        state__in=Operation.UNDER_WAY, next_try_at__isnull=False
    ).order_by()
    stuck = under_way.filter(created_at__lt=before)
    stopped = Operation.objects.filter(state=Operation.State.DEAD, seen_at=None)
    silent = readings.unanswered()
    unanswered = runner.unanswered().filter(next_try_at__isnull=False).order_by()
    # The rooms above are named by their dotted path only.
    deliveries = apps.get_model("webhooks.Delivery")._default_manager
    drafts = apps.get_model("orders.PortInDraft")._default_manager.filter(by=person, state="open")
    hosting_drafts = apps.get_model("hosting.HostingDraft")._default_manager.filter(
        by=person, state="open"
    )
    imported = apps.get_model("hosting.ImportedNumber")._default_manager.filter(gone_at=None)
    qualified = apps.get_model("hosting.QualifiedNumber")._default_manager.filter(gone_at=None)
    newest = deliveries.order_by("-received_at", "-id").values("received_at")[:1]
    sweep = SinchProject.objects.filter(is_active=True).order_by(
        F("discovered_at").asc(nulls_first=True)
    )
    first_project = SinchProject.objects.filter(is_active=True).order_by("pk")
    waiting = deliveries.filter(next_try_at__isnull=False, received_at__lt=before)
    # The statement needs a row to hang on: the person's own.
    return User.objects.filter(pk=person).values(
        home=queue.capped(home.filter(mine)),
        all=queue.capped(items),
        ready=queue.capped(items.filter(bucket=WorkItem.Bucket.READY)),
        us=queue.capped(items.filter(bucket=WorkItem.Bucket.US)),
        nobody=queue.capped(items.filter(assignee=None, bucket__in=WorkItem.LIVING)),
        drafts=queue.capped(drafts),
        hosting_drafts=queue.capped(hosting_drafts),
        imported=queue.capped(imported),
        qualified=queue.capped(qualified),
        projects=queue.capped(SinchProject.objects.filter(is_active=True)),
        under_way=queue.capped(under_way),
        stuck=queue.capped(stuck),
        stopped=queue.capped(stopped),
        silent=queue.capped(silent),
        unanswered=queue.capped(unanswered),
        trouble=Subquery(silent.order_by("-attempts").values("last_error")[:1]),
        late_deliveries=queue.capped(waiting),
        last_delivery=Subquery(newest),
        last_sweep=Subquery(sweep.values("discovered_at")[:1]),
        zone=Subquery(
            first_project.values(zone=KT("porting_configuration__defaultPortTimeZone"))[:1]
        ),
        **unmade.counts(Q() if supervises else unmade.own(person)),
    )


_counts = {
    supervises: Prepared(partial(_counted, supervises=supervises), A_KEY, A_MOMENT)
    for supervises in (False, True)
}


def health_of(counts: dict[str, Any]) -> Health:
    """Return whether the desk is in step, from the counts of the frame."""
    now = timezone.now()
    parts = [
        _webhook_part(counts),
        _sweep_part(counts, now),
        _writes_part(counts),
    ]
    # An older process beside this one, as in an update, keeps counts without the latter.
    is_silent = counts["silent"] or counts.get("unanswered")
    if is_silent:
        parts.append(("bad", counts["trouble"] or "Sinch does not answer"))
    if not counts["projects"]:
        return Health("us", "No Sinch project", (("us", "No Sinch project is connected"),))
    if is_silent:
        return Health("bad", "Sinch does not answer", tuple(parts))
    if counts["stopped"]:
        return Health("bad", _stopped_text(counts), tuple(parts))
    if any(tone == "us" for tone, _ in parts):
        return Health("us", "Behind Sinch", tuple(parts))
    return Health("done", "In step with Sinch", tuple(parts))


def _webhook_part(counts: dict[str, Any]) -> tuple[str, str]:
    if counts["late_deliveries"]:
        late = words.count_text(counts["late_deliveries"], "webhook waits", "webhooks wait")
        return "us", f"{late} to be looked into"
    last = counts["last_delivery"]
    # A quiet day is no fault: an order that rests sends nothing.
    return ("done", f"Last webhook {words.age_text(last)}") if last else ("done", "No webhook yet")


def _sweep_part(counts: dict[str, Any], now: datetime) -> tuple[str, str]:
    last = counts["last_sweep"]
    if last is None:
        return "us", "Orders have not been read from Sinch yet"
    late = now - last > configuration.sweep_pause() * 3 + STUCK_AFTER
    return ("us" if late else "done"), f"Last sweep {words.age_text(last)}"


def _writes_part(counts: dict[str, Any]) -> tuple[str, str]:
    if counts["stopped"]:
        return "bad", _stopped_text(counts)
    if counts["stuck"]:
        return "us", f"{words.count_text(counts['stuck'], 'write')} under way for over 2 minutes"
    if counts["under_way"]:
        return "done", f"Writes: {counts['under_way']} under way, none stuck"
    return "done", "No failed writes"


def _stopped_text(counts: dict[str, Any]) -> str:
    return f"{words.count_text(counts['stopped'], 'write')} stopped"
