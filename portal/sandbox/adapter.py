"""Lets a real `requests.Session` talk to a sandbox in the same process, without a socket."""

import io
from collections.abc import Mapping
from http.client import RemoteDisconnected
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPHeaderDict
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError
from urllib3.response import HTTPResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from portal.sandbox.app import WAIT_KEY, Sandbox
from portal.sandbox.faults import DroppedConnection, SlowAnswer


class SandboxAdapter(HTTPAdapter):
    """Mount it on "https://" and every request of the session goes to the sandbox.

    Faults arrive as they would over a socket: a dropped connection as `ConnectionError`, an
    answer slower than the read time-out as `ReadTimeout`. Nothing really waits. With `down` set,
    every request fails before it is sent.
    """

    def __init__(self, app: Sandbox) -> None:
        super().__init__()
        self.app = app
        self.down = False

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the sandbox's answer as a `requests.Response`."""
        if self.down:
            raise requests.ConnectionError(_refused(request.path_url), request=request)
        read_timeout = timeout[1] if isinstance(timeout, tuple) else timeout
        try:
            body, status, headers = self._run(request, read_timeout)
        except SlowAnswer as error:
            raise requests.ReadTimeout("Read timed out.", request=request) from error
        except DroppedConnection as error:
            cause = RemoteDisconnected("Remote end closed connection without response")
            aborted = ProtocolError("Connection aborted.", cause)
            raise requests.ConnectionError(aborted, request=request) from error
        code, _, reason = status.partition(" ")
        raw = HTTPResponse(
            body=io.BytesIO(body),
            headers=HTTPHeaderDict(headers),
            status=int(code),
            reason=reason,
            preload_content=False,
            request_method=request.method,
        )
        response = self.build_response(request, raw)
        if not stream:
            _ = response.content
        return response

    def _run(
        self, request: requests.PreparedRequest, read_timeout: float | None
    ) -> tuple[bytes, str, list[tuple[str, str]]]:
        body = request.body or b""
        builder = EnvironBuilder(
            path=request.path_url.partition("?")[0],
            query_string=request.path_url.partition("?")[2],
            base_url=request.url and "/".join(request.url.split("/")[:3]),
            method=request.method or "GET",
            headers=list(request.headers.items()),
            data=body.encode() if isinstance(body, str) else body,
        )
        environ = builder.get_environ()

        def wait(seconds: float) -> None:
            """Give up at once where the caller would give up later."""
            if read_timeout is not None and seconds >= read_timeout:
                raise SlowAnswer

        environ[WAIT_KEY] = wait
        parts, status, headers = run_wsgi_app(self.app, environ)
        return b"".join(parts), status, list(headers)


def _refused(path: str) -> MaxRetryError:
    """Return what urllib3 raises when nobody listens."""
    reason = NewConnectionError(HTTPConnection("sandbox"), "Connection refused")
    return MaxRetryError(HTTPConnectionPool("sandbox"), path, reason)
