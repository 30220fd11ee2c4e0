"""Work items without orders behind them: the lists know nothing else."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

# Read before Django is set up when only this folder is tested: no models at the top.
if TYPE_CHECKING:
    from portal.accounts.models import SinchProject
    from portal.work.models import WorkItem

MakeItem = Callable[..., "WorkItem"]


@pytest.fixture
def make_item(project: "SinchProject") -> MakeItem:
    """Make a work item; the first is number 1, with reference REF-1 and Sinch id 40100001."""
    from portal.work import items
    from portal.work.models import WorkItem

    made = 0

    def make(**values: Any) -> "WorkItem":
        nonlocal made
        made += 1
        words = values.pop("words", None)
        fields: dict[str, Any] = {
            "project": project,
            "kind": "port_in",
            "target_pk": made,
            "sinch_id": str(40_100_000 + made),
            "reference": f"REF-{made}",
            "end_user": f"Customer {made} LLC",
            "carriers": "Lumen",
            "status": "PENDING",
            "bucket": "wait",
            "rank": 400,
            "counted": 3,
            "move": "carrier",
        }
        item = WorkItem(project=project)
        items.save_item(item, fields | values, words=words)
        return item

    return make
