"""Tags and filters of the look: glyphs, chips, numbers, dates, fields. `{% load desk %}`.

What repeats in every row (glyphs, chips, phone numbers) is rendered once and kept as a safe
string, so that 500 rows cost 500 look-ups.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from django import template
from django.forms import BaseForm, BoundField, CheckboxInput, FileInput, RadioSelect
from django.template import Context
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from portal import words
from portal.operations import runner

register = template.Library()


# --- Marks ----------------------------------------------------------------------------------


@register.simple_tag
@lru_cache(maxsize=256)
def glyph(name: str, css: str = "") -> SafeString:
    """Return a shape of the 12 grid: `{% glyph "done" "tone-done" %}`, add `glyph-lg` for 16 px."""
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="#g-{}"/></svg>',
        f"glyph {css}".strip(),
        name,
    )


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str) -> SafeString:
    """Return a stroked icon of the 16 grid: `{% icon "refresh" %}`."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


# --- Status ---------------------------------------------------------------------------------


@lru_cache(maxsize=2048)
def _chip(kind: str, word: str, style: str, label: str, tone: str, title: str) -> SafeString:
    found = words.chip(kind, word)
    tone = tone or found.tone
    css = " ".join(
        part
        for part in (
            "chip",
            style,
            "raw" if found.raw and not label else "",
            f"tone-{tone}",
        )
        if part
    )
    return format_html(
        '<span class="{}" title="{}">{}{}</span>',
        css,
        title or found.sentence,
        glyph(found.glyph),
        label or found.label,
    )


@register.simple_tag
def chip(
    kind: str,
    word: Any,
    box: bool = False,
    fill: bool = False,
    label: str = "",
    tone: str = "",
    title: str = "",
) -> SafeString:
    """Return the chip of a status: shape, word and tone, with its sentence as title.

    Plain by default; `box=True` for page heads, `fill=True` once a page. `label` replaces the
    word ("14 rejected"), `tone` the tone (a signature whose clock is out), `title` the sentence.
    """
    style = "chip-fill" if fill else "chip-box" if box else ""
    return _chip(kind, str(word or ""), style, str(label), tone, title)


@register.simple_tag
def state(tone: str, shape: str, label: str, box: bool = False) -> SafeString:
    """Return a chip that stands for no word of Sinch's: `{% state "done" "done" "Yes" %}`."""
    return format_html(
        '<span class="chip{} tone-{}">{}{}</span>',
        " chip-box" if box else "",
        tone,
        glyph(shape),
        label,
    )


@register.simple_tag
@lru_cache(maxsize=32)
def move(who: str) -> SafeString:
    """Return whose move it is: `{% move "us" %}`; nothing for nobody in particular."""
    if not who:
        return SafeString("")
    css = "move move-us" if who == "us" else "move"
    return format_html('<span class="{}">{}</span>', css, words.MOVES.get(who, who))


@register.simple_tag
def sentence(kind: str, word: Any) -> str:
    """Return what a status means, in one sentence."""
    return words.chip(kind, str(word or "")).sentence


@register.simple_tag
def chip_tables() -> list[tuple[str, str, list[str]]]:
    """Return every table of words as (kind, title, words), for the page of components."""
    return [
        (kind, words.TABLE_TITLES[kind], [word for word in table if word])
        for kind, table in words.TABLES.items()
    ]


@register.simple_tag
def progress(
    live: int, total: int, parts: Iterable[tuple[str, int]] = (), word: str = "live"
) -> SafeString:
    """Return `5/8` with its bar; `parts` are (tone, count) from the left, by default the live."""
    counts = tuple((tone, int(count)) for tone, count in parts)
    return _progress(int(live), int(total), counts, word)


@lru_cache(maxsize=1024)
def _progress(live: int, total: int, parts: tuple[tuple[str, int], ...], word: str) -> SafeString:
    return format_html(
        '<span class="progress"><span class="hide">{} of {} {}</span>'
        '<span aria-hidden="true">{}/{}</span>{}</span>',
        live,
        total,
        word,
        live,
        total,
        _bar(total, parts or (("done", live),), "bar"),
    )


@register.simple_tag
def bar(total: int, parts: Iterable[tuple[str, int]], tall: bool = True) -> SafeString:
    """Return a stacked bar alone; the figures must stand beside it in words."""
    return _bar(int(total), tuple(parts), "bar tall" if tall else "bar")


def _bar(total: int, parts: Iterable[tuple[str, int]], css: str) -> SafeString:
    rects, x = [], 0
    for tone, count in parts:
        if count > 0:
            rects.append((tone, x, count))
            x += count
    return format_html(
        '<svg class="{}" viewBox="0 0 {} 1" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
        css,
        max(total, 1),
        format_html_join("", '<rect class="tone-{}" x="{}" width="{}" height="1"/>', rects),
    )


# --- Numbers, dates, people -----------------------------------------------------------------


@register.filter
@lru_cache(maxsize=4096)
def phone(number: str | None) -> SafeString:
    """Return the number as it is read, unbreakable: `+1 206 555 0142` for `+12065550142`."""
    return format_html('<span class="phone">{}</span>', words.phone_text(number))


@register.filter
def phone_text(number: str | None) -> str:
    """Return the number as it is read, without markup, for titles and labels."""
    return words.phone_text(number)


@register.filter
def day(value: date | datetime | None) -> str:
    """Return `Tue 9 Jun`, with the year only when it is not this one."""
    return words.day_text(value)


@register.filter
def clock_time(value: datetime | time | str | None, zone: str | None = None) -> str:
    """Return `14:05`, with `|clock_time:"US/Pacific"` also the zone: `09:00 Pacific`."""
    return words.clock_text(value, zone)


@register.filter
def stamp(value: datetime | None) -> SafeString:
    """Return day and time in the reader's zone as a `<time>`, the zone in its title."""
    if value is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" title="{}">{}, {}</time>',
        value.isoformat(),
        words.moment_text(value),
        words.day_text(value),
        words.clock_text(value),
    )


@register.filter
def ago(value: datetime | None) -> SafeString:
    """Return an age as a `<time>`: `40 s ago` up to an hour, then the time, then the day."""
    if value is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        value.isoformat(),
        words.moment_text(value),
        words.age_text(value),
    )


@register.simple_tag
def today_text() -> str:
    """Return today as `|day` writes it, to be compared with."""
    return words.day_text(timezone.localdate())


@register.filter
def zone(name: str | None) -> str:
    """Return how staff name a zone: `Pacific` for `US/Pacific`."""
    return words.zone_word(name)


@register.filter
def size(value: int | None) -> str:
    """Return `214 kB`, `3.1 MB` for a number of bytes."""
    return "" if value is None else words.size_text(value)


@register.filter
def figure(number: int | None) -> str:
    """Return `2,204` for a number."""
    return "" if number is None else f"{number:,}"


@register.filter
def counted(number: int, noun: str) -> str:
    """Return `1 number`, `12 numbers` for `count|counted:"number"`; `"day,days"` names both."""
    one, _, many = noun.partition(",")
    return words.count_text(int(number or 0), one, many)


@register.filter
def person(user: Any) -> str:
    """Return a person's name as others read it; "" for nobody."""
    if not user:
        return ""
    name = user.get_full_name() if hasattr(user, "get_full_name") else ""
    return name or (user.get_username() if hasattr(user, "get_username") else str(user))


@register.filter
def initials(user: Any) -> str:
    """Return the two letters of a person's disc."""
    parts = person(user).replace(".", " ").replace("@", " ").split()
    if not parts:
        return "?"
    return (parts[0][0] + (parts[1][0] if len(parts) > 1 else "")).upper()


@register.filter
def cut_id(value: Any, ends: int = 4) -> SafeString:
    """Return a long id cut in the middle, whole in its title: `01HX…7QK2`."""
    text = str(value or "")
    if len(text) <= 2 * ends + 1:
        return format_html('<span class="mono">{}</span>', text)
    return format_html(
        '<span class="mono" title="{}">{}…{}</span>', text, text[:ends], text[-ends:]
    )


@register.simple_tag
def copy(value: Any, what: str) -> SafeString:
    """Return a Copy button; it appears only where scripts run, since it needs one."""
    return format_html(
        '<button class="link" type="button" data-copy="{}" aria-label="Copy {}" hidden>Copy'
        "</button>",
        value,
        what,
    )


@register.simple_tag(takes_context=True)
def print_line(context: Context) -> str:
    """Return who printed the page and when, for the foot of the paper."""
    now = timezone.localtime()
    who = person(context.get("user"))
    return (
        f"Porting portal, printed {now:%a} {now.day} {now:%b %Y}, {now:%H:%M} "
        f"{words.zone_word(timezone.get_current_timezone_name())}{' by ' + who if who else ''}"
    )


# --- Secrets --------------------------------------------------------------------------------


@register.inclusion_tag("components/_secret.html", takes_context=True)
def secret(
    context: Context,
    what: str,
    name: str,
    url: str = "",
    back: str = "",
    hint: str = "",
    shown: str | None = None,
    allowed: bool = True,
    dots: str = "••••",
) -> dict[str, Any]:
    """Render a masked value with Show, or the value itself with Hide when `shown` is given.

    `what` is how a sentence names it ("the port-out PIN"), `name` what is posted to `url`, `back`
    the page without the value, `hint` what may be seen of it ("4431"). Without `allowed` there is
    no button and the reason stands beside it.
    """
    return {
        "what": what,
        "name": name,
        "url": url,
        "back": back,
        "dots": dots + hint,
        "shown": shown,
        "allowed": allowed,
        "csrf_token": context.get("csrf_token"),
    }


# --- Forms ----------------------------------------------------------------------------------


def _kind(bound: BoundField) -> str:
    widget = bound.field.widget
    if isinstance(widget, CheckboxInput):
        return "check"
    if isinstance(widget, RadioSelect):
        return "choices"
    return "file" if isinstance(widget, FileInput) else "input"


@register.inclusion_tag("components/_field.html")
def field(
    bound: BoundField,
    width: str = "",
    optional: str = "",
    hint: str = "",
    label: str = "",
    rows: int = 0,
    mono: bool = False,
    autofocus: bool = False,
    described: str = "",
) -> dict[str, Any]:
    """Render one form field: label, control, hint, errors, and advice that does not block.

    `width` is w-xs … w-lg, `optional` the mark beside the label ("if any"), `label` and `hint`
    replace the field's own, `described` is the id of more that is said of it. Advice comes from
    `form.cautions`, a dict of field name to sentences.
    """
    hint = hint or str(bound.help_text or "")
    cautions = list(getattr(bound.form, "cautions", {}).get(bound.name, ()))
    kind = _kind(bound)
    described_by = [f"{bound.auto_id}_hint"] if hint else []
    # The errors of a form that is saved as it is typed come and go in a place that stays.
    live = getattr(bound.form, "is_live", False)
    described_by += [f"{bound.auto_id}_error"] if bound.errors or live else []
    # So does advice that depends on what is typed.
    advised = bound.name in getattr(bound.form, "advised", ())
    described_by += [f"{bound.auto_id}_caution"] if cautions or advised else []
    described_by += [described] if described else []
    css = bound.field.widget.attrs.get("class", "")
    attrs: dict[str, Any] = {}
    if kind in {"input", "file"}:
        attrs["class"] = " ".join(part for part in ("input", "mono" if mono else "", css) if part)
    if described_by:
        attrs["aria-describedby"] = " ".join(described_by)
    if rows:
        attrs["rows"] = rows
    if autofocus:
        attrs["autofocus"] = True
    return {
        "bound": bound,
        "kind": kind,
        "widget": bound.as_widget(attrs=attrs),
        "label": label or bound.label,
        "hint": hint,
        "optional": optional,
        "width": width,
        "cautions": cautions,
        "live": live,
        "advised": advised,
    }


@register.inclusion_tag("components/_error_summary.html")
def error_summary(*forms: BaseForm | None, sent: bool = False) -> dict[str, Any]:
    """Render what is wrong in these forms, with links to the fields; nothing when all is well.

    It takes the focus after a swap. `sent` drops "nothing was sent" where something was.
    """
    problems: list[tuple[str, str, str]] = []
    for form in forms:
        if form is None or not form.is_bound:
            continue
        for name, errors in form.errors.items():
            bound = form[name] if name in form.fields else None
            target = (bound.id_for_label or bound.auto_id) if bound is not None else ""
            label = str(bound.label) if bound is not None else ""
            problems += [(target, label, str(error)) for error in errors]
    return {"problems": problems, "sent": sent}


# --- Small helpers for templates ------------------------------------------------------------


@register.simple_tag(takes_context=True)
def current(context: Context, prefix: str, exact: bool = False) -> SafeString:
    """Return `aria-current="page"` when the page's path is, or begins with, `prefix`."""
    request = context.get("request")
    path = getattr(request, "path", "")
    here = path == prefix if exact or prefix == "/" else path.startswith(prefix)
    return SafeString(' aria-current="page"') if prefix and here else SafeString("")


@register.simple_tag(takes_context=True)
def theme(context: Context) -> SafeString:
    """Return the `data-theme` attribute of the person's cookie; nothing follows the system."""
    request = context.get("request")
    chosen = request.COOKIES.get("theme", "") if request is not None else ""
    if chosen in {"light", "dark"}:
        return format_html(' data-theme="{}"', chosen)
    return SafeString("")


@register.filter
def quoted(text: Any) -> SafeString:
    """Return somebody else's words in quotation marks, never reworded."""
    return mark_safe(f"“{conditional_escape(text)}”")  # noqa: S308 - escaped right here


@register.filter
def ended(text: Any) -> str:
    """Return the text as a sentence: with a full stop, unless it or its last quotation has one."""
    said = str(text)
    return said if said.rstrip("”’)").endswith((".", "!", "?", "…")) else f"{said}."


# --- What becomes of a write ----------------------------------------------------------------


@register.inclusion_tag("components/_operation.html", takes_context=True)
def operation(
    context: Context,
    op: Any,
    read_at: datetime | None = None,
    correct_url: str = "",
    here: str = "",
) -> dict[str, Any]:
    """Render the panel that tells what becomes of one write (a row of `portal.operations`).

    `read_at` is when the thing was last read from Sinch, for the step "Read back"; `correct_url`
    where a refusal can be put right; `here` the page to come back to after "Close".
    """
    return {
        "op": op,
        "panel": words.operation_panel(op, read_at),
        "correct_url": correct_url if op.state == "refused" else "",
        "why_not": _why_not_again(context, op) if op.state == "dead" else "",
        "may_close": _may_close(context, op),
        "here": here,
        "csrf_token": context.get("csrf_token"),
    }


def _reader(context: Context) -> Any:
    """Return who reads the page; a tag within a tag keeps the request, and none of its words."""
    return getattr(getattr(context, "request", None), "user", None)


def _why_not_again(context: Context, op: Any) -> str:
    person = _reader(context)
    may_not = runner.why_may_not(person, op) if person is not None else ""
    return may_not or op.obstacle


def _may_close(context: Context, op: Any) -> bool:
    person = _reader(context)
    return person is None or runner.may_close(person, op)


@register.inclusion_tag("components/_operations.html", takes_context=True)
def operations(
    context: Context,
    ops: Sequence[Any],
    read_at: datetime | None = None,
    update_url: str = "",
    here: str = "",
) -> dict[str, Any]:
    """Render the panels of several writes; those that have arrived become one when they pile up.

    `update_url` is where a refused update is put right; the rest is as for one.
    """
    arrived = [op for op in ops if op.state == "succeeded"]
    arrived = arrived if len(arrived) > 1 else []
    return {
        "shown": [
            (op, update_url if op.kind.endswith(".update") else "")
            for op in ops
            if op not in arrived
        ],
        "arrived": [(op, words.operation_panel(op, read_at)) for op in arrived],
        "read_back": all(
            read_at and op.finished_at and read_at >= op.finished_at for op in arrived
        ),
        "read_at": read_at,
        "may_close": all(_may_close(context, op) for op in arrived),
        "here": here,
        "csrf_token": context.get("csrf_token"),
    }
