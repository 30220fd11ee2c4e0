"""Documents of an order: added, listed, looked at and checked, and handed out."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods

from orders import actions_documents as actions
from orders import copies, documents, letters, page, page_documents
from orders.actions_order import NotPossible, NotSendable, why_no_message
from orders.forms_order import PaperForm, UploadForm
from orders.models import OrderDocument
from orders.views_order import (
    MAY_REVEAL,
    MAY_SEND,
    NO_SENDING,
    failed,
    is_unchanged,
    may_send,
    order_page,
    order_row,
    written,
)
from portal.accounts.models import User
from portal.accounts.sessions import person_of, signed_in_user
from portal.htmx import HtmxHttpRequest, wants_fragment
from portal.values import whole
from portal.work import page as work_page

NO_LOOK = (
    "An LOA made here holds the account number. Looking at it needs the right to see secrets; your "
    "administrator can give it."
)
# Nothing in a file may run, load or lead anywhere; only our own page may frame it.
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
_SHOWN = ("application/pdf", "image/jpeg", "image/png", "image/tiff")


# --- The list, and adding -----------------------------------------------------------------------


def _list_context(order: Any, user: User) -> dict[str, Any]:
    found, checklist = page_documents.papers_of(order)
    sends = user.has_perm(MAY_SEND)
    return {
        "order": order,
        "item": order.item,
        "token": work_page.token_of(order.mark),
        "documents": found,
        "checklist": checklist,
        "operations": [
            op for op in work_page.operations_of(order.mark) if op.kind == "port_in.document"
        ],
        "reading": page.reading_of(order),
        "may_send": sends,
        "why_no_message": why_no_message(order) if sends else NO_SENDING,
    }


def _list_page(request: HtmxHttpRequest, pk: int, upload: UploadForm, status: int) -> HttpResponse:
    context = _list_context(page.load(pk), person_of(request)) | {"upload": upload}
    return render(request, "orders/documents.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def document(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show the documents and what they have to show; on POST, keep new ones and send them."""
    if request.method == "POST":
        return _upload(request, pk)
    return _list_page(request, pk, UploadForm(), 200)


@may_send
def _upload(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Check files by their content, keep them, and send them to Sinch."""
    order = order_row(pk)
    on_list = request.POST.get("place") == "list"
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid():
        given = form.cleaned_data
        try:
            actions.upload_documents(
                order,
                given["document"],
                kind=given["kind"],
                description=given["description"],
                dated_on=given["dated_on"],
                by=person_of(request),
                key=given["key"],
            )
        except NotSendable as wrong:
            form.add_error("document", str(wrong))
        except NotPossible as wrong:
            return failed(request, pk, "Nothing was sent", str(wrong), 409)
        else:
            if on_list:
                return redirect("orders:document", pk)
            return written(request, pk, "orders/_upload.html", upload=UploadForm())
    if on_list:
        return _list_page(request, pk, form, 422)
    if not wants_fragment(request):
        return order_page(request, pk, status=422, upload=form)
    context = {"order": order, "item": order.item, "upload": form, "why_no_message": ""}
    return render(request, "orders/_upload.html", context, status=422)


@never_cache
@require_GET
def documents_live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Return list and checklist when something changed since `token`; else 204."""
    user = signed_in_user(request, mark=page.mark_of(pk))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if is_unchanged(request, user):
        return HttpResponse(status=204)
    return render(request, "orders/_papers.html", _list_context(page.load(pk), user))


# --- One document ---------------------------------------------------------------------------


def _row(pk: int, document_pk: int) -> Any:
    return get_object_or_404(page_documents.of_order(pk), pk=document_pk)


def _paper_context(request: HtmxHttpRequest, row: Any) -> dict[str, Any]:
    order, user = row.order, person_of(request)
    sends = user.has_perm(MAY_SEND)
    shown = page_documents.copies_of(row)
    has_right = user.has_perm(MAY_REVEAL) or not page_documents.is_made_here(row)
    return {
        "order": order,
        "item": order.item,
        "document": row,
        "copies": shown,
        "fetching": copies.state_of(row),
        "is_made_here": page_documents.is_made_here(row),
        "may_look": has_right,
        "no_look": "" if has_right else NO_LOOK,
        "is_picture": row.content_type.startswith("image/"),
        "shows": row.content_type in _SHOWN and (shown.ours or shown.sinch) and has_right,
        "may_send": sends,
        "no_right": "" if sends else NO_SENDING,
    }


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def paper(request: HtmxHttpRequest, pk: int, document_pk: int) -> HttpResponse:
    """Show a document beside what the order says; on POST, keep what somebody saw on it."""
    row = _row(pk, document_pk)
    found = letters.letters_of_order(row.order)
    its_paper = page_documents.paper_of(row)
    choices = page_documents.choices_of(its_paper, found)
    initial = {
        "kind": row.kind,
        "dated_on": row.dated_on,
        "tick": [choice.name for choice in choices if choice.is_ticked],
        "part": page_documents.parts_of(its_paper, found),
        "seen": actions.seen_of(found, row),
    }
    if request.method == "POST":
        return _save_paper(request, row, PaperForm(request.POST, parts=len(found)))
    return _paper_page(request, row, PaperForm(initial=initial, parts=len(found)), 200)


@may_send
def _save_paper(request: HtmxHttpRequest, row: OrderDocument, form: PaperForm) -> HttpResponse:
    if form.is_valid():
        given = form.cleaned_data
        try:
            actions.save_checks(
                row,
                kind=given["kind"],
                dated_on=given["dated_on"],
                ticks=given["tick"],
                parts=given["part"],
                seen=given["seen"],
                by=person_of(request),
            )
        except NotSendable as wrong:
            form.add_error("dated_on", str(wrong))
        except NotPossible as wrong:
            form.add_error(None, str(wrong))
        else:
            messages.success(request, f"Saved for “{row.name}”.")
            return redirect("orders:document", row.order_id)
    return _paper_page(request, row, form, 422)


def _paper_page(request: HtmxHttpRequest, row: Any, form: PaperForm, status: int) -> HttpResponse:
    found = letters.letters_of_order(row.order)
    its_paper = page_documents.paper_of(row)
    choices = page_documents.choices_of(its_paper, found)
    context = _paper_context(request, row) | {
        "form": form,
        "choices": choices,
        "ticked": set(form["tick"].value() or ()),
        "parts": [
            (at, letters.title_of(letter), page_documents.few_of(letter))
            for at, letter in enumerate(found, 1)
        ],
        "chosen_parts": {whole(str(at)) for at in form["part"].value() or ()},
        "seen": actions.seen_of(found, row),
        "age": page_documents.age_of(row.order, its_paper, found),
    }
    return render(request, "orders/paper.html", context, status=status)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def document_fetch(request: HtmxHttpRequest, pk: int, document_pk: int) -> HttpResponse:
    """On POST, have Sinch's copy fetched; on GET, say how far that is: 204 while it waits."""
    row = _row(pk, document_pk)
    if request.method == "POST":
        if not row.sinch_id:
            raise Http404
        copies.want(row)
        if not wants_fragment(request):
            return redirect("orders:paper", pk, document_pk)
    context = _paper_context(request, row)
    state: copies.Copy = context["fetching"]
    if request.method == "GET" and state.waits and state.trouble == request.GET.get("said", ""):
        return HttpResponse(status=204)
    return render(request, "orders/_paper_copies.html", context | {"with_preview": True})


# --- Files ----------------------------------------------------------------------------------


@login_required
@xframe_options_sameorigin
@require_GET
def document_file(request: HtmxHttpRequest, pk: int, document_pk: int) -> HttpResponse:
    """Hand a document out: our copy, else Sinch's; with `copy=sinch` Sinch's.

    A copy that was never fetched is asked for, and its page says when it is there. `show` is for
    the preview: the file as a browser can show it.
    """
    row = get_object_or_404(
        OrderDocument.objects.select_related("order__project", "order__item").defer(
            "order__payload"
        ),
        pk=document_pk,
        order=pk,
    )
    if page_documents.is_made_here(row):
        _look(request, row)
    content = _bytes_of(row, request.GET.get("copy", ""))
    if content is None:
        if not row.sinch_id:
            raise Http404
        copies.want(row)
        return redirect("orders:paper", pk, document_pk)
    return file_answer(content, row.name, show="show" in request.GET)


def _look(request: HtmxHttpRequest, row: OrderDocument) -> None:
    user = person_of(request)
    if not user.has_perm(MAY_REVEAL):
        raise PermissionDenied(NO_LOOK)
    actions.tell_look(row.order, f"“{row.name}”", by=user)


def _bytes_of(row: OrderDocument, copy: str) -> bytes | None:
    theirs = row.sinch_content
    if copy == "sinch":
        # Not kept twice: fetched, and the same as ours.
        found = theirs if theirs is not None or not row.sinch_read_at else row.content
    else:
        found = row.content if row.content is not None else theirs
    return None if found is None else bytes(found)


def file_answer(content: bytes, name: str, *, show: bool) -> HttpResponse:
    """Return a file as a download, or with `show` as our own page may frame it."""
    kind = documents.media_type(content)
    show = show and kind in _SHOWN
    if show and kind == "image/tiff":
        try:
            content, kind = documents.as_png(content), "image/png"
        except documents.NotAccepted:
            show = False
    answer = HttpResponse(content, content_type=kind)
    answer["Content-Disposition"] = content_disposition_header(not show, name) or "attachment"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "private, no-store"
    # Browsers show no PDF in a sandbox; their viewer runs nothing of it that reaches the page.
    confined = "object-src 'self'; " if show and kind == "application/pdf" else "sandbox; "
    answer["Content-Security-Policy"] = f"{FILE_POLICY}{confined}frame-ancestors 'self'"
    return answer
