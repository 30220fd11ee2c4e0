"""The sandbox's own addresses: a page at `/`, its forms, and a JSON API under `/sandbox/api/`.

    GET  state · orders · orders/ID · calls · violations · webhooks · personality
    POST orders · orders/ID/VERB · faults · faults/clear · personality · webhook-url
         webhooks/release · webhooks/resend · zero-balance · expire-tokens · calls/reset · reset

There is no password: a sandbox that listens on this machine answers only requests that were
addressed to this machine, and no form that another site's page sends.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from portal.sandbox.control import UnknownOrder
from portal.sandbox.hosting_control import IMPORT, TEXT_ENABLE
from portal.sandbox.life import NotPossible
from portal.sandbox.page import CSS, render_page

if TYPE_CHECKING:
    from portal.sandbox.app import Sandbox

API = "/sandbox/api"
FORMS = "/sandbox/do"
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Values = Mapping[str, Any]


class ControlPages:
    """Answers everything that is not the simulated API."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._control = sandbox.control
        self._hosting = sandbox.hosting
        self._reads: dict[str, Callable[..., Any]] = {
            "state": self._control.state_json,
            "orders": self._orders,
            "order": lambda order_id: self._control.order_json(self._control.order(order_id)),
            "calls": self._control.calls,
            "violations": lambda: [asdict(v) for v in list(sandbox.violations)],
            "webhooks": lambda: [entry.to_json() for entry in list(sandbox.webhooks.log)],
            "personality": lambda: asdict(sandbox.state.personality),
            "hosting_orders": self._hosting_orders,
            "hosting_order": lambda hosting_id: self._hosting.order_json(
                self._hosting.order(hosting_id)
            ),
            "imported": lambda: [
                self._hosting.imported_json(n)
                for n in list(sandbox.state.hosting.imported.values())
            ],
            "qualified": lambda: [
                self._hosting.qualified_json(n)
                for n in list(sandbox.state.hosting.qualified.values())
            ],
            "callbacks": lambda: [entry.to_json() for entry in list(sandbox.callbacks.log)],
        }
        self._writes: dict[str, Callable[..., Any]] = {
            "create": self._create,
            "verb": self._verb,
            "faults": self._fault,
            "faults_clear": lambda values: self._control.faults.clear(),
            "personality": self._personality,
            "webhook_url": lambda values: self._control.webhook_url(values.get("url") or None),
            "release": lambda values: sandbox.webhooks.release(),
            "resend": self._resend,
            "zero_balance": lambda values: self._control.zero_balance(_flag(values.get("on"))),
            "expire_tokens": lambda values: self._control.expire_tokens(),
            "reset_calls": lambda values: self._control.reset_calls(),
            "reset": self._reset,
            "hosting_create": self._hosting_create,
            "hosting_verb": self._hosting_verb,
            "imported_add": self._imported_add,
            "imported_verb": self._imported_verb,
            "qualified_add": self._qualified_add,
            "qualified_verb": self._qualified_verb,
            "callbacks_storm": self._callbacks_storm,
        }
        reads = [("state",), ("orders",), ("calls",), ("violations",), ("webhooks",)]
        rules = [Rule(f"{API}/{name}", endpoint=name, methods=["GET"]) for (name,) in reads]
        rules.append(Rule(f"{API}/personality", endpoint="personality", methods=["GET"]))
        rules.append(Rule(f"{API}/orders/<int:order_id>", endpoint="order", methods=["GET"]))
        for path, endpoint in (
            ("hosting/orders", "hosting_orders"),
            ("hosting/orders/<hosting_id>", "hosting_order"),
            ("hosting/imported", "imported"),
            ("hosting/qualified", "qualified"),
            ("hosting/callbacks", "callbacks"),
        ):
            rules.append(Rule(f"{API}/{path}", endpoint=endpoint, methods=["GET"]))
        for base in (API, FORMS):
            for path, endpoint in (
                ("orders", "create"),
                ("orders/<int:order_id>/<verb>", "verb"),
                ("faults", "faults"),
                ("faults/clear", "faults_clear"),
                ("personality", "personality"),
                ("webhook-url", "webhook_url"),
                ("webhooks/release", "release"),
                ("webhooks/resend", "resend"),
                ("zero-balance", "zero_balance"),
                ("expire-tokens", "expire_tokens"),
                ("calls/reset", "reset_calls"),
                ("reset", "reset"),
                ("hosting/orders", "hosting_create"),
                ("hosting/orders/<hosting_id>/<verb>", "hosting_verb"),
                ("hosting/imported", "imported_add"),
                ("hosting/imported/<phone>/<verb>", "imported_verb"),
                ("hosting/qualified", "qualified_add"),
                ("hosting/qualified/<phone>/<verb>", "qualified_verb"),
                ("hosting/callbacks/storm", "callbacks_storm"),
            ):
                rules.append(Rule(f"{base}/{path}", endpoint=endpoint, methods=["POST"]))
        self._routes = Map(rules)

    def __call__(self, request: Request) -> Response:
        """Answer one request of the page, its forms or the control API."""
        if refusal := self._why_strange(request):
            return _json({"error": refusal}, 403)
        if request.path == "/":
            said = request.args.get("said", "")
            page = render_page(self._sandbox, said, failed="failed" in request.args)
            return Response(page, mimetype="text/html", headers=PAGE_HEADERS)
        if request.path == "/sandbox/page.css":
            return Response(CSS, mimetype="text/css", headers={"Cache-Control": "max-age=60"})
        try:
            endpoint, found = self._routes.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return _json({"error": error.name}, error.code or 404)
        status, answer = self._run(request, endpoint, found)
        if request.path.startswith(FORMS):
            return self._back(found, status, answer)
        return _json(answer, status)

    def _run(self, request: Request, endpoint: str, found: Values) -> tuple[int, Any]:
        try:
            if request.method in {"GET", "HEAD"}:
                return 200, self._reads[endpoint](**found)
            answer = self._writes[endpoint](_values(request), **found)
            return 200, {"ok": True} if answer is None else answer
        except UnknownOrder as error:
            return 404, {"error": str(error)}
        except NotPossible as error:
            return 409, {"error": str(error)}
        except (ValueError, TypeError) as error:
            return 400, {"error": str(error)}

    @staticmethod
    def _back(found: Values, status: int, answer: Any) -> Response:
        """Send the reader of the page back to where the form was, with a word on what happened."""
        said = answer["error"] if status >= 400 else "Done."
        order = f"#order-{found['order_id']}" if "order_id" in found else ""
        if {"hosting_id", "phone"} & set(found):
            order = "#hosting"
        query = {"said": said, **({"failed": "1"} if status >= 400 else {})}
        location = f"/?{urlencode(query)}{order}"
        return Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})

    def _why_strange(self, request: Request) -> str:
        """Return why a request may come from another site's page, or nothing."""
        host = request.host
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._sandbox.config.loopback_only and name not in LOOPBACK_NAMES:
            return "This sandbox answers on this machine only."
        origin = request.headers.get("Origin")
        if request.method == "POST" and origin and urlsplit(origin).netloc != host:
            return "This form was sent from another site."
        return ""

    # The things that can be read or done

    def _orders(self) -> list[Any]:
        return [self._control.order_json(o, numbers=False) for o in self._control.orders()]

    def _create(self, values: Values) -> Any:
        numbers = values.get("numbers") or ()
        order = self._control.create_order(
            numbers.split() if isinstance(numbers, str) else numbers,
            reference=values.get("reference") or None,
            end_user=str(values.get("end_user") or "Acme Dental LLC"),
            on_demand=_flag(values.get("on_demand")),
            desired_date=values.get("desired_date") or None,
            reseller_name=values.get("reseller_name") or None,
        )
        return self._control.order_json(order)

    def _verb(self, values: Values, order_id: int, verb: str) -> Any:
        return self._control.order_json(self._control.do(order_id, verb, values))

    def _hosting_orders(self) -> list[Any]:
        return [self._hosting.order_json(o, numbers=False) for o in self._hosting.orders()]

    def _hosting_create(self, values: Values) -> Any:
        found = values.get("numbers") or ()
        order = self._hosting.make_order(
            found.split() if isinstance(found, str) else found,
            type_=IMPORT if values.get("type") == IMPORT else TEXT_ENABLE,
            service_plan=str(values.get("service_plan") or "plan-a"),
            campaign=str(values.get("campaign") or ""),
            loa=str(values.get("loa") or "direct"),
            display_name=str(values.get("display_name") or "Made at Sinch"),
            callback_url=str(values.get("callback_url") or ""),
            toll_free=_flag(values.get("toll_free")),
        )
        return self._hosting.order_json(order)

    def _hosting_verb(self, values: Values, hosting_id: str, verb: str) -> Any:
        return self._hosting.order_json(self._hosting.do(hosting_id, verb, values))

    def _imported_add(self, values: Values) -> Any:
        number = self._hosting.add_imported(
            str(values.get("phone") or ""),
            str(values.get("service_plan") or "plan-a"),
            str(values.get("campaign") or ""),
            display_name=str(values.get("display_name") or ""),
            callback_url=str(values.get("callback_url") or ""),
        )
        return self._hosting.imported_json(number)

    def _imported_verb(self, values: Values, phone: str, verb: str) -> Any:
        return self._hosting.imported_json(self._hosting.do_imported(phone, verb, values))

    def _qualified_add(self, values: Values) -> Any:
        phone, state = str(values.get("phone") or ""), str(values.get("state") or "ELIGIBLE")
        return self._hosting.qualified_json(self._hosting.add_qualified(phone, state))

    def _qualified_verb(self, values: Values, phone: str, verb: str) -> Any:
        return self._hosting.qualified_json(self._hosting.do_qualified(phone, verb, values))

    def _callbacks_storm(self, values: Values) -> Any:
        return self._sandbox.callbacks.storm(
            times=int(values.get("times") or 1),
            wrong=float(values.get("wrong") or 0),
            threads=int(values.get("threads") or 8),
        )

    def _fault(self, values: Values) -> Any:
        kind = str(values.get("kind") or "")
        times = _times(values.get("times", 1))
        seconds = float(values.get("seconds") or 0)
        if _flag(values.get("webhook")):
            self._control.faults.add_webhook(
                kind,
                str(values.get("event") or "*"),
                times=times,
                copies=int(values.get("copies") or 2),
                seconds=seconds,
            )
        else:
            self._control.faults.add(
                kind,
                str(values.get("operation") or "*"),
                times=times,
                status=int(values.get("status") or 500),
                retry_after=values.get("retry_after") or None,
                seconds=seconds,
                after=_flag(values.get("after")),
            )
        return self._control.faults.to_json()

    def _personality(self, values: Values) -> Any:
        switches = {name: str(v) for name, v in values.items() if name != "preset" and v}
        return asdict(self._control.personality(values.get("preset") or None, **switches))

    def _resend(self, values: Values) -> Any:
        ids = values.get("ids")
        times, shuffle = int(values.get("times") or 1), _flag(values.get("shuffle"))
        queued = self._sandbox.webhooks.resend(ids=ids, times=times, shuffle=shuffle)
        return {"queued": queued}

    def _reset(self, values: Values) -> None:
        demo = values.get("demo")
        self._control.reset(demo=None if demo in {None, ""} else _flag(demo))


def _values(request: Request) -> Values:
    """Return what a form or a JSON body says; raises ValueError for a body that is no object."""
    if request.mimetype != "application/json":
        return request.form.to_dict()
    try:
        values = json.loads(request.get_data() or b"{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ValueError("The body must be a JSON object.")
    return values


def _flag(value: Any) -> bool:
    return value is True or str(value).lower() in {"1", "true", "yes", "on"}


def _times(value: Any) -> int | None:
    return None if value in {None, "", "always"} else int(value)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, mimetype="application/json")
