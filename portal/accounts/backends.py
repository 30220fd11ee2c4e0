"""Sign-in by e-mail address or user name."""

import unicodedata
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import Q
from django.http import HttpRequest

from portal.accounts import sessions
from portal.accounts.models import User
from portal.prepared import Prepared

MOST_NAMESAKES = 5  # people looked at for one name or address
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
        named = Q(username__iexact=username) | Q(email__iexact=username)
        people = list(User.objects.filter(named, is_active=True).order_by("pk")[:MOST_NAMESAKES])
        if not people:
            # Takes as long as a real check, so that names cannot be found out by the clock.
            User().set_password(password)
        # One person's name may be another's address, and several may share one; an exact user
        # name wins.
        people.sort(key=lambda person: person.username != username)
        return next((person for person in people if person.check_password(password)), None)

    def get_user(self, user_id: Any) -> User | None:
        """Return the person of a session with their rights, in one statement; None for nobody."""
        person = _with_rights.first(user_id)
        if person is None or not self.user_can_authenticate(person):
            return None
        return sessions.recognised(person)
