"""The pages of portability at scale, through the views."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from openpyxl import Workbook

from orders import list_work, portability
from orders.models import ListRow, NumberList, PortabilityResult, PortabilityRun, PortInDraft
from portal.accounts.models import SinchProject, User
from portal.sandbox import Sandbox
from tests.orders.test_portability import answered, numbers

pytestmark = pytest.mark.django_db

HOME = "/orders/portability/"
HTMX = {"HX-Request": "true"}


def work_off() -> None:
    while portability.run_one():
        pass


def page(client: Client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, answer.status_code
    return str(answer.content.decode())


def start(client: Client, text: str, **more: Any) -> PortabilityRun:
    answer = client.post(HOME, {"numbers": text, **more})
    assert answer.status_code == 302, answer.content.decode()
    return PortabilityRun.objects.get(pk=answer["Location"].rstrip("/").rsplit("/", 1)[1])


def url_of(run: PortabilityRun, name: str = "portability_run") -> str:
    return reverse(f"orders:{name}", args=[run.pk])


@pytest.fixture
def reader_client(make_agent: Any) -> Client:
    client, backend = Client(), "portal.accounts.backends.EmailOrUsernameBackend"
    client.force_login(make_agent("rosa"), backend=backend)
    return client


# --- Asking -------------------------------------------------------------------------------------


def test_pasted_numbers_are_asked_about_and_answered(
    agent_client: Client, porting_client: Any
) -> None:
    assert "Nothing has been checked yet." in page(agent_client, HOME)
    run = start(agent_client, "(206) 555-0142\n206 555 0199, 206-555-0142", title="Pike Street")
    html = page(agent_client, url_of(run))
    assert "0 of 2 asked" in html
    assert "Sinch has said nothing about these numbers yet." in html
    assert "Not asked yet" in html
    work_off()
    html = page(agent_client, url_of(run))
    assert "1 number can move, 1 cannot." in html
    assert "“Number is not portable”" in html
    assert "Start an order with the portable one" in html
    assert 'hx-trigger="every 1s' not in html
    assert "Pike Street" in page(agent_client, HOME)


def test_a_check_of_one_number_is_called_so(agent_client: Client, porting_client: Any) -> None:
    html = page(agent_client, url_of(start(agent_client, "206 555 0142")))
    assert "<title>1 number" in html
    assert "1 numbers" not in html


def test_an_open_page_hears_of_progress_and_then_of_the_answers(
    agent_client: Client, porting_client: Any
) -> None:
    run = start(agent_client, "\n".join(numbers(1200)))
    html = page(agent_client, url_of(run))
    live = re.search(r'hx-get="([^"]+)" hx-trigger="every 1s', html)
    assert live
    seen = live[1].replace("&amp;", "&")
    assert agent_client.get(seen, headers=HTMX).status_code == 204
    with CaptureQueriesContext(connection) as statements:
        agent_client.get(seen, headers=HTMX)
    assert len(statements) == 1
    portability.run_one()
    html = agent_client.get(seen, headers=HTMX).content.decode()
    assert "500 of 1,200 asked" in html
    assert 'id="results"' not in html
    work_off()
    html = agent_client.get(seen, headers=HTMX).content.decode()
    assert 'id="results"' in html
    assert "1,188 numbers can move, 12 cannot." in html


def test_a_page_of_many_numbers_costs_the_statements_of_one_of_few(
    agent_client: Client, porting_client: Any
) -> None:
    counts = []
    page(agent_client, HOME)  # what every page shows is counted once and kept for a while
    for size in (3, 1300):
        run = start(agent_client, "\n".join(numbers(size)))
        work_off()
        with CaptureQueriesContext(connection) as statements:
            html = page(agent_client, url_of(run))
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert "1 to 100 of 1,300" in html
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as statements:
            page(agent_client, HOME)
        counts.append(len(statements))
        for _ in range(5):
            start(agent_client, "206 555 0142")
    assert counts[0] == counts[1]


def test_a_line_that_cannot_be_read_is_named_and_can_be_left_out(
    agent_client: Client, porting_client: Any
) -> None:
    text = "206 555 0142\nhello\n206 555 01"
    answer = agent_client.post(HOME, {"numbers": text})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Line 2, “hello”" in html
    assert "Line 3, “206 555 01”" in html
    assert "hello\n206 555 01</textarea>" in html
    assert "Check the one that can" in html
    assert not PortabilityRun.objects.exists()
    assert start(agent_client, text, anyway="on").numbers == ["+12065550142"]


def test_nothing_to_ask_about_is_said(agent_client: Client, porting_client: Any) -> None:
    answer = agent_client.post(HOME, {"numbers": " "})
    assert answer.status_code == 422
    assert "Paste at least one number" in answer.content.decode()


def test_a_click_that_arrives_twice_starts_one_check(
    agent_client: Client, porting_client: Any
) -> None:
    key = re.search(r'name="key" value="([^"]+)"', page(agent_client, HOME))
    assert key
    first = start(agent_client, "206 555 0142", key=key[1])
    assert start(agent_client, "206 555 0142", key=key[1]).pk == first.pk


def test_other_numbers_of_a_page_that_has_had_some_checked_are_checked_too(
    agent_client: Client, porting_client: Any
) -> None:
    key = re.search(r'name="key" value="([^"]+)"', page(agent_client, HOME))
    assert key
    start(agent_client, "206 555 0142", key=key[1])
    other = start(agent_client, "206 555 0142, 206 555 0143", key=key[1])
    assert sorted(other.numbers) == ["+12065550142", "+12065550143"]
    assert start(agent_client, "206 555 0142, 206 555 0143", key=key[1]).pk == other.pk


# --- Files --------------------------------------------------------------------------------------


def csv_of(rows: list[list[str]]) -> SimpleUploadedFile:
    return SimpleUploadedFile("numbers.csv", "\n".join(",".join(row) for row in rows).encode())


def test_the_column_with_the_numbers_is_found(agent_client: Client, porting_client: Any) -> None:
    rows = [["Site", "Account", "Phone"]]
    rows += [[f"Shop {n}", f"{n}", f"(206) 555-{100 + n:04d}"] for n in range(60)]
    run = start(agent_client, "", file=csv_of(rows))
    assert run.title == "numbers.csv"
    assert run.total == 60


def test_a_spreadsheet_is_read_and_what_is_wrong_in_it_comes_back_to_be_corrected(
    agent_client: Client, porting_client: Any
) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Number", "Name"])
    sheet.append([2065550142, "Ada"])
    sheet.append(["206.555.0143", "Bo"])
    sheet.append(["206.555.01", "Cy"])
    content = io.BytesIO()
    book.save(content)
    upload = SimpleUploadedFile("list.xlsx", content.getvalue())
    answer = agent_client.post(HOME, {"file": upload})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Line 4, “206.555.01”" in html
    assert "206.555.01\n+1 206 555 0142\n+1 206 555 0143</textarea>" in html


def test_a_file_that_is_none_is_refused_in_words(agent_client: Client, porting_client: Any) -> None:
    for content, said in ((b"%PDF-1.7", "PDF"), (b"a,b\nc,d", "No column of this file")):
        upload = SimpleUploadedFile("x.csv", content)
        answer = agent_client.post(HOME, {"file": upload})
        assert answer.status_code == 422
        assert said in answer.content.decode()


# --- The answers --------------------------------------------------------------------------------


@pytest.fixture
def mixed(project: SinchProject, agent: User, porting_client: Any) -> PortabilityRun:
    """Eight numbers: three of Lumen, two of Bell (one cannot move), one old, one without answer."""
    wanted = numbers(8)
    answered(project, wanted[:3], 1)
    refused = {"portable": False, "reason": "@Number is not portable"}
    answered(project, wanted[3:4], 1, carrier="=Bell", **refused)
    answered(project, wanted[4:5], 1, carrier="=Bell")
    answered(project, wanted[5:6], 1, carrier="", portable=False)
    answered(project, wanted[6:7], 30, carrier="Telus")
    run = portability.start(project, wanted, by=agent, title="Mixed")
    PortabilityRun.objects.update(next_try_at=None, done=8)
    return run


def shown(html: str) -> list[str]:
    return re.findall(r'scope="row" class="main"><span class="phone">([^<]+)', html)


def test_answers_are_filtered_by_verdict_carrier_and_number(
    agent_client: Client, mixed: PortabilityRun
) -> None:
    url = url_of(mixed)
    html = page(agent_client, url)
    assert len(shown(html)) == 8
    assert "5 numbers can move, 2 cannot; 1 without an answer." in html
    for query, last in (
        ("verdict=no", ["0103", "0105"]),
        ("verdict=none", ["0107"]),
        ("verdict=old", ["0106"]),
        ("carrier=%3DBell", ["0103", "0104"]),
        ("carrier=-", ["0105"]),
        ("carrier=%3DBell&verdict=yes", ["0104"]),
        ("q=555-0102", ["0102"]),
    ):
        html = page(agent_client, f"{url}?{query}")
        assert [number[-4:] for number in shown(html)] == last, query
    html = page(agent_client, f"{url}?carrier=%3DBell")
    assert "Start an order with the portable one, =Bell" in html
    html = page(agent_client, f"{url}?verdict=no&carrier=Telus")
    assert "We looked for: Cannot move, Telus." in html
    assert "This page is empty." in page(agent_client, f"{url}?page=9")
    assert len(shown(page(agent_client, f"{url}?verdict=nonsense&page=x"))) == 8


def test_the_stale_ones_are_asked_about_again_and_all_if_wanted(
    agent_client: Client, mixed: PortabilityRun, sandbox: Sandbox
) -> None:
    assert "Check the 1 older than a day again" in page(agent_client, url_of(mixed))
    agent_client.post(url_of(mixed, "portability_again"), {"what": "stale"})
    mixed.refresh_from_db()
    assert (mixed.done, mixed.is_under_way) == (6, True)
    agent_client.post(url_of(mixed, "portability_again"), {"what": "all"})
    mixed.refresh_from_db()
    assert mixed.done == 6
    work_off()
    agent_client.post(url_of(mixed, "portability_again"), {"what": "all"})
    work_off()
    soon = timezone.now() - timedelta(minutes=1)
    assert PortabilityResult.objects.filter(checked_at__gt=soon).count() == 8


def test_the_file_holds_what_is_looked_at_and_no_formula(
    agent_client: Client, mixed: PortabilityRun
) -> None:
    answer = agent_client.get(url_of(mixed, "portability_file"))
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert lines[0] == "Number,Can move,Losing carrier,Sinch says,Asked at (UTC)"
    assert len(lines) == 9
    assert lines[4].startswith("+12065550103,no,'=Bell,'@Number is not portable,20")
    assert lines[8] == "+12065550107,,,,"
    answer = agent_client.get(url_of(mixed, "portability_file") + "?verdict=no")
    assert len(b"".join(answer.streaming_content).splitlines()) == 3


def test_a_long_file_comes_in_parts_and_whole(
    agent_client: Client, project: SinchProject, agent: User, porting_client: Any
) -> None:
    wanted = numbers(4500)
    answered(project, wanted, 1)
    run = portability.start(project, wanted, by=agent)
    with CaptureQueriesContext(connection) as statements:
        answer = agent_client.get(url_of(run, "portability_file"))
        lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == sorted(wanted)
    assert len(statements) < 8


# --- An order of them ---------------------------------------------------------------------------


def test_an_order_is_started_with_those_that_can_move(
    agent_client: Client, mixed: PortabilityRun
) -> None:
    order_url = url_of(mixed, "portability_order")
    key = "7d1c8a5e-4a63-4d43-9d52-0a2f6b1f2c11"
    for _ in range(2):
        answer = agent_client.post(order_url, {"key": key})
        assert answer["Location"] == f"/orders/drafts/{key}/"
    draft = PortInDraft.objects.get()
    assert draft.field("numbers").splitlines() == [
        f"+1 206 555 {line}" for line in ("0100", "0101", "0102", "0104", "0106")
    ]
    assert draft.title == "Mixed"
    assert agent_client.get(f"/orders/drafts/{key}/").status_code == 200
    agent_client.post(order_url, {"carrier": "=Bell"})
    assert PortInDraft.objects.latest("created_at").field("numbers") == "+1 206 555 0104"
    answer = agent_client.post(order_url, {"carrier": "Nobody"}, follow=True)
    assert "None of these numbers can move" in answer.content.decode()


def test_numbers_that_sinch_said_nothing_about_are_not_said_to_stay(
    agent_client: Client, sandbox: Sandbox, porting_client: Any
) -> None:
    sandbox.control.faults.add("402", "checkPortingAvailability", times=1)
    run = start(agent_client, "206 555 0142")
    work_off()
    html = page(agent_client, url_of(run))
    assert "Sinch has not said of any of these numbers that it can move." in html
    assert "None of these numbers can move" not in html


def test_more_than_one_order_takes_become_a_list(
    agent_client: Client, project: SinchProject, agent: User, porting_client: Any
) -> None:
    wanted = numbers(620)
    answered(project, wanted, 1)
    answered(project, ["+18005550100"], 1, portable=False)
    run = portability.start(project, [*wanted, "+18005550100"], by=agent, title="Big")
    agent_client.post(url_of(run, "portability_order"))
    draft = PortInDraft.objects.get()
    assert not draft.field("numbers")
    while list_work.run_one():
        pass
    kept = NumberList.objects.get(draft=draft)
    assert (kept.state, kept.total, kept.done) == ("ready", 620, 620)
    assert kept.name == "Big, portable"
    assert list(ListRow.objects.going().values_list("number", flat=True)) == sorted(wanted)
    assert "Big, portable" in page(agent_client, draft.get_absolute_url())


# --- Who may ------------------------------------------------------------------------------------


def test_readers_may_look_and_not_ask(reader_client: Client, mixed: PortabilityRun) -> None:
    assert "Asking Sinch needs the agent role." in page(reader_client, HOME)
    assert "check-form" not in page(reader_client, HOME)
    html = page(reader_client, url_of(mixed))
    assert "Asking Sinch needs the agent role." in html
    assert url_of(mixed, "portability_order") not in html
    assert reader_client.post(HOME, {"numbers": "206 555 0142"}).status_code == 403
    for name in ("portability_again", "portability_order"):
        assert reader_client.post(url_of(mixed, name)).status_code == 403
        assert reader_client.get(url_of(mixed, name)).status_code == 403
    assert reader_client.get(url_of(mixed, "portability_file")).status_code == 200


def test_nobody_is_let_in_without_signing_in(mixed: PortabilityRun) -> None:
    for url in (
        HOME,
        *(
            url_of(mixed, name)
            for name in (
                "portability_run",
                "portability_live",
                "portability_file",
                "portability_again",
            )
        ),
    ):
        assert Client().get(url)["Location"].startswith("/sign-in/")


def test_without_a_project_it_says_so(agent_client: Client) -> None:
    SinchProject.objects.all().delete()
    assert "No Sinch project is connected." in page(agent_client, HOME)
    assert agent_client.post(HOME, {"numbers": "206 555 0142"}).status_code == 422
