"""Which letters of authorization an order or a draft needs, and what stands in each.

One letter for each losing carrier, account and end user. Numbers that do not move any more
(excluded, canceled) are in none.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.utils.crypto import salted_hmac

from orders.countries import canadian_toll_free
from orders.loa import Letter
from orders.models import PortabilityResult, PortInDraft, PortInNumber, PortInOrder
from portal import words
from portal.accounts.models import SinchProject
from portal.addresses import names_po_box
from portal.numbers import is_canadian, numbers_of, read_numbers

# What a number does not take with it any more needs no letter.
_STAYS: Final = (PortInNumber.Status.EXCLUDED, PortInNumber.Status.CANCELED)
_NEEDED: Final = {
    "streetNum": "the street number",
    "streetName": "the street",
    "city": "the city",
    "state": "the state",
    "zipCode": "the ZIP",
}

# One row for each way the numbers of an order are described, in the order of the numbers; a
# payload of 500 numbers mostly comes out as one or two.
_SHARES = """
SELECT jsonb_build_object('user', e.entry->'endUser',
                          'btn', e.entry#>'{portOutInfo,accountPhoneNumber}',
                          'signer', e.entry#>'{portOutInfo,authorizingName}')::text,
       n.losing_carrier,
       array_agg(n.phone_number ORDER BY n.position),
       array_agg(n.country_code ORDER BY n.position)
FROM orders_portinnumber n
JOIN orders_portinorder o ON o.id = n.order_id
LEFT JOIN LATERAL jsonb_path_query(o.payload, '$.phoneNumbers[*]')
     WITH ORDINALITY AS e(entry, place) ON e.place = n.position + 1
WHERE n.order_id = %s AND NOT n.status = ANY(%s)
GROUP BY 1, 2
ORDER BY min(n.position)
"""


@dataclass
class Share:
    """Numbers that are described alike: Sinch's endUser, who signs, and where they are now.

    `countries` are those that Sinch names, by number.
    """

    numbers: list[str]
    end_user: Mapping[str, Any] = field(default_factory=dict)
    carrier: str = ""
    account: str = ""
    btn: str = ""
    signer: str = ""
    countries: dict[str, str] = field(default_factory=dict)


# --- From an order --------------------------------------------------------------------------


def letters_of_order(order: PortInOrder) -> list[Letter]:
    """Return the letters an order needs, those of most numbers first; one statement.

    Needs the order's project and secrets.
    """
    return _letters(
        _shares_of(order),
        order.project,
        reseller=order.reseller_name,
        reference=order.reference,
    )


def _shares_of(order: PortInOrder) -> list[Share]:
    with connection.cursor() as cursor:
        cursor.execute(_SHARES, [order.pk, list(_STAYS)])
        rows = cursor.fetchall()
    shares: list[Share] = []
    for described, carrier, numbers, countries in rows:
        said = json.loads(described)
        user = said["user"] if isinstance(said["user"], dict) else {}
        named = dict(zip(numbers, countries, strict=True))
        by_account: dict[str, list[str]] = {}
        kept = order.secrets or {}
        for number in numbers:
            account = str(kept.get(number, {}).get("accountNum") or "")
            by_account.setdefault(account, []).append(number)
        shares += [
            Share(some, user, carrier, account, _text(said["btn"]), _text(said["signer"]), named)
            for account, some in by_account.items()
        ]
    return _with_the_silent(shares)


def _with_the_silent(shares: list[Share]) -> list[Share]:
    """Give numbers of which nothing is said the end user of the others.

    Source: Porting API; a short answer carries number and status only.
    """
    told = [share for share in shares if share.end_user]
    if not told:
        return shares
    most = max(told, key=lambda share: len(share.numbers))
    for share in shares:
        if not share.end_user:
            share.end_user, share.btn, share.signer = most.end_user, most.btn, most.signer
            share.account = share.account or most.account
    return shares


# --- From a draft ---------------------------------------------------------------------------


def letters_of_draft(draft: PortInDraft) -> list[Letter]:
    """Return the letters the order of a draft will need, as far as it is typed.

    Needs the draft's project. The numbers come from the draft's list when it has one.
    """
    numbers, own = _typed_numbers(draft)
    carriers = dict(
        PortabilityResult.objects.filter(
            project=draft.project_id, phone_number__in=numbers
        ).values_list("phone_number", "carrier")
    )
    shared = {name: draft.data.get(name) for name in _DRAFT_FIELDS}
    shares = []
    for number in numbers:
        given = {name: value for name, value in own.get(number, {}).items() if value}
        if any(given.get(name) for name in _PLACE_FIELDS):
            # An address of its own is a whole one.
            given = dict.fromkeys(_PLACE_FIELDS, "") | given
        fields = shared | given
        shares.append(
            Share(
                [number],
                _end_user_of(fields),
                carriers.get(number, ""),
                _text(fields.get("account")),
                _e164(_text(fields.get("btn"))),
                _text(fields.get("signer")),
            )
        )
    return _letters(
        shares,
        draft.project,
        reseller=_text(draft.field("reseller")),
        reference=_text(draft.field("reference")),
    )


_PLACE_FIELDS: Final = (
    *("street_num", "street_pre", "street", "street_type", "street_post"),
    *("unit", "place2", "place3", "city", "state", "zip"),
)
_DRAFT_FIELDS: Final = ("name", *_PLACE_FIELDS, "account", "btn", "signer")


def _typed_numbers(draft: PortInDraft) -> tuple[list[str], dict[str, Mapping[str, Any]]]:
    """Return the numbers of a draft, and what single ones have of their own."""
    listed = getattr(draft, "number_list", None)
    # A part of a list that was sent as several orders has its rows itself.
    its_rows = listed.rows.going() if listed else draft.rows.order_by("position")
    rows = list(its_rows.values_list("number", "data"))
    if rows:
        own = {number: data.get("details") or {} for number, data in rows}
        return [number for number, _ in rows], own
    numbers = numbers_of(read_numbers(str(draft.field("numbers"))))
    entries = draft.field("overrides", []) or []
    return numbers, {str(entry.get("number", "")): entry for entry in entries}


def _end_user_of(fields: Mapping[str, Any]) -> dict[str, str]:
    keys = {
        "name": "name",
        "streetNum": "street_num",
        "streetPreDir": "street_pre",
        "streetName": "street",
        "streetType": "street_type",
        "streetPostDir": "street_post",
        "locationValue1": "unit",
        "locationValue2": "place2",
        "locationValue3": "place3",
        "city": "city",
        "state": "state",
        "zipCode": "zip",
    }
    return {key: _text(fields.get(name)) for key, name in keys.items()}


def _e164(text: str) -> str:
    lines = read_numbers(text)
    return lines[0].number or text if len(lines) == 1 else text


# --- Letters --------------------------------------------------------------------------------


def _text(value: object) -> str:
    return " ".join(str(value).split()) if isinstance(value, (str, int)) else ""


def _letters(
    shares: Iterable[Share], project: SinchProject, *, reseller: str, reference: str
) -> list[Letter]:
    """Put what is described alike together, and write one letter for each."""
    found: dict[tuple[str, ...], Share] = {}
    for share in shares:
        end_user = share.end_user
        lines = (_text(end_user.get("name")), *address_lines(end_user))
        account = share.account or share.btn
        key = tuple(same(text) for text in (share.carrier, account, *lines))
        if known := found.get(key):
            known.numbers += share.numbers
            known.countries |= share.countries
            known.signer = known.signer or share.signer
            known.btn = known.btn or share.btn
        else:
            own = {"numbers": list(share.numbers), "countries": dict(share.countries)}
            found[key] = Share(**{**vars(share), **own})
    letters = [_letter(share, project, reseller, reference) for share in found.values()]
    return sorted(letters, key=lambda letter: -len(letter.numbers))


def _letter(share: Share, project: SinchProject, reseller: str, reference: str) -> Letter:
    canadian = any(is_canadian(number) for number in share.numbers)
    gaps = [told for key, told in _NEEDED.items() if not _text(share.end_user.get(key))]
    lines = address_lines(share.end_user)
    state, code = (_text(share.end_user.get(key)) for key in ("state", "zipCode"))
    if names_po_box(" ".join(lines)):
        gaps.append("a service address that is no PO box")
    contact = (project.porting_configuration or {}).get("contact")
    contact = contact if isinstance(contact, dict) else {}
    told = [_text(contact.get(key)) for key in ("name", "email")]
    told.append(words.phone_text(_text(contact.get("phone"))))
    return Letter(
        end_user=_text(share.end_user.get("name")),
        address=lines,
        carrier=share.carrier,
        account=share.account,
        btn=share.btn,
        numbers=tuple(share.numbers),
        receiver=project.name,
        signer=share.signer,
        contact=", ".join(part for part in told if part),
        reseller=reseller if canadian else "",
        is_canadian=canadian,
        canadian_toll_free=tuple(canadian_toll_free(share.numbers, share.countries, state, code)),
        reference=reference,
        address_gaps=tuple(gaps),
    )


def address_lines(end_user: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the service address of Sinch's endUser: street with its unit, then the town."""

    def joined(*names: str) -> str:
        return " ".join(filter(None, (_text(end_user.get(name)) for name in names)))

    street = joined("streetNum", "streetPreDir", "streetName", "streetType", "streetPostDir")
    places = [joined(f"locationType{n}", f"locationValue{n}") for n in (1, 2, 3)]
    town = ", ".join(filter(None, (joined("city"), joined("state", "zipCode"))))
    return tuple(filter(None, (", ".join(filter(None, (street, *places))), town)))


def same(text: str) -> str:
    """Return a text as it is compared: letter case and runs of space aside."""
    return " ".join(text.casefold().split())


def whose(letter: Letter) -> str:
    """Return the end user and address of a letter as one text to compare by."""
    return same("\n".join((letter.end_user, *letter.address)))


def title_of(letter: Letter) -> str:
    """Return how a letter is told from the others of its order: `Lumen, 8 numbers`."""
    return f"{letter.carrier or 'Carrier not known'}, " + words.count_text(
        len(letter.numbers), "number"
    )


def print_of(letter: Letter) -> str:
    """Return a key of everything a letter says, without giving any of it away.

    A page hands it back, so that what is attached is what was looked at.
    """
    said = asdict(letter) | {"prepared_on": None}
    text = json.dumps(said, sort_keys=True, cls=DjangoJSONEncoder)
    return salted_hmac("orders.letters", text, algorithm="sha256").hexdigest()[:24]


def file_name(letter: Letter, day: date) -> str:
    """Return the name of a letter's file; `documents.safe_name` still has to see it."""
    parts = ("LOA", letter.end_user[:40], letter.carrier[:24], day.isoformat())
    return " ".join(part for part in parts if part) + ".pdf"


def nth(letters: Sequence[Letter], part: int) -> Letter | None:
    """Return the letter with a number counted from 1; None when there is none."""
    return letters[part - 1] if 0 < part <= len(letters) else None
