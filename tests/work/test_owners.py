"""Whose an order is: what becomes of it when somebody leaves, and of a line that is left."""

import pytest

from portal.work import actions
from portal.work.models import TimelineEntry, WorkItem


def owner_of(item: WorkItem) -> object:
    item.refresh_from_db()
    return item.assignee


def test_a_line_for_whoever_owns_it_already_is_not_lost(agent, make_agent, make_item):
    item, tom = make_item(), make_agent("tom", first_name="Tom")
    for to, said in ((None, "Nobody owns it now"), (tom, "Tom owns it now")):
        WorkItem.objects.filter(pk=item.pk).update(assignee=to)
        with pytest.raises(actions.NotSendable, match=said):
            actions.hand_over(item, to=to, line="Owen Marsh calls at 17:00", by=agent)
    assert not TimelineEntry.objects.exists()


def test_handing_over_twice_with_the_same_line_is_done_once(agent, make_agent, make_item):
    item, tom = make_item(), make_agent("tom")
    for _ in range(2):
        actions.hand_over(item, to=tom, line="Owen Marsh calls at 17:00", by=agent)
    assert owner_of(item) == tom
    assert TimelineEntry.objects.count() == 1
