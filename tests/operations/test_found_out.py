"""How the outcome of each kind of write is found out is told, on screen and in the README."""

from pathlib import Path

import pytest

from portal.operations import panels, runner

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("kind", sorted(runner.handlers()))
def test_every_kind_of_write_says_how_it_is_found_out(kind):
    said = runner.handler_of(kind).how_found_out
    assert said.endswith(".")
    line = next(line for line in README.splitlines() if f"`{kind}`" in line)
    assert said in line
    assert panels.KINDS[kind][0] in line
