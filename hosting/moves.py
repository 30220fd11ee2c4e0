"""Moving an imported number to another service plan or campaign: unlink, wait, link, settle.

A number may also be unlinked only, to go into an order that Sinch refuses as "imported already".

Sinch takes no change of a link in one call. The way is kept in `NumberMove`; each step is an
operation with a marker of its own, and the next one is begun whenever the number is stored or an
operation ends, in the same transaction. A worker that dies in between loses nothing, and nothing
is sent twice. Source: Imported Numbers and Hosting Orders API, "Update imported number".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from hosting import clocks, failures, sync, sync_numbers, wire
from hosting.actions_number import on_its_way, refuse_in_order, running
from hosting.models import AppliedEvent, ImportedNumber, NumberMove, QualifiedNumber
from portal import words
from portal.accounts.models import User
from portal.operations import readings
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.operations.runner import Refused
from portal.work import marks
from portal.work.actions import NotPossible
from portal.work.office import Calendar, countries_of, zone_named

UNLINK, LINK = "imported.unlink", "imported.link"
State = NumberMove.State
GONE = "Sinch does not know this number any more."
MOVED_SINCE = "This number has been moved again since. Move it anew, if it is to be elsewhere."
NOT_UNLINKED = "Sinch could not unlink it."
NOT_SAID = (
    "Sinch shows no link any more, and has not said for an hour that the unlinking is finished. "
    "Go on when you are sure of it."
)
STILL_LINKED = (
    "Sinch took the unlinking more than an hour ago, and shows the link as before and nothing "
    "under way. Try it again, or ask Sinch support."
)
NOT_LINKED = (
    "Sinch took the new link more than an hour ago, and shows neither that it stands nor that it "
    "is being made. Look at where the number is now, then decide."
)
NOT_ENDING: Final = (
    f"Sinch has been at work on it, and nothing has moved for {clocks.LINK.count} business days. "
    "Ask Sinch support, then decide."
)
LINKS: Final = {"platform": "servicePlanId", "campaign": "campaignId"}
# The callbacks that tell how an unlinking went. Source: hosting.md, "Unlink before relink".
UNLINKINGS: Final = {
    "DEPROVISIONING_TO_SMS_PLATFORM": "platform",
    "UNLINK_TO_10DLC_CAMPAIGN": "campaign",
}
SUCCEEDED: Final = "SUCCEEDED"
PATIENCE: Final = timedelta(hours=1)  # with a link of which Sinch says nothing
CLOCK_SLACK: Final = timedelta(minutes=1)  # Sinch's clock may be behind ours


def living(number: ImportedNumber) -> NumberMove | None:
    """Return the move that is under way; None without one."""
    return number.moves.filter(state__in=NumberMove.LIVING).first()


def start(
    number: ImportedNumber, *, plan: str, campaign: str, by: User, knowing: str = ""
) -> NumberMove:
    """Begin to move a number; a second click finds the move that is under way.

    When the plan changes both links are given up, when only the campaign does, that one. Without
    a plan to go to the number is unlinked and stays so. `knowing` is the key of the work that does
    not end and beside which somebody goes on; see `Unfinished`. Raises NotPossible.
    """
    with transaction.atomic():
        number = locked(number.pk)
        _refuse_to_move(number)
        if found := living(number):
            if (found.to_plan, found.to_campaign) == (plan, campaign):
                return found
            raise NotPossible("This number is on its way already. Wait until it is there.")
        if (number.service_plan_id, number.campaign_id) == (plan, campaign):
            if not plan:
                raise NotPossible("It is on no service plan; there is nothing to unlink.")
            raise NotPossible("It is there already. Choose another service plan or campaign.")
        move = _way(number, plan, campaign)
        work = _unfinished(move)
        if work is not None and not (work.is_out and work.key == knowing):
            raise NotPossible(work.text)
        move.by = by
        move.save()
        _begin(move, number)
    return move


def _way(number: ImportedNumber, plan: str, campaign: str) -> NumberMove:
    return NumberMove(
        number=number,
        from_plan=number.service_plan_id,
        from_campaign=number.campaign_id,
        to_plan=plan,
        to_campaign=campaign,
    )


@dataclass(frozen=True)
class Unfinished:
    """Sinch's own work on links of a number that has to end before it is moved.

    Work on which nothing moves is not waited for for ever: when it `is_out`, somebody who has seen
    it may go on, which its `key` tells.
    """

    what: str
    since: datetime
    until: datetime

    @property
    def is_out(self) -> bool:
        """Whether it has been waited for long enough."""
        return timezone.now() >= self.until

    @property
    def key(self) -> str:
        """The key of exactly this work: it differs as soon as Sinch has moved it."""
        return marks.key(self.what, marks.instant(self.since))

    @property
    def text(self) -> str:
        """What blocks, since when, whose turn it is and what can be done."""
        since = words.moment_text(self.since)
        if self.is_out:
            return (
                f"Sinch has been at work on its link to a {self.what} since {since}, and nothing "
                f"has moved for {clocks.LINK.count} business days. Ask Sinch support first. If you "
                "go on, that link may still come to stand beside the new one, or in its place."
            )
        return (
            f"Sinch is still at work on its link to a {self.what}, since {since}. Wait until that "
            f"has ended. If nothing has moved by {words.moment_text(self.until)}, ask Sinch "
            "support, and you can go on all the same."
        )


def unfinished(number: ImportedNumber, *, plan: str, campaign: str) -> Unfinished | None:
    """Return Sinch's own work that has to end before a number is moved; None when it has."""
    return _unfinished(_way(number, plan, campaign))


def _unfinished(move: NumberMove) -> Unfinished | None:
    """Return the work a move has to wait for: a link that is being made would come to stand later.

    Sinch gives up what is linked, and says nothing of what is scheduled only. Source: hosting.md,
    "Unlink before relink".
    """
    number, touched = move.number, {**unlinking(move), **linking(move)}
    at_work = wire.links_at_work(number.payload)
    found = [column for column, key in LINKS.items() if column in at_work and key in touched]
    if not found:
        return None
    # Where Sinch does not say when, what this desk has seen change since is no earlier.
    since = max(at_work[column] or number.changed_at for column in found)
    what = " and a ".join("service plan" if c == "platform" else "campaign" for c in found)
    return Unfinished(what, since, _until(number, since))


def _until(number: ImportedNumber, since: datetime) -> datetime:
    """Return when work on which nothing has moved since a moment has been waited for."""
    project = number.project
    office = Calendar(
        zone_named(project.default_port_time_zone),
        countries_of([number.phone_number]),
        frozenset(project.extra_days_off),
    )
    return office.clock(since, clocks.LINK).out_at


def _refuse_to_move(number: ImportedNumber) -> None:
    """Raise NotPossible for a number that is gone, or that may be deleted or ordered any moment."""
    if number.gone_at is not None:
        raise NotPossible(GONE)
    if (deletion := running(number.target, "imported.delete")) is not None:
        raise NotPossible(on_its_way(deletion))
    refuse_in_order(number)


def refuse_moving(number: ImportedNumber | QualifiedNumber) -> None:
    """Raise NotPossible for a number that is being moved. Call with it locked."""
    if isinstance(number, ImportedNumber) and living(number) is not None:
        raise NotPossible("It is being moved. Wait until it is there, then delete it.")


def _begin(move: NumberMove, number: ImportedNumber) -> None:
    configuration = unlinking(move)
    if not configuration:
        _link(move, number)  # nothing is linked that would have to go first
        return
    move.unlink_operation, _ = _submit(move, number, UNLINK, configuration)
    move.state, move.state_since = State.UNLINKING, timezone.now()
    move.save(update_fields=["unlink_operation", "state", "state_since"])
    sync_numbers.touch(number)


def unlinking(move: NumberMove) -> dict[str, str]:
    """Return what is sent to give up the links that are in the way; {} for none."""
    if move.from_plan and move.from_plan != move.to_plan:
        return {"servicePlanId": "", "campaignId": ""}
    if move.from_campaign and move.from_campaign != move.to_campaign:
        return {"campaignId": ""}
    return {}


def linking(move: NumberMove) -> dict[str, str]:
    """Return what is sent to make the new links; {} when none are to be made."""
    if not move.to_plan:
        return {}
    configuration = {} if move.from_plan == move.to_plan else {"servicePlanId": move.to_plan}
    if (move.to_campaign and move.to_campaign != move.from_campaign) or (
        move.to_campaign and configuration
    ):
        configuration["campaignId"] = move.to_campaign
    return configuration


def _submit(
    move: NumberMove, number: ImportedNumber, kind: str, configuration: dict[str, str]
) -> tuple[Operation, bool]:
    what = "unlink" if kind == UNLINK else "link"
    # One that Sinch took may have failed there all the same, and is then sent anew.
    sent = Operation.objects.filter(marker__startswith=f"move:{move.pk}:{what}:")
    tries = sent.exclude(state__in=Operation.UNDER_WAY).count()
    return submit(
        number.project,
        kind,
        target=number.target,
        payload={"phone": number.phone_number, "configuration": configuration, "move": move.pk},
        by=move.by,
        subject=f"The {what}ing of {words.phone_text(number.phone_number)}",
        marker=f"move:{move.pk}:{what}:{tries + 1}",
    )


def _link(move: NumberMove, number: ImportedNumber) -> None:
    configuration = linking(move)
    if not configuration:
        _be(move, State.DONE)  # only a link was to be given up
        sync_numbers.touch(number)
        return
    move.link_operation, _ = _submit(move, number, LINK, configuration)
    move.state, move.state_since = State.LINKING, timezone.now()
    move.save(update_fields=["link_operation", "state", "state_since"])
    sync_numbers.touch(number)


def _be(move: NumberMove, state: str, problem: str = "") -> None:
    move.state, move.problem, move.state_since = state, problem[:300], timezone.now()
    move.save(update_fields=["state", "problem", "state_since"])


def locked(pk: int) -> ImportedNumber:
    """Return a number, locked, with its project; call inside a transaction."""
    return (
        ImportedNumber.objects.select_for_update(of=("self",)).select_related("project").get(pk=pk)
    )


def go_on(number: ImportedNumber) -> None:
    """Take the move of a number a step further, if it has one and Sinch is so far.

    Call in the transaction that stored the number, whose row is locked.
    """
    move = living(number)
    if move is None:
        return
    said = wire.read_imported(number.payload)
    if move.state == State.WAITING and move.state_since <= number.fetched_at:
        outcome, problem = _unlinking_outcome(move, number, said)
        if outcome == wire.DONE:
            _link(move, number)
        elif problem or _does_not_end(move, number):
            _be(move, State.STOPPED, problem or NOT_ENDING)
            sync_numbers.touch(number)
    elif move.state == State.SETTLING and move.state_since <= number.fetched_at:
        there = (said.service_plan_id, said.campaign_id) == (move.to_plan, move.to_campaign)
        if _has_link_failed(move, number, said):
            _be(move, State.STOPPED, "Sinch could not make the new link; the cause stands below.")
            sync_numbers.touch(number)
        elif there and not _is_at_work(move, number, said):
            _be(move, State.DONE)
            sync_numbers.touch(number)
        elif not said.is_settling and number.fetched_at - move.state_since > PATIENCE:
            _be(move, State.STOPPED, NOT_LINKED)
            sync_numbers.touch(number)
        elif _does_not_end(move, number):
            _be(move, State.STOPPED, NOT_ENDING)
            sync_numbers.touch(number)


def _is_at_work(move: NumberMove, number: ImportedNumber, said: wire.ImportedFacts) -> bool:
    """Tell whether Sinch is at work on a number, but for a link that the move does not make."""
    links = wire.links_at_work(number.payload).keys()
    at_work = links | {step for step, state in said.steps.steps.items() if wire.is_under_way(state)}
    beside = {column for column, key in LINKS.items() if key not in linking(move)}
    return bool(at_work - beside) or (said.is_settling and not at_work)


def _does_not_end(move: NumberMove, number: ImportedNumber) -> bool:
    """Tell whether Sinch's work on a move has been waited for as long as any is."""
    moved = (
        *wire.links_at_work(number.payload).values(),
        *wire.times_of_imported(number.payload).values(),
    )
    since = max([move.state_since, *filter(None, moved)])
    return number.fetched_at >= _until(number, since)


def _has_link_failed(move: NumberMove, number: ImportedNumber, said: wire.ImportedFacts) -> bool:
    """Tell whether Sinch says that it could not make the new link; not the one before it."""
    asked_at = move.link_operation.sent_at if move.link_operation else None
    since = (asked_at or move.created_at) - CLOCK_SLACK
    times = wire.times_of_failures(number.payload)
    return any(
        said.steps.steps[column] == wire.FAILED and times.get(column, since) >= since
        for column, key in LINKS.items()
        if key in linking(move)
    )


def _unlinking_outcome(
    move: NumberMove, number: ImportedNumber, said: wire.ImportedFacts
) -> tuple[str, str]:
    """Return how far Sinch is with unlinking a number, and why the move cannot go on, if so.

    Gone is a link whose id is empty when Sinch says that it was taken away, by what the number
    shows or by a callback, or shows nothing of it at all.
    """
    asked_at = move.unlink_operation.sent_at if move.unlink_operation else None
    since = (asked_at or move.created_at) - CLOCK_SLACK
    told = _told_of_unlinking(number, since)
    times = wire.times_of_imported(number.payload)
    links = {"platform": move.from_plan, "campaign": move.from_campaign}
    outcomes = []
    for column, key in LINKS.items():
        if key not in unlinking(move):
            continue
        is_linked = said.service_plan_id if column == "platform" else said.campaign_id
        kind = said.platform_type if column == "platform" else said.campaign_type
        if not links[column] and not is_linked and kind != wire.DEPROVISIONING:
            continue  # what may be being made there is what somebody has gone on beside
        outcome = wire.unlinking_of(said, column)
        if outcome == wire.FAILED and (not links[column] or times.get(column, since) < since):
            # That was an unlinking before this one.
            outcome = wire.IN_PROGRESS if is_linked else ""
        status, code = told.get(column, ("", ""))
        is_told_to_have_failed = (
            status == wire.FAILED
            and outcome != wire.DONE
            and not wire.is_under_way(said.steps.steps[column])
        )
        if outcome == wire.FAILED or is_told_to_have_failed:
            error = said.steps.errors.get(column, ("", "")) if outcome == wire.FAILED else ("", "")
            cause = failures.cause_of(column, *error, code or number.failure_codes.get(column, ""))
            return wire.FAILED, f"{NOT_UNLINKED} {cause.plain} {cause.do}"
        if not outcome:
            shows_nothing = not getattr(said, f"{column}_type")
            if status == SUCCEEDED or shows_nothing or not links[column]:
                outcome = wire.DONE
        outcomes.append(outcome)
    if all(outcome == wire.DONE for outcome in outcomes):
        return wire.DONE, ""
    is_overdue = number.fetched_at - move.state_since > PATIENCE
    if is_overdue and wire.IN_PROGRESS not in outcomes:
        return wire.IN_PROGRESS, NOT_SAID
    return wire.IN_PROGRESS, STILL_LINKED if is_overdue and not said.is_settling else ""


def _is_still_linked(move: NumberMove, said: wire.ImportedFacts) -> bool:
    """Tell whether a number shows one of the links that a move gives up."""
    links = {"servicePlanId": said.service_plan_id, "campaignId": said.campaign_id}
    return any(links[key] for key in unlinking(move))


def _is_taken(operation: Operation | None) -> bool:
    """Tell whether Sinch has taken a write."""
    return operation is not None and operation.state == Operation.State.SUCCEEDED


def _told_of_unlinking(number: ImportedNumber, since: datetime) -> dict[str, tuple[str, str]]:
    """Return status and failure code of the callbacks about a number's unlinking, by column."""
    events = AppliedEvent.objects.filter(
        project=number.project_id,
        resource_id=number.phone_number,
        event_type__in=UNLINKINGS,
        at__gte=since,
    )
    return {
        UNLINKINGS[event_type]: (status, code)
        for event_type, status, code in events.order_by("at").values_list(
            "event_type", "status", "failure_code"
        )
    }


def unlinked(operation: Operation) -> None:
    """Note that Sinch has taken the first write: wait until the links are gone."""
    _operation_ended(operation, State.UNLINKING, State.WAITING)


def linked(operation: Operation) -> None:
    """Note that Sinch has taken the second write: wait until the links stand."""
    _operation_ended(operation, State.LINKING, State.SETTLING)


def _operation_ended(operation: Operation, before: str, after: str) -> None:
    if found := _locked_move(operation, before):
        move, number = found
        _be(move, after)
        sync_numbers.touch(number)
        read_soon(number)


def stopped(operation: Operation) -> None:
    """Note that a write of a move was refused or stopped: a person decides."""
    if found := _locked_move(operation, *NumberMove.LIVING):
        move, number = found
        _be(move, State.STOPPED, operation.staff_message)
        sync_numbers.touch(number)


def _locked_move(operation: Operation, *states: str) -> tuple[NumberMove, ImportedNumber] | None:
    """Return the move that a write belongs to and its number while it is in one of the states.

    Both locked, the number first, as whoever reads it does.
    """
    moves = NumberMove.objects.filter(pk=operation.payload.get("move"))
    number_pk = moves.values_list("number_id", flat=True).first()
    if number_pk is None:
        return None
    number = locked(number_pk)
    move = moves.filter(state__in=states).select_for_update().first()
    return None if move is None else (move, number)


def overtaken() -> Sequence[tuple[Any, str]]:
    """Send nothing of a stopped move after a later one.

    One that is over counts as well: the write was meant for the links before it.
    """
    of_it = Q(unlink_operation=OuterRef("pk")) | Q(link_operation=OuterRef("pk"))
    later = NumberMove.objects.filter(of_it, state=State.STOPPED, number__moves__pk__gt=F("pk"))
    return [(Exists(later), MOVED_SINCE)]


def taken_up(operation: Operation) -> None:
    """Note that a stopped write goes on. Raises Refused when there is a later move."""
    if found := _locked_move(operation, State.STOPPED):
        move, number = found
        if number.moves.filter(pk__gt=move.pk).exists():
            raise Refused(MOVED_SINCE)
        _be(move, State.UNLINKING if operation.kind == UNLINK else State.LINKING)


def number_is_gone(number: ImportedNumber) -> None:
    """Stop the move of a number that Sinch does not know any more."""
    if move := living(number):
        _be(move, State.STOPPED, GONE)


def try_again(move: NumberMove, *, by: User) -> NumberMove:
    """Take a stopped move up where it stopped. Raises NotPossible when it is not stopped."""
    with transaction.atomic():
        number = locked(move.number_id)
        move = NumberMove.objects.select_for_update().get(pk=move.pk)
        if move.state != State.STOPPED or living(number) is not None:
            raise NotPossible("This move is not stopped any more.")
        _refuse_to_move(number)
        move.by, move.problem = by, ""
        move.save(update_fields=["by", "problem"])
        # An unlinking that failed at Sinch, or left the link as it was, is begun anew; one it says
        # nothing of a person judges.
        said = wire.read_imported(number.payload)
        was_unlinked = _is_taken(move.unlink_operation) and (
            move.link_operation_id is not None
            or (
                not _is_still_linked(move, said)
                and _unlinking_outcome(move, number, said)[0] != wire.FAILED
            )
        )
        if was_unlinked or not unlinking(move):
            _link(move, number)
        else:
            _begin(move, number)
    return move


def link_again(number: ImportedNumber, *, by: User) -> NumberMove:
    """Give a number that stands unlinked after a stopped move its old links back.

    Raises NotPossible, as for a number that has moved on or was linked since.
    """
    with transaction.atomic():
        number = locked(number.pk)
        last = number.moves.exclude(state__in=NumberMove.LIVING).order_by("-pk").first()
        if last is None or last.state != State.STOPPED or not last.from_plan:
            raise NotPossible("There is no stopped move to take back.")
        if number.service_plan_id:
            raise NotPossible("It is linked by now. Move it, if it is to be elsewhere.")
        return start(number, plan=last.from_plan, campaign=last.from_campaign, by=by)


def read_soon(number: ImportedNumber) -> None:
    """Have a number read again now, before anything nobody waits for."""
    readings.want_one(number.project_id, sync.IMPORTED_READER, number.phone_number, "staff")


def many(
    numbers: Iterable[ImportedNumber], *, plan: str, campaign: str, by: User
) -> list[tuple[ImportedNumber, str]]:
    """Begin to move several numbers; return each with why it could not be, "" when it could."""
    found = []
    for number in numbers:
        try:
            start(number, plan=plan, campaign=campaign, by=by)
        except NotPossible as reason:
            found.append((number, str(reason)))
        else:
            found.append((number, ""))
    return found


def steps_of(move: NumberMove) -> list[tuple[str, str, str, str]]:
    """Return the steps of a move for the stepper: state, tone, glyph, words."""
    order = [State.UNLINKING, State.WAITING, State.LINKING, State.SETTLING, State.DONE]
    names = {
        State.UNLINKING: "Unlink sent",
        State.WAITING: "Sinch unlinks it",
        State.LINKING: "Link sent",
        State.SETTLING: "Sinch links it",
        State.DONE: "There",
    }
    if not unlinking(move):
        order = order[2:]
    elif not linking(move):
        order, names[State.DONE] = [*order[:2], State.DONE], "Unlinked"
    stopped_at = State.LINKING if move.link_operation_id else State.UNLINKING
    if stopped_at == State.UNLINKING and _is_taken(move.unlink_operation):
        stopped_at = State.WAITING
    here = stopped_at if move.state == State.STOPPED else State(move.state)
    found: list[tuple[str, str, str, str]] = []
    for state in order:
        is_before = order.index(state) < order.index(here) if here in order else False
        if is_before or move.state == State.DONE:
            found.append(("was", "done", "done", names[state]))
        elif state == here:
            tone, glyph = ("bad", "bad") if move.state == State.STOPPED else ("date", "half")
            found.append(("now", tone, glyph, names[state]))
        else:
            found.append(("", "wait", "wait", names[state]))
    return found
