"""A figure beside its goal."""

from dataclasses import dataclass


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
