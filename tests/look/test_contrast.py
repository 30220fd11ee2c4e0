"""Every text and shape of the look can be read on every ground, in both themes (WCAG 2.2 AA)."""

import re
from pathlib import Path

import pytest

from portal import words

TOKENS = (Path(__file__).parents[2] / "static/css/tokens.css").read_text()
PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
COLOURS = {name: (light, dark) for name, light, dark in PAIR.findall(TOKENS)}
TONES = ["us", "bad", "done", "date", "ready", "wait", "ended"]
GROUNDS = ["canvas", "surface", "sunken", "raised", "hover", "selected"]

TEXT = [(ink, ground) for ink in ("ink", "ink-2", "ink-3", "accent") for ground in GROUNDS]
TEXT += [(tone, f"{tone}-bg") for tone in TONES]
TEXT += [(tone, ground) for tone in TONES for ground in GROUNDS]
TEXT += [(ink, f"{tone}-bg") for tone in TONES for ink in ("ink", "ink-2", "accent")]
TEXT += [
    ("paper", "paper-bg"),
    ("ink", "paper-bg"),
    ("ink-2", "paper-bg"),
    ("accent-ink", "accent-solid"),
    ("accent-ink", "accent-solid-hover"),
    ("bad-ink", "bad-solid"),
    ("surface", "ink"),
    ("surface", "ready-solid"),
]
SHAPES = [(f"{tone}-solid", ground) for tone in TONES for ground in (*GROUNDS, f"{tone}-bg")]
SHAPES += [(s, g) for s in ("control-line", "focus") for g in ("canvas", "surface", "paper-bg")]


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, 0 to 1. Source: WCAG 2.2."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def ratio(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("theme", "name"), [(0, "light"), (1, "dark")])
@pytest.mark.parametrize(("pairs", "goal"), [(TEXT, 4.5), (SHAPES, 3.0)], ids=["text", "shapes"])
def test_every_pair_has_enough_contrast(pairs, goal, theme, name):
    short = [
        f"{front} on {back} in {name}: {got:.2f}"
        for front, back in pairs
        if (got := ratio(COLOURS[front][theme], COLOURS[back][theme])) < goal
    ]
    assert not short


def test_every_tone_of_the_words_has_a_family_of_colours():
    tones = {chip.tone for table in words.TABLES.values() for chip in table.values()}
    assert tones <= set(TONES)
    for tone in TONES:
        assert f".tone-{tone} " in TOKENS
