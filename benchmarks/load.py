"""A load generator small enough not to be what is measured: raw sockets, one thread, keep-alive."""

import selectors
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came of a run: answers by status, and the seconds each took."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


def request_bytes(path: str, body: bytes, port: int) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


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
