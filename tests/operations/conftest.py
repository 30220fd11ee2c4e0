"""The engine with a tiny handler and a tiny reader of our own."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from portal.accounts.models import SinchProject, User
    from portal.operations.models import Operation
    from tests.operations.tools import Desk, Library


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The doorbells rung, and none of them heard: the tests call the work themselves."""
    from portal.operations import doorbell

    heard: list[str] = []
    monkeypatch.setattr(doorbell, "ring", lambda task, after=0.0: heard.append(task))
    return heard


@pytest.fixture
def desk() -> "Iterator[Desk]":
    """A handler of the kind `test.write`."""
    from portal.operations import runner
    from tests.operations.tools import Desk

    ours = Desk()
    runner.register(ours)
    yield ours
    del runner._handlers[ours.kind]


@pytest.fixture
def library() -> "Iterator[Library]":
    """A reader of the kind `test_thing`."""
    from portal.operations import readings
    from tests.operations.tools import Library

    ours = Library()
    readings.register(ours)
    yield ours
    del readings._readers[ours.kind]


@pytest.fixture
def write(project: "SinchProject", rung: list[str]) -> "Callable[..., Operation]":
    """Put an operation on disk: `write(n=3, marker="…", target="thing:1")`."""
    from portal.operations import actions

    def make(
        n: int = 0,
        *,
        kind: str = "test.write",
        target: str = "thing:1",
        marker: str | None = None,
        by: "User | None" = None,
        **fields: Any,
    ) -> "Operation":
        operation, _ = actions.submit(
            project, kind, target=target, payload={"n": n}, by=by, marker=marker, **fields
        )
        return operation

    return make
