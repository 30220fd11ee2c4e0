"""What the pages of an imported and of a qualified number have in common."""

from typing import Any, TypeVar

from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse

from hosting import page, sync
from hosting.models import ImportedNumber, NumberRecord, QualifiedNumber
from portal.accounts.guards import MAY_SEND, NO_RIGHT
from portal.accounts.models import User
from portal.accounts.sessions import signed_in_user
from portal.operations.models import Operation
from portal.work import page as work_page

MOST_DONE = 20

Record = TypeVar("Record", bound=NumberRecord)
# The kind of their readings, and how operations name them.
_NAMES: dict[type[NumberRecord], tuple[str, str]] = {
    ImportedNumber: (sync.IMPORTED_READER, "imported"),
    QualifiedNumber: (sync.QUALIFIED_READER, "qualified"),
}


def with_mark(rows: QuerySet[Record]) -> QuerySet[Record]:
    """Add `mark`: everything that makes an open page out of date when it differs."""
    reader, target = _NAMES[rows.model]
    return work_page.with_mark(
        rows, reader=reader, target=target, resource="phone_number", version="version"
    )


def context_of(number: Any, user: User) -> dict[str, Any]:
    """Return what was and is being done to a number, its reading, and where else it is known.

    The number comes from `with_mark`; `token` differs as soon as an open page is out of date.
    """
    operations = Operation.objects.filter(target=number.target).select_related("by")
    _, own = _NAMES[type(number)]
    return {
        "number": number,
        "operations": work_page.operations_of(number.mark),
        "reading": work_page.reading_of(number.mark, number.fetched_at),
        "token": work_page.token_of(number.mark),
        "done": list(operations.defer("payload").order_by("-pk")[:MOST_DONE]),
        "also": page.also_at(number.project_id, number.phone_number) | {own: None},
        "may_send": user.has_perm(MAY_SEND),
        "no_right": NO_RIGHT,
        "here": number.get_absolute_url(),
    }


def no_news(request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
    """Return the answer to a poll whose page is up to date, or that nobody signed in sends.

    None when the parts of the page have to be sent anew. One statement. Raises Http404.
    """
    marked = with_mark(rows).values_list("mark")
    user: Any = signed_in_user(request, mark=Subquery(marked[:1]))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if user.mark is None:
        raise Http404
    if work_page.token_of(user.mark) == request.GET.get("token"):
        return HttpResponse(status=204)
    return None
