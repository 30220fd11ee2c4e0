"""`python -m portal.sandbox`: serve the simulated Sinch until told to stop.

Meant for this machine only: it has a control page without a password.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from portal.sandbox.app import create_app
from portal.sandbox.config import PRESETS, SandboxConfig
from portal.sandbox.server import SandboxServer

DEFAULT_SPEED = 45.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status, 2 when it could not start."""
    options = _parser().parse_args(arguments)
    try:
        config = _config(options)
        sandbox = create_app(config)
        # Only what was asked for: otherwise the personality of the state file stays.
        sandbox.control.personality(options.personality, **_switches(options.set))
    except ValueError as error:
        print(f"The sandbox could not start: {error}", file=sys.stderr)
        return 2
    try:
        server = SandboxServer(sandbox, options.host, options.port)
    except OSError as error:
        sandbox.close()
        reason = error.strerror or error
        print(f"The sandbox cannot use port {options.port}: {reason}.", file=sys.stderr)
        return 2
    _stop_on_signals(server)
    print(f"Sandbox ready at {server.url} (project {config.project_id})", flush=True)
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.server_close()
        sandbox.close()
    return 0


def _stop_on_signals(server: SandboxServer) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        # `shutdown` waits for the loop this very thread is running.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _switches(settings: list[str]) -> dict[str, str]:
    switches = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--set takes SWITCH=VALUE; not {setting!r}.")
        switches[name] = value
    return switches


def _config(options: argparse.Namespace) -> SandboxConfig:
    return SandboxConfig(
        project_id=options.project,
        key_id=options.key_id,
        key_secret=options.key_secret,
        speed=options.speed,
        activation_seconds=options.activation_seconds,
        days_compressed=options.days_compressed,
        webhook_url=options.webhook_url,
        send_to_configured=True,
        send_callbacks=True,
        state_file=Path(options.state) if options.state else None,
        demo=options.demo,
        token_seconds=options.token_seconds,
        loopback_only=options.host in LOOPBACK,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m portal.sandbox",
        description="Serve a simulated Sinch for training, local use and tests.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8001, help="port to listen on; 0 takes a free one")
    add("--host", default="127.0.0.1", help="address to listen on; keep it on this machine")
    add("--state", metavar="FILE", help="keep orders in this file between runs")
    add(
        "--speed",
        type=float,
        default=DEFAULT_SPEED,
        metavar="SECONDS",
        help="time between two steps of an order's life; 0: only by hand (default 45)",
    )
    add(
        "--activation-seconds",
        type=float,
        metavar="SECONDS",
        help="how long an accepted activation takes (default 2; by hand with --speed 0)",
    )
    add(
        "--days-compressed",
        action="store_true",
        help="carriers confirm for today, so that orders go live within minutes",
    )
    add("--webhook-url", metavar="URL", help="send webhooks here, whatever is configured")
    add("--project", default="sandbox", help="id of the one project")
    add("--key-id", default="sandbox-key", help="id of its access key")
    add(
        "--key-secret",
        default=os.environ.get("SANDBOX_KEY_SECRET", "sandbox-secret"),
        help="secret of its access key; also read from SANDBOX_KEY_SECRET",
    )
    add("--token-seconds", type=int, default=3600, help="life of an access token")
    add("--no-demo", dest="demo", action="store_false", help="start without demo orders")
    add(
        "--personality",
        choices=sorted(PRESETS),
        help="which reading of the uncertain points to follow (default seed)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="SWITCH=VALUE",
        help="set one switch of the personality; may be repeated",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
