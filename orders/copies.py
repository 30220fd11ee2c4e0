"""Sinch's copies of documents: fetched in the background, and kept when they differ from ours."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.documents import media_type
from orders.models import OrderDocument
from portal.operations import clients, readings
from portal.operations.models import Reading
from portal.sinch.errors import SinchNotFound

KIND = "port_in_document"


class DocumentReader(readings.Reader):
    """Fetches one document; its resource is "<order's id at Sinch>:<document's id at Sinch>"."""

    kind = KIND

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Fetch the document and keep it; never again by itself. Raises SinchError."""
        order_id, _, document_id = reading.resource_id.partition(":")
        try:
            fetched = clients.porting_client(reading.project).get_port_in_order_document(
                order_id, document_id
            )
        except SinchNotFound:
            readings.note_gone(reading)
        else:
            _keep(reading.project_id, order_id, document_id, fetched.content, started_at)
        return None


def _keep(project_pk: int, order_id: str, document_id: str, content: bytes, at: datetime) -> None:
    row = OrderDocument.objects.filter(
        order__project=project_pk, order__sinch_id=order_id, sinch_id=document_id
    ).first()
    if row is None:
        return
    is_same = row.content is not None and bytes(row.content) == content
    row.sinch_content, row.sinch_read_at = None if is_same else content, at
    if row.content is None:
        row.size, row.content_type = len(content), media_type(content)
    row.save(update_fields=["sinch_content", "sinch_read_at", "size", "content_type"])


@dataclass(frozen=True)
class Copy:
    """How far the fetching of Sinch's copy is."""

    waits: bool = False
    trouble: str = ""
    is_gone: bool = False


def resource_of(document: OrderDocument) -> str:
    """Return how readings name a document; needs its order."""
    return f"{document.order.sinch_id}:{document.sinch_id}"


def want(document: OrderDocument) -> None:
    """Have Sinch's copy fetched, before anything nobody waits for; needs the document's order."""
    readings.want_one(document.order.project_id, KIND, resource_of(document), "staff")


def state_of(document: OrderDocument) -> Copy:
    """Return how far the fetching is; one statement, none for a document Sinch does not have."""
    if not document.sinch_id:
        return Copy()
    reading = Reading.objects.filter(
        project=document.order.project_id, kind=KIND, resource_id=resource_of(document)
    ).first()
    if reading is None:
        return Copy()
    waits = reading.read_at is None or reading.requested_at > reading.read_at
    return Copy(waits, reading.last_error if waits else "", reading.is_gone and not waits)
