"""What an open form says beside its fields: errors that come and go while somebody types.

An answer to an autosave never replaces a field. It brings a small place for each field whose
errors there are or were; `static/js/fields.js` waits with those of the field somebody is in.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.forms import BaseForm

POSTED = "blamed"  # the hidden field that names what an open page blames
LONGEST = 20_000  # characters of it


@dataclass(frozen=True)
class Blame:
    """What is wrong with a field, by its id; no errors where it is well again."""

    target: str
    errors: list[str] = field(default_factory=list)


def shown_by(text: str) -> frozenset[str]:
    """Return the ids of the fields that an open page blames, as it posts them."""
    return frozenset(text[:LONGEST].split())


def blame(
    forms: Iterable[tuple[BaseForm, BaseForm | None]], shown: Collection[str] = ()
) -> list[Blame]:
    """Return what is wrong with fields, and what is no longer.

    Each form comes with one of the same fields that also wants what is missing: a field that a
    page blames for being empty is blamed until it is not. `shown` are the ids that are blamed.
    """
    found = []
    for form, whole in forms:
        for name in form.fields:
            target = str(form.auto_id) % form.add_prefix(name)
            errors = form.errors.get(name)
            if not errors and whole is not None and target in shown:
                errors = whole.errors.get(name)
            if errors or target in shown:
                found.append(Blame(target, [str(error) for error in errors or ()]))
    return found


def names(found: Iterable[Blame]) -> str:
    """Return the ids of those that are blamed, for the page to post."""
    return " ".join(one.target for one in found if one.errors)
