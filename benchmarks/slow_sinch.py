"""A Sinch that takes its time: one process that answers every request after the same pause.

The product's sandbox checks each request against the contract, which costs more than is to be
measured on a machine with two cores; this one knows tokens, readings of orders with one number
each, and says yes to every write. `python -m benchmarks.slow_sinch PORT SECONDS`.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import data
from benchmarks.desk import free_port, process


@contextmanager
def running(seconds: float) -> Iterator[dict[str, str]]:
    """Serve in a process of its own until the block ends; yield the settings of who asks it.

    Our own pace is set so high that it holds nothing back.
    """
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    with process("benchmarks.slow_sinch", str(port), str(seconds)):
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield {
            "SINCH_AUTH_URL": f"{here}/oauth2/token",
            "SINCH_PORTING_URL": here,
            "SINCH_HOSTING_URL": here,
            "SINCH_REQUESTS_PER_SECOND": "1000",
        }


def _answer_to(method: str, path: str) -> tuple[int, object]:
    """Return status and body of the answer to a request."""
    last = path.rpartition("/")[2]
    if path == "/oauth2/token":
        return 200, {"access_token": "slow", "expires_in": 3600, "token_type": "bearer"}
    if method == "GET" and last.isdigit():
        return 200, data.order(int(last) - data.FIRST_ID, 1)
    return (404, {}) if method == "GET" else (200, {})


async def _serve(port: int, seconds: float) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                method, path, _ = first.split(" ", 2)
                headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
                await reader.readexactly(int(headers.get("content-length", 0)))
                await asyncio.sleep(seconds)
                status, body = _answer_to(method, path)
                content = json.dumps(body).encode()
                writer.write(
                    f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n".encode()
                    + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
