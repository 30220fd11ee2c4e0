"""Who is signed in, in one statement: the person, what they may do, and what else is asked.

A poll of an unchanged page may cost one statement in all, so it cannot ask for the person, their
rights and its own question one after the other.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission
from django.contrib.auth.views import redirect_to_login
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from portal.accounts.models import User

View = Callable[..., HttpResponse]


def with_rights(people: QuerySet[User]) -> QuerySet[User]:
    """Add `rights` to people: the names of what each may do, themselves or through a group."""
    own = User.user_permissions.through._default_manager.filter(user_id=OuterRef(OuterRef("pk")))
    groups = User.groups.through._default_manager.filter(user_id=OuterRef(OuterRef("pk")))
    rights = Permission.objects.filter(
        Q(pk__in=own.values("permission_id")) | Q(group__in=groups.values("group_id"))
    )
    names = rights.order_by().annotate(
        full=Concat("content_type__app_label", Value("."), "codename")
    )
    return people.annotate(rights=ArraySubquery(names.values("full").distinct()))


def recognised(person: User) -> User:
    """Let Django know the rights that came with the person, and tell times in their zone."""
    rights = getattr(person, "rights", None)
    if rights is not None:
        # Where ModelBackend keeps what it has looked up; it asks the database otherwise.
        vars(person)["_perm_cache"] = set(rights)
    use_zone_of(person)
    return person


def use_zone_of(person: User) -> None:
    """Tell times in the person's zone until the request ends; an unknown zone changes nothing."""
    try:
        timezone.activate(ZoneInfo(person.time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown, or the name of a folder
        timezone.deactivate()


class TimeZoneMiddleware:
    """Give back the zone of whoever was served last in this thread."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request in the zone of the person it turns out to come from."""
        timezone.deactivate()
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()


def signed_in_user(request: HttpRequest, **annotations: Any) -> User | None:
    """Return who is signed in with the annotations asked for, in one statement; None for nobody.

    Does what `django.contrib.auth.get_user` does: a session made with an old password, by a
    backend no longer used, or for somebody deactivated counts as nobody's. Also sets
    `request.user`, so that nothing after it asks again.
    """
    session = request.session
    if session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return None
    try:
        pk = User._meta.pk.to_python(session[SESSION_KEY])
    except (KeyError, ValidationError):
        return None
    people = with_rights(User.objects.filter(pk=pk, is_active=True))
    person = people.annotate(**annotations).first() if annotations else people.first()
    if person is None or not _made_with_present_password(person, session.get(HASH_SESSION_KEY)):
        return None
    request.user = recognised(person)
    return person


def _made_with_present_password(person: User, stored: str | None) -> bool:
    if not stored:
        return False
    if constant_time_compare(stored, person.get_session_auth_hash()):
        return True
    return any(
        constant_time_compare(stored, old) for old in person.get_session_auth_fallback_hash()
    )


def person_of(request: HttpRequest) -> User:
    """Return who is signed in, in a view that admits nobody else."""
    person = request.user
    assert isinstance(person, User)
    return person


def poll_login_required(view: View) -> View:
    """Guard a view that is polled: somebody must be signed in, found in one statement.

    A poll that asks the database something of its own calls `signed_in_user` with annotations
    instead, so that both are one statement.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if signed_in_user(request) is None:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    return guarded
