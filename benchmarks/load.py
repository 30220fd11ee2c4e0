"""A load generator small enough not to be what is measured: raw sockets, one thread, keep-alive."""

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came of a run: answers by status, and the seconds each took."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    dropped: int = 0  # requests whose connection ended without an answer

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


def request_bytes(path: str, body: bytes, port: int, **headers: str) -> bytes:
    """Return a POST of JSON as it goes over the wire; `X_Name` is written as `X-Name`."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"{head}\r\n".encode() + body


def _complete(answer: bytes) -> int | None:
    head, found, rest = answer.partition(b"\r\n\r\n")
    if not found:
        return None
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return int(head[9:12]) if len(rest) >= length else None


def run(port: int, request: bytes, *, clients: int = 16, seconds: float = 3.0) -> Load:
    """Send the same request from some clients, each waiting for its answer, for some seconds."""
    selector = selectors.DefaultSelector()
    load = Load()
    begun = time.perf_counter()
    until = begun + seconds
    connections: list[socket.socket] = []
    state: dict[socket.socket, list] = {}
    for _ in range(clients):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)
        selector.register(connection, selectors.EVENT_READ)
        state[connection] = [b"", time.perf_counter()]
        connection.sendall(request)
    waiting = clients
    while waiting:
        for key, _ in selector.select(timeout=10):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            chunk = connection.recv(65536)
            if not chunk:
                raise ConnectionError("The server closed a connection")
            state[connection][0] += chunk
            status = _complete(state[connection][0])
            if status is None:
                continue
            now = time.perf_counter()
            load.statuses[status] = load.statuses.get(status, 0) + 1
            load.latencies.append(now - state[connection][1])
            if now < until:
                state[connection] = [b"", now]
                connection.sendall(request)
            else:
                waiting -= 1
                selector.unregister(connection)
    load.seconds = time.perf_counter() - begun
    for connection in connections:
        connection.close()
    return load


def deliver(
    port: int,
    requests: Sequence[bytes],
    *,
    clients: int = 16,
    midway: Callable[[], None] = lambda: None,
) -> Load:
    """Send each of the requests until it is answered 200, as a patient sender does.

    `midway` is called once half of them are. A request whose connection breaks, or that is
    answered otherwise, is sent again. Raises ConnectionError when nothing comes of it.
    """
    selector = selectors.DefaultSelector()
    load = Load()
    waiting = deque(requests)
    half = len(requests) // 2
    begun = time.perf_counter()
    patience = 3 * len(requests)

    def connect() -> socket.socket:
        until = time.monotonic() + 30
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=10)
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def begin(connection: socket.socket) -> None:
        """Send the next request, on a new connection where this one has ended."""
        if not waiting:
            connection.close()
            return
        request = waiting.popleft()
        while True:
            try:
                connection.sendall(request)
                break
            except OSError:
                load.dropped += 1
                connection.close()
                connection = connect()
        selector.register(connection, selectors.EVENT_READ, [request, b"", time.perf_counter()])

    for _ in range(min(clients, len(requests))):
        begin(connect())
    while selector.get_map():
        found = selector.select(timeout=30)
        if not found:
            raise ConnectionError("The server does not answer any more")
        for key, _ in found:
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            request, before, sent_at = key.data
            try:
                chunk = connection.recv(65536)
            except OSError:
                chunk = b""
            key.data[1] = before + chunk
            status = _complete(key.data[1]) if chunk else None
            if chunk and status is None:
                continue
            selector.unregister(connection)
            if status is None:
                load.dropped += 1
                connection.close()
                connection = connect()
            else:
                load.statuses[status] = load.statuses.get(status, 0) + 1
                load.latencies.append(time.perf_counter() - sent_at)
            if status != 200:
                waiting.append(request)
                patience -= 1
                if not patience:
                    raise ConnectionError(f"The server refuses: {load.statuses}")
            elif load.statuses[200] == half:
                midway()
            begin(connection)
    load.seconds = time.perf_counter() - begun
    return load
