"""A desk of separate processes that tests may break."""

from collections.abc import Iterator

import pytest

from tests.desk import RunningDesk, running_desk
from tests.staff import Staff


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    """A desk of its own: what is killed here is missed nowhere else."""
    with running_desk() as started:
        yield started


@pytest.fixture(scope="module")
def staff(desk: RunningDesk) -> Staff:
    """The administrator at that desk."""
    return Staff(desk)


@pytest.fixture(autouse=True)
def _behaving_sinch(desk: RunningDesk) -> Iterator[None]:
    """Have the sandbox behave again after each test."""
    yield
    desk.ask_sandbox("faults/clear", {})
