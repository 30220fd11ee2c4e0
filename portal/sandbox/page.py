"""The sandbox's own page: what is there, and buttons to move it along. Plain HTML, no script."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from portal.sandbox.config import PRESETS, Personality
from portal.sandbox.control import VERBS
from portal.sandbox.faults import API_KINDS, WEBHOOK_KINDS
from portal.sandbox.hosting_page import hosting_section
from portal.sandbox.rules import FATES, RULES_IN_WORDS, US_CARRIERS
from portal.sandbox.state import (
    ACTIVATED,
    CANCELED,
    CONFIRMED,
    EXCLUDED,
    LIVING,
    PENDING,
    PENDING_CANCELATION,
    REJECTED,
    Order,
)

if TYPE_CHECKING:
    from portal.sandbox.app import Sandbox

MOST_ORDERS = 100
MOST_WEBHOOKS = 25
# Verbs that need nothing but a press; the others have fields of their own.
PLAIN_VERBS = ("next", "answer", "ready", "activate", "complete", "cancel")
EVENTS = (
    "ORDER_UPDATED",
    "NUMBERS_CONFIRMED",
    "NUMBERS_REJECTED",
    "NUMBERS_ACTIVATED",
    "NEW_ORDER_NOTE",
)

CSS = """
:root { color-scheme: light dark; --ground: #f5f6f7; --card: #fff; --ink: #1b2329;
  --soft: #55616b; --line: #d5dade; --accent: #1f5f8b; --good: #1c6b43; --bad: #a32b20;
  --warn: #7a5300; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181b; --card: #1c2226; --ink: #e7ebee;
  --soft: #a3afb8; --line: #353e45; --accent: #7fbbe3; --good: #7fcf9f; --bad: #f09a90;
  --warn: #e3bd6b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
header, main { max-width: 76rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { padding-bottom: 0; }
h1 { font-size: 1.5rem; margin: .5rem 0 .25rem; }
h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
h3 { font-size: .95rem; margin: 1rem 0 .25rem; }
p { margin: .25rem 0 .75rem; }
.soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem; margin: 0 0 1.25rem; }
.said { border-left: 4px solid var(--good); }
.said.failed { border-left-color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; vertical-align: top;
  border-top: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; font-size: .85rem; border-top: 0; }
.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
.PENDING, .PENDING_CANCELATION { color: var(--warn); }
.CONFIRMED { color: var(--accent); }
.COMPLETED, .ACTIVATED { color: var(--good); }
.REJECTED, .EXCLUDED, .CANCELED { color: var(--bad); }
.state { font-weight: 600; }
form { display: inline-flex; flex-wrap: wrap; gap: .4rem; align-items: end;
  margin: 0 .5rem .5rem 0; }
form.wide { display: flex; }
fieldset { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .75rem;
  margin: 0 0 .75rem; }
label { display: grid; grid-template-columns: minmax(0, auto); min-width: 0; max-width: 100%;
  font-size: .82rem; color: var(--soft); gap: .1rem; }
.switches { display: grid; gap: .6rem;
  grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
input, select, button { font: inherit; padding: .3rem .6rem; border-radius: 6px; min-height: 2.1rem;
  border: 1px solid var(--line); background: var(--card); color: var(--ink); max-width: 100%; }
input[type=number] { width: 6rem; }
button { cursor: pointer; }
button:hover { border-color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
summary { cursor: pointer; color: var(--accent); }
article { border-top: 1px solid var(--line); padding: .75rem 0 .5rem; }
article h3 { margin: 0; font-size: 1rem; }
article p { margin: .1rem 0 .5rem; }
details[open] { padding-bottom: .5rem; }
summary { margin-bottom: .5rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
"""


def render_page(sandbox: "Sandbox", said: str = "", *, failed: bool = False) -> str:
    """Return the whole page; `said` is a sentence about what was just done."""
    with sandbox.state.lock:
        body = Markup("").join(
            (
                _head(sandbox, said, failed),
                Markup("<main>"),
                _orders(sandbox),
                hosting_section(sandbox),
                _rules(),
                _webhooks(sandbox),
                _faults(sandbox),
                _personality(sandbox),
                _contract(sandbox),
                _reset(sandbox),
                Markup("</main>"),
            )
        )
    return str(
        Markup(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<title>Sandbox: a simulated Sinch</title>"
            '<link rel="stylesheet" href="/sandbox/page.css"></head><body>{}</body></html>'
        ).format(body)
    )


def _head(sandbox: "Sandbox", said: str, failed: bool) -> Markup:
    speed = sandbox.config.speed
    pace = (
        f"Orders move by themselves, a step about every {speed:g} s."
        if speed > 0
        else "Orders move only by hand."
    )
    notice = Markup("")
    if said:
        notice = Markup('<section class="said{}" role="status">{}</section>').format(
            " failed" if failed else "", said
        )
    return Markup(
        "<header><h1>Sandbox: a simulated Sinch</h1>"
        '<p class="soft">Nothing here reaches a carrier. {} '
        "Reload this page to see what has changed.</p>{}</header>"
    ).format(pace, notice)


def _orders(sandbox: "Sandbox") -> Markup:
    orders = sandbox.control.orders()
    rows = Markup("").join(_order_row(sandbox, order) for order in orders[:MOST_ORDERS])
    more = ""
    if len(orders) > MOST_ORDERS:
        more = f"The newest {MOST_ORDERS} of {len(orders)} are shown."
    elif not orders:
        more = "No orders yet. Send one from the desk, or make one below."
    return Markup(
        '<section id="orders"><h2>Orders</h2>{}<p class="soft">{}</p>'
        "<h3>Make an order as if in Sinch’s own dashboard</h3>{}</section>"
    ).format(rows, more, _create_form())


def _order_row(sandbox: "Sandbox", order: Order) -> Markup:
    counts = Markup(", ").join(
        Markup('<span class="{}">{} {}</span>').format(word, len(found), word.lower())
        for word in (PENDING, CONFIRMED, REJECTED, EXCLUDED, ACTIVATED, CANCELED)
        if (found := order.in_status(word))
    )
    foc = sorted({n.foc_date for n in order.numbers if n.foc_date})
    dates = f"Asked for {order.schedule.get('desiredPortDate', '')}"
    if foc:
        dates += f", FOC {', '.join(foc)}"
    extras = [word for word, on in (("on-demand", order.on_demand), ("held", order.held)) if on]
    last = order.notes[-1]["note"] if order.notes else ""
    return Markup(
        '<article id="order-{id}"><h3>{end_user} <span class="soft n">{id} {reference}</span></h3>'
        '<p><span class="state {status}">{status}</span> {extras} · {counts} · {dates}</p>'
        "{note}{actions}</article>"
    ).format(
        id=order.id,
        reference=order.reference or "",
        end_user=order.end_user,
        extras=", ".join(extras),
        status=order.status,
        counts=counts,
        dates=dates,
        note=Markup('<p class="soft">Last note: {}</p>').format(last) if last else "",
        actions=_order_actions(sandbox, order),
    )


def _order_actions(sandbox: "Sandbox", order: Order) -> Markup:
    note = _form(
        order,
        "note",
        Markup('<label>Note from Sinch <input name="note" size="36" required></label>'),
    )
    if order.status not in LIVING:
        return Markup("<details><summary>Add a note</summary>{}</details>").format(note)
    fits = {
        "answer": bool(order.in_status(PENDING)) and order.status != PENDING_CANCELATION,
        "ready": order.status != PENDING_CANCELATION,
        "activate": order.status == CONFIRMED,
        "complete": order.status != PENDING_CANCELATION,
    }
    plain = [_form(order, verb) for verb in PLAIN_VERBS if fits.get(verb, True)]
    if order.held:
        plain.append(_form(order, "release"))
    today = sandbox.life.today(order).isoformat()
    numbers = Markup(
        '<label>Numbers or groups, empty for all <input name="numbers" size="24"></label>'
    )
    day = Markup(
        '<label>FOC date <input type="date" name="foc_date" value="{}" required></label>'
    ).format(today)
    reason = Markup('<label>Reason <select name="reason">{}</select></label>').format(
        _options([fate.reason for fate in FATES[:3]])
    )
    fields = (
        ("confirm", day + numbers),
        ("move-date", day + numbers),
        ("reject", reason + numbers),
    )
    excluded = Markup('<label>Reason <input name="reason" value="{}" size="28"></label>').format(
        FATES[2].reason
    )
    return Markup(
        '<div class="row">{}</div><details><summary>Decide in detail</summary>{}{}{}</details>'
    ).format(
        Markup("").join(plain),
        Markup("").join(_form(order, verb, inner) for verb, inner in fields),
        _form(order, "exclude", excluded + numbers),
        note,
    )


def _form(order: Order, verb: str, fields: Markup | str = "") -> Markup:
    return Markup(
        '<form method="post" action="/sandbox/do/orders/{}/{}">{}<button>{}</button></form>'
    ).format(order.id, verb, fields, VERBS[verb])


def _create_form() -> Markup:
    return Markup(
        '<form class="wide" method="post" action="/sandbox/do/orders">'
        '<label>Numbers, in E.164 <input name="numbers" size="40" required '
        'placeholder="+12065550142 +12065550143"></label>'
        '<label>Reference <input name="reference" size="14"></label>'
        '<label>End user <input name="end_user" size="22" value="Acme Dental LLC"></label>'
        '<label>Requested date <input type="date" name="desired_date"></label>'
        '<label>Reseller, Canada only <input name="reseller_name" size="16"></label>'
        '<label>On-demand <input type="checkbox" name="on_demand"></label>'
        "<button>Make the order</button></form>"
    )


def _rules() -> Markup:
    rows = Markup("").join(
        Markup("<tr><td><code>{}</code></td><td>{}</td></tr>").format(ending, words)
        for ending, words in RULES_IN_WORDS
    )
    carriers = ", ".join(f"{place} {name}" for place, name in enumerate(US_CARRIERS))
    return Markup(
        '<section id="rules"><h2>What becomes of a number</h2><table><thead><tr>'
        "<th>Last digits</th><th>What happens</th></tr></thead><tbody>{}</tbody></table>"
        "<p>Losing carrier: area code plus the second-last digit, divided by 5; the remainder says "
        "{}. So the ten numbers 206 555-014x are with one carrier. Canadian numbers are with "
        "Bell MTS in Manitoba and with Telus elsewhere, and need a reseller name.</p></section>"
    ).format(rows, carriers)


def _webhooks(sandbox: "Sandbox") -> Markup:
    rows = Markup("").join(
        Markup('<tr><td class="n">{}</td><td>{}</td><td class="n">{}</td><td>{}</td></tr>').format(
            entry.at,
            entry.event,
            entry.order_id,
            " ".join((entry.outcome, *map(str, entry.statuses), entry.error)),
        )
        for entry in reversed(list(sandbox.webhooks.log)[-MOST_WEBHOOKS:])
    )
    address = (
        "They are sent to the address that is set."
        if sandbox.webhook_address()
        else ("No address is set, so they are only written down here.")
    )
    return Markup(
        '<section id="webhooks"><h2>Webhooks</h2><p>{} The address itself is not shown: it holds a '
        'secret.</p><div class="scroll"><table><thead><tr><th>When</th><th>Event</th><th>Order</th>'
        "<th>Outcome</th></tr></thead><tbody>{}</tbody></table></div>"
        '<form method="post" action="/sandbox/do/webhook-url"><label>Other address '
        '<input name="url" size="40" placeholder="empty: the configured one"></label>'
        "<button>Set address</button></form>"
        '<form method="post" action="/sandbox/do/webhooks/release">'
        "<button>Let go of held ones</button></form></section>"
    ).format(address, rows)


def _faults(sandbox: "Sandbox") -> Markup:
    in_force = sandbox.faults.to_json()
    lines = [
        f"API: {f['kind']} {f['status'] if f['kind'] == 'status' else ''} on {f['operation']}, "
        f"{f['times'] or 'always'}"
        for f in in_force["api"]
    ]
    lines += [
        f"Webhooks: {f['kind']} on {f['event']}, {f['times'] or 'always'}"
        for f in in_force["webhooks"]
    ]
    listed = Markup("").join(Markup("<li>{}</li>").format(line) for line in lines)
    balance = sandbox.state.zero_balance
    times = Markup('<label>Times <input name="times" value="1" size="5"></label>')
    seconds = Markup(
        '<label>Seconds <input type="number" name="seconds" min="0" step="0.1"></label>'
    )
    return Markup(
        '<section id="faults"><h2>Faults</h2><ul>{listed}</ul>'
        '<form class="wide" method="post" action="/sandbox/do/faults">'
        '<label>On the API <select name="kind">{kinds}</select></label>'
        '<label>Operation <select name="operation">{operations}</select></label>'
        '<label>Status <select name="status">{statuses}</select></label>'
        '<label>Retry-After <input name="retry_after" size="5"></label>{times}{seconds}'
        "<button>Misbehave</button></form>"
        '<form class="wide" method="post" action="/sandbox/do/faults">'
        '<input type="hidden" name="webhook" value="1">'
        '<label>On webhooks <select name="kind">{webhook_kinds}</select></label>'
        '<label>Event <select name="event">{events}</select></label>'
        '<label>Copies <input type="number" name="copies" value="2" min="1"></label>'
        "{times}{seconds}<button>Misbehave</button></form>"
        '<form method="post" action="/sandbox/do/faults/clear"><button>Behave again</button></form>'
        '<form method="post" action="/sandbox/do/zero-balance">'
        '<input type="hidden" name="on" value="{balance}"><button>{balance_words}</button></form>'
        '<form method="post" action="/sandbox/do/expire-tokens">'
        "<button>Make all tokens invalid</button></form>"
        '<p class="soft">Times takes a number or “always”.</p></section>'
    ).format(
        listed=listed or Markup('<li class="soft">None in force.</li>'),
        kinds=_options(API_KINDS),
        operations=_options(("*", *sorted(sandbox.contract.operations))),
        statuses=_options(("500", "503", "429", "401", "402")),
        webhook_kinds=_options(WEBHOOK_KINDS),
        events=_options(("*", *EVENTS)),
        times=times,
        seconds=seconds,
        balance="0" if balance else "1",
        balance_words="Fill the balance up" if balance else "Empty the balance (402)",
    )


def _personality(sandbox: "Sandbox") -> Markup:
    current = sandbox.state.personality
    switches = Markup("").join(
        Markup('<label>{}<select name="{}">{}</select></label>').format(
            help_text, name, _options(choices, getattr(current, name))
        )
        for name, (help_text, choices) in Personality.choices().items()
    )
    presets = Markup("").join(
        Markup(
            '<form method="post" action="/sandbox/do/personality">'
            '<input type="hidden" name="preset" value="{0}"><button>Take the “{0}” preset</button>'
            "</form>"
        ).format(name)
        for name in PRESETS
    )
    return Markup(
        '<section id="personality"><h2>Personality</h2><p>Where Sinch’s documents differ or are '
        "silent, the sandbox follows one reading.</p>{}"
        '<details><summary>All switches</summary><form class="wide" method="post" '
        'action="/sandbox/do/personality"><div class="switches">{}</div>'
        "<button>Set these</button></form></details></section>"
    ).format(presets, switches)


def _contract(sandbox: "Sandbox") -> Markup:
    calls = ", ".join(f"{name} {count}" for name, count in sorted(sandbox.state.calls.items()))
    rows = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
            violation.operation, violation.where, violation.field, violation.description
        )
        for violation in list(sandbox.violations)[-MOST_WEBHOOKS:]
    )
    broken = Markup("<p>No request has broken the contract.</p>")
    if rows:
        broken = Markup(
            "<table><thead><tr><th>Operation</th><th>Where</th><th>Field</th><th>What</th></tr>"
            "</thead><tbody>{}</tbody></table>"
        ).format(rows)
    return Markup(
        '<section id="contract"><h2>Requests that broke the contract</h2>{}'
        "<h3>Calls so far</h3><p>{}</p></section>"
    ).format(broken, calls or "None.")


def _reset(sandbox: "Sandbox") -> Markup:
    return Markup(
        '<section id="reset"><h2>Start afresh</h2><p>Forgets every order, setting and fault here. '
        "The desk keeps its own copy and will find its orders gone.</p>"
        '<form method="post" action="/sandbox/do/reset"><input type="hidden" name="demo" value="1">'
        "<button>Reset with demo orders</button></form>"
        '<form method="post" action="/sandbox/do/reset"><input type="hidden" name="demo" value="0">'
        "<button>Reset to nothing</button></form></section>"
    )


def _options(values: Iterable[str], chosen: str | None = None) -> Markup:
    return Markup("").join(
        Markup("<option{}>{}</option>").format(
            Markup(" selected") if value == chosen else "", escape(value)
        )
        for value in values
    )
