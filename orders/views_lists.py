"""Lists of numbers: added to a draft, their columns told, their rows corrected or left out."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from orders import actions, list_out, list_report
from orders import actions_lists as lists
from orders.actions_lists import NotPossible
from orders.list_columns import cautions
from orders.list_files import MOST_BYTES, NotReadable
from orders.list_rows import is_under_way
from orders.models import NumberList, PortInDraft
from orders.views import typed_of
from portal import csvfile, words
from portal.accounts.guards import agents_only
from portal.accounts.sessions import person_of
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.values import whole
from portal.work.drafts import ChangedElsewhere, NotEditable, project_for_new_orders

State = NumberList.State

CHANGED = "This draft was changed elsewhere. Load the page again, then add the list."


def _draft_or_404(pk: uuid.UUID) -> PortInDraft:
    rows = PortInDraft.objects.select_related("project", "by", "operation").defer(
        "project__key_secret"
    )
    return get_object_or_404(rows, pk=pk)


def _list_or_404(pk: uuid.UUID) -> NumberList:
    """Return the list of a draft with the draft."""
    draft = _draft_or_404(pk)
    found = lists.list_of(draft)
    if found is None:
        raise Http404("This draft has no list.")
    found.draft = draft
    return found


# --- On the draft's page ------------------------------------------------------------------------


@agents_only
@require_POST
def add(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Save what was typed and do with its list what was pressed: add, make of pasted, remove."""
    project = project_for_new_orders()
    known = PortInDraft.objects.select_related("project").filter(pk=pk).first()
    if known is None and project is None:
        raise Http404("There is no project to make an order in.")
    home = known.project if known else project
    assert home is not None
    post, by = request.POST, person_of(request)
    typed = typed_of(post, actions.unsealed(post.get("sealed", ""), by))
    try:
        if post.get("action") == "remove_list":
            lists.remove_list(actions.save_draft(pk, home, typed, by=by))
        elif post.get("action") == "list_of_pasted":
            lists.make_list_of_pasted(actions.save_draft(pk, home, typed, by=by), by=by)
        else:
            name, content = _uploaded(request)
            lists.add_list(pk, home, typed, name=name, content=content, by=by)
    except (NotReadable, NotPossible, NotEditable) as refusal:
        return _not_added(request, pk, str(refusal))
    except ChangedElsewhere:
        return _not_added(request, pk, CHANGED)
    target = reverse("orders:draft", args=[pk])
    # Without a fragment in it the address is opened anew, also by a browser that is there.
    if wants_fragment(request):
        return HttpResponseClientRedirect(target)
    return redirect(f"{target}#s1")


def _uploaded(request: HtmxHttpRequest) -> tuple[str, bytes]:
    """Return name and bytes of the file that was sent. Raises NotReadable."""
    given = request.FILES.get("list")
    if given is None:
        raise NotReadable("Choose a file first.")
    if (given.size or 0) > MOST_BYTES:
        raise NotReadable("The file is larger than 20 MB. Split it, or take the pictures out.")
    return given.name or "list", given.read()


def _not_added(request: HtmxHttpRequest, pk: uuid.UUID, why: str) -> HttpResponse:
    if wants_fragment(request):
        context = {"draft": PortInDraft(pk=pk), "problem": why}
        answer = render(request, "orders/_list_add.html", context, status=422)
        answer["HX-Retarget"], answer["HX-Reswap"] = "#list-add", "outerHTML"
        return answer
    messages.error(request, why)
    saved = PortInDraft.objects.filter(pk=pk).exists()
    return redirect(f"{reverse('orders:draft', args=[pk])}#s1" if saved else "orders:create")


@never_cache
@agents_only
@require_GET
def live(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer an open page: 204 while nothing has changed, else the part that shows the list."""
    found = _list_or_404(pk)
    # A page asks only while it shows work under way: it hears of its end in any case.
    if list_report.live_token(found) == request.GET.get("seen") and is_under_way(found):
        return HttpResponse(status=204)
    if request.GET.get("where") == "page":
        return render(request, "orders/_list_body.html", _page(found, request.GET))
    return render(request, "orders/_list_box.html", list_report.box(found, is_news=True))


# --- The list's own page ------------------------------------------------------------------------


def _why_not(found: NumberList) -> str:
    """Return why a list cannot be changed now; "" when it can."""
    draft = found.draft
    assert draft is not None  # lists of corrections have no page
    if draft.state == PortInDraft.State.THROWN_AWAY:
        return "This draft was thrown away."
    if draft.state != PortInDraft.State.OPEN or draft.is_sending:
        return "This draft was sent; its list stays as it went."
    if found.state == State.READY and is_under_way(found):
        return "Corrections are being read; then rows can be changed again."
    return ""


def _page(found: NumberList, query: Mapping[str, str], **more: Any) -> dict[str, Any]:
    choosing = found.state == State.COLUMNS or (
        found.state == State.READY and "columns" in query and bool(found.sample)
    )
    context: dict[str, Any] = {
        "number_list": found,
        "draft": found.draft,
        "token": list_report.live_token(found),
        "under_way": is_under_way(found),
        "why_not": _why_not(found),
        "corrections": list(found.corrections.defer("content", "sample").order_by("-created_at")),
        "choosing": choosing,
    }
    if choosing:
        held = {int(i): name for i, name in found.columns.items()}
        context |= {
            "file_columns": list_report.file_columns(found),
            "choices": list_report.choices(),
            "cautions": list(cautions(held)),
            "unused": list_report.unused(found),
        }
    elif found.state == State.READY:
        context |= {"report": list_report.report(found, query)}
        context |= {"unused": list_report.unused(found)}
    return context | more


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def number_list(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a list: its columns to be told, its progress, or its report; on POST, correct rows."""
    draft = _draft_or_404(pk)
    if lists.list_of(draft) is None:
        return redirect(draft)
    if request.method == "POST":
        return _pressed(request, draft)
    return _shown(request, pk)


def _shown(
    request: HtmxHttpRequest, pk: uuid.UUID, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = _page(_list_or_404(pk), request.GET, **more)
    template = "orders/_list_body.html" if wants_fragment(request) else "orders/list.html"
    return render(request, template, context, status=status)


def _pressed(request: HtmxHttpRequest, draft: PortInDraft) -> HttpResponse:
    """Save what was corrected on the page, then do what was pressed."""
    post = request.POST
    verb, _, what = post.get("action", "").partition(":")
    said, wrong = "", 0
    try:
        given = _typed_corrections(post, but=_positions(what) if verb == "leave_out" else ())
        if given:
            wrong = lists.correct_rows(draft, given)
            right = len(given) - wrong
            said = f"{words.count_text(right, 'row')} corrected." if right else ""
        if verb == "leave_out":
            lists.leave_out(draft, _positions(what))
        elif verb == "leave_wrong":
            count = lists.leave_wrong_out(draft)
            said = f"{words.count_text(count, 'row')} left out. You find them under “Left out”."
            wrong = 0
        elif verb == "leave_elsewhere":
            said = _leave_elsewhere(draft)
        elif verb == "take_back":
            lists.take_back(draft, _positions(what))
    except (NotPossible, NotEditable) as refusal:
        return _shown(request, draft.pk, status=409, notice=("bad", str(refusal)))
    if not given and verb in ("", "save"):
        said = "Nothing was changed on this page."
    if wrong:
        said = f"{said} {words.count_text(wrong, 'row')} still to correct; see beside each.".strip()
    if wants_fragment(request) or wrong:
        tone = "us" if wrong else "done"
        more = {"notice": (tone, said)} if said else {}
        return _shown(request, draft.pk, status=422 if wrong else 200, **more)
    if said:
        messages.success(request, said)
    query = request.GET.urlencode()
    return HttpResponseRedirect(f"{request.path}{'?' + query if query else ''}#rows")


def _typed_corrections(
    post: Mapping[str, str], *, but: Collection[int]
) -> dict[int, dict[str, str]]:
    """Return what was typed for each row (fields `fix-17-zip`) and differs from before."""
    found: dict[int, dict[str, str]] = {}
    for key in post:
        verb, _, rest = key.partition("-")
        position, _, name = rest.partition("-")
        if verb != "fix" or not _positions(position) or int(position) in but:
            continue
        if post[key].strip() != post.get(f"was-{rest}", "").strip():
            found.setdefault(int(position), {})[name] = post[key]
    return found


def _positions(text: str) -> list[int]:
    position = whole(text, 9_999_999)
    return [] if position is None else [position]


def _leave_elsewhere(draft: PortInDraft) -> str:
    found = _list_or_404(draft.pk)
    gone = [number for number, place in list_report.elsewhere(found).items() if place.blocks]
    count = lists.leave_numbers_out(draft, gone, lists.ELSEWHERE)
    return f"{words.count_text(count, 'row')} left out, on the way in other orders."


@agents_only
@require_POST
def columns(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Take what each column of the file is, and have the rows read."""
    draft = _draft_or_404(pk)
    chosen = {
        int(index): str(name)
        for key, name in request.POST.items()
        if (index := key.removeprefix("column-")) != key and _positions(index) and name
    }
    try:
        lists.choose_columns(draft, chosen)
    except (NotPossible, NotEditable) as refusal:
        found = _list_or_404(pk)
        found.columns = {str(index): name for index, name in chosen.items()}
        context = _page(found, {"columns": ""}, notice=("bad", str(refusal)))
        template = "orders/_list_body.html" if wants_fragment(request) else "orders/list.html"
        return render(request, template, context, status=422)
    return go_to(request, reverse("orders:list", args=[pk]))


@agents_only
@require_POST
def corrections(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Take in a file of corrected rows."""
    draft = _draft_or_404(pk)
    try:
        lists.forget_corrections(draft)
        name, content = _uploaded(request)
        lists.add_corrections(draft, name=name, content=content, by=person_of(request))
    except (NotReadable, NotPossible, NotEditable) as refusal:
        return _shown(request, pk, status=422, correction_problem=str(refusal))
    return go_to(request, reverse("orders:list", args=[pk]))


# --- Files --------------------------------------------------------------------------------------


@never_cache
@agents_only
@require_GET
def wrong(request: HtmxHttpRequest, pk: uuid.UUID, kind: str) -> HttpResponse:
    """Hand out the rows to correct, as CSV or XLSX."""
    found = _list_or_404(pk)
    rows = list_report.wrong_rows(found)
    stem = found.name.rpartition(".")[0] or found.name
    if kind == "csv":
        return _file(f"{stem}, to correct.csv", csvfile.CONTENT_TYPE, list_out.csv_file(rows))
    if kind == "xlsx":
        content = list_out.xlsx_file(("To correct", rows))
        return _file(f"{stem}, to correct.xlsx", list_out.XLSX_TYPE, content)
    raise Http404


@agents_only
@require_GET
def template(request: HtmxHttpRequest, kind: str) -> HttpResponse:
    """Hand out the template for lists, as CSV or XLSX."""
    if kind == "csv":
        return _file("porting-list.csv", csvfile.CONTENT_TYPE, list_out.template_csv())
    if kind == "xlsx":
        return _file("porting-list.xlsx", list_out.XLSX_TYPE, list_out.template_xlsx())
    raise Http404


def _file(name: str, content_type: str, content: bytes) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "private, no-store"
    return answer
