"""Qualified numbers: the list, adding, proving by call or invoices, and text-enabling."""

from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Min, OuterRef
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hosting import actions, clocks, number_list, overview, page_number, wire
from hosting import actions_qualified as qualified
from hosting.forms_numbers import MOST_QUALIFIED, CodeForm, QualifyForm
from hosting.models import QualifiedNumber
from portal import words
from portal.accounts.guards import MAY_SEND, NO_RIGHT, agents_only
from portal.accounts.models import SinchProject, User
from portal.accounts.sessions import person_of
from portal.csvfile import download
from portal.formkey import new_key, read_key
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.operations.models import Reading
from portal.sinch import payloads_hosting
from portal.values import whole
from portal.work.actions import NotPossible, NotSendable
from portal.work.clocks import Clock, clock_of
from portal.work.drafts import project_for_new_orders
from portal.work.office import Calendar, countries_of, zone_named
from portal.work.queue import capped, count_text

State = QualifiedNumber.State
LIST = "hosting:qualified_numbers"
US = "us"  # how an address asks for those whose next step is ours


def _parameters(request: HtmxHttpRequest) -> dict[str, str]:
    state = request.GET.get("state", "")
    return {
        "q": request.GET.get("q", "").replace("\0", "")[:60].strip(),
        "state": state if state in (*State.values, US) else "",
    }


def _rows(parameters: dict[str, str]) -> Any:
    rows = QualifiedNumber.objects.filter(gone_at=None)
    if parameters["state"] == US:
        rows = rows.filter(qualified.needs_us())
    elif parameters["state"]:
        rows = rows.filter(state=parameters["state"])
    if parameters["q"]:
        rows = rows.filter(number_list.number_condition(parameters["q"]))
    return rows


class Line:
    """A qualified number in words: what it means, whose move it is, and its clock."""

    def __init__(self, number: QualifiedNumber, office: Calendar) -> None:
        self.number = number
        chip = words.chip("qualified", number.state)
        self.mailed = qualified.under_review_since(number)
        self.move = "sinch" if self.mailed else chip.move
        self.tone = "wait" if self.mailed else chip.tone
        self.glyph = "wait" if self.mailed else chip.glyph
        self.label = "Invoices under review" if self.mailed else chip.label
        self.sentence = (
            "Invoices were mailed; the review mostly takes 1 to 3 days."
            if self.mailed
            else chip.sentence
        )
        self.error = number.eligibility_error or number.ownership_error or number.hosted_error
        kept = clocks.qualified_clock(number.state, number.state_since, self.mailed, office)
        self.clock: Clock | None = clock_of({"clock": kept.as_json()}) if kept else None

    @property
    def may_be_chosen(self) -> bool:
        """Whether something can be done with several of its kind."""
        return self.number.state in (*qualified.PROVABLE, State.VERIFIED)


def _office(rows: list[QualifiedNumber], project: Any) -> Calendar:
    zone = zone_named(project.default_port_time_zone if project else "")
    days = frozenset(project.extra_days_off) if project else frozenset()
    return Calendar(zone, countries_of(row.phone_number for row in rows), days)


def _counts(person: User) -> dict[str, int]:
    """Return how many numbers are in each state, and under US how many need us; one statement.

    Each is counted up to a thousand.
    """
    rows = QualifiedNumber.objects.filter(gone_at=None)
    counted = {state: capped(rows.filter(state=state)) for state in State.values}
    counted[US] = capped(rows.filter(qualified.needs_us()))
    # The statement needs a row to hang on: the person's own.
    counting = User.objects.filter(pk=person.pk).annotate(**counted)
    return dict(zip(counted, counting.values_list(*counted).get(), strict=True))


def _projects() -> list[Any]:
    """Return the projects in use, the one of new orders first, each with how many are `verified`.

    An order is of one project. Each is counted up to a thousand.
    """
    verified = QualifiedNumber.objects.filter(
        project=OuterRef("pk"), state=State.VERIFIED, gone_at=None
    )
    active = SinchProject.objects.filter(is_active=True).defer("key_secret")
    return list(active.annotate(verified=capped(verified)).order_by("pk"))


def _list_context(request: HtmxHttpRequest) -> dict[str, Any]:
    parameters = _parameters(request)
    projects = _projects()
    shown = number_list.page_of(_rows(parameters).defer("payload"), request.GET, parameters)
    office = _office(shown.rows, projects[0] if projects else None)
    person = person_of(request)
    counts = _counts(person)
    link = number_list.link
    us = counts[US]
    # The numbers of all projects are listed: they are as old as the lists read the longest ago.
    walks = Reading.objects.filter(
        kind=overview.WALK_READER, resource_id=overview.QUALIFIED, project__is_active=True
    )
    return {
        "page": shown,
        "lines": [Line(row, office) for row in shown.rows],
        "parameters": parameters,
        "is_narrowed": any(parameters.values()),
        "us": us,
        "us_text": count_text(us),
        "us_link": link(parameters, state="" if parameters["state"] == US else US),
        "states": [
            (
                words.chip("qualified", state).label,
                state,
                count_text(counts[state]),
                link(parameters, state=state),
            )
            for state in State.values
            if counts[state]
        ],
        "chosen_state": words.chip("qualified", parameters["state"]).label
        if parameters["state"] not in ("", US)
        else "",
        "all_link": link(parameters, state=""),
        "total": count_text(shown.total),
        "walked_at": walks.aggregate(at=Min("read_at"))["at"],
        "may_send": person.has_perm(MAY_SEND),
        "no_right": NO_RIGHT,
        "verified": [(one, count_text(one.verified)) for one in projects if one.verified],
        "many_projects": len(projects) > 1,
        "invoices_to": qualified.INVOICES_TO,
    }


@login_required
@require_GET
def qualified_numbers(request: HtmxHttpRequest) -> HttpResponse:
    """Show qualified numbers: where each stands and whose move it is."""
    return render(request, "hosting/qualified_numbers.html", _list_context(request))


@login_required
@require_GET
def qualified_csv(request: HtmxHttpRequest) -> StreamingHttpResponse:
    """Return the numbers that match as a CSV file."""
    rows = _rows(_parameters(request)).defer("payload").order_by("phone_number")
    titles = ("Number", "State", "Meaning", "Error", "Since", "Invoices mailed", "Read at")
    lines = (
        [
            row.phone_number,
            words.chip("qualified", row.state).label,
            words.chip("qualified", row.state).sentence,
            row.eligibility_error or row.ownership_error or row.hosted_error,
            row.state_since.isoformat(timespec="seconds"),
            row.invoices_sent_at.isoformat(timespec="seconds") if row.invoices_sent_at else "",
            row.fetched_at.isoformat(timespec="seconds"),
        ]
        for row in rows.iterator(chunk_size=500)
    )
    return download("qualified-numbers.csv", titles, lines)


@agents_only
@require_http_methods(["GET", "POST"])
def qualify(request: HtmxHttpRequest) -> HttpResponse:
    """Have pasted numbers qualified; those known already are named and left out."""
    project = project_for_new_orders()
    posted = request.method == "POST" and project is not None
    form = QualifyForm(request.POST if posted else None)
    key = read_key(request.POST.get("key", "")) or new_key()
    known: list[QualifiedNumber] = []
    if form.is_valid() and project is not None:
        numbers = form.cleaned_data["numbers"]
        known = list(
            QualifiedNumber.objects.filter(
                project=project, phone_number__in=numbers, gone_at=None
            ).defer("payload")
        )
        fresh = [n for n in numbers if n not in {row.phone_number for row in known}]
        try:
            operations = qualified.add(project, fresh, by=person_of(request), key=key)
        except NotSendable as wrong:
            form.add_error("numbers", str(wrong))
        else:
            if operations:
                left = f" {len(known)} of them were there already." if known else ""
                count = words.count_text(len(fresh), "number")
                messages.success(request, f"{count} on the way to Sinch.{left}")
                return go_to(request, operations[0] if len(operations) == 1 else reverse(LIST))
            form.add_error("numbers", "All of them are being qualified already; see the list.")
    context = {"form": form, "project": project, "key": key, "known": known[:20]}
    status = 422 if form.is_bound else 200
    return render(request, "hosting/qualify.html", context, status=status)


def _chosen(request: HtmxHttpRequest) -> Any:
    """Return the ticked numbers of projects in use, by number."""
    found = map(whole, request.POST.getlist("number")[:500])
    keys = [key for key in found if key is not None]
    rows = QualifiedNumber.objects.filter(pk__in=keys, project__is_active=True, gone_at=None)
    return rows.order_by("phone_number", "project_id")


@agents_only
@require_http_methods(["GET", "POST"])
def invoices(request: HtmxHttpRequest) -> HttpResponse:
    """Show the mail that goes with the invoices of chosen numbers; note that it was sent."""
    if request.method == "GET":
        return redirect(LIST)
    rows = list(_chosen(request).filter(state__in=qualified.PROVABLE).defer("payload"))
    if not rows:
        messages.error(request, "Choose numbers whose proof is open.")
        return redirect(LIST)
    if request.POST.get("do") == "mailed":
        count = qualified.mark_mailed(rows, by=person_of(request))
        count_text_ = words.count_text(count, "number")
        messages.success(request, f"Noted for {count_text_}. Sinch mostly takes 1 to 3 days.")
        return redirect(LIST)
    text = qualified.mail_text(dict.fromkeys(row.phone_number for row in rows))
    query = urlencode({"subject": "Proof of ownership", "body": text}, quote_via=quote)
    context = {
        "rows": rows,
        "text": text,
        "to": qualified.INVOICES_TO,
        "mailto": f"mailto:{qualified.INVOICES_TO}?{query}" if len(query) < 1800 else "",
        "left_out": len(request.POST.getlist("number")) - len(rows),
    }
    return render(request, "hosting/invoices.html", context)


@agents_only
@require_POST
def text_enable(request: HtmxHttpRequest) -> HttpResponse:
    """Begin an order of the chosen verified numbers, or of all of a project; one for each."""
    rows = _chosen(request)
    if request.POST.get("all"):
        key = whole(request.POST.get("project", ""))
        rows = QualifiedNumber.objects.filter(project__is_active=True, gone_at=None)
        rows = rows if key is None else rows.filter(project=key)
    rows = rows.filter(state=State.VERIFIED).order_by("phone_number")
    phones: dict[int, list[str]] = {}
    pairs = list(rows.values_list("project", "phone_number")[: MOST_QUALIFIED + 1])
    for project, phone in pairs[:MOST_QUALIFIED]:
        phones.setdefault(project, []).append(phone)
    if not phones:
        messages.error(request, "Choose verified numbers; only they can be text-enabled.")
        return redirect(LIST)
    drafts = [
        draft
        for project in SinchProject.objects.filter(pk__in=phones).order_by("pk")
        for draft in actions.draft_of_verified(project, phones[project.pk], by=person_of(request))
    ]
    if len(pairs) > MOST_QUALIFIED:
        last = words.phone_text(pairs[MOST_QUALIFIED - 1][1])
        messages.warning(
            request,
            f"{rows.count():,} numbers are verified, and these are the first {MOST_QUALIFIED:,} of "
            f"them, up to {last}. Tick the others in the list, or type them into an order of their "
            "own.",
        )
    if len(phones) > 1:
        messages.info(
            request,
            "The numbers of each Sinch project go into an order of their own; it is a draft too.",
        )
    elif len(drafts) > 1:
        messages.info(
            request, "Toll-free numbers go into an order of their own; it is a draft too."
        )
    return go_to(request, drafts[0])


# --- One number ---------------------------------------------------------------------------------


def _number(pk: int) -> QualifiedNumber:
    rows = QualifiedNumber.objects.select_related("project", "invoices_sent_by")
    return get_object_or_404(page_number.with_mark(rows), pk=pk)


def _context(request: HtmxHttpRequest, number: QualifiedNumber) -> dict[str, Any]:
    return page_number.context_of(number, person_of(request)) | {
        "key": new_key(),
        "line": Line(number, _office([number], number.project)),
        "why_no_call": qualified.why_no_call(number),
        "may_prove": number.state in qualified.PROVABLE,
        "tries": qualified.tries_of(number),
        "is_verified": number.state == State.VERIFIED,
        "beyond": wire.undocumented(number.payload, payloads_hosting.QualifiedNumber),
        "invoices_to": qualified.INVOICES_TO,
    }


def _page(
    request: HtmxHttpRequest, number: QualifiedNumber, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = _context(request, number) | {"code_form": CodeForm()} | more
    return render(request, "hosting/qualified_number.html", context, status=status)


@login_required
@require_GET
def qualified_number(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show where a number's qualification stands and what comes next."""
    return _page(request, _number(pk))


@never_cache
@require_GET
def qualified_number_live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Answer an open page: 204 while nothing has changed, else its live parts."""
    if (answer := page_number.no_news(request, QualifiedNumber.objects.filter(pk=pk))) is not None:
        return answer
    context = _context(request, _number(pk)) | {"code_form": CodeForm()}
    return render(request, "hosting/_qualified_live.html", context)


@login_required
@require_POST
def refresh(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask for a new reading."""
    number = _number(pk)
    qualified.check_now(number)
    if wants_fragment(request):
        context = _context(request, _number(pk)) | {"code_form": CodeForm()}
        return render(request, "hosting/_qualified_live.html", context)
    return redirect(number)


@agents_only
@require_POST
def call(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Have Sinch call the number with a code; the page had it asked once more before."""
    number = _number(pk)
    try:
        qualified.call(number, by=person_of(request))
    except NotPossible as wrong:
        return _page(request, number, status=409, problem=str(wrong))
    return redirect(f"{number.get_absolute_url()}#proof")


@agents_only
@require_POST
def verify(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Hand back the code; take back that invoices were mailed."""
    number = _number(pk)
    if request.POST.get("do") == "not_mailed":
        qualified.take_mailed_back(number)
        return redirect(number)
    form = CodeForm(request.POST)
    if not form.is_valid():
        return _page(request, number, status=422, code_form=form)
    try:
        key = read_key(request.POST.get("key", ""))
        qualified.verify(number, form.cleaned_data["code"], by=person_of(request), key=key)
    except (NotPossible, NotSendable) as wrong:
        return _page(request, number, status=409, problem=str(wrong), code_form=form)
    return redirect(f"{number.get_absolute_url()}#proof")


@agents_only
@require_POST
def delete(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Delete a number at Sinch; the page had it asked once more before."""
    number = _number(pk)
    try:
        qualified.delete(number, by=person_of(request))
    except NotPossible as wrong:
        return _page(request, number, status=409, problem=str(wrong))
    return redirect(number)
