"""What every page promises: no inline style or script, nothing from another host."""

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
NAMES = [str(path.relative_to(ROOT / "templates")) for path in TEMPLATES]
FORBIDDEN = {
    "an inline style": re.compile(r"\sstyle\s*=", re.I),
    "a style element": re.compile(r"<style\b", re.I),
    "an inline handler": re.compile(r"\son(click|change|submit|load|input|key\w+|focus)\s*=", re.I),
    "a script of htmx's own": re.compile(r"\bhx-(on|vars)\b|\bhx-vals\s*=\s*.js:", re.I),
    "a trigger filter": re.compile(r'hx-trigger="[^"]*\['),
    "an inline script": re.compile(r"<script(?![^>]*\ssrc=)", re.I),
    "something from another host": re.compile(
        r"""(?:src|href|action|hx-get|hx-post)\s*=\s*["'](?:https?:)?//""", re.I
    ),
    "a javascript address": re.compile(r"javascript:", re.I),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=NAMES)
def test_no_template_holds_what_the_policy_forbids(path):
    text = path.read_text()
    assert not [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]


@pytest.mark.parametrize("name", NAMES)
def test_every_template_compiles(name):
    get_template(name)


@pytest.mark.parametrize("path", TEMPLATES, ids=NAMES)
def test_every_mark_that_is_used_is_in_the_sprite(path):
    sprite = (ROOT / "templates/components/_sprite.html").read_text()
    text = path.read_text()
    for tag, prefix in (("glyph", "g"), ("icon", "i")):
        for name in re.findall(rf'{{%\s*{tag}\s+"([a-z]+)"', text):
            assert f'id="{prefix}-{name}"' in sprite


@pytest.mark.parametrize(
    "path", [p for p in TEMPLATES if p.name.startswith("_")], ids=lambda p: p.name
)
def test_a_fragment_says_in_its_first_line_what_it_needs(path):
    assert path.read_text().startswith("{#"), "name the context in the first line"


def test_styles_and_scripts_of_ours_reach_for_no_other_host():
    for path in [*(ROOT / "static").rglob("*.css"), *(ROOT / "static").rglob("*.js")]:
        text = path.read_text().replace('"http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|@import|url\(", text), path.name
        assert not re.search(r"\beval\(|innerHTML", text), path.name


def test_htmx_is_told_to_run_nothing_and_to_swap_our_refusals():
    head = (ROOT / "templates/components/_head.html").read_text()
    assert '"allowEval":false' in head
    assert '"includeIndicatorStyles":false' in head
    assert '"409|422|502","swap":true' in head
