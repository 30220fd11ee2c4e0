"""A figure beside its goal."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar


@dataclass(frozen=True)
class Figure:
    """One measured figure; `number` as in the table of goals."""

    number: int
    name: str
    measured: str
    goal: str
    holds: bool


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table with a verdict in each line."""
    rows = [("#", "Figure", "Measured", "Goal", "Verdict")]
    rows += [
        (str(f.number), f.name, f.measured, f.goal, "holds" if f.holds else "MISSED")
        for f in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


Key = TypeVar("Key")


def medians(calls: Mapping[Key, Callable[[], object]], rounds: int) -> dict[Key, float]:
    """Return the median seconds of each call; rounds alternate: all meet the same machine."""
    taken: dict[Key, list[float]] = {key: [] for key in calls}
    for place in range(rounds + 2):
        for key, call in calls.items():
            begun = time.perf_counter()
            call()
            if place >= 2:  # the first ones fill caches
                taken[key].append(time.perf_counter() - begun)
    return {key: median(times) for key, times in taken.items()}
