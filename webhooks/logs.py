"""How the secret part of a webhook address stays out of logs. Read by settings: no models here."""

import logging
import re

HIDDEN = "••••••••"
_TOKEN = re.compile(r"(/webhooks/[a-z]+/)(?!log/)[^/\s\"'?#]{6,}")
# Whatever names a request's path in a message of its own.
_LOGGERS = ("django.request", "django.server", "django.security", "_granian", "_granian.access")


def without_token(text: str) -> str:
    """Return a text with the secret part of every webhook address in it replaced by dots."""
    return _TOKEN.sub(rf"\1{HIDDEN}", text)


class CutTokens(logging.Filter):
    """A logging filter that cuts webhook tokens out of messages; it lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the record in place, for all handlers."""
        if isinstance(record.msg, str) and "/webhooks/" in record.msg:
            record.msg = without_token(record.msg)
        if record.args and isinstance(record.args, tuple):
            record.args = tuple(
                without_token(arg) if isinstance(arg, str) and "/webhooks/" in arg else arg
                for arg in record.args
            )
        return True


def guard_logs() -> None:
    """Put the filter on the loggers that name paths; called when the app starts."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, CutTokens) for present in logger.filters):
            logger.addFilter(CutTokens())
