"""Whether a hosting callback was signed with a secret of ours."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

HEADER = "X-Sinch-Signature"


def is_signed(body: bytes, signature: str, secrets: Iterable[bytes]) -> bool:
    """Tell whether a signature fits the raw body and one of the secrets; in constant time.

    HMAC-SHA1, as 40 hex digits in either case or the same digest in base64. Every secret is tried
    whatever the ones before came to. Source: Imported Numbers and Hosting Orders API, "HMAC
    verification" (names the algorithm, not the encoding; the official SDKs write hex).
    """
    said = signature.strip().encode("utf-8", "replace")
    fits = False
    for secret in secrets:
        digest = hmac.new(secret, body, hashlib.sha1).digest()
        fits |= hmac.compare_digest(digest.hex().encode(), said.lower())
        fits |= hmac.compare_digest(base64.b64encode(digest), said)
    return fits
