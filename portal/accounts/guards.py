"""Who may make and change orders, in the pages of both kinds, and who looks after the desk."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse

from portal.htmx import HtmxHttpRequest

MAY_SEND: Final = "accounts.send_to_sinch"
MAY_MANAGE: Final = "accounts.manage_project"
NO_RIGHT: Final = "Making and changing orders needs the agent role. Your administrator can give it."
NO_ADMIN: Final = "This is for those who look after the desk. Your administrator can open it."
NO_SENDING: Final = "Sending to Sinch needs the agent role. Your administrator can give it."
NO_MANAGING: Final = "Changing a Sinch project needs the supervisor role. Ask your administrator."

View = Callable[..., HttpResponse]


def agents_only(view: View) -> View:
    """Guard a view: signed in, and allowed to send to Sinch; 403 with the reason otherwise."""

    @wraps(view)
    def guarded(request: HtmxHttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.has_perm(MAY_SEND):
            raise PermissionDenied(NO_RIGHT)
        return view(request, *args, **kwargs)

    return login_required(guarded)


def staff_only(view: View) -> View:
    """Guard a view: signed in, and let into the admin; 403 with the reason otherwise."""

    @wraps(view)
    def guarded(request: HtmxHttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_staff:
            raise PermissionDenied(NO_ADMIN)
        return view(request, *args, **kwargs)

    return login_required(guarded)
