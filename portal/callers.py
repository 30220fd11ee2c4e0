"""Where a request came from, when there are proxies in front that may be believed."""

from functools import lru_cache
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str | None:
    """Return the address of whoever called; None when it cannot be known.

    Each of the TRUSTED_PROXIES in front appends the address it was called from to
    `X-Forwarded-For`, so the caller of the outermost one stands that many places from the right;
    whatever stands left of it was written by the caller. With fewer places than proxies the
    request did not come through them, and nothing in the header is believed.
    """
    hops = settings.TRUSTED_PROXIES
    if not hops:
        return readable(request.META.get("REMOTE_ADDR", ""))
    written = request.META.get("HTTP_X_FORWARDED_FOR", "")
    places = [place.strip() for place in written.split(",")] if written else []
    return readable(places[-hops]) if len(places) >= hops else None


@lru_cache(maxsize=256)
def readable(text: str) -> str | None:
    """Return an address in its usual spelling, its port left out; None for anything else."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        # A link-local address may name the network card it is seen on, which no column takes.
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None  # a unix socket has no address
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
