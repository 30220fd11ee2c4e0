"""Whether the desk is healthy: for whoever started it, for monitors and for administrators.

Every check is one line: what is looked at, what was found, and whether that is as it should be.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_required, permission_required
from django.db import connection
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from portal import words
from portal.accounts.models import CallbackSecret, SinchProject
from portal.operations import calls, clients, loops, readings
from portal.operations.models import Operation, Reading

MANAGE = "accounts.manage_project"
LATE, TOO_LATE = timedelta(minutes=1), timedelta(minutes=5)
HOUR = timedelta(hours=1)
CALLS_IN_VAIN = 3  # failed calls in a row that are no chance
CLOCKS_AWAY = 2.0  # seconds that clocks of two machines may differ unnoticed
GOOD, WARNING, BAD = "done", "us", "bad"
GLYPHS = {GOOD: "done", WARNING: "us", BAD: "bad"}
# What a loop is called, by its task.
LOOPS = {
    "portal.operations.tasks.run_operations": "Writes to Sinch",
    "portal.operations.tasks.run_readings": "Readings from Sinch",
    "webhooks.tasks.process_deliveries": "Webhooks looked into",
    "orders.tasks.read_lists": "Lists of numbers",
    "orders.tasks.check_portability": "Portability checks",
    "orders.tasks.discover": "Orders made elsewhere",
    "orders.tasks.recompute_due": "Clocks of port-in orders",
    "hosting.tasks.walk": "Hosting lists walked",
    "hosting.tasks.recompute_due": "Clocks of hosting orders",
    "portal.operations.tasks.beat": "The clock itself (beat)",
    "portal.operations.tasks.purge": "Old rows deleted",
}


@dataclass(frozen=True)
class Check:
    """One thing looked at. `tone` is GOOD, WARNING or BAD; `hint` says what to do."""

    name: str
    found: str
    tone: str = GOOD
    hint: str = ""

    @property
    def glyph(self) -> str:
        """The shape that goes with the tone."""
        return GLYPHS[self.tone]


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """Answer 200 when this process reaches its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@login_required
@permission_required(MANAGE, raise_exception=True)
@require_GET
def health_page(request: HttpRequest) -> HttpResponse:
    """Show every check, and the last calls to Sinch that did not go well."""
    groups = checked()
    worst = worst_of([check for _, checks in groups for check in checks])
    context = {"groups": groups, "worst": worst, "troubles": calls.troubles()}
    fragment = request.headers.get("HX-Target") == "health"
    return render(request, "health/_checks.html" if fragment else "health/health.html", context)


def worst_of(checks: list[Check]) -> str:
    """Return the worst tone of some checks."""
    tones = {check.tone for check in checks}
    return BAD if BAD in tones else WARNING if WARNING in tones else GOOD


def checked() -> list[tuple[str, list[Check]]]:
    """Return all checks in their groups; a few statements. Raises when there is no database."""
    now = timezone.now()
    return [
        ("Work waiting", [*_deliveries(now), *_operations(now), *_readings(now)]),
        ("Sinch", [*_calls(now), *_tokens(), *_secrets(now)]),
        ("Machinery", [_redis(), _clocks(now), *_loops(now)]),
    ]


def _age(name: str, oldest: datetime | None, now: datetime, hint: str) -> Check:
    if oldest is None:
        return Check(name, "none waits")
    age = now - oldest
    tone = BAD if age > TOO_LATE else WARNING if age > LATE else GOOD
    return Check(name, f"the oldest {words.age_text(oldest)}", tone, hint if tone != GOOD else "")


def _stopped(name: str, count: int, hint: str) -> Check:
    return Check(name, str(count) if count else "none", BAD if count else GOOD, hint * bool(count))


def _deliveries(now: datetime) -> list[Check]:
    deliveries = apps.get_model("webhooks.Delivery")._default_manager
    # Each by an index of its own: together they would look at every webhook that ever came.
    waiting = deliveries.filter(next_try_at__isnull=False).aggregate(oldest=Min("received_at"))
    dead = deliveries.filter(state="dead", seen_at=None).count()
    return [
        _age("Webhooks not dealt with", waiting["oldest"], now, "Are the workers running?"),
        _stopped("Webhooks stopped", dead, "Process them again in the webhook log."),
    ]


def _operations(now: datetime) -> list[Check]:
    under_way = Operation.objects.filter(next_try_at__isnull=False)
    found = under_way.aggregate(oldest=Min("created_at"))
    dead = Operation.objects.filter(state=Operation.State.DEAD, seen_at=None).count()
    return [
        _age("Writes under way", found["oldest"], now, "Does Sinch answer? See below."),
        _stopped("Writes stopped", dead, "Each is on the page of what it is about: try again."),
    ]


def _readings(now: datetime) -> list[Check]:
    overdue = Reading.objects.filter(next_try_at__lt=now - LATE)
    found = overdue.aggregate(count=Count("pk"), oldest=Min("next_try_at"))
    in_vain = readings.unanswered().order_by("-attempts")
    silent = in_vain.count()
    missed = readings.missed_webhooks()
    tone = GOOD
    if found["oldest"] is not None:
        tone = BAD if now - found["oldest"] > TOO_LATE else WARNING
    said = f"{found['count']}, the oldest due {words.age_text(found['oldest'])}"
    return [
        Check(
            "Readings overdue",
            said if found["count"] else "none",
            tone,
            "More is to be read than the speed limit lets through, or no worker runs."
            if found["count"]
            else "",
        ),
        Check(
            "Readings tried in vain",
            f"{silent}: {in_vain.values_list('last_error', flat=True)[0]}" if silent else "none",
            BAD if silent else GOOD,
            "They are tried again by themselves." if silent else "",
        ),
        Check("Changes no webhook announced", f"{missed} since the desk began"),
    ]


def _calls(now: datetime) -> list[Check]:
    if not settings.CALL_LOG_DAYS:
        return [Check("Calls in the last hour", "not kept: CALL_LOG_DAYS is 0")]
    found = calls.figures(now - HOUR)
    share = found["failed"] / found["calls"] if found["calls"] else 0.0
    tone = BAD if share > 0.5 else WARNING if share > 0.05 else GOOD
    return [
        _answers(found["answered_at"], now),
        Check("Calls in the last hour", str(found["calls"])),
        Check(
            "Calls that failed at Sinch",
            f"{found['failed']}" + (f", {share:.0%}" if found["failed"] else ""),
            tone,
            "Sinch does not answer or has trouble; what is to be sent waits here."
            if tone != GOOD
            else "",
        ),
        Check(
            "Sinch asked us to slow down (429)",
            words.count_text(found["slowed"], "time") if found["slowed"] else "never",
            WARNING if found["slowed"] else GOOD,
            "Lower SINCH_REQUESTS_PER_SECOND." if found["slowed"] else "",
        ),
    ]


def _answers(answered_at: datetime | None, now: datetime) -> Check:
    """Tell whether Sinch answers at present: a trouble that has just begun shows here first."""
    in_vain = calls.in_vain(answered_at or now - HOUR)
    if in_vain["count"] < CALLS_IN_VAIN:
        silent = "not yet" if in_vain["count"] else "nothing was asked in the last hour"
        said = f"yes, {words.age_text(answered_at)}" if answered_at else silent
        return Check("Sinch answers", said)
    begun = words.age_text(in_vain["first"])
    return Check(
        "Sinch answers",
        f"no: the last {in_vain['count']} calls failed, the first {begun}",
        BAD if now - in_vain["first"] > LATE else WARNING,
        "What is to be sent and read waits here and is tried again by itself.",
    )


def _tokens() -> list[Check]:
    found = []
    for project in SinchProject.objects.filter(is_active=True).order_by("pk"):
        if project.key_secret is None:
            hint = _LOST_HINT.format("replace the access key")
            name = f"Access key of {project.name}"
            found.append(Check(name, "its secret cannot be read", BAD, hint))
            continue
        try:
            left = clients.token_seconds_left(project)
        except clients.KeyUnusable:
            hint = "It cannot be one of Sinch's: replace the access key in Settings."
            found.append(Check(f"Access key of {project.name}", "it cannot be used", BAD, hint))
            continue
        said = "none yet; one is fetched with the next call"
        if left is not None:
            said = f"good for {words.count_text(max(1, round(left / 60)), 'more minute')}"
        found.append(Check(f"Access token of {project.name}", said))
    return found or [Check("Sinch projects", "none is connected", WARNING)]


_LOST_HINT = "No key in ENCRYPTION_KEYS decrypts it. Put the old one back there, or {} in Settings."


def _secrets(now: datetime) -> list[Check]:
    """Return a check for each project with a valid callback secret that cannot be read."""
    valid = CallbackSecret.objects.filter(
        Q(retired_at=None) | Q(retired_at__gt=now), project__is_active=True
    )
    lost: dict[SinchProject, list[str]] = {}
    for row in valid.select_related("project").order_by("project_id", "pk"):
        if row.secret is None:
            lost.setdefault(row.project, []).append(row.secret_hash)
    found, hint = [], _LOST_HINT.format("make a new secret")
    for project, hashes in lost.items():
        is_at_sinch = project.callback_secret_hash in hashes
        which = "the one Sinch signs with" if is_at_sinch else len(hashes)
        name, tone = f"Callback secrets of {project.name}", BAD if is_at_sinch else WARNING
        found.append(Check(name, f"{which} cannot be read", tone, hint))
    return found


def _redis() -> Check:
    server = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    hint = "Work goes on by the sweeps, a little later. Start Redis again."
    try:
        server.ping()
    except (redis.RedisError, OSError):
        return Check("Redis", "does not answer", BAD, hint)
    finally:
        server.close()
    return Check("Redis", "answers")


def _clocks(now: datetime) -> Check:
    """Tell whether machines agree on the time: a reading is newer or older by their clocks."""
    away = {
        name: seconds
        for name, seconds in zip(
            ("this machine", "a worker"), loops.clocks(now - HOUR), strict=True
        )
        if abs(seconds) > CLOCKS_AWAY
    }
    if not away:
        return Check("Clocks", "agree")
    said = [
        f"{name} is {words.count_text(round(abs(seconds)), 'second')} "
        f"{'ahead of' if seconds > 0 else 'behind'} the database"
        for name, seconds in away.items()
    ]
    hint = "Which news from Sinch is newer is told by them. Have NTP set the clock of each machine."
    return Check("Clocks", ", ".join(said), WARNING, hint)


def _loops(now: datetime) -> list[Check]:
    allowed = loops.names()
    found = []
    for name, ran_at in loops.last_rounds().items():
        label = LOOPS.get(name, name)
        if ran_at is None:
            # Those with long pauses have simply not been due yet.
            tone = GOOD if allowed[name] > loops.LEAST else BAD
            found.append(Check(label, "not yet", tone, _LOOP_HINT if tone != GOOD else ""))
            continue
        late = (now - ran_at).total_seconds() > allowed[name]
        said = f"last round {words.age_text(ran_at)}"
        found.append(Check(label, said, BAD if late else GOOD, _LOOP_HINT if late else ""))
    return found


_LOOP_HINT = "Are beat and the workers running?"


def summary() -> dict[str, Any]:
    """Return all checks as plain values, for `manage.py status --json`."""
    groups = checked()
    return {
        "worst": worst_of([check for _, checks in groups for check in checks]),
        "checks": [
            {"group": group, "name": c.name, "found": c.found, "tone": c.tone, "hint": c.hint}
            for group, checks in groups
            for c in checks
        ],
    }
