"""Documents of an order: added, checked by content, looked at, fetched from Sinch, handed out."""

import datetime
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from PIL import Image
from pypdf import PdfReader, PdfWriter

from orders import actions_documents as actions
from orders import documents, letters, loa, papers, sync
from orders.models import OrderDocument, PortInDraft, PortInOrder
from portal.accounts.models import SinchProject, User
from portal.operations import runner
from portal.operations.models import Operation, Reading
from portal.sinch.porting import PortingClient
from portal.work.models import TimelineEntry, WorkItem

pytestmark = pytest.mark.django_db
PIN, ACCOUNT = "482193", "9930-114431"
FIRST, SECOND = "+12065550100", "+12065550101"
TOLL_FREE = "+18335550142"
TODAY = datetime.date(2026, 6, 9)

Make = Callable[..., PortInOrder]


@pytest.fixture
def make_order(project: SinchProject, order_json: Callable[..., dict[str, Any]]) -> Make:
    """Make an order as the desk has read it: `make_order({FIRST: {…}}, status="CONFIRMED")`."""

    def make(
        numbers: dict[str, dict[str, Any]] | int = 3, account: str = ACCOUNT, **fields: Any
    ) -> PortInOrder:
        soon = timezone.localdate() + datetime.timedelta(days=9)
        fields.setdefault("desiredPortSchedule", {"desiredPortDate": soon.isoformat()})
        payload = order_json(numbers, **fields)
        kept = {"existingPortOutPin": PIN} | ({"accountNum": account} if account else {})
        secrets = {entry["phoneNumber"]: kept for entry in payload["phoneNumbers"]}
        order = sync.store_port_in_order(project, payload, timezone.now(), secrets=secrets)
        return PortInOrder.objects.select_related("item", "project").get(pk=order.pk)

    return make


@pytest.fixture
def reader_client(make_agent: Callable[..., User]) -> Client:
    """A client in which somebody without any rights is signed in."""
    client = Client()
    client.force_login(
        make_agent("rhea"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    return client


@pytest.fixture
def sender_client(make_agent: Callable[..., User]) -> Client:
    """A client in which somebody is signed in who may send but not look at secrets."""
    client = Client()
    client.force_login(
        make_agent("sam", "send_to_sinch"),
        backend="portal.accounts.backends.EmailOrUsernameBackend",
    )
    return client


def at(name: str, order: PortInOrder, *more: object) -> str:
    return reverse(f"orders:{name}", args=[order.pk, *more])


def a_pdf() -> bytes:
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    writer.write(out)
    return out.getvalue()


def a_picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, kind)
    return out.getvalue()


def a_file(name: str = "loa.pdf", content: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, a_pdf() if content is None else content)


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def added(order: PortInOrder, by: User, **more: Any) -> OrderDocument:
    """Add a document that is on its way."""
    (operation,) = actions.upload_documents(
        order,
        [documents.check(more.pop("name", "loa.pdf"), a_pdf())],
        by=by,
        **({"kind": "loa"} | more),
    )
    return OrderDocument.objects.get(operation=operation)


def hidden(answer: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.content.decode())
    assert found, name
    return found[1]


def ticks(client: Client, row: OrderDocument, **typed: Any) -> Any:
    """Open the page of a document and save what is typed there."""
    page = client.get(at("paper", row.order, row.pk))
    data = {"kind": row.kind, "seen": hidden(page, "seen")} | typed
    return client.post(at("paper", row.order, row.pk), data)


# --- Adding ---------------------------------------------------------------------------------


def test_a_document_is_kept_encrypted_and_sent_once(agent_client, make_order):
    order, content = make_order(), a_pdf()
    for _ in range(2):
        answer = agent_client.post(
            at("document", order),
            {"document": a_file("../loa signed.PDF", content), "kind": "loa", "key": "k1"},
        )
        assert answer.status_code == 302
    row = OrderDocument.objects.get()
    assert (row.name, row.kind, row.content_type) == ("loa signed.pdf", "loa", "application/pdf")
    operation = Operation.objects.get()
    assert operation.payload == {"document_pk": row.pk, "alike_of_others": 0}
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM orders_orderdocument")
        assert b"%PDF" not in bytes(cursor.fetchone()[0])
    file = agent_client.get(at("document_file", order, row.pk))
    assert file.content == content
    assert file["Content-Disposition"] == 'attachment; filename="loa signed.pdf"'
    assert file["X-Content-Type-Options"] == "nosniff"


def test_several_documents_go_together_each_as_its_name_says(agent_client, make_order):
    order = make_order()
    names = {"signed-LOA.pdf": "loa", "bill may.pdf": "bill", "CSR.pdf": "csr", "x.pdf": "other"}
    for _ in range(2):
        answer = agent_client.post(
            at("document", order),
            {
                "document": [a_file(name) for name in names],
                "kind": "name",
                "dated_on": "2026-06-02",
                "description": "From the customer",
                "key": "k1",
                "place": "list",
            },
        )
        assert answer["Location"] == at("document", order)
    rows = OrderDocument.objects.order_by("pk")
    assert {row.name: row.kind for row in rows} == names
    assert {row.dated_on for row in rows} == {datetime.date(2026, 6, 2)}
    assert Operation.objects.count() == 4
    assert TimelineEntry.objects.filter(text="Bill “bill may.pdf” added").exists()


def test_one_refused_file_holds_back_all_and_is_named(agent_client, make_order):
    order = make_order()
    answer = agent_client.post(
        at("document", order),
        {"document": [a_file(), a_file("bill.pdf", b"MZ\x90\x00" + b"x" * 99)], "kind": "loa"},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 422
    assert "bill.pdf: Named .pdf, but it is a program. Nothing was sent." in text_of(answer)
    assert "choose the others again" in text_of(answer)
    assert not OrderDocument.objects.exists()
    assert not Operation.objects.exists()


def test_a_refused_upload_on_the_list_keeps_what_was_typed(agent_client, make_order):
    answer = agent_client.post(
        at("document", make_order()),
        {"document": a_file("a.pdf", b"no"), "kind": "csr", "description": "May", "place": "list"},
    )
    assert answer.status_code == 422
    assert 'value="csr" selected' in text_of(answer)
    assert 'value="May"' in text_of(answer)
    assert "Not a PDF, JPEG, PNG or TIFF" in text_of(answer)


def test_a_date_ahead_and_a_secret_in_the_description_are_refused(agent_client, make_order):
    order = make_order()
    ahead = (timezone.localdate() + datetime.timedelta(days=1)).isoformat()
    for typed, said in (
        ({"dated_on": ahead}, "Lies in the future"),
        ({"description": f"Account {ACCOUNT}"}, "an account number of the order"),
    ):
        answer = agent_client.post(
            at("document", order), {"document": a_file(), "kind": "loa"} | typed
        )
        assert answer.status_code == 422
        assert said in text_of(answer)
    assert not OrderDocument.objects.exists()


def test_eleven_files_at_once_are_too_many(agent_client, make_order):
    files = [a_file(f"{n}.pdf") for n in range(documents.MOST_AT_ONCE + 1)]
    answer = agent_client.post(at("document", make_order()), {"document": files, "kind": "other"})
    assert answer.status_code == 422
    assert "11 files; at most 10 at once." in text_of(answer)


def test_an_order_takes_no_more_than_fifty_documents(agent_client, make_order):
    order = make_order()
    OrderDocument.objects.bulk_create(
        OrderDocument(order=order, name=f"{n}.pdf", sinch_id=f"{n}") for n in range(49)
    )
    answer = agent_client.post(
        at("document", order), {"document": [a_file("a.pdf"), a_file("b.pdf")], "kind": "other"}
    )
    assert answer.status_code == 422
    assert "50 documents at most" in text_of(answer)
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pdf", b"", "empty"),
        ("a.pdf", b"%PDF-1.4 " + b"x" * 50, "cut off"),
        ("a.pdf", b"%PDF-1.4 nothing %%EOF", "does not open"),
        ("a.heic", b"\x00\x00\x00\x18ftypheic" + b"x" * 50, "Not a PDF, JPEG, PNG or TIFF"),
        ("a.html", b"<html><script>alert(1)</script>", "Not a PDF, JPEG, PNG or TIFF"),
        ("a.png", a_picture()[:45], "does not open"),
        ("a.gif", a_picture("GIF"), "Not a PDF, JPEG, PNG or TIFF"),
        ("a.pdf", a_pdf() + b"PK\x05\x06" + b"\x00" * 18, "hidden behind its end"),
        ("a.pdf", b"%PDF-" + b"x" * documents.MOST_BYTES, "larger than 10 MB"),
    ],
    ids=["empty", "cut", "broken", "heic", "html", "cut picture", "gif", "zip behind", "large"],
)
def test_what_is_no_document_is_told_apart_by_its_content(name, content, said):
    with pytest.raises(documents.NotAccepted, match=said):
        documents.check(name, content)


def test_a_locked_pdf_is_refused():
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(9, 9)
    writer.encrypt("word", algorithm="RC4-128")
    writer.write(out)
    with pytest.raises(documents.NotAccepted, match="locked with a password"):
        documents.check("a.pdf", out.getvalue())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("C:\\scans\\loa.pdf", "loa.pdf"),
        ("bill.pdf.exe", "bill.pdf.exe.pdf"),
        ("bill\x00.pdf", "bill.pdf"),
        ("…", "….pdf"),
        ("", "document.pdf"),
        ("a" * 300 + ".pdf", "a" * 116 + ".pdf"),
    ],
)
def test_names_are_made_safe_and_end_as_their_content_asks(given, kept):
    assert documents.check(given, a_pdf()).name == kept


@pytest.mark.parametrize(
    ("kind", "name", "kept"),
    [("JPEG", "a.jpeg", "a.jpeg"), ("PNG", "a.jpg", "a.jpg.png"), ("TIFF", "a.tif", "a.tif")],
)
def test_pictures_are_opened_for_real(kind, name, kept):
    assert documents.check(name, a_picture(kind)).name == kept


# --- Pages, their guards and their statements -----------------------------------------------


def test_the_pages_need_a_person_and_the_right_method(client, agent_client, agent, make_order):
    order = make_order()
    row = added(order, agent)
    for name, more in (
        ("document", ()),
        ("paper", (row.pk,)),
        ("document_file", (row.pk,)),
        ("document_fetch", (row.pk,)),
        ("loa", ()),
        ("loa_file", (1,)),
        ("documents_live", ()),
    ):
        assert client.get(at(name, order, *more)).status_code == 302, name
        assert agent_client.put(at(name, order, *more)).status_code == 405, name


def test_a_reader_looks_and_changes_nothing(reader_client, agent, make_order):
    order = make_order()
    row = added(order, agent)
    assert "needs the agent role" in text_of(reader_client.get(at("document", order)))
    assert "needs the agent role" in text_of(reader_client.get(at("paper", order, row.pk)))
    assert "needs the agent role" in text_of(reader_client.get(at("loa", order)))
    posts = (
        ("document", (), {"document": a_file(), "kind": "loa"}),
        ("paper", (row.pk,), {"kind": "bill"}),
        ("loa", (), {"part": "1"}),
    )
    for name, more, data in posts:
        assert reader_client.post(at(name, order, *more), data).status_code == 403, name
    row.refresh_from_db()
    assert row.kind == "loa"
    assert OrderDocument.objects.count() == 1


def test_a_page_of_five_hundred_numbers_and_fifty_documents_costs_no_more_statements(
    agent_client, agent, make_order
):
    small = make_order(1)
    added(small, agent)
    large = make_order(500, id="40118274", customerOrderReference="LARGE-500")
    for n in range(50):
        OrderDocument.objects.create(
            order=large, name=f"{n} loa.pdf", kind="loa", sinch_id=f"{n}", content=b"x"
        )
    for name in ("document", "detail", "loa"):
        agent_client.get(at(name, small))
        with CaptureQueriesContext(connection) as few:
            assert agent_client.get(at(name, small)).status_code == 200
        with CaptureQueriesContext(connection) as many:
            assert agent_client.get(at(name, large)).status_code == 200
        assert len(many) <= len(few), name
        assert not [query for query in many if '"orders_orderdocument"."content",' in query["sql"]]


def test_an_open_list_hears_of_changes_only(agent_client, agent, make_order):
    order = make_order()
    html = text_of(agent_client.get(at("document", order)))
    found = re.search(r"live/\?token=(\w+)", html)
    assert found
    live = at("documents_live", order)
    assert agent_client.get(live, {"token": found[1]}).status_code == 204
    added(order, agent, name="late.pdf")
    answer = agent_client.get(live, {"token": found[1]})
    assert answer.status_code == 200
    assert "late.pdf" in text_of(answer)
    assert "Waiting to go" in text_of(answer)


@pytest.mark.parametrize("part", ["²", "٣", "9" * 5000, "-1", "x"])
def test_a_part_that_is_no_number_is_refused_with_what_was_typed(
    agent_client, agent, make_order, part
):
    row = added(make_order(), agent)
    answer = ticks(agent_client, row, dated_on="2026-06-01", part=["1", part])
    assert answer.status_code == 422
    assert 'value="2026-06-01"' in text_of(answer)


# --- Previews -------------------------------------------------------------------------------


def test_a_pdf_is_shown_in_a_frame_of_our_own_and_nothing_in_it_may_load(
    agent_client, agent, make_order
):
    order = make_order()
    row = added(order, agent)
    page = text_of(agent_client.get(at("paper", order, row.pk)))
    file = at("document_file", order, row.pk)
    assert f'<iframe class="preview" src="{file}?show#navpanes=0"' in page
    answer = agent_client.get(file, {"show": ""})
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"].startswith("inline")
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert agent_client.get(file)["Content-Security-Policy"].count("sandbox") == 1


@pytest.mark.parametrize(("kind", "shown"), [("PNG", "image/png"), ("TIFF", "image/png")])
def test_a_picture_is_shown_as_one_and_what_browsers_cannot_show_is_turned_into_png(
    agent_client, agent, make_order, kind, shown
):
    order = make_order()
    (operation,) = actions.upload_documents(
        order, [documents.check("scan", a_picture(kind))], kind="bill", by=agent
    )
    row = OrderDocument.objects.get(operation=operation)
    page = text_of(agent_client.get(at("paper", order, row.pk)))
    assert '<img class="preview"' in page
    answer = agent_client.get(at("document_file", order, row.pk), {"show": ""})
    assert answer["Content-Type"] == shown
    Image.open(io.BytesIO(answer.content)).load()
    assert "sandbox" in answer["Content-Security-Policy"]
    assert agent_client.get(at("document_file", order, row.pk)).content == a_picture(kind)


def test_what_sinch_holds_may_be_anything_and_is_only_handed_out(agent_client, make_order):
    order = make_order()
    page = b"<html><script>alert(1)</script>"
    row = OrderDocument.objects.create(
        order=order, name="x.html", sinch_id="7", sinch_content=page, sinch_read_at=timezone.now()
    )
    answer = agent_client.get(at("document_file", order, row.pk), {"show": ""})
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "Browsers cannot show this file" in text_of(agent_client.get(at("paper", order, row.pk)))


def test_a_document_without_an_id_is_at_sinch_and_cannot_be_fetched(
    agent_client, agent, make_order
):
    order = make_order()
    theirs = OrderDocument.objects.create(order=order, name="bill.pdf")
    ours = added(order, agent)
    page = text_of(agent_client.get(at("paper", order, ours.pk)))
    assert "<dt>Sinch’s</dt><dd>Not there" in page
    Operation.objects.update(state="succeeded")
    for row in (theirs, ours):
        page = text_of(agent_client.get(at("paper", order, row.pk)))
        assert "<dt>Sinch’s</dt><dd>There; Sinch names no id to fetch it by" in page
        assert at("document_fetch", order, row.pk) not in page
        assert "Fetch a copy" not in page


# --- Sinch's copies -------------------------------------------------------------------------


@pytest.fixture
def order_at_sinch(
    porting_client: PortingClient, project: SinchProject, order_json: Callable[..., dict[str, Any]]
) -> PortInOrder:
    """An order that the sandbox holds, as the desk has read it."""
    wanted = order_json(2)
    body = {name: wanted[name] for name in ("customerOrderReference", "desiredPortSchedule")}
    body["phoneNumbers"] = [
        {name: entry[name] for name in ("phoneNumber", "endUser", "portOutInfo")}
        for entry in wanted["phoneNumbers"]
    ]
    made: Any = porting_client.order_port_in(body)
    payload = porting_client.get_order_details(made["id"])
    return sync.store_port_in_order(project, payload, timezone.now())


def test_a_document_only_sinch_has_is_fetched_in_the_background_and_shown(
    agent_client, order_at_sinch, porting_client, work_off
):
    order, content = order_at_sinch, a_pdf()
    assert porting_client.add_order_documents(order.sinch_id, "loa.pdf", "Signed LOA", content)
    agent_client.post(at("refresh", order))
    work_off()
    row = order.documents.get()
    assert row.content is None
    page = at("paper", order, row.pk)
    assert "Only Sinch has this document" in text_of(agent_client.get(page))
    # Whoever follows the link to the file waits on a page, not in front of a blank one.
    answer = agent_client.get(at("document_file", order, row.pk))
    assert answer["Location"] == page
    waiting = text_of(agent_client.get(page))
    assert "Fetching it from Sinch…" in waiting
    assert '<meta http-equiv="refresh"' in waiting
    assert agent_client.get(at("document_fetch", order, row.pk)).status_code == 204
    work_off()
    news = text_of(agent_client.get(at("document_fetch", order, row.pk)))
    assert 'id="preview"' in news
    assert 'hx-swap-oob="true"' in news
    assert "data-poll" not in news
    for query in ({}, {"copy": "sinch"}):
        file = agent_client.get(at("document_file", order, row.pk), query)
        assert file.content == content
        assert file["Content-Type"] == "application/pdf"
    row.refresh_from_db()
    assert row.content is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT sinch_content FROM orders_orderdocument")
        assert b"%PDF" not in bytes(cursor.fetchone()[0])


@pytest.mark.parametrize("is_same", [True, False])
def test_our_copy_is_compared_with_the_one_at_sinch(
    agent_client, agent, order_at_sinch, work_off, is_same
):
    order = order_at_sinch
    row = added(order, agent)
    work_off()
    if not is_same:
        OrderDocument.objects.update(content=a_picture())
    page = at("paper", order, row.pk)
    assert "Compare with Sinch’s copy" in text_of(agent_client.get(page))
    agent_client.post(at("document_fetch", order, row.pk))
    work_off()
    said = "The same as ours, byte for byte" if is_same else "Differs from ours"
    assert said in text_of(agent_client.get(page))
    row.refresh_from_db()
    assert (row.sinch_content is None) is is_same
    theirs = agent_client.get(at("document_file", order, row.pk), {"copy": "sinch"})
    assert theirs.content == a_pdf()
    ours = agent_client.get(at("document_file", order, row.pk))
    assert (ours.content == theirs.content) is is_same


def test_a_document_sinch_does_not_have_any_more_is_said_in_words(
    agent_client, order_at_sinch, work_off
):
    row = OrderDocument.objects.create(order=order_at_sinch, name="loa.pdf", sinch_id="999999")
    agent_client.post(at("document_fetch", order_at_sinch, row.pk))
    work_off()
    page = text_of(agent_client.get(at("paper", order_at_sinch, row.pk)))
    assert "Sinch does not have this document any more." in page
    assert "Fetching" not in page


def test_a_fetch_that_fails_says_why_and_goes_on(agent_client, order_at_sinch, sandbox, work_off):
    row = OrderDocument.objects.create(order=order_at_sinch, name="loa.pdf", sinch_id="7001")
    sandbox.control.faults.add("500", times=None)
    agent_client.post(at("document_fetch", order_at_sinch, row.pk))
    work_off()
    page = text_of(agent_client.get(at("paper", order_at_sinch, row.pk)))
    assert "Sinch did not hand it out:" in page
    assert "It is tried again by itself." in page
    assert Reading.objects.get(kind="port_in_document").next_try_at


def test_a_document_that_is_nowhere_is_not_found(agent_client, make_order):
    row = OrderDocument.objects.create(order=make_order(), name="loa.pdf")
    assert agent_client.get(at("document_file", row.order, row.pk)).status_code == 404
    assert agent_client.post(at("document_fetch", row.order, row.pk)).status_code == 404


# --- What staff see, and the checklist ------------------------------------------------------


def checklist(client: Client, order: PortInOrder) -> dict[str, bool]:
    """Return the lines of the checklist as the page has them, and whether each is met."""
    html = client.get(at("document", order)).content.decode()
    lines = re.findall(
        r"<li>.*?<span>(?:<b>)?(.*?)(?:</b>)?<span class=\"hide\">: (yes|open)</span>", html
    )
    return {text: met == "yes" for text, met in lines}


def test_an_order_without_papers_says_what_is_wanted(agent_client, make_order):
    order = make_order()
    assert checklist(agent_client, order) == {"No LOA yet": False, "No bill yet": False}
    assert "Checklist: 0 of 2" in text_of(agent_client.get(order.get_absolute_url()))


def test_what_somebody_saw_is_ticked_with_who_and_when(agent_client, agent, make_order):
    order = make_order()
    row = added(order, agent)
    assert checklist(agent_client, order)["Signed"] is False
    answer = ticks(
        agent_client,
        row,
        dated_on=(timezone.localdate() - datetime.timedelta(days=7)).isoformat(),
        tick=["signed", "numbers", "signer", "end_user"],
    )
    assert answer["Location"] == at("document", order)
    lines = checklist(agent_client, order)
    assert [text for text, met in lines.items() if not met] == ["No bill yet"]
    assert {"Lists all 3 numbers", "Signer is Dana Holt"} <= set(lines)
    html = text_of(agent_client.get(at("paper", order, row.pk)))
    assert html.count(">Dana Whitfield, <time") == 4
    told = TimelineEntry.objects.order_by("pk").last()
    assert told.text.startswith("LOA “loa.pdf” looked at: signed, its numbers, its signer, name")
    assert told.by == agent
    # Nothing new is nothing to tell.
    row.refresh_from_db()
    ticks(agent_client, row, dated_on=row.dated_on.isoformat(), tick=list(row.ticks))
    assert TimelineEntry.objects.order_by("pk").last() == told


@pytest.mark.parametrize(
    ("change", "said", "line"),
    [
        ("number", "+1 206 555 0199 is not on it", "Lists all 4 numbers"),
        ("name", "the order’s name or address is another now", "Name and address as in"),
        ("street", "the order’s name or address is another now", "Name and address as in"),
        ("signer", "the order’s signer is Tom Okafor now", "Signer is Tom Okafor"),
    ],
)
def test_an_accepted_change_unticks_the_loa_and_says_why(
    agent_client, agent, project, make_order, order_json, change, said, line
):
    order = make_order()
    row = added(order, agent)
    ticks(agent_client, row, tick=["signed", "numbers", "signer", "end_user"])
    assert "LOA added" in checklist(agent_client, order)
    payload = order_json(3)
    for entry in payload["phoneNumbers"]:
        if change == "name":
            entry["endUser"]["name"] = "Harborview Dental Group"
        elif change == "street":
            entry["endUser"]["streetNum"] = "1422"
        elif change == "signer":
            entry["portOutInfo"]["authorizingName"] = "Tom Okafor"
    if change == "number":
        payload["phoneNumbers"].append(payload["phoneNumbers"][0] | {"phoneNumber": "+12065550199"})
    kept = {"accountNum": ACCOUNT}
    secrets = {entry["phoneNumber"]: kept for entry in payload["phoneNumbers"]}
    sync.store_port_in_order(project, payload, timezone.now(), secrets=secrets)
    lines = checklist(agent_client, order)
    open_lines = [text for text, met in lines.items() if not met]
    assert lines["Signed"]
    assert "LOA covers the order" in open_lines
    assert [text for text in open_lines if text.startswith(line)]
    assert f"Not any more: {said}" in text_of(agent_client.get(at("document", order)))
    assert f"Not any more: {said}" in text_of(agent_client.get(at("paper", order, row.pk)))
    # Somebody who looks again and finds it right ticks it again.
    ticks(agent_client, row, tick=["signed", "numbers", "signer", "end_user"])
    assert checklist(agent_client, order)["LOA added"] is True


def test_a_number_that_leaves_the_order_unticks_nothing(
    agent_client, agent, project, make_order, order_json
):
    order = make_order()
    row = added(order, agent)
    ticks(agent_client, row, tick=["numbers"])
    payload = order_json(3)
    payload["phoneNumbers"][0]["status"] = "EXCLUDED"
    sync.store_port_in_order(project, payload, timezone.now())
    lines = checklist(agent_client, order)
    assert lines["LOA added"]
    assert lines["Lists all 2 numbers"]


def test_what_was_ticked_on_an_old_page_is_not_taken_for_the_new_order(
    agent_client, agent, project, make_order, order_json
):
    order = make_order()
    row = added(order, agent)
    seen = hidden(agent_client.get(at("paper", order, row.pk)), "seen")
    payload = order_json(3)
    for entry in payload["phoneNumbers"]:
        entry["portOutInfo"]["authorizingName"] = "Tom Okafor"
    sync.store_port_in_order(project, payload, timezone.now())
    answer = agent_client.post(
        at("paper", order, row.pk), {"kind": "loa", "seen": seen, "tick": ["signer"]}
    )
    assert answer.status_code == 422
    assert "The order has changed since you opened this" in text_of(answer)
    assert 'value="signer" checked' in text_of(answer)
    row.refresh_from_db()
    assert row.ticks == {}


def test_what_a_colleague_ticked_meanwhile_is_not_unticked_unseen(
    agent_client, sender_client, agent, make_order
):
    order = make_order()
    row = added(order, agent)
    seen = hidden(agent_client.get(at("paper", order, row.pk)), "seen")
    ticks(sender_client, row, tick=["signed", "signer"])
    mine = {"kind": "loa", "seen": seen, "tick": ["numbers"]}
    answer = agent_client.post(at("paper", order, row.pk), mine)
    assert answer.status_code == 422
    assert "Somebody saved this since you opened it" in text_of(answer)
    assert "looked at: signed, its signer" in text_of(answer)
    row.refresh_from_db()
    assert set(row.ticks) == {"signed", "signer"}
    now = {"seen": hidden(answer, "seen"), "tick": ["signed", "signer", "numbers"]}
    for _ in range(2):
        assert agent_client.post(at("paper", order, row.pk), mine | now).status_code == 302
    row.refresh_from_db()
    assert set(row.ticks) == {"signed", "signer", "numbers"}


def test_a_bill_is_ticked_for_its_account(agent_client, agent, make_order):
    order = make_order()
    row = added(order, agent, name="scan.pdf", kind="other")
    ticks(agent_client, row, kind="bill", tick=["same_account", "signed"], dated_on="2026-01-02")
    row.refresh_from_db()
    assert (row.kind, list(row.ticks)) == ("bill", ["same_account"])
    lines = checklist(agent_client, order)
    assert lines["Bill added"]
    assert lines["For the same account"]
    assert any(text.startswith("Too old since") and not met for text, met in lines.items())


def test_two_end_users_need_two_loas(agent_client, agent, make_order):
    other = {
        "endUser": {
            "name": "Pine Vet",
            "streetNum": "7",
            "streetName": "Oak",
            "city": "Seattle",
            "state": "WA",
            "zipCode": "98101",
        }
    }
    order = make_order({FIRST: {}, "+12065550102": {}, SECOND: other})
    found = letters.letters_of_order(order)
    assert [(one.end_user, len(one.numbers)) for one in found] == [
        ("Harborview Dental LLC", 2),
        ("Pine Vet", 1),
    ]
    row = added(order, agent)
    ticks(agent_client, row, tick=["signed", "signer", "end_user"], part=["2"])
    row.refresh_from_db()
    assert row.ticks["numbers"]["numbers"] == [SECOND]
    html = text_of(agent_client.get(at("document", order)))
    assert "LOA for Lumen, 2 numbers" in html
    lines = re.findall(r"<h3[^>]*>(.*?) <span[^>]*>(\d of \d)</span>", html)
    assert lines[0] == ("LOA for Lumen, 2 numbers", "0 of 1")
    assert lines[1][0] == "LOA for Lumen, 1 number"
    assert lines[1][1] == "6 of 8"


def test_a_document_sinch_refused_is_not_there(agent_client, agent, make_order):
    order = make_order()
    added(order, agent)
    Operation.objects.update(state="refused")
    assert checklist(agent_client, order)["No LOA yet"] is False


def test_an_loa_on_its_way_is_neither_missing_nor_there_and_is_missing_again_when_it_dies(
    agent_client, agent, order_at_sinch, sandbox, settle
):
    def reason() -> tuple[str, str, bool]:
        (first,) = WorkItem.objects.get().reasons
        return first["code"], first["text"], first["asked"]

    assert reason() == ("P9", "LOA missing", False)
    added(order_at_sinch, agent)
    assert reason() == ("P9", "LOA on its way; no sign yet that it arrived", True)
    page = text_of(agent_client.get(at("detail", order_at_sinch)))
    assert "Asked the customer" not in page
    sandbox.control.faults.add("status", "addOrderDocuments", status=422)
    settle()
    (operation,) = Operation.objects.all()
    assert operation.state == "refused"
    runner.mark_seen(operation)
    assert reason() == ("P9", "LOA missing", False)
    added(order_at_sinch, agent)
    settle()
    assert [found["code"] for found in WorkItem.objects.get().reasons] == ["WAIT"]


# --- Age ------------------------------------------------------------------------------------


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("kind", "dated", "numbers", "tone", "said"),
    [
        ("loa", "2026-06-02", [], "done", "fresh until Mon 31 Aug"),
        ("loa", "2026-03-18", [], "us", "fresh for 7 more days"),
        ("loa", "2026-03-19", [], "done", "fresh until Wed 17 Jun"),
        ("loa", "2026-03-11", [], "us", "too old tomorrow"),
        ("loa", "2026-03-10", [], "bad", "too old since Tue 9 Jun"),
        ("loa", "2026-05-20", ["+18005550142"], "done", "fresh until Fri 19 Jun"),
        ("loa", "2026-05-09", ["+18885550142"], "bad", "too old since Tue 9 Jun"),
        ("bill", "2026-05-20", [], "done", "fresh until Fri 19 Jun"),
        ("csr", "2026-05-09", [], "bad", "too old since Tue 9 Jun"),
        ("loa", None, [], "us", "age not known"),
    ],
)
def test_papers_age(kind, dated, numbers, tone, said):
    paper = papers.Paper(1, "x.pdf", kind, day(dated) if dated else None)
    age = papers.age_of(paper, TODAY, None, numbers)
    assert age is not None
    assert (age.tone, said in age.text) == (tone, True), age


def test_a_paper_is_measured_against_the_port_date_as_well():
    paper = papers.Paper(1, "loa.pdf", "loa", day("2026-04-01"))
    fresh = papers.age_of(paper, TODAY, day("2026-06-30"))
    stale = papers.age_of(paper, TODAY, day("2026-07-01"))
    assert fresh is not None
    assert stale is not None
    assert (fresh.tone, stale.tone) == ("done", "us")
    assert stale.text == "too old on the port date, Wed 1 Jul"
    said = papers.too_old_text("loa", paper.dated_on, day("2026-07-01"))
    assert "is too old on Wed 1 Jul" in said
    assert "90 days" in said
    assert papers.too_old_text("loa", paper.dated_on, day("2026-06-30")) == ""


@pytest.mark.parametrize(
    ("dated", "tone", "said"),
    [
        ("2026-06-02", "done", "fresh until Wed 17 Jun"),
        ("2026-05-26", "us", "fresh for 1 more day"),
        ("2026-05-24", "bad", "too old since Tue 9 Jun"),
    ],
)
def test_an_loa_of_a_canadian_toll_free_number_is_taken_for_15_days(dated, tone, said):
    paper = papers.Paper(1, "loa.pdf", "loa", day(dated))
    age = papers.age_of(paper, TODAY, None, [FIRST, TOLL_FREE], [TOLL_FREE])
    assert age is not None
    assert (age.tone, age.text) == (tone, said)
    assert age.why == "Carriers take one for 15 days when a number is Canadian toll-free."
    text = papers.too_old_text("loa", day(dated), day("2026-07-01"), [TOLL_FREE], [TOLL_FREE])
    assert text.endswith("carriers take one for 15 days when a number is Canadian toll-free.")
    # It lists other numbers only, or is a bill.
    assert papers.taken_for("loa", [FIRST], [TOLL_FREE]).days == 90
    assert papers.taken_for("bill", [TOLL_FREE], [TOLL_FREE]).days == 30


IN_VANCOUVER = {
    "name": "Gastown Dental Ltd",
    "streetNum": "88",
    "streetName": "Water",
    "city": "Vancouver",
    "state": "BC",
    "zipCode": "V6B 1A1",
}


@pytest.mark.parametrize(
    ("entry", "days"),
    [
        ({"countryCode": "CA"}, "15 days when a number is Canadian toll-free"),
        ({"countryCode": "", "endUser": IN_VANCOUVER}, "15 days when a number is Canadian"),
        ({"countryCode": "US", "endUser": IN_VANCOUVER}, "30 days when a number is toll-free"),
        ({"countryCode": ""}, "30 days when a number is toll-free"),
    ],
)
def test_the_age_of_a_toll_free_loa_is_the_same_on_every_page(
    agent_client, agent, make_order, entry, days
):
    order = make_order({TOLL_FREE: entry})
    row = added(order, agent)
    signed = timezone.localdate() - datetime.timedelta(days=31)
    for when in ("nobody has ticked its numbers", "they are ticked"):
        ticked = ["numbers"] if when == "they are ticked" else []
        assert ticks(agent_client, row, dated_on=signed.isoformat(), tick=ticked).status_code == 302
        page = text_of(agent_client.get(at("document", order)))
        assert f"Carriers take one for {days}" in page, when
        assert "too old since" in page, "the list of documents"
        assert ">Too old since" in page, "the checklist"
        assert "too old since" in text_of(agent_client.get(order.get_absolute_url()))
        looked = text_of(agent_client.get(at("paper", order, row.pk)))
        assert "too old since" in looked
        assert f"Carriers take one for {days}" in looked
        edit = text_of(agent_client.get(at("edit", order)))
        assert f"carriers take one for {days}" in edit


def test_other_documents_and_unsigned_letters_do_not_age():
    other = papers.Paper(1, "map.pdf", "other", TODAY)
    unsigned = papers.Paper(2, "loa.pdf", "loa", None, {papers.MADE: {}})
    assert papers.age_of(other, TODAY, None) is None
    assert papers.age_of(unsigned, TODAY, None) is None


# --- An LOA made of the order ---------------------------------------------------------------


def letter_in(answer: Any) -> str:
    reader = PdfReader(io.BytesIO(answer.content))
    return "\n".join(page.extract_text() for page in reader.pages)


def test_an_loa_is_looked_at_and_attached_unsigned_in_one_click(
    agent_client, agent, make_order, caplog
):
    order = make_order()
    page = agent_client.get(at("loa", order))
    assert "Send this LOA to Sinch unsigned?" in text_of(page)
    assert ACCOUNT not in text_of(page)
    shown = agent_client.get(at("loa_file", order, 1), {"show": ""})
    assert ACCOUNT in letter_in(shown)
    assert PIN not in letter_in(shown)
    sent = {name: hidden(page, name) for name in ("part", "seen", "key")}
    for _ in range(2):
        answer = agent_client.post(at("loa", order), sent)
        assert answer["Location"] == at("document", order)
    row = OrderDocument.objects.get()
    operation = Operation.objects.get()
    assert bytes(row.content) == shown.content
    assert (row.kind, row.dated_on, operation.kind) == ("loa", None, "port_in.document")
    assert row.description == "Letter of authorization for Lumen, 3 numbers, not signed yet"
    lines = checklist(agent_client, order)
    assert lines["Signed"] is False
    assert lines["Lists all 3 numbers"]
    assert lines["Signer is Dana Holt"]
    assert "made here, not signed" in text_of(agent_client.get(order.get_absolute_url()))
    # The account number is in the letter and nowhere else.
    told = " ".join(TimelineEntry.objects.values_list("text", flat=True))
    kept = f"{told} {row.ticks} {row.name} {row.description} {operation.payload} {caplog.text}"
    assert ACCOUNT not in kept
    assert PIN not in kept
    assert "LOA for Lumen, 3 numbers made, not signed yet" in told
    assert "Looked at the LOA for Lumen, 3 numbers, which holds the account number" in told


def test_the_signed_one_takes_the_place_of_the_one_made_here(agent_client, agent, make_order):
    order = make_order()
    page = agent_client.get(at("loa", order))
    agent_client.post(
        at("loa", order), {name: hidden(page, name) for name in ("part", "seen", "key")}
    )
    made = OrderDocument.objects.get()
    made_page = text_of(agent_client.get(at("paper", order, made.pk)))
    assert "Made here to be signed" in made_page
    assert 'name="tick"' not in made_page
    answer = agent_client.post(at("paper", order, made.pk), {"kind": "loa", "tick": ["signed"]})
    assert answer.status_code == 422
    signed = added(order, agent, name="signed.pdf", dated_on=timezone.localdate())
    ticks(
        agent_client,
        signed,
        dated_on=timezone.localdate().isoformat(),
        tick=["signed", "numbers", "signer", "end_user"],
    )
    assert checklist(agent_client, order)["Signed"] is True


def test_a_letter_that_reads_otherwise_by_now_is_not_attached(
    agent_client, project, make_order, order_json
):
    order = make_order()
    page = agent_client.get(at("loa", order))
    payload = order_json(3)
    for entry in payload["phoneNumbers"]:
        entry["endUser"]["name"] = "Somebody else"
    sync.store_port_in_order(project, payload, timezone.now())
    answer = agent_client.post(
        at("loa", order), {name: hidden(page, name) for name in ("part", "seen", "key")}
    )
    assert answer.status_code == 409
    assert "The order has changed since you opened this" in text_of(answer)
    assert not OrderDocument.objects.exists()


def test_an_incomplete_letter_is_a_draft_and_is_not_sent(agent_client, make_order):
    order = make_order(account="")
    page = agent_client.get(at("loa", order))
    assert "the account number" in text_of(page)
    assert "Not while something is missing." in text_of(page)
    assert 'id="attach"' not in text_of(page)
    assert "Draft" in letter_in(agent_client.get(at("loa_file", order, 1)))
    found = letters.letters_of_order(order)
    with pytest.raises(actions.NotPossible, match="Still missing: the account number"):
        actions.attach_letter(
            order, 1, letters.print_of(found[0]), by=User.objects.get(username="dana"), key=""
        )


def test_the_account_number_is_dots_for_whoever_may_not_see_it(sender_client, make_order):
    order = make_order()
    page = sender_client.get(at("loa", order))
    text = letter_in(sender_client.get(at("loa_file", order, 1)))
    assert ACCOUNT not in text
    assert "••••4431" in text
    # Sent it is whole all the same, and what was sent is not shown to them either.
    sender_client.post(
        at("loa", order), {name: hidden(page, name) for name in ("part", "seen", "key")}
    )
    row = OrderDocument.objects.get()
    assert ACCOUNT in letter_in(type("Answer", (), {"content": bytes(row.content)}))
    assert sender_client.get(at("document_file", order, row.pk)).status_code == 403
    assert "the right to see secrets" in text_of(sender_client.get(at("paper", order, row.pk)))


def test_an_order_of_several_letters_shows_each(agent_client, make_order):
    other = {"phoneNumberGroup": "GW T-Mobile Grp1"}
    order = make_order({FIRST: {}, "+12065550102": {}, SECOND: other})
    html = text_of(agent_client.get(at("loa", order), {"part": "2"}))
    assert "This order needs 2 letters" in html
    assert at("loa_file", order, 2) in html
    assert "+1 206 555 0101" in letter_in(agent_client.get(at("loa_file", order, 2)))
    assert agent_client.get(at("loa_file", order, 3)).status_code == 404
    assert agent_client.get(at("loa", order), {"part": "3"}).status_code == 404


def test_numbers_of_which_nothing_is_said_share_the_end_user_of_the_others(make_order):
    silent = {"endUser": None, "portOutInfo": None}
    order = make_order({FIRST: {}, "+12065550102": {}, SECOND: silent})
    assert [len(one.numbers) for one in letters.letters_of_order(order)] == [3]


def test_a_draft_has_its_loa_before_there_is_an_order(agent_client, agent, project):
    draft = PortInDraft.objects.create(
        project=project,
        by=agent,
        data={
            "numbers": "206 555 0142\n206 555 0143\n416 555 0118",
            "name": "Harborview Dental LLC",
            "street_num": "1420",
            "street": "Alder St",
            "unit": "Ste 200",
            "city": "Seattle",
            "state": "WA",
            "zip": "98101",
            "pin": PIN,
            "account": ACCOUNT,
            "btn": "206 555 0140",
            "signer": "Dana Holt",
            "overrides": [{"number": "+12065550143", "name": "Pine Vet", "account": "77-1"}],
        },
    )
    page = agent_client.get(reverse("orders:draft_loa", args=[draft.pk]))
    assert "This order needs 2 letters" in text_of(page)
    assert "once Sinch has the order" in text_of(page)
    assert "the losing carrier" in text_of(page)
    first = letter_in(agent_client.get(reverse("orders:draft_loa_file", args=[draft.pk, 1])))
    assert "1420 Alder St, Ste 200" in first
    assert ACCOUNT in first
    assert "the reseller, as there are Canadian numbers" in first
    assert "+1 206 555 0143" not in first
    assert PIN not in first
    second = letter_in(agent_client.get(reverse("orders:draft_loa_file", args=[draft.pk, 2])))
    assert "Pine Vet" in second
    assert "77-1" in second


def test_the_draft_of_a_list_takes_its_numbers_from_the_rows(project, agent):
    from orders.models import ListRow, NumberList

    draft = PortInDraft.objects.create(project=project, by=agent, data={"name": "Pine Vet"})
    rows = NumberList.objects.create(project=project, by=agent, draft=draft, name="x.csv")
    for n in range(3):
        ListRow.objects.create(
            list=rows,
            position=n,
            number=f"+1206555010{n}",
            data={"details": {"name": "Oak Vet"} if n else {}},
            problems=[],
            left_out="No" if n == 2 else "",
        )
    found = letters.letters_of_draft(PortInDraft.objects.get(pk=draft.pk))
    assert [(one.end_user, one.numbers) for one in found] == [
        ("Pine Vet", (FIRST,)),
        ("Oak Vet", (SECOND,)),
    ]
    part = PortInDraft.objects.create(
        project=project, by=agent, data={"name": "Pine Vet"}, parent=draft, part=1
    )
    rows.rows.filter(number=SECOND).update(part=part)
    (only,) = letters.letters_of_draft(PortInDraft.objects.get(pk=part.pk))
    assert (only.end_user, only.numbers) == ("Oak Vet", (SECOND,))


def test_a_po_box_is_no_service_address(make_order, order_json):
    user = order_json(1)["phoneNumbers"][0]["endUser"] | {"streetName": "P.O. Box 77"}
    (letter,) = letters.letters_of_order(make_order({FIRST: {"endUser": user}}))
    assert "a service address that is no PO box" in letter.missing
    assert not letter.is_complete
    assert "Draft" in PdfReader(io.BytesIO(loa.pdf(letter))).pages[0].extract_text()
