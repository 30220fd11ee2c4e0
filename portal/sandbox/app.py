"""The simulated Sinch as a WSGI application."""

import base64
import binascii
import hmac
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from portal.sandbox.api import Call, PortingApi, Refusal, Reply, error_reply
from portal.sandbox.callbacks import CallbackSender
from portal.sandbox.clock import iso_instant
from portal.sandbox.config import SandboxConfig
from portal.sandbox.contract import (
    HOSTING_FILE,
    Contract,
    Finding,
    Operation,
    load_contract,
    without_read_only,
)
from portal.sandbox.control import Control
from portal.sandbox.control_http import ControlPages
from portal.sandbox.demo import Demo
from portal.sandbox.faults import ApiFault, DroppedConnection, Faults
from portal.sandbox.hosting_api import HostingApi
from portal.sandbox.hosting_control import HostingControl
from portal.sandbox.hosting_demo import HostingDemo
from portal.sandbox.hosting_life import HostingLife
from portal.sandbox.hosting_state import ulid
from portal.sandbox.life import Life
from portal.sandbox.state import Number, Order, State, StateFile
from portal.sandbox.webhooks import WebhookSender
from portal.sandbox.wire import Wire

# Room for a document at the limit, in base64, and some more.
MAX_BODY_BYTES = 60 * 1024 * 1024
MAX_VIOLATIONS = 1000
TOKEN_OPERATION = "getAccessToken"  # noqa: S105 - a name, not a token
# How a caller in the same process takes over the waiting of a slow answer.
WAIT_KEY = "portal.sandbox.wait"

StartResponse = Callable[..., Any]


@dataclass(frozen=True)
class Violation:
    """A request that broke the contract: what it was and which field is wrong."""

    operation: str
    where: str
    field: str
    description: str
    at: str


def create_app(config: SandboxConfig | None = None) -> "Sandbox":
    """Return a sandbox that answers at once.

    It starts no threads unless it has to live by itself (`speed`, `activation_seconds`), keep a
    `state_file` or send a webhook; `close()` ends them. Raises ValueError for a state file it
    cannot read.
    """
    sandbox = Sandbox(config or SandboxConfig())
    sandbox.start()
    return sandbox


class Sandbox:
    """A WSGI application that behaves like Sinch's two number APIs and token endpoint.

    `state` is what it remembers, `control` moves orders by hand and sets faults, `violations`
    lists every request that broke the contract, `webhooks` knows what was sent, and
    `answer_violations` lists our own slips when `config.check_answers` is on.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = config.clock
        self.contract = load_contract()
        self.state = State(config.personality)
        self.faults = Faults()
        self.violations: deque[Violation] = deque(maxlen=MAX_VIOLATIONS)
        self.answer_violations: list[str] = []
        self.hosting_contract = load_contract(HOSTING_FILE)
        self.callbacks = CallbackSender(
            self.faults,
            self.clock,
            secret=lambda: self.state.hosting.secret,
            base64_=lambda: self.state.personality.signature == "base64",
            sends=config.send_callbacks,
            timeout=config.webhook_timeout,
            random_seed=config.random_seed,
        )
        self.webhooks = WebhookSender(
            self.webhook_address,
            self.faults,
            self.clock,
            timeout=config.webhook_timeout,
            random_seed=config.random_seed,
        )
        self.faults.on_clear = self._release
        self.life = Life(self.state, config, self.emit)
        self.api = PortingApi(self.state, config, self.life, self.emit)
        self.hosting_life = HostingLife(self.state, config, self.emit_hosting)
        self.hosting_api = HostingApi(self.state, config, self.hosting_life)
        self.hosting = HostingControl(self)
        self.demo = Demo(self.state, self.api, self.life, config, HostingDemo(self.hosting))
        self.life.spawn = self.demo.spawn
        self.control = Control(self)
        self._pages = ControlPages(self)
        self._routes = self._make_routes()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None
        self._file = StateFile(self.state, config.state_file) if config.state_file else None

    def start(self) -> None:
        """Take up what was kept, fill in the demo, and begin to live."""
        kept = self._file.load() if self._file else False
        if self.config.webhook_url:
            self.state.webhook_url = self.config.webhook_url
        if self.config.demo and not kept:
            self.demo.fill()
        if self._file:
            self._file.start()
        if self.config.speed > 0 or self.config.activation_seconds is not None:
            self._ticker = threading.Thread(target=self._live, name="sandbox-life", daemon=True)
            self._ticker.start()

    def close(self) -> None:
        """End the sandbox's threads and keep its state; it may be called twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._ticker:
            self._ticker.join(timeout=5)
        self.webhooks.stop()
        self.callbacks.stop()
        if self._file:
            self._file.stop()

    def webhook_address(self) -> str | None:
        """Return where webhooks go: the address set by hand, else the one in the configuration
        where the sandbox may use it."""
        configured = (self.state.configuration or {}).get("webhookUrl")
        allowed = configured if self.config.send_to_configured else None
        return self.state.webhook_url or allowed

    def emit(
        self,
        name: str,
        order: Order,
        *,
        numbers: list[Number] | None = None,
        note: str | None = None,
    ) -> None:
        """Write an event down as the order stands now, and send it."""
        body = Wire(self.state.personality).event(name, order, numbers=numbers, note=note)
        if self.config.check_answers:
            self.answer_violations += self.contract.check_event(body)
        self.webhooks.emit(name, order.id, body, self.clock.now())

    def emit_hosting(
        self,
        name: str,
        *,
        resource_type: str,
        resource_id: str,
        order_id: str,
        status: str,
        failure_code: str,
        address: str,
    ) -> None:
        """Write a hosting event down, and send it to the address it is for."""
        now = self.clock.now()
        body = self.hosting_api.wire.event(
            event_id=ulid(),
            at=now,
            resource_type=resource_type,
            resource_id=resource_id,
            order_id=order_id,
            event_type=name,
            status=status,
            failure_code=failure_code,
        )
        if self.config.check_answers:
            self.answer_violations += self.hosting_contract.check_event(body)
        self.callbacks.tell(name, resource_id, body, now, address)

    def _release(self) -> None:
        self.webhooks.release()
        self.callbacks.release()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request. Raises DroppedConnection when a fault says so; the server is to
        close the connection without a word."""
        request = Request(environ)
        request.max_content_length = MAX_BODY_BYTES
        if request.path == "/" or request.path.startswith("/sandbox/"):
            return self._pages(request)(environ, start_response)
        return self._answer(request)(environ, start_response)

    # One call of the API

    def _make_routes(self) -> Map:
        rules = []
        for operation in (
            *self.contract.operations.values(),
            *self.hosting_contract.operations.values(),
        ):
            path = operation.path.replace("{", "<").replace("}", ">")
            is_whole = operation.id == TOKEN_OPERATION or path.startswith("/v1/")
            base = "" if is_whole else "/v1/projects/<projectId>"
            rules.append(Rule(f"{base}{path}", endpoint=operation.id, methods=[operation.method]))
        return Map(rules, strict_slashes=True, redirect_defaults=False)

    def _answer(self, request: Request) -> Response:
        try:
            adapter = self._routes.bind_to_environ(request.environ)
            operation_id, found = adapter.match()
            values = {name: str(value) for name, value in found.items()}
        except MethodNotAllowed:
            return self._write(error_reply(self._error_shape, Refusal(405)))
        except HTTPException:
            return self._write(error_reply(self._error_shape, Refusal(404)))
        with self.state.lock:
            self.state.calls[operation_id] += 1
        fault = self.faults.take_api(operation_id)
        if fault:
            return self._answer_badly(request, operation_id, values, fault)
        return self._write(self._work(request, operation_id, values))

    def _answer_badly(
        self, request: Request, operation_id: str, values: dict[str, str], fault: ApiFault
    ) -> Response:
        if fault.kind == "drop_before":
            raise DroppedConnection(operation_id)
        if fault.kind == "status" and not fault.after:
            return self._write(self._fault_reply(fault, operation_id))
        reply = self._work(request, operation_id, values)
        if fault.kind == "drop_after":
            raise DroppedConnection(operation_id)
        if fault.kind == "garbage":
            return Response("<html>Bad gat", status=reply.status, mimetype="application/json")
        if fault.kind == "slow":
            wait = request.environ.get(WAIT_KEY, self._stop.wait)
            wait(fault.seconds)
            return self._write(reply)
        return self._write(self._fault_reply(fault, operation_id))

    def _fault_reply(self, fault: ApiFault, operation_id: str) -> Reply:
        if fault.status == 401:
            return _unauthorized("Bearer")
        reply = error_reply(self._shape_of(operation_id), Refusal(fault.status))
        if fault.retry_after is not None:
            reply.headers["Retry-After"] = fault.retry_after
        return reply

    def _work(self, request: Request, operation_id: str, values: dict[str, str]) -> Reply:
        contract = self._contract_of(operation_id)
        operation = contract.operations[operation_id]
        body = request.get_data(cache=True)
        with self.state.lock:
            try:
                if operation_id == TOKEN_OPERATION:
                    reply = self._token(request, operation)
                else:
                    reply = self._call(request, operation, values, body)
            except Refusal as refusal:
                reply = error_reply(self._shape_of(operation_id), refusal)
        # 409 is a switch of ours for what the description leaves open; a 400 of the token
        # endpoint is plain OAuth2.
        listed = reply.status != 409 and (operation_id, reply.status) != (TOKEN_OPERATION, 400)
        if self.config.check_answers and listed:
            self.answer_violations += contract.check_answer(operation_id, reply.status, reply.body)
        return reply

    def _call(
        self, request: Request, operation: Operation, values: dict[str, str], raw: bytes
    ) -> Reply:
        if not self._is_known_caller(request):
            return _unauthorized("Bearer")
        if values.pop("projectId") != self.config.project_id:
            return Reply(403, {"message": "Forbidden"})
        query = request.args.to_dict(flat=False)
        self._check_parameters(operation, values, query)
        if operation.id in self.hosting_contract.operations:
            return self.hosting_api.handle(
                operation.id, self._hosting_call(request, operation, values, query, raw)
            )
        body = self._check_body(request, operation, raw)
        call = Call(
            path=values,
            query={name: found[-1] for name, found in query.items()},
            body=body,
            key_id=self.config.key_id,
        )
        return self.api.handle(operation.id, call)

    def _check_parameters(
        self, operation: Operation, values: dict[str, str], query: dict[str, list[str]]
    ) -> None:
        contract = self._contract_of(operation.id)
        findings = contract.check_parameters(operation, values, query)
        straight = self.state.personality.cancelation == "straight"
        if straight and query.get("orderStatus") == ["PENDING_CANCELATION"]:
            # Fair by the contract, but this reading of Sinch does not know the word.
            raise Refusal(422, violations=[("orderStatus", "Unknown value")])
        self._note_findings(operation, findings)
        if any(finding.where == "path" for finding in findings):
            raise Refusal(404)
        # Nothing says that an unknown parameter is refused; it is noted all the same.
        wrong = [f for f in findings if f.rule != "unknown"]
        if wrong and operation.id in self.hosting_contract.operations:
            raise Refusal(400, violations=[(f.field, f.description) for f in wrong])
        if wrong:
            raise Refusal(422, violations=[(f.field, f.description) for f in wrong])

    def _hosting_call(
        self,
        request: Request,
        operation: Operation,
        values: dict[str, str],
        query: dict[str, list[str]],
        raw: bytes,
    ) -> Call:
        return Call(
            path=values,
            query={name: found[-1] for name, found in query.items()},
            body=self._check_body(request, operation, raw),
            key_id=self.config.key_id,
        )

    def _contract_of(self, operation_id: str) -> Contract:
        known = operation_id in self.hosting_contract.operations
        return self.hosting_contract if known else self.contract

    def _shape_of(self, operation_id: str) -> str:
        """Return which error bodies an operation answers with."""
        if operation_id not in self.hosting_contract.operations:
            return self._error_shape
        enveloped = self.state.personality.hosting_errors == "enveloped"
        return "enveloped" if enveloped else "flat"

    def _check_body(self, request: Request, operation: Operation, raw: bytes) -> Any:
        if operation.body is None:
            return None
        if not raw:
            if operation.body_required:
                self._note_findings(operation, [Finding("body", "", "missing", "No body")])
                raise Refusal(400)
            return None
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if body is None or request.mimetype != operation.media_type:
            words = "Not JSON" if body is None else f"Sent as {request.mimetype or 'nothing'}"
            self._note_findings(operation, [Finding("body", "", "media", words)])
            raise Refusal(400)
        findings = self._contract_of(operation.id).check_body(operation, body)
        self._note_findings(operation, findings)
        ignores = self.state.personality.put_read_only == "ignore"
        if findings and ignores and operation.id == "updatePortInOrder":
            body = without_read_only(body)
            findings = self.contract.check_body(operation, body)
        if findings and operation.id in self.hosting_contract.operations:
            raise Refusal(400, violations=[(f.field, f.description) for f in findings])
        if findings:
            missing = any(f.rule == "required" for f in findings)
            status = int(self.state.personality.missing_field) if missing else 422
            raise Refusal(status, violations=[(f.field, f.description) for f in findings])
        return body

    # Who is asking

    def _token(self, request: Request, operation: Operation) -> Reply:
        """Issue a token. Source: Sinch authentication, OAuth2 client credentials."""
        form = request.form.to_dict()
        wrong = request.mimetype != operation.media_type
        findings = self.contract.check_body(operation, form)
        if wrong or findings:
            self._note_findings(operation, findings or [Finding("body", "", "media", "Not a form")])
            return Reply(400, {"error": "unsupported_grant_type", "message": "Bad token request"})
        if not self._has_key(request):
            body = {"error": "invalid_client", "message": "Client authentication failed"}
            return Reply(401, body, {"WWW-Authenticate": "Basic"})
        seconds = self.config.token_seconds
        token = self.state.issue_token(now=self.clock.now(), seconds=seconds)
        return Reply(
            200, {"access_token": token, "token_type": "bearer", "expires_in": seconds, "scope": ""}
        )

    def _is_known_caller(self, request: Request) -> bool:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.state.is_good_token(value.strip(), self.clock.now())
        return self._has_key(request)

    def _has_key(self, request: Request) -> bool:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return False
        expected = f"{self.config.key_id}:{self.config.key_secret}".encode()
        return hmac.compare_digest(given, expected)

    # Small things

    @property
    def _error_shape(self) -> str:
        return self.state.personality.errors

    def _note_findings(self, operation: Operation, findings: list[Finding]) -> None:
        at = iso_instant(self.clock.now())
        for found in findings:
            self.violations.append(
                Violation(operation.id, found.where, found.field, found.description, at)
            )

    @staticmethod
    def _write(reply: Reply) -> Response:
        if reply.body is None:
            response = Response(status=reply.status)
            del response.headers["Content-Type"]
        else:
            text = json.dumps(reply.body)
            response = Response(text, status=reply.status, mimetype="application/json")
        response.headers.update(reply.headers)
        return response

    def _live(self) -> None:
        pause = min(self.config.speed or 0.25, self.config.activation_seconds or 0.25, 0.25)
        while not self.clock.wait(self._stop, max(pause, 0.02)):
            self.life.tick()
            self.hosting_life.tick()


def _unauthorized(scheme: str) -> Reply:
    """Return a 401 as Sinch sends it: no body, the reason in a header."""
    value = f'{scheme} error="invalid_token"'
    return Reply(401, None, {"WWW-Authenticate": value})
