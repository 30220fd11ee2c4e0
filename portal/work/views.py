"""The home page and the list of all work."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.db.models import OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from portal.accounts.sessions import person_of, signed_in_user
from portal.htmx import HtmxHttpRequest
from portal.projects import configuration
from portal.work import context, queue, search
from portal.work import home as home_page
from portal.work.filters import SORTS, Choice, Filters
from portal.work.lines import line
from portal.work.watch import Watch, changed_lines, watch


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what to do now, what goes live, what changed and what became of the last actions."""
    person = person_of(request)
    zone = context.zone_of(person)
    page = home_page.home(person, zone, whole_team=request.GET.get("who") == "team")
    sweep_minutes = configuration.sweep_minutes()
    return render(request, "work/home.html", {"page": page, "sweep_minutes": sweep_minutes})


@login_required
@require_safe
def listing(request: HtmxHttpRequest) -> HttpResponse:
    """Show the orders that the filters of the address leave; a search with one hit opens it."""
    now = timezone.now()  # before the rows are read: what comes later is news to the page
    filters = Filters.read(request.GET, request.user)
    page = queue.page(filters, request.GET)
    is_only_search = not filters.parameters().keys() - {"q", "sort"}
    # What stands here may then not be the worst of all, or not all that the filters leave.
    finds_more = (
        bool(filters.q)
        and (not is_only_search or page.total > queue.MOST_COUNTED)
        and search.finds_more(filters.q)
    )
    if filters.q and not finds_more and page.total == 1 and len(page.rows) == 1:
        return redirect(page.rows[0].get_absolute_url())
    found = search.matches(filters.q, [item.pk for item in page.rows])
    return render(
        request,
        "work/list.html",
        {
            "filters": filters,
            "beside": [] if page.rows else search.beside(filters.q),
            "is_only_search": is_only_search,
            "most_matches": search.MOST_MATCHES if finds_more else 0,
            "kept": [(n, v) for n, v in filters.parameters().items() if n != "q"],
            "page": page,
            "lines": [line(item, match=found.get(item.pk)) for item in page.rows],
            "count": queue.count_text(page.total),
            "sort": SORTS[filters.sort],
            "sorts": [
                Choice(sort.label, filters.url(sort=name), name == filters.sort)
                for name, sort in SORTS.items()
            ],
            "heads": _heads(filters),
            "watch": watch(filters, page, now),
            "sweep_minutes": configuration.sweep_minutes(),
        },
    )


def _heads(filters: Filters) -> dict[str, dict[str, str]]:
    """Return, for the columns that sort, where their head leads and how they are sorted."""
    date_next = "-date" if filters.sort == "date" else "date"
    directions = {"date": "ascending", "-date": "descending"}
    return {
        "needs": {
            "url": filters.url(sort="worst"),
            "sorted": "descending" if filters.sort == "worst" else "",
        },
        "status": {
            "url": filters.url(sort="changed"),
            "sorted": "descending" if filters.sort == "changed" else "",
        },
        "date": {"url": filters.url(sort=date_next), "sorted": directions.get(filters.sort, "")},
    }


@require_safe
def list_live(request: HtmxHttpRequest) -> HttpResponse:
    """Answer an open list: its changed rows and how many further matches there are, or 204."""
    before = Watch.read(request.GET, OuterRef("pk"))
    if before is None:
        return HttpResponseBadRequest("This address is for open lists only.")
    person: Any = signed_in_user(request, **before.questions())
    if person is None:
        return redirect_to_login(request.get_full_path())
    after = before.news(person.present or [], person.fresh or [])
    if after is None:
        return HttpResponse(status=204)
    if not before.versions:
        return HttpResponseClientRefresh()  # nothing can move under the pointer of an empty list
    lines = changed_lines(before, after)
    return render(request, "work/_list_changes.html", {"watch": after, "lines": lines})
