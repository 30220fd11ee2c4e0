"""What becomes of hosting callbacks: the newest of a kind is applied, and its thing read again.

Each event is applied in a transaction of its own, before the batch is settled: applying one twice
changes nothing, so a worker that dies in between loses and doubles nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from hosting import sync
from portal.operations.models import Reading
from webhooks.fates import Fate, Thing
from webhooks.hosting import read_notice
from webhooks.models import Delivery

State, Verdict = Delivery.State, Delivery.Verdict

NOT_JSON = "Kept, answered 200, nothing done"
NAMES_NOTHING = "Names no number and no order; kept, nothing to read"
NOT_OURS = "About nothing this desk knows; the next walk through Sinch’s lists finds it"
OLDER = "Older than what was applied; nothing to do"
# What a delivery waits for first, when an event is about several things.
_FIRST = (sync.ORDER_READER, sync.IMPORTED_READER, sync.QUALIFIED_READER)


def looked_into(delivery: Delivery, body: bytes) -> Fate:
    """Return the fate of a new callback, its event applied."""
    notice = read_notice(body)
    if not notice.is_json:
        return Fate(delivery, verdict=Verdict.NOT_JSON, outcome=NOT_JSON)
    fate = Fate(delivery, notice.event, notice.resource_id, Verdict.UNKNOWN_EVENT)
    if not notice.resource_id:
        fate.outcome = NAMES_NOTHING
        return fate
    applied = sync.apply_event(
        delivery.project_id,
        resource_type=notice.resource_type,
        resource_id=notice.resource_id,
        event_type=notice.event,
        status=notice.status,
        failure_code=notice.failure_code,
        at=notice.happened_at(delivery.received_at),
        event_id=notice.event_id,
    )
    if notice.is_known:
        fate.verdict = Verdict.SIGNED
    if not applied.is_news:
        fate.verdict, fate.state, fate.outcome = Verdict.OLDER, State.DONE, OLDER
        return fate
    things = _in_order(applied.wishes)
    if not things:
        fate.outcome = NOT_OURS
        return fate
    fate.thing, fate.also = things[0], frozenset(things[1:])
    return fate


def looked_at_again(delivery: Delivery) -> Fate:
    """Return the fate of a callback whose reading has not come: it is asked for once more."""
    fate = Fate(
        delivery,
        delivery.event_type,
        delivery.resource_id,
        delivery.verdict,
        delivery.state,
        delivery.outcome,
    )
    if delivery.reading is not None:
        fate.thing = (delivery.reading.kind, delivery.reading.resource_id)
    return fate


def judge(fates: Iterable[Fate]) -> list[Fate]:
    """Decide which callbacks wait for a reading; return those.

    Of what a callback is about only that is read which was not read since it came.
    """
    about = [fate for fate in fates if fate.thing]
    read_at = _read_at(about)
    for fate in about:
        project, things = fate.delivery.project_id, _things(fate)
        moments = {thing: read_at.get((project, *thing)) for thing in things}
        left = [
            thing
            for thing, moment in moments.items()
            if moment is None or moment < fate.delivery.received_at
        ]
        fate.thing, fate.also = (left or things)[0], frozenset(left[1:])
        fate.wait_for(moments[fate.thing])
    return [fate for fate in about if fate.state == State.WAITING]


def _in_order(wishes: Mapping[str, Iterable[str]]) -> list[Thing]:
    return sorted(((kind, one) for kind, wanted in wishes.items() for one in wanted), key=_rank)


def _rank(thing: Thing) -> tuple[int, str]:
    kind, resource_id = thing
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST), resource_id


def _things(fate: Fate) -> list[Thing]:
    """Return what has to be read because of a callback, first what it waits for."""
    return sorted({*fate.also, *([fate.thing] if fate.thing else [])}, key=_rank)


def _read_at(fates: list[Fate]) -> dict[tuple[int, str, str], datetime]:
    things = [(fate.delivery.project_id, thing) for fate in fates for thing in _things(fate)]
    if not things:
        return {}
    rows = Reading.objects.filter(
        project_id__in={project for project, _ in things},
        kind__in={kind for _, (kind, _) in things},
        resource_id__in={resource_id for _, (_, resource_id) in things},
        read_at__isnull=False,
    ).values_list("project_id", "kind", "resource_id", "read_at")
    return {(project, kind, resource): at for project, kind, resource, at in rows if at is not None}
