"""The tags of `{% load desk %}` write what the look asks for, and escape what they are given."""

import datetime

from django import forms
from django.template import Context, Template
from django.utils import timezone


def render(source: str, **context: object) -> str:
    """Return what a template with the tags of the look renders to."""
    return Template("{% load desk %}" + source).render(Context(context))


def test_a_chip_is_shape_word_and_tone_with_its_sentence_as_title():
    html = render('{% chip "number" "REJECTED" box=True %}')
    assert 'class="chip chip-box tone-bad"' in html
    assert 'href="#g-bad"' in html
    assert html.endswith("Rejected</span>")
    assert 'title="Refused' in html


def test_a_word_nobody_knows_is_mono_and_escaped():
    html = render('{% chip "order" word %}', word="<b>NEW</b>")
    assert 'class="chip raw tone-wait"' in html
    assert "<b>" not in html


def test_a_phone_number_is_never_broken():
    assert render("{{ n|phone }}", n="+12065550142") == '<span class="phone">+1 206 555 0142</span>'


def test_progress_says_its_figures_and_draws_them_without_inline_style():
    html = render("{% progress 5 8 parts %}", parts=[("done", 5), ("date", 3)])
    assert '<span class="hide">5 of 8 live</span>' in html
    assert '<rect class="tone-date" x="5" width="3" height="1"/>' in html
    assert "style" not in html


def test_an_age_is_a_time_with_the_full_moment_in_its_title():
    html = render("{{ at|ago }}", at=timezone.now() - datetime.timedelta(seconds=5))
    assert "data-ago" in html
    assert "s ago</time>" in html
    assert "title=" in html


def test_a_hidden_secret_has_no_trace_of_the_value_and_a_shown_one_can_be_hidden():
    hidden = render('{% secret "the PIN" "pin" url="/x/" hint="31" %}')
    assert "••••31" in hidden
    assert "Show the PIN; this is logged" in hidden
    shown = render('{% secret "the PIN" "pin" url="/x/" back="/back/" shown="4821" %}')
    assert "4821" in shown
    assert 'href="/back/"' in shown
    assert "Your look was logged" in shown
    refused = render('{% secret "the PIN" "pin" url="/x/" allowed=False %}')
    assert "<form" not in refused
    assert "reveal secrets" in refused


class Form(forms.Form):
    """A form with one of each kind of control."""

    city = forms.CharField(help_text="As on the bill", label="City")
    on_demand = forms.BooleanField(required=False, label="Activate on demand")
    cautions = {"city": ["Tacoma is nearer"]}


def test_a_field_has_label_hint_error_and_advice_tied_to_it():
    form = Form({"city": ""})
    html = render('{% field form.city width="w-md" %}', form=form)
    assert 'class="field w-md invalid"' in html
    assert '<label for="id_city">City</label>' in html
    assert 'aria-describedby="id_city_hint id_city_error id_city_caution"' in html
    assert 'aria-invalid="true"' in html
    for part in ("id_city_hint", "id_city_error", "id_city_caution"):
        assert f'id="{part}"' in html
    assert 'class="error caution"' in html


def test_a_checkbox_keeps_its_words_in_its_label():
    html = render("{% field form.on_demand %}", form=Form())
    assert '<label class="check"><input type="checkbox"' in html
    assert "Activate on demand" in html


def test_the_summary_links_to_the_fields_and_is_absent_when_all_is_well():
    bad = render("{% error_summary form %}", form=Form({"city": ""}))
    assert "1 thing to put right; nothing was sent" in bad
    assert '<a href="#id_city">City: ' in bad
    assert render("{% error_summary form %}", form=Form({"city": "Seattle"})).strip() == ""
