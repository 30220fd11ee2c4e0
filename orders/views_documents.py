"""Documents of an order: added, and handed out."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from orders import actions_order as actions
from orders.forms_order import UploadForm
from orders.models import OrderDocument
from orders.views_order import failed, may_send, order_page, order_row, person, written
from portal.accounts.clients import porting_client
from portal.htmx import HtmxHttpRequest, wants_fragment
from portal.sinch.errors import SinchError


@login_required
@may_send
@require_POST
def document(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Check a file by its content, keep it, and send it to Sinch."""
    order = order_row(pk)
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid() and form.checked is not None:
        try:
            actions.upload_document(
                order,
                form.checked,
                kind=form.cleaned_data["kind"],
                description=form.cleaned_data["description"],
                by=person(request),
                key=form.cleaned_data["key"],
            )
        except actions.NotSendable as wrong:
            form.add_error("document", str(wrong))
        except actions.NotPossible as wrong:
            return failed(request, pk, "The document was not sent", str(wrong), 409)
        else:
            return written(request, pk, "orders/_upload.html", upload=UploadForm())
    if not wants_fragment(request):
        return order_page(request, pk, status=422, upload=form)
    context = {"order": order, "item": order.item, "upload": form, "why_no_message": ""}
    return render(request, "orders/_upload.html", context, status=422)


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
            return failed(request, pk, title, error.staff_message, 502)
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
