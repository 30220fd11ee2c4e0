"""A small HTTP server that answers as told and checks each request against the contract."""

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from portal.sinch import transport
from portal.sinch.parts import CallRecord
from portal.sinch.porting import PortingClient
from portal.sinch.transport import Transport

ROOT = Path(__file__).resolve().parent.parent.parent
OPENAPI = ROOT / "portal" / "sandbox" / "openapi" / "porting.openapi.yaml"
PROJECT = "project-1"
PREFIX = f"/v1/projects/{PROJECT}"


class Contract:
    """The OpenAPI description as a judge of requests."""

    def __init__(self) -> None:
        self._doc = yaml.safe_load(OPENAPI.read_text())
        resource = Resource(contents=self._doc, specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:porting", resource)
        self._operations = [
            (re.compile(re.sub(r"\{\w+\}", r"([^/]+)", path) + "$"), path, item)
            for path, item in sorted(self._doc["paths"].items(), key=lambda pair: "{" in pair[0])
        ]

    def problems(self, pointer: str, value: object) -> list[str]:
        """Return what is wrong with a value by the schema at this JSON pointer."""
        validator = Draft202012Validator(
            {"$ref": f"urn:porting#{pointer}"},
            registry=self._registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def body_pointer(self, operation: str) -> str:
        """Return the pointer to the schema of an operation's JSON body."""
        for path, item in self._doc["paths"].items():
            for method, described in item.items():
                if isinstance(described, dict) and described.get("operationId") == operation:
                    kinds = described["requestBody"]["content"]
                    return self._pointer(path, method, next(iter(kinds)))
        raise KeyError(operation)

    def violations(self, call: "Call") -> list[str]:
        """Return what is wrong with a request as a whole."""
        for pattern, path, item in self._operations:
            if pattern.match(call.path) and call.method.lower() in item:
                described = item[call.method.lower()]
                return [*self._query(described, call), *self._body(path, described, call)]
        return [f"no operation {call.method} {call.path}"]

    def _query(self, described: dict[str, Any], call: "Call") -> Iterator[str]:
        known = {p["name"]: i for i, p in enumerate(described.get("parameters", []))}
        path = next(p for _, p, item in self._operations if described in item.values())
        for name, value in call.query.items():
            if name not in known:
                yield f"unknown parameter {name}"
                continue
            escaped = path.replace("~", "~0").replace("/", "~1")
            pointer = f"/paths/{escaped}/{call.method.lower()}/parameters/{known[name]}/schema"
            schema = described["parameters"][known[name]]["schema"]
            typed = int(value) if schema.get("type") == "integer" else value
            yield from self.problems(pointer, typed)

    def _body(self, path: str, described: dict[str, Any], call: "Call") -> Iterator[str]:
        request = described.get("requestBody")
        if request is None or (not call.body and not request.get("required")):
            if call.body:
                yield "a body where none belongs"
            return
        kind = next(iter(request["content"]))
        if not call.headers.get("content-type", "").startswith(kind):
            yield f"not {kind}"
        elif kind == "application/json":
            pointer = self._pointer(path, call.method.lower(), kind)
            yield from self.problems(pointer, json.loads(call.body))

    @staticmethod
    def _pointer(path: str, method: str, kind: str) -> str:
        escaped = path.replace("/", "~1")
        return f"/paths/{escaped}/{method}/requestBody/content/{kind.replace('/', '~1')}/schema"


@dataclass
class Call:
    """One request as it arrived; `path` starts after the project."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None without one."""
        return json.loads(self.body) if self.body else None


@dataclass
class Reply:
    """What to answer: `body` is bytes as they are, or anything JSON can hold; None is empty."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection without a word, the work being done
    hang: bool = False  # say nothing until the test is over
    cut: bool = False  # announce more bytes than are sent

    def content(self) -> bytes:
        """Return the bytes to send."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Judge(Protocol):
    """What says whether a request keeps to a contract."""

    def violations(self, call: Call) -> list[str]:
        """Return what is wrong with a request as a whole."""


class FakeSinch:
    """A server on loopback: replies come from queues by "METHOD /path", then from `otherwise`."""

    def __init__(self, contract: "Judge") -> None:
        self.contract = contract
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.otherwise: Callable[[Call], Reply] = lambda call: Reply(404, {"message": "Not found"})
        self.token_lifetime: Any = 3600
        self.tokens_given = 0
        self.refused_tokens: set[str] = set()
        self.over = threading.Event()
        self._queues: dict[str, deque[Reply | Callable[[Call], Reply]]] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # one segment an answer, or each waits for an acknowledgement

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                call = Call(
                    self.command,
                    parts.path.removeprefix(PREFIX),
                    {key: values[0] for key, values in parse_qs(parts.query).items()},
                    {key.lower(): value for key, value in self.headers.items()},
                    self.rfile.read(length),
                )
                reply = fake.reply_to(call)
                if reply.hang:
                    fake.over.wait(30)
                if reply.drop or reply.hang:
                    self.close_connection = True
                    return
                content = reply.content()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content) + (9 if reply.cut else 0)))
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = self.close_connection or reply.cut

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing: a client that hangs up early is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def queue(self, operation: str, *replies: Reply | Callable[[Call], Reply]) -> None:
        """Answer the next calls of "METHOD /path" with these, or what they make, one each."""
        self._queues.setdefault(operation, deque()).extend(replies)

    def called(self, operation: str) -> list[Call]:
        """Return the calls of "METHOD /path" so far."""
        return [call for call in self.calls if f"{call.method} {call.path}" == operation]

    def reply_to(self, call: Call) -> Reply:
        """Take note of a call and return its reply."""
        self.calls.append(call)
        self.violations.extend(self.contract.violations(call))
        if queue := self._queues.get(f"{call.method} {call.path}"):
            reply = queue.popleft()
            return reply if isinstance(reply, Reply) else reply(call)
        if call.path == "/oauth2/token":
            self.tokens_given += 1
            token = f"token-{self.tokens_given}"
            return Reply(200, {"access_token": token, "expires_in": self.token_lifetime})
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or token in self.refused_tokens:
            return Reply(401, headers={"WWW-Authenticate": "Bearer"})
        return self.otherwise(call)

    def stop(self) -> None:
        """Let hanging requests go and stop."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The OpenAPI description as a judge of requests."""
    return Contract()


@pytest.fixture
def sinch(contract: Contract) -> Iterator[FakeSinch]:
    """A server that answers as told; the test fails if a request broke the contract."""
    # It may get the port of an earlier one; what that one refused is not for this one's clock.
    transport._renewals.clear()
    fake = FakeSinch(contract)
    yield fake
    fake.stop()
    assert fake.violations == []


@dataclass
class Line:
    """A transport to the fake, and what it did: waits between tries, calls told to the hook."""

    transport: Transport
    client: PortingClient
    waits: list[float]
    told: list[CallRecord]


@pytest.fixture
def line_to(sinch: FakeSinch) -> Callable[..., Line]:
    """Make a transport to the fake; named arguments replace the usual ones."""

    def make(**other: Any) -> Line:
        waits: list[float] = []
        told: list[CallRecord] = []
        usual: dict[str, Any] = {
            "base_url": sinch.url,
            "project_id": PROJECT,
            "key_id": "key-1",
            "key_secret": "correct horse",
            "auth_url": f"{sinch.url}/oauth2/token",
            "connect_timeout": 10,
            "read_timeout": 20,
            "sleep": waits.append,
            "on_call": told.append,
        }
        transport = Transport(**(usual | other))
        return Line(transport, PortingClient(transport), waits, told)

    return make


@pytest.fixture
def line(line_to: Callable[..., Line]) -> Line:
    """A transport to the fake with everything as usual."""
    return line_to()


@pytest.fixture
def client(line: Line) -> PortingClient:
    """A porting client that talks to the fake."""
    return line.client
