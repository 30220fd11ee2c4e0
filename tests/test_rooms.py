"""Imports run downwards through the rooms of the house, as design.md draws them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
# From the ground up: a room may import what stands before it here. Rooms in one
# line are neighbours that do not know each other.
FLOORS = (
    ("portal.sinch",),
    ("portal.accounts",),
    ("portal.operations",),
    ("portal.projects",),
    ("portal.work",),
    ("orders", "hosting"),
    ("webhooks",),
    ("portal.sandbox",),  # spoken to over HTTP only, so nobody imports it; see below
)
ROOMS = [room for floor in FLOORS for room in floor]
FLOOR_OF = {room: height for height, floor in enumerate(FLOORS) for room in floor}


def room_of(module: str) -> str:
    """The room a module is in; "" for what all rooms share, and for other packages."""
    return next((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), "")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Each module that a file imports, also inside of functions, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}:{node.lineno}: imports are written out"
            # `from portal import accounts` names a room in its second half.
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_stands_below_it(room):
    files = sorted((HOME / room.replace(".", "/")).rglob("*.py"))
    assert files
    wrong = [
        f"{path.relative_to(HOME)}:{line} imports {module}"
        for path in files
        for line, module in imports_of(path)
        if (other := room_of(module)) not in ("", room) and FLOOR_OF[other] >= FLOOR_OF[room]
    ]
    assert not wrong


def test_the_sandbox_shares_nothing_with_the_portal():
    files = (HOME / "portal/sandbox").rglob("*.py")
    wrong = [
        f"{path.relative_to(HOME)}:{line} imports {module}"
        for path in files
        for line, module in imports_of(path)
        if module.partition(".")[0] in ("portal", "orders", "hosting", "webhooks")
        and room_of(module) != "portal.sandbox"
    ]
    assert not wrong
