"""The hosting section of the sandbox's own page."""

from collections import Counter
from typing import TYPE_CHECKING

from markupsafe import Markup

from portal.sandbox.hosting_life import CODE_DIGITS, FATES
from portal.sandbox.hosting_state import FINISHED, SIGNATURE, HostingOrder

if TYPE_CHECKING:
    from portal.sandbox.app import Sandbox

MOST_ORDERS = 30
MOST_NUMBERS = 40
_NAMES = {
    "step": "One step on",
    "sign": "Sign the LOA",
    "finish": "To its end",
    "complete": "Complete as it stands",
    "reject": "Reject",
}


def hosting_section(sandbox: "Sandbox") -> Markup:
    """Return orders with their verbs, qualified numbers, and what becomes of which number."""
    orders = sandbox.hosting.orders()
    rows = Markup("").join(_order(order) for order in orders[:MOST_ORDERS])
    waiting = [
        number
        for number in sandbox.state.hosting.qualified.values()
        if number.state in ("ELIGIBLE_CHECK_PENDING", "VERIFICATION_PENDING", "HOSTING_IN_PROGRESS")
    ]
    numbers = Markup("").join(
        Markup("<li><code>{}</code> {} {}{}</li>").format(
            number.phone_number,
            number.state.replace("_", " ").lower(),
            _button(f"qualified/{number.phone_number}/step", "One step on"),
            _button(f"qualified/{number.phone_number}/accept_invoices", "Accept its invoices"),
        )
        for number in waiting[:MOST_NUMBERS]
    )
    fates = Markup("").join(
        Markup("<li><code>…{}</code> {}</li>").format(fate.digits, fate.words) for fate in FATES
    )
    log = list(sandbox.callbacks.log)[-8:]
    callbacks = Markup("").join(
        Markup("<li><code>{}</code> {} {}</li>").format(entry.event, entry.order_id, entry.outcome)
        for entry in reversed(log)
    )
    secret = "Callbacks are signed." if sandbox.hosting.secret else "No secret is set: not signed."
    return Markup(
        '<section id="hosting"><h2>Hosting</h2>{}'
        "<details><summary>Qualified numbers that wait ({})</summary><ul>{}</ul></details>"
        "<details><summary>What becomes of which number</summary><ul>{}</ul>"
        '<p class="soft">A voice code is the last {} digits of the number.</p></details>'
        '<details><summary>Callbacks</summary><p class="soft">{}</p><ul>{}</ul></details></section>'
    ).format(rows, len(waiting), numbers, fates, CODE_DIGITS, secret, callbacks)


def _order(order: HostingOrder) -> Markup:
    states = Counter(
        "done" if n.is_done else "at its end" if n.is_at_its_end else "under way"
        for n in order.numbers
    )
    counts = ", ".join(f"{count} {word}" for word, count in states.items())
    verbs = [] if order.state in FINISHED else ["step", "finish", "complete", "reject"]
    if order.state == SIGNATURE:
        verbs.insert(0, "sign")
    buttons = Markup("").join(_button(f"orders/{order.id}/{verb}", _NAMES[verb]) for verb in verbs)
    return Markup(
        "<details><summary>{} · {} · {} numbers: {}</summary>"
        '<p class="soft"><code>{}</code></p><p>{}</p></details>'
    ).format(
        order.display_name or "Without a name",
        order.state.replace("_", " ").lower(),
        len(order.numbers),
        counts,
        order.id,
        buttons or "It has ended.",
    )


def _button(path: str, words: str) -> Markup:
    return Markup(
        '<form method="post" action="/sandbox/do/hosting/{}" class="inline">'
        "<button>{}</button></form> "
    ).format(path, words)
