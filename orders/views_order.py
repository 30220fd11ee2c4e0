"""The page of a port-in order, its live parts, and what staff do from it."""

import json
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header, url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orders import actions_order as actions
from orders import documents, page
from orders.models import OrderDocument, PortInOrder
from portal.accounts.clients import porting_client
from portal.accounts.models import User
from portal.accounts.sessions import signed_in_user
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.sinch.errors import SinchError

MAY_SEND = "accounts.send_to_sinch"
MAY_REVEAL = "accounts.reveal_secrets"
NO_RIGHT = "Sending to Sinch needs the agent role. Your administrator can give it."

may_send = permission_required(MAY_SEND, raise_exception=True)


# --- What a page needs ------------------------------------------------------------------------


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # the guard of every view has let nobody else in
    return request.user


def _context(
    request: HttpRequest, order: Any, user: User, revealed: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return everything the order page and its live parts show."""
    every_row = request.GET.get("rows") == "all"
    every_entry = request.GET.get("timeline") == "all"
    show = request.GET.get("show", "")
    show = show if show in {"sinch", "staff"} else ""
    numbers = page.numbers_of(order, every=every_row)
    entries, more_entries = page.timeline_of(order, show, every_entry)
    sends = user.has_perm(MAY_SEND)
    why_no_change = actions.why_no_change(order)
    offered = page.offered_count(order)
    return {
        "order": order,
        "item": order.item,
        "token": page.token_of(order.mark),
        "numbers": numbers,
        "rows": "all" if every_row else "",
        "timeline_entries": entries,
        "timeline_more": more_entries,
        "timeline": "all" if every_entry else "",
        "show": show,
        "operations": page.operations_of(order),
        "notes": page.notes_of(order),
        "documents": page.documents_of(order),
        "team_notes": page.team_notes_of(order),
        "reading": page.reading_of(order),
        "facts": page.facts_of(order),
        "address": page.address_of(order),
        "service": page.service_of(order),
        "secrets": page.secrets_of(order, revealed or {}),
        "local_hint": page.local_hint(order, user),
        "zone": page.zone_of(order),
        "gap": page.gap_of(order, numbers),
        "frozen": page.freeze_of(order),
        "step": page.next_step(order, offered),
        "offered": offered,
        "may_send": sends,
        "may_reveal": user.has_perm(MAY_REVEAL),
        "no_right": "" if sends else NO_RIGHT,
        "why_no_edit": why_no_change if sends else NO_RIGHT,
        "why_no_cancel": why_no_change if sends else NO_RIGHT,
        "why_no_message": actions.why_no_message(order) if sends else NO_RIGHT,
        "why_no_activation": actions.why_no_activation(order),
        "here": order.get_absolute_url(),
        "viewer": user,
    }


def _page(request: HttpRequest, pk: int, *, status: int = 200, **more: Any) -> HttpResponse:
    order = page.load(pk)
    context = _context(request, order, _person(request), more.pop("revealed", None))
    context |= {
        "composer": Composer(),
        "team_composer": TeamComposer(),
        "upload": UploadForm(),
    } | more
    return render(request, "orders/order.html", context, status=status)


def _order(pk: int) -> PortInOrder:
    return get_object_or_404(
        PortInOrder.objects.select_related("item", "project").defer("payload"), pk=pk
    )


def _back(request: HttpRequest, order: PortInOrder) -> str:
    """Return where the form was, when it is a page of ours; else the order's page."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if wanted.startswith("/") and safe else order.get_absolute_url()


def _failed(request: HtmxHttpRequest, pk: int, title: str, text: str, status: int) -> HttpResponse:
    """Answer an action without a form that did not work: into #messages, or as a page."""
    if wants_fragment(request):
        answer = render(
            request, "components/_error.html", {"title": title, "text": text}, status=status
        )
        answer["HX-Retarget"], answer["HX-Reswap"] = "#messages", "outerHTML"
        return answer
    return _page(request, pk, status=status, problem={"title": title, "text": text})


def _is_unchanged(request: HttpRequest, user: User) -> bool:
    """Tell whether the open page is up to date; Http404 for an order that is not there."""
    mark = getattr(user, "mark", None)  # came with the person, in one statement
    if mark is None:
        raise Http404
    return page.token_of(mark) == request.GET.get("token")


# --- Looking ----------------------------------------------------------------------------------


@login_required
@require_GET
def detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show where an order is, whose move it is, and how to mend it."""
    return _page(request, pk)


@never_cache
@require_GET
def live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Return the parts of the page when something has changed since `token`; 204 when nothing has.

    An unchanged page costs one statement: the person and the mark of the order together.
    """
    user = signed_in_user(request, mark=page.mark_of(pk))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if _is_unchanged(request, user):
        return HttpResponse(status=204)
    return render(request, "orders/_live.html", _context(request, page.load(pk), user))


@login_required
@require_GET
def numbers(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show all numbers of an order: as a fragment, or as the page with all of them."""
    if not wants_fragment(request):
        return redirect(f"{reverse('orders:detail', args=[pk])}?rows=all#numbers")
    order = page.load(pk)
    context = _context(request, order, _person(request))
    context |= {"numbers": page.numbers_of(order, every=True), "rows": "all"}
    return render(request, "orders/_numbers.html", context)


@login_required
@require_GET
def raw(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show what Sinch sent, without the secrets, which are never stored in it."""
    order = get_object_or_404(PortInOrder.objects.select_related("item"), pk=pk)
    text = json.dumps(order.payload, indent=2, ensure_ascii=False)
    return render(request, "orders/raw.html", {"order": order, "item": order.item, "text": text})


# --- Reading again, owning, looking at secrets --------------------------------------------------


@login_required
@require_POST
def refresh(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask for a new reading; the page shows when it is there."""
    order = _order(pk)
    actions.check_now(order)
    if wants_fragment(request):
        return render(
            request, "orders/_live.html", _context(request, page.load(pk), _person(request))
        )
    return redirect(_back(request, order))


class PersonField(forms.ModelChoiceField):
    """A colleague, by the name others know."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the full name, else the user name."""
        return str(obj.short_name)


class HandOverForm(forms.Form):
    """Who goes on with an order, and a line for them."""

    to = PersonField(
        User.objects.filter(is_active=True).order_by("first_name", "username"),
        label="Owner",
        required=False,
        empty_label="Nobody",
    )
    line = forms.CharField(
        label="A line for whoever goes on", max_length=300, widget=forms.Textarea
    )


@login_required
@may_send
@require_http_methods(["GET", "POST"])
def owner(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Take an order over with one click, or hand it to a colleague with a line."""
    order = _order(pk)
    if request.method == "POST" and request.POST.get("take"):
        actions.take_over(order, by=_person(request))
        return go_to(request, order)
    form = HandOverForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            actions.hand_over(order, by=_person(request), **form.cleaned_data)
        except actions.NotSendable as problem:
            form.add_error("line", str(problem))
        else:
            return go_to(request, order)
    context = {"order": order, "item": order.item, "form": form}
    return render(request, "orders/owner.html", context, status=422 if form.is_bound else 200)


@login_required
@permission_required(MAY_REVEAL, raise_exception=True)
@never_cache
@require_POST
def reveal(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show one secret of the order for a while; the look goes into the timeline."""
    order = _order(pk)
    name = request.POST.get("secret", "")
    if name not in actions.SECRETS:
        raise Http404
    value = actions.reveal(order, name, by=_person(request))
    if not wants_fragment(request):
        return _page(request, pk, revealed={name: value})
    found = next((s for s in page.secrets_of(order, {name: value}) if s.name == name), None)
    if found is None:
        raise Http404
    return render(
        request, "orders/_secret.html", {"order": order, "secret": found, "may_reveal": True}
    )


# --- Writing to Sinch ----------------------------------------------------------------------------


class Composer(forms.Form):
    """A note to Sinch: first written, then read back, then sent."""

    note = forms.CharField(
        label="Answer Sinch",
        max_length=actions.LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 3, "data-key": "n"}),
        error_messages={"required": "Write what Sinch should read."},
    )
    # Made when the form is, so that a form sent twice is one note.
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "composer_%s")
        super().__init__(*args, **kwargs)
        self.fields["key"].initial = actions.new_key


@login_required
@may_send
@require_POST
def note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Read a note back and ask once more; with `sure`, send it to Sinch."""
    order = _order(pk)
    form, sure, problem = Composer(request.POST), False, False
    if form.is_valid() and not request.POST.get("rewrite"):
        text, key = form.cleaned_data["note"], form.cleaned_data["key"]
        try:
            if request.POST.get("sure"):
                actions.add_note(order, text, by=_person(request), key=key)
                return _written(request, pk, "orders/_composer.html", composer=Composer())
            actions.check_note(order, text)
            sure = True
        except actions.NotSendable as wrong:
            form.add_error("note", str(wrong))
        except actions.NotPossible as wrong:
            return _failed(request, pk, "The note was not sent", str(wrong), 409)
    problem = bool(form.errors) and not request.POST.get("rewrite")
    status = 422 if problem else 200
    more = {"composer": form, "sure": sure}
    if not wants_fragment(request):
        return _page(request, pk, status=status, **more)
    context = {"order": order, "item": order.item, "why_no_message": "", **more}
    return render(request, "orders/_composer.html", context, status=status)


class TeamComposer(forms.Form):
    """A note for colleagues."""

    text = forms.CharField(
        label="Write to your team",
        max_length=actions.LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write what your colleagues should know."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "team_%s")
        super().__init__(*args, **kwargs)


@login_required
@require_POST
def team_note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Keep a note for colleagues."""
    order = _order(pk)
    form = TeamComposer(request.POST)
    if form.is_valid():
        try:
            actions.add_team_note(order, form.cleaned_data["text"], by=_person(request))
            return _written(request, pk, "orders/_team_composer.html", team_composer=TeamComposer())
        except actions.NotSendable as wrong:
            form.add_error("text", str(wrong))
    if not wants_fragment(request):
        return _page(request, pk, status=422, team_composer=form)
    context = {"order": order, "team_composer": form}
    return render(request, "orders/_team_composer.html", context, status=422)


class UploadForm(forms.Form):
    """A document for Sinch."""

    document = forms.FileField(
        label="Add a document",
        widget=forms.ClearableFileInput(attrs={"accept": documents.ACCEPTED}),
        error_messages={
            "required": "Choose a file first.",
            "empty": "The file is empty. Choose it again.",
            "invalid": "Choose a file first.",
        },
    )
    kind = forms.ChoiceField(label="What it is", choices=OrderDocument.Kind)
    description = forms.CharField(label="Description", max_length=300, required=False)
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "upload_%s")
        super().__init__(*args, **kwargs)
        self.fields["key"].initial = actions.new_key
        self.checked: documents.CheckedDocument | None = None

    def clean_document(self) -> Any:
        """Open the file for real; keep what was found in `checked`."""
        upload = self.cleaned_data["document"]
        if upload.size > documents.MOST_BYTES:
            raise forms.ValidationError(
                "The file is larger than 10 MB. Scan it in grey or send it in parts."
            )
        try:
            self.checked = documents.check(upload.name, upload.read())
        except documents.NotAccepted as wrong:
            raise forms.ValidationError(str(wrong)) from wrong
        return upload


@login_required
@may_send
@require_POST
def document(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Check a file by its content, keep it, and send it to Sinch."""
    order = _order(pk)
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid() and form.checked is not None:
        try:
            actions.upload_document(
                order,
                form.checked,
                kind=form.cleaned_data["kind"],
                description=form.cleaned_data["description"],
                by=_person(request),
                key=form.cleaned_data["key"],
            )
        except actions.NotSendable as wrong:
            form.add_error("document", str(wrong))
        except actions.NotPossible as wrong:
            return _failed(request, pk, "The document was not sent", str(wrong), 409)
        else:
            return _written(request, pk, "orders/_upload.html", upload=UploadForm())
    if not wants_fragment(request):
        return _page(request, pk, status=422, upload=form)
    context = {"order": order, "item": order.item, "upload": form, "why_no_message": ""}
    return render(request, "orders/_upload.html", context, status=422)


def _written(request: HtmxHttpRequest, pk: int, template: str, **more: Any) -> HttpResponse:
    """Answer a write: the emptied form with the live parts beside it, or back to the page."""
    if not wants_fragment(request):
        return redirect("orders:detail", pk)
    context = _context(request, page.load(pk), _person(request)) | more
    return render(request, "orders/_written.html", context | {"form_template": template})


@login_required
@require_GET
def document_file(request: HtmxHttpRequest, pk: int, document_pk: int) -> HttpResponse:
    """Send a document as a download: our copy, else Sinch's, which is kept from then on.

    The one view that waits for Sinch: the person asked for these bytes and nothing else.
    """
    row = get_object_or_404(
        OrderDocument.objects.select_related("order__project").defer("order__payload"),
        pk=document_pk,
        order=pk,
    )
    if row.content is None:
        if not row.sinch_id:
            raise Http404
        try:
            fetched = porting_client(row.order.project).get_port_in_order_document(
                row.order.sinch_id, row.sinch_id
            )
        except SinchError as error:
            title = "Sinch did not hand the document out"
            return _failed(request, pk, title, error.staff_message, 502)
        row.content, row.size = fetched.content, len(fetched.content)
        row.save(update_fields=["content", "size"])
    answer = HttpResponse(row.content, content_type=_media_type(bytes(row.content)))
    answer["Content-Disposition"] = content_disposition_header(True, row.name) or "attachment"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "private, no-store"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def _media_type(content: bytes) -> str:
    marks = {
        b"%PDF-": "application/pdf",
        b"\xff\xd8\xff": "image/jpeg",
        b"\x89PNG": "image/png",
        b"II*\x00": "image/tiff",
        b"MM\x00*": "image/tiff",
    }
    for mark, kind in marks.items():
        if content.startswith(mark):
            return kind
    return "application/octet-stream"


@login_required
@may_send
@require_POST
def cancel(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask Sinch to cancel the order; the page had it asked once more before."""
    order = _order(pk)
    try:
        why = request.POST.get("why", "").replace("\0", "")
        actions.cancel_order(order, why=why, by=_person(request))
    except actions.NotSendable as wrong:
        return _failed(request, pk, "The order was not canceled", str(wrong), 422)
    except actions.NotPossible as wrong:
        return _failed(request, pk, "The order was not canceled", str(wrong), 409)
    return go_to(request, order)


# --- Activation ------------------------------------------------------------------------------


def _activation_context(order: Any, user: User) -> dict[str, Any]:
    every = page.numbers_of(order, every=True)
    running = actions.activations(order)
    choices = page.choices_of(order, every, running)
    sends = user.has_perm(MAY_SEND)
    return {
        "order": order,
        "item": order.item,
        "token": page.token_of(order.mark),
        "numbers": every,
        "choices": choices,
        "ready": [choice for choice in choices if choice.ready],
        "outcome": page.outcome_of(order, every),
        "operations": [op for op in page.operations_of(order) if op.kind == "port_in.activate"],
        "reading": page.reading_of(order),
        "zone": page.zone_of(order),
        "local_hint": page.local_hint(order, user),
        "why_no_activation": actions.why_no_activation(order),
        "no_right": "" if sends else NO_RIGHT,
        "key": actions.new_key(),
        "here": reverse("orders:activate", args=[order.pk]),
    }


@login_required
@require_http_methods(["GET", "POST"])
def activate(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show which carrier groups may go live; on POST, have the chosen ones activated."""
    user, problem = _person(request), ""
    if request.method == "POST":
        if not user.has_perm(MAY_SEND):
            return render(request, "403.html", {"exception": NO_RIGHT}, status=403)
        try:
            if not request.POST.get("expected"):
                raise actions.NotSendable("Tick that the customer expects it now.")
            actions.activate_groups(
                _order(pk),
                request.POST.getlist("group"),
                by=user,
                key=request.POST.get("key", "").replace("\0", "")[:32],
            )
        except (actions.NotSendable, actions.NotPossible) as wrong:
            problem = str(wrong)
        else:
            return redirect("orders:activate", pk)
    context = _activation_context(page.load(pk), user) | {"problem": problem}
    return render(request, "orders/activate.html", context, status=422 if problem else 200)


@never_cache
@require_GET
def activation_live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Return the groups and the outcome when something changed since `token`; else 204."""
    user = signed_in_user(request, mark=page.mark_of(pk))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if _is_unchanged(request, user):
        return HttpResponse(status=204)
    return render(request, "orders/_activation.html", _activation_context(page.load(pk), user))
