"""Imported numbers: the list, one number, and what can be done with it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hosting import actions_imported as imported
from hosting import facts, moves, number_list, page, page_number, wire
from hosting.failures import grouped
from hosting.forms_numbers import ImportForm, LinkForm, SearchForm
from hosting.models import STEPS, Combination, ImportedNumber, NumberMove, Verdict
from portal import words
from portal.accounts.guards import MAY_SEND, NO_RIGHT, agents_only
from portal.accounts.sessions import person_of
from portal.csvfile import download
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.operations.models import Reading
from portal.sinch import payloads_hosting
from portal.work.actions import NotPossible, NotSendable
from portal.work.drafts import project_for_new_orders
from portal.work.queue import count_text

SHOWS = ("settling", "failed", "moving", "unlinked")
LIST = "hosting:imported_numbers"


def _parameters(request: HtmxHttpRequest) -> dict[str, str]:
    given = request.GET
    show = given.get("show", "")
    return {
        "q": given.get("q", "").replace("\0", "")[:60].strip(),
        "plan": given.get("plan", "").replace("\0", "")[:100],
        "campaign": given.get("campaign", "").replace("\0", "")[:100],
        "show": show if show in SHOWS else "",
    }


def _rows(parameters: dict[str, str]) -> Any:
    rows = ImportedNumber.objects.filter(gone_at=None)
    if parameters["plan"]:
        rows = rows.filter(service_plan_id=parameters["plan"])
    if parameters["campaign"]:
        rows = rows.filter(campaign_id=parameters["campaign"])
    if parameters["q"]:
        named = Q(display_name__istartswith=parameters["q"])
        rows = rows.filter(number_list.number_condition(parameters["q"]) | named)
    if parameters["show"] == "settling":
        rows = rows.filter(is_settling=True)
    elif parameters["show"] == "failed":
        rows = rows.filter(verdict=Verdict.FAILED)
    elif parameters["show"] == "moving":
        # Only the last move of a number tells where it is; those before it have been overtaken.
        later = NumberMove.objects.filter(number=OuterRef("number"), pk__gt=OuterRef("pk"))
        last = NumberMove.objects.filter(~Exists(later)).order_by()
        last = last.filter(state__in=(*NumberMove.LIVING, NumberMove.State.STOPPED))
        rows = rows.filter(pk__in=last.values("number"))
    elif parameters["show"] == "unlinked":
        rows = rows.filter(service_plan_id="")
    return rows


def _list_context(request: HtmxHttpRequest) -> dict[str, Any]:
    parameters = _parameters(request)
    shown = number_list.page_of(_rows(parameters).defer("payload"), request.GET, parameters)
    pairs = list(Combination.objects.all()[:200])
    plans = {pair.service_plan_id: pair.service_plan_id for pair in pairs}
    campaigns = {pair.campaign_id: pair.campaign_id for pair in pairs if pair.campaign_id}
    link = number_list.link
    return {
        "page": shown,
        "parameters": parameters,
        "is_narrowed": any(parameters.values()),
        "plans": [(plan, link(parameters, plan=plan)) for plan in plans],
        "campaigns": [(one, link(parameters, campaign=one)) for one in campaigns],
        "plan_names": {pair.service_plan_id: pair.name for pair in pairs},
        "campaign_names": {p.campaign_id: p.name for p in pairs if p.campaign_id},
        "without": {name: link(parameters, **{name: ""}) for name in parameters},
        "shows": [
            (name, link(parameters, show=key if parameters["show"] != key else ""), key)
            for key, name in (
                ("failed", "Failed"),
                ("settling", "Being worked on"),
                ("moving", "Being moved"),
                ("unlinked", "Not linked"),
            )
        ],
        "total": count_text(shown.total),
        "walked": [pair for pair in pairs if pair.walked_at],
        "unwalked": sum(pair.walked_at is None for pair in pairs),
        "oldest": min((pair.walked_at for pair in pairs if pair.walked_at), default=None),
        "searching": Reading.objects.filter(
            kind=imported.SEARCH_READER, next_try_at__isnull=False
        ).exists(),
        "may_send": person_of(request).has_perm(MAY_SEND),
        "no_right": NO_RIGHT,
    }


@login_required
@require_http_methods(["GET", "POST"])
def imported_numbers(request: HtmxHttpRequest) -> HttpResponse:
    """Show imported numbers; on POST, have Sinch's own search asked."""
    form = SearchForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        project = project_for_new_orders()
        if project is None:
            raise Http404("No project")
        given = form.cleaned_data
        try:
            imported.search_at_sinch(
                project,
                plan=given["plan"],
                campaign=given["campaign"],
                digits=given["digits"],
                where=given["where"],
                by=person_of(request),
            )
        except NotSendable as wrong:
            form.add_error("digits", str(wrong))
        except NotPossible as unknown:
            form.add_error("plan", str(unknown))
        else:
            messages.success(request, "Sinch is being asked; what it finds appears in the list.")
            digits = "".join(c for c in given["digits"] if c.isdigit())
            query = {"q": digits, "plan": given["plan"]}
            return redirect(reverse(LIST) + number_list.link(query))
    context = _list_context(request) | {"search_form": form}
    status = 422 if form.is_bound else 200
    return render(request, "hosting/imported_numbers.html", context, status=status)


@login_required
@require_GET
def imported_live(request: HtmxHttpRequest) -> HttpResponse:
    """Show the rows as they now stand, for an open page on which something is awaited."""
    context = _list_context(request)
    return render(request, "hosting/_imported_rows.html", context)


@login_required
@require_GET
def imported_csv(request: HtmxHttpRequest) -> StreamingHttpResponse:
    """Return the numbers that match as a CSV file."""
    rows = _rows(_parameters(request)).defer("payload").order_by("phone_number")
    titles = ("Number", "Name", "Service plan", "Campaign", *_step_titles(), "Read at")
    lines = (
        [
            row.phone_number,
            row.display_name,
            row.service_plan_id,
            row.campaign_id,
            *(words.chip("step", getattr(row, c)).label for c in STEPS.values() if c != "osr"),
            row.fetched_at.isoformat(timespec="seconds"),
        ]
        for row in rows.iterator(chunk_size=500)
    )
    return download("imported-numbers.csv", titles, lines)


def _step_titles() -> list[str]:
    return [page.STEP_WORDS[column] for column in STEPS.values() if column != "osr"]


@agents_only
@require_http_methods(["GET", "POST"])
def import_number(request: HtmxHttpRequest) -> HttpResponse:
    """Import one number."""
    project = project_for_new_orders()
    posted = request.method == "POST" and project is not None
    form = ImportForm(request.POST if posted else None)
    if form.is_valid() and project is not None:
        given = form.cleaned_data
        known = ImportedNumber.objects.filter(
            project=project, phone_number=given["number"], gone_at=None
        ).first()
        if known is not None:
            messages.info(request, "This number is imported already; here it is.")
            return go_to(request, known)
        try:
            operation = imported.import_one(
                project,
                given["number"],
                plan=given["plan"],
                campaign=given["campaign"],
                name=given["name"],
                region=form.region,
                by=person_of(request),
            )
        except (NotSendable, NotPossible) as wrong:
            form.add_error("number", str(wrong))
        else:
            return go_to(request, operation)
    pairs = list(Combination.objects.all()[:200])
    context = {
        "form": form,
        "project": project,
        "plan_names": {pair.service_plan_id: pair.name for pair in pairs},
        "campaign_names": {p.campaign_id: p.name for p in pairs if p.campaign_id},
    }
    status = 422 if form.is_bound else 200
    return render(request, "hosting/import_number.html", context, status=status)


# --- One number ---------------------------------------------------------------------------------


def _number(pk: int) -> ImportedNumber:
    rows = ImportedNumber.objects.select_related("project")
    return get_object_or_404(page_number.with_mark(rows), pk=pk)


def _context(request: HtmxHttpRequest, number: ImportedNumber) -> dict[str, Any]:
    said = wire.read_imported(number.payload)
    known = facts.Number(
        number.phone_number,
        said.steps.steps,
        number.status_since,
        said.steps.errors,
        number.failure_codes,
    )
    found = list(number.moves.select_related("by", "unlink_operation", "link_operation")[:10])
    move = found[0] if found else None
    sms = wire.mapping(number.payload.get("smsConfiguration"))
    scheduled = wire.mapping(sms.get("scheduledProvisioning"))
    times = wire.times_of_imported(number.payload)
    pairs = list(Combination.objects.filter(project=number.project)[:200])
    return page_number.context_of(number, person_of(request)) | {
        "steps": [
            (
                page.STEP_WORDS[column],
                "DEPROVISIONING"
                if getattr(number, f"{column}_type", "") == wire.DEPROVISIONING
                and state in (wire.WAITING, wire.IN_PROGRESS)
                else state,
                times.get(column),
                " ".join(filter(None, said.steps.errors.get(column, ()))),
                number.failure_codes.get(column, ""),
            )
            for column, state in said.steps.steps.items()
            if column != "osr"
        ],
        "failures": grouped([known]),
        "scheduled": scheduled if wire.state_of_scheduled(scheduled) == wire.IN_PROGRESS else {},
        "beyond": wire.undocumented(number.payload, payloads_hosting.ImportedNumber),
        "move": move,
        "move_steps": moves.steps_of(move) if move else [],
        "is_moving": move is not None and move.state in NumberMove.LIVING,
        "is_stopped": move is not None and move.state == NumberMove.State.STOPPED,
        "stands_unlinked": not number.service_plan_id and not said.is_settling,
        "older_moves": found[1:],
        "events": page.events_of(number.project_id, number.phone_number),
        "plan_names": {pair.service_plan_id: pair.name for pair in pairs},
        "campaign_names": {p.campaign_id: p.name for p in pairs if p.campaign_id},
    }


def _page(
    request: HtmxHttpRequest, number: ImportedNumber, *, status: int = 200, **more: Any
) -> HttpResponse:
    initial = {"plan": number.service_plan_id, "campaign": number.campaign_id}
    context = _context(request, number)
    context |= {"link_form": LinkForm(initial=initial), "name": number.display_name} | more
    context["unlink_work"] = moves.unfinished(number, plan="", campaign="")
    return render(request, "hosting/imported_number.html", context, status=status)


@login_required
@require_GET
def imported_number(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show where a number is linked, what is being done to it, and what can be done."""
    return _page(request, _number(pk))


@never_cache
@require_GET
def imported_number_live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Answer an open page: 204 while nothing has changed, else its live parts."""
    if (answer := page_number.no_news(request, ImportedNumber.objects.filter(pk=pk))) is not None:
        return answer
    return render(request, "hosting/_imported_live.html", _context(request, _number(pk)))


@login_required
@require_POST
def refresh(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask for a new reading."""
    number = _number(pk)
    imported.check_now(number)
    if wants_fragment(request):
        return render(request, "hosting/_imported_live.html", _context(request, _number(pk)))
    return redirect(number)


@agents_only
@require_POST
def rename(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Give a number another name at Sinch."""
    number = _number(pk)
    typed = request.POST.get("name", "").replace("\0", "")
    try:
        imported.rename(number, typed, by=person_of(request))
    except NotSendable as wrong:
        return _page(request, number, status=422, name=typed, name_error=str(wrong))
    except NotPossible as wrong:
        return _page(request, number, status=409, problem=str(wrong))
    return redirect(number)


def _ask(request: HtmxHttpRequest, number: ImportedNumber, form: LinkForm) -> HttpResponse:
    """Read the way of a move back and ask once more; one that cannot be made asks nothing."""
    plan, campaign = form.cleaned_data["plan"], form.cleaned_data["campaign"]
    work = moves.unfinished(number, plan=plan, campaign=campaign)
    if (number.service_plan_id, number.campaign_id) == (plan, campaign):
        form.add_error("plan", "Choose another plan or campaign.")
    elif work is not None and not work.is_out:
        form.add_error("plan", work.text)
    if form.errors:
        return _page(request, number, status=422, link_form=form)
    known = Combination.objects.filter(project=number.project)
    asking = {
        "plan": plan,
        "campaign": campaign,
        "work": work,
        "no_plan": not known.filter(service_plan_id=plan).exists(),
        "no_campaign": bool(campaign) and not known.filter(campaign_id=campaign).exists(),
    }
    return _page(request, number, link_form=form, asking=asking)


@agents_only
@require_POST
def move(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask before a move, begin one, or unlink; go on with a stopped move, or go back."""
    number, by = _number(pk), person_of(request)
    verb, knowing = request.POST.get("do", "start"), request.POST.get("knowing", "")
    form = LinkForm(request.POST)
    if verb in ("ask", "start") and not form.is_valid():
        return _page(request, number, status=422, link_form=form)
    if verb == "ask":
        return _ask(request, number, form)
    try:
        if verb == "again":
            last = number.moves.first()
            if last is None:
                raise NotPossible("There is no move to go on with.")
            moves.try_again(last, by=by)
        elif verb == "back":
            moves.link_again(number, by=by)
        elif verb == "unlink":
            moves.start(number, plan="", campaign="", by=by, knowing=knowing)
        else:
            plan, campaign = form.cleaned_data["plan"], form.cleaned_data["campaign"]
            moves.start(number, plan=plan, campaign=campaign, by=by, knowing=knowing)
    except NotPossible as wrong:
        return _page(request, number, status=409, problem=str(wrong))
    return redirect(f"{number.get_absolute_url()}#move")


@agents_only
@require_POST
def delete(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Delete a number at Sinch; the page had it asked once more before."""
    number = _number(pk)
    try:
        imported.delete(number, by=person_of(request))
    except NotPossible as wrong:
        return _page(request, number, status=409, problem=str(wrong))
    return redirect(number)
