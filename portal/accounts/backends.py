"""Sign-in by e-mail address or user name."""

import unicodedata
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import Q
from django.http import HttpRequest

from portal.accounts import sessions
from portal.accounts.models import User
from portal.prepared import Prepared

_with_rights = Prepared(lambda pk: sessions.with_rights(User.objects.filter(pk=pk)))


def tried_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return the name a sign-in is counted under: capitals, spaces and wide letters aside.

    Names are found in any case, so each spelling would otherwise have tries of its own.
    """
    given = (credentials or {}).get("username") or request.POST.get("username") or ""
    return unicodedata.normalize("NFKC", str(given)).replace("\0", "").strip().casefold()[:255]


class EmailOrUsernameBackend(ModelBackend):
    """Django's own backend, told to find people by e-mail address too."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the person whose e-mail or user name and password these are, or None."""
        if not username or password is None:
            return None
        people = User.objects.filter(Q(username__iexact=username) | Q(email__iexact=username))
        # An exact user name wins, should one person's name be another's address.
        person = next(iter(sorted(people[:5], key=lambda p: p.username != username)), None)
        if person is None:
            # Takes as long as a real check, so that names cannot be found out by the clock.
            User().set_password(password)
            return None
        if person.check_password(password) and self.user_can_authenticate(person):
            return person
        return None

    def get_user(self, user_id: Any) -> User | None:
        """Return the person of a session with their rights, in one statement; None for nobody."""
        person = _with_rights.first(user_id)
        if person is None or not self.user_can_authenticate(person):
            return None
        return sessions.recognised(person)
