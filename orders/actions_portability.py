"""What staff do with a portability check: start one, ask again, make an order of what can move."""

import uuid
from collections.abc import Sequence

from django.db import transaction

from orders import actions, list_work
from orders.forms import MAX_NUMBERS
from orders.models import NumberList, PortabilityRun, PortInDraft
from orders.portability_page import portable_numbers
from portal import words
from portal.accounts.models import User
from portal.operations import doorbell


class NothingPortable(Exception):
    """Raised when none of the numbers can move; its text says so."""


def start_order(run: PortabilityRun, *, carrier: str, pk: uuid.UUID, by: User) -> PortInDraft:
    """Make a draft of the numbers that can move, of one losing carrier or of all.

    More than one order takes become a list. `pk` is the id the page came with: a click that
    arrives twice gets the draft that exists. Raises NothingPortable.
    """
    numbers = portable_numbers(run, carrier)
    if not numbers:
        raise NothingPortable("None of these numbers can move, so there is nothing to order.")
    is_list = len(numbers) > MAX_NUMBERS
    fields = actions.default_fields(run.project)
    if not is_list:
        fields["numbers"] = "\n".join(map(words.phone_text, numbers))
    title = run.title or words.phone_text(numbers[0])
    with transaction.atomic():
        draft, made = PortInDraft.objects.get_or_create(
            pk=pk,
            defaults={"project": run.project, "by": by, "data": fields, "title": title[:200]},
        )
        if made and is_list:
            _make_list(draft, numbers, name=f"{title}, portable" if title else "Portable numbers")
    return draft


def _make_list(draft: PortInDraft, numbers: Sequence[str], *, name: str) -> None:
    """Put the numbers into a list of the draft; its rows are made in the background."""
    NumberList.objects.create(
        project=draft.project,
        by=draft.by,
        draft=draft,
        name=name[:120],
        content="\n".join(["Number", *numbers]).encode(),
        columns={"0": "number"},
    )
    doorbell.ring_on_commit(list_work.TASK)
