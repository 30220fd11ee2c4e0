"""The list of all work: filters in the address, search, pages, order, and what changes live."""

import random
import re
from datetime import date, timedelta
from html import unescape
from urllib.parse import parse_qs

import pytest
from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from portal import words
from portal.accounts.models import User
from portal.work import items, queue, search
from portal.work.filters import SORTS
from portal.work.lines import since_text
from portal.work.models import WorkItem
from tests.work.conftest import MakeItem

LIST = "/work/"


def keys(html: str) -> list[int]:
    """Return the keys of the rows of a page, from the top."""
    return [int(key) for key in re.findall(r'<tr role="row" id="item-(\d+)"', html)]


def link(html: str, rel: str) -> str:
    """Return where Back or On leads, "" when it is off."""
    found = re.search(rf'<a [^>]*href="([^"]+)" rel="{rel}"', html)
    return unescape(found[1]) if found else ""


def poll_url(html: str) -> str:
    """Return the address that an open page asks."""
    found = re.search(r'id="list-news"[^>]* hx-get="([^"]+)"', html)
    assert found is not None
    return unescape(found[1])


def get(client: Client, url: str = LIST) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    return answer.content.decode()


def test_the_list_sends_people_who_are_not_signed_in_to_the_sign_in_page(client: Client, db: None):
    answer = client.get(LIST)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("login"))


def test_the_list_only_reads(agent_client: Client):
    assert agent_client.post(LIST).status_code == 405
    assert agent_client.post(reverse("work:list_live")).status_code == 405


def test_rows_say_what_is_needed_by_when_and_who_owns_it(agent_client, agent, make_item):
    item = make_item(
        end_user="Harborview Dental LLC",
        reference="HVD-2026-014",
        bucket="us",
        rank=130,
        assignee=agent,
        carriers="Comcast +2",
        requested_date=date(2026, 6, 16),
        foc_date=date(2026, 6, 18),
        reasons=[
            {"code": "P3", "text": "2 rejected: PIN", "tone": "bad", "glyph": "bad"},
            {"code": "P4", "text": "Sinch asks for a bill", "tone": "us", "glyph": "note"},
        ],
        live_count=1,
        counted=11,
        parts=[["done", 1], ["bad", 2]],
    )
    html = get(agent_client)
    assert keys(html) == [item.pk]
    for said in (
        "Harborview Dental LLC",
        "HVD-2026-014",
        "2 rejected: PIN",
        "Sinch asks for a bill",
        "Comcast +2",
        "Dana Whitfield",
        "1/11",
        "asked Tue 16 Jun",
        "1 to 1 of 1",
        f'href="/orders/{item.target_pk}/"',
    ):
        assert said in html, said


def test_what_should_be_live_is_late_since_a_moment_with_a_shape(agent_client, make_item):
    arose = timezone.now() - timedelta(days=3)
    late = {"code": "P2", "text": "2 not live", "tone": "bad", "since": arose.isoformat()}
    item = make_item(bucket="us", reasons=[late, {"code": "P9", "text": "LOA missing"}])
    html = get(agent_client)
    assert re.search(rf'<span class="clock tone-bad"><svg[^>]*>.*?</svg>{since_text(arose)}', html)
    confirmed = {"code": "", "text": "Confirmed", "tone": "date", "since": arose.isoformat()}
    for bucket, reasons in (("date", [confirmed]), ("us", [{**late, "code": "P6"}]), ("date", [])):
        WorkItem.objects.filter(pk=item.pk).update(bucket=bucket, reasons=reasons)
        assert 'class="clock' not in get(agent_client), "nobody's clock runs"


@pytest.mark.parametrize(
    ("over", "shape"), [(1, ""), (3, "us"), (4, "bad")], ids=["in time", "near", "out"]
)
def test_a_clock_has_a_shape_beside_its_colour(agent_client, make_item, over, shape):
    now = timezone.now()
    ticks = [(now + timedelta(hours=n - over + 0.5)).isoformat() for n in range(4)]
    clock = {"unit": "bh", "ticks": ticks}
    make_item(bucket="us", reasons=[{"code": "P3", "text": "Rejected", "clock": clock}])
    html = get(agent_client)
    (tone, inside) = re.findall(r'<span class="clock([^"]*)"[^>]*>(.*?)<span>', html)[0]
    assert (tone, re.findall("#g-([a-z]+)", inside)) == (
        (f" tone-{shape}", [shape]) if shape else ("", [])
    )


def test_the_worst_come_first_then_the_nearest_date_then_the_oldest(agent_client, make_item):
    undated, undated_too = make_item(rank=130), make_item(rank=130)
    far = make_item(rank=130, foc_date=date(9999, 12, 30))
    late, soon = make_item(rank=130, foc_date=date(2026, 7, 9)), make_item(rank=130)
    soon_too = make_item(rank=130, foc_date=date(2026, 6, 9))
    items.save_item(soon, {"foc_date": date(2026, 6, 9)})
    odd = make_item(rank=130, foc_date=date(1, 1, 1))
    worse = make_item(rank=62)
    dated = [worse, odd, soon, soon_too, late]
    assert keys(get(agent_client)) == [i.pk for i in (*dated, undated, undated_too, far)]


def test_the_other_orders_are_newest_change_and_port_date_with_undated_ones_last(
    agent_client, make_item
):
    undated = make_item()
    late, soon = make_item(foc_date=date(2026, 7, 9)), make_item(foc_date=date(2026, 6, 9))
    items.touch(undated.pk)
    assert keys(get(agent_client, f"{LIST}?sort=changed"))[0] == undated.pk
    html = get(agent_client, f"{LIST}?sort=date")
    assert keys(html) == [soon.pk, late.pk, undated.pk]
    assert 'aria-sort="ascending"><a href="/work/?sort=-date"' in html
    html = get(agent_client, f"{LIST}?sort=-date")
    assert keys(html) == [late.pk, soon.pk, undated.pk]
    assert 'aria-sort="descending"' in html


def test_filters_are_links_that_keep_one_another(agent_client, agent, make_item):
    mine = make_item(bucket="us", rank=130, assignee=agent)
    nobodys = make_item(bucket="us", rank=130)
    make_item(bucket="us", rank=130, assignee=User.objects.create(username="tom"))
    confirmed = make_item(status="CONFIRMED", bucket="date", rank=300)
    assert keys(get(agent_client, f"{LIST}?bucket=us&owner=me")) == [mine.pk]
    assert keys(get(agent_client, f"{LIST}?bucket=us&owner=nobody")) == [nobodys.pk]
    both = get(agent_client, f"{LIST}?bucket=us&owner=me,nobody")
    assert keys(both) == [mine.pk, nobodys.pk]
    assert "<h1>Mine + unassigned, needs us</h1>" in both
    assert 'href="/work/?owner=me,nobody"' in both, "the way out of the bucket keeps the owner"
    assert 'href="/work/?bucket=ready,us&amp;owner=me,nobody"' in both
    assert keys(get(agent_client, f"{LIST}?status=CONFIRMED")) == [confirmed.pk]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("status=DRAFT", "Draft at Sinch"),
        ("status=REJECTED", "Rejected"),
        ("status=WAITING_FOR_LOA_SIGNATURE,PENDING", "Pending, waiting for signature"),
        ("bucket=us&kind=hosting&status=PENDING", "Needs us, pending, hosting orders"),
        ("kind=port_in&status=IN_PROGRESS", "In progress, port-in orders"),
        ("kind=hosting", "Hosting orders"),
        ("kind=hosting,port_in", "All work"),
    ],
)
def test_the_title_says_in_words_what_was_chosen(agent_client, query, title):
    html = get(agent_client, f"{LIST}?{query}")
    assert f"<h1>{title}</h1>" in html
    assert f"<title>{title} · " in html


def test_a_filter_nobody_knows_is_left_out(agent_client, make_item):
    item = make_item()
    odd = "?bucket=purple&owner=0x41&status=%00&sort=%27&after=x~y&before=~&n=-1&kind=port_in"
    assert keys(get(agent_client, LIST + odd)) == [item.pk]


@pytest.mark.parametrize("sort", list(SORTS))
def test_pages_walk_every_row_once_forth_and_back(agent_client, make_item, monkeypatch, sort):
    monkeypatch.setattr(queue, "PAGE", 7)
    chance = random.Random(3)
    days = [None, date(2026, 6, 9), date(2026, 6, 10), date(2026, 6, 11)]
    moment = timezone.now()
    for _ in range(45):
        make_item(rank=chance.choice([100, 130, 400]), foc_date=chance.choice(days))
    for pk in WorkItem.objects.values_list("pk", flat=True):
        WorkItem.objects.filter(pk=pk).update(
            changed_at=moment - timedelta(minutes=chance.choice([1, 2, 3]))
        )
    order = SORTS[sort].ordering()
    whole = list(WorkItem.objects.order_by(*order).values_list("pk", flat=True))

    url, walked, last = f"{LIST}?sort={sort}", [], ""
    while url:
        last, html = url, get(agent_client, url)
        walked.append(keys(html))
        assert f"{sum(map(len, walked)) - len(walked[-1]) + 1} to " in html
        url = link(html, "next")
    assert [key for page in walked for key in page] == whole
    assert len(walked) == 7

    url, back = link(get(agent_client, last), "prev"), []
    while url:
        html = get(agent_client, url)
        back.append(keys(html))
        url = link(html, "prev")
    assert back == walked[-2::-1], "the same pages, the other way"


def test_pages_repeat_no_row_while_rows_change(agent_client, make_item, monkeypatch):
    monkeypatch.setattr(queue, "PAGE", 5)
    for number in range(30):
        make_item(rank=100 + number % 3)
    steady = set(WorkItem.objects.filter(rank=102).values_list("pk", flat=True))
    url, seen = LIST, []
    while url:
        html = get(agent_client, url)
        seen += keys(html)
        url = link(html, "next")
        # Others come in at the front of the list and move to its front.
        make_item(rank=50)
        WorkItem.objects.filter(pk__in=seen[-1:], rank__lt=102).update(rank=90)
    assert len(seen) == len(set(seen))
    assert steady <= set(seen), "what did not move was seen"


def test_a_page_whose_rows_have_gone_leads_back_to_the_first(agent_client, make_item):
    item = make_item(rank=100)
    html = get(agent_client, f"{LIST}?after={item.urgency}~{item.pk}&n=51")
    assert keys(html) == []
    assert "This page is empty." in html
    assert 'href="/work/"' in html


def test_the_last_page_counts_what_is_there_and_not_what_was(agent_client, make_item, monkeypatch):
    monkeypatch.setattr(queue, "PAGE", 3)
    rows = [make_item(rank=100 + number) for number in range(8)]
    second = get(agent_client, link(get(agent_client), "next"))
    WorkItem.objects.filter(pk__in=[rows[0].pk, rows[1].pk]).delete()
    last = get(agent_client, link(second, "next"))
    assert keys(last) == [rows[6].pk, rows[7].pk]
    assert "5 to 6 of 6" in last
    assert "6 orders, worst first" in last


@pytest.mark.parametrize("query", ["?bucket=wait", "?q=harbor", "?q=harbor&sort=date"])
def test_a_page_says_how_many_match_up_to_a_thousand(agent_client, make_item, monkeypatch, query):
    monkeypatch.setattr(queue, "PAGE", 3)
    monkeypatch.setattr(queue, "MOST_COUNTED", 5)

    def told() -> list[str]:
        first = get(agent_client, LIST + query)
        pages = (first, get(agent_client, link(first, "next")))
        return [re.search(r"\d to \d of [\d+]+", html)[0] for html in pages]

    make_item(words="somebody else", bucket="us")
    for number in range(5):
        make_item(words="harbor", foc_date=None if number % 2 else date(2026, 12, 4))
    assert told() == ["1 to 3 of 5", "4 to 5 of 5"]
    for _ in range(3):
        make_item(words="harbor")
    assert told() == ["1 to 3 of 5+", "4 to 6 of 5+"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?bucket=us,wait&owner=me,nobody&status=PENDING",
        "?q=customer",
        "?sort=changed",
        "?sort=date",
        "?sort=-date",
    ],
)
def test_the_list_costs_at_most_four_statements_however_many_rows(
    agent_client, agent, make_item, query
):
    for number in range(3):
        make_item(assignee=agent if number % 2 else None, words="customer")
    few = _statements(agent_client, LIST + query)
    for number in range(60):
        make_item(assignee=agent if number % 2 else None, words="customer")
    many = _statements(agent_client, LIST + query)
    assert few <= 4
    assert many <= 4


def _statements(client: Client, url: str) -> int:
    # The first request of a session fills the cache with it; the frame may be counted anew.
    client.get(url)
    from django.core.cache import cache

    for key in User.objects.values_list("pk", flat=True):
        cache.delete(f"frame:{key}")
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_deep_pages_cost_no_more_than_the_first(agent_client, make_item, monkeypatch):
    monkeypatch.setattr(queue, "PAGE", 5)
    for _ in range(30):
        make_item()
    first = get(agent_client)
    second = get(agent_client, link(first, "next"))
    assert _statements(agent_client, link(second, "next")) <= 4


# --- Empty -------------------------------------------------------------------------------------


def test_an_empty_desk_says_what_comes_and_what_to_do(agent_client, project):
    html = get(agent_client)
    assert "No orders yet." in html
    assert "within 5 minutes" in html
    assert "New port-in order" in html
    assert "Connect a Sinch project" in html


def test_nothing_found_says_what_was_searched_and_ways_out(agent_client, make_item):
    make_item()
    html = get(agent_client, f"{LIST}?q=206+555+0199&owner=me")
    assert "No order matches “206 555 0199” with owner me." in html
    assert "We looked at numbers, references, ids and names." in html
    assert 'href="/work/?q=206+555+0199">Without owner' in html


# --- Search ------------------------------------------------------------------------------------


@pytest.fixture
def numbered(make_item: MakeItem, monkeypatch: pytest.MonkeyPatch) -> dict[str, WorkItem]:
    """Two orders whose numbers a source knows; the source looks at the items' carriers."""
    monkeypatch.setattr(search, "_sources", [])

    def source(digits: str, suffix: bool):
        if suffix:
            return WorkItem.objects.filter(carriers__endswith=digits).values("pk")
        return WorkItem.objects.filter(carriers__startswith=f"+{digits}").values("pk")

    search.register_numbers(source)
    search.register_numbers(source)
    return {
        "seattle": make_item(
            carriers="+12065550142",
            end_user="Harborview Dental LLC",
            reference="HVD-2026-014",
            words="Harborview Dental LLC HVD-2026-014",
        ),
        "chicago": make_item(
            carriers="+13125550117",
            end_user="O’Brien & Sons Café",
            reference="obs_7",
            words="O’Brien & Sons Café obs_7",
        ),
    }


@pytest.mark.parametrize(
    "typed",
    [
        "+1 206 555 0142",
        "(206) 555-0142",
        "206.555.0142",
        "1-206-555-0142",
        "12065550142",
        "tel:+12065550142",
        "206\u2011555\u20110142",
        "２０６ ５５５ ０１４２",
        "001 206 555 0142",
        "206-555-0142 ext. 5",
        "206-555-0142,",
        "“(206) 555-0142”",
        "Phone 206-555-0142",
        "0142",
        "555 0142",
        "206",
        "1206",
        "206-555",
        "HVD-2026-014",
        "hvd-2026",
        "40100001",
        "harborview",
        "dental harb",
        "HARBORVIEW dental llc",
    ],
)
def test_a_search_with_one_hit_opens_it(agent_client, numbered, typed):
    answer = agent_client.get(LIST, {"q": typed})
    assert answer.status_code == 302, typed
    assert answer["Location"] == numbered["seattle"].get_absolute_url()


@pytest.mark.parametrize("typed", ["o'brien", "O’Br", "sons caf", "OBS_7", "obs_", "café"])
def test_names_are_found_with_their_signs(agent_client, numbered, typed):
    answer = agent_client.get(LIST, {"q": typed})
    assert answer.status_code == 302
    assert answer["Location"] == numbered["chicago"].get_absolute_url()


def test_a_name_that_holds_a_number_is_found_as_a_name(agent_client, numbered, make_item):
    item = make_item(words="Branch 2065550142 LLC")
    answer = agent_client.get(LIST, {"q": "llc 2065550142"})
    assert keys(answer.content.decode()) == [numbered["seattle"].pk, item.pk]


@pytest.mark.parametrize("query", ["?q=harbor&bucket=us", "?q=harbor"])
def test_a_search_says_when_more_match_than_it_looks_through(
    agent_client, make_item, monkeypatch, query
):
    monkeypatch.setattr(search, "MOST_MATCHES", 3)
    monkeypatch.setattr(queue, "MOST_COUNTED", 2)
    told = "More than 3 orders match “harbor”, and no more than that are looked through here."
    make_item(words="harbor", bucket="us")
    for _ in range(2):
        make_item(words="harbor")
    # All that match were looked through: the one hit is the only one there is.
    page = agent_client.get(LIST + query, follow=True).content.decode()
    assert told not in page
    make_item(words="harbor")
    assert told in get(agent_client, LIST + query)
    assert told not in get(agent_client, LIST + "?bucket=us")


def test_a_search_with_several_hits_lists_them(agent_client, numbered):
    html = get(agent_client, f"{LIST}?q=555")
    assert keys(html) == []  # nobody's area code
    html = get(agent_client, f"{LIST}?q=401000")
    assert len(keys(html)) == 2
    assert "<h1>Search: “401000”</h1>" in html


@pytest.mark.parametrize(
    ("typed", "begins", "ends"),
    [("206 555", "1206555", "206555"), ("0142", "", "0142"), ("+1 206 5", "12065", "")],
)
def test_what_a_part_of_a_number_may_be(typed, begins, ends):
    wanted = search.understand(typed)
    assert (wanted.first_digits, wanted.last_digits) == (begins, ends)


@pytest.mark.parametrize(
    "typed",
    [
        "'",
        "''') OR 1=1 --",
        "a & | ! ( ) : * <-> b",
        ":*",
        "\\",
        "%",
        "_",
        "\x00",
        "a\x00b",
        "\ud800",
        "…",
        "+",
        "()",
        "1" * 40,
        "x" * 5000,
        "💥" * 60,
        "²³",
        "ß" * 100,
    ],
)
def test_no_text_breaks_the_search(agent_client, numbered, typed):
    wanted = search.understand(typed)
    assert len(wanted.text) <= 100
    answer = agent_client.get(LIST, {"q": typed.encode("utf-8", "replace").decode()})
    assert answer.status_code in (200, 302)


def test_percent_and_underscore_stand_for_themselves(agent_client, numbered):
    assert keys(get(agent_client, f"{LIST}?q=%25")) == []
    assert keys(get(agent_client, f"{LIST}?q=_vd")) == []


# --- Live --------------------------------------------------------------------------------------


def test_a_poll_of_an_unchanged_list_costs_one_statement_and_answers_204(agent_client, make_item):
    for _ in range(60):
        make_item()
    url = poll_url(get(agent_client, f"{LIST}?owner=me,nobody&bucket=wait"))
    agent_client.get(url)
    with CaptureQueriesContext(connection) as queries:
        answer = agent_client.get(url, headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert answer.content == b""
    assert len(queries) == 1


def test_a_changed_row_is_swapped_in_place_and_marked_and_told_once(agent_client, make_item):
    item, _ = make_item(rank=400), make_item(rank=400)
    url = poll_url(get(agent_client))
    items.save_item(item, {"status": "CONFIRMED", "rank": 300, "bucket": "date"})
    html = get(agent_client, url)
    assert keys(html) == [item.pk]
    assert 'class="changed" hx-swap-oob="true"' in html
    assert "<b>Changed " in html
    assert "Confirmed" in html
    assert "1 changed: show" in html
    assert agent_client.get(poll_url(html)).status_code == 204, "it is told once"
    items.save_item(item, {"status": "COMPLETED"})
    again = get(agent_client, poll_url(html))
    assert keys(again) == [item.pk]
    assert "1 changed: show" in again, "the same row counts once"


def test_a_new_match_is_counted_and_nothing_moves(agent_client, make_item):
    make_item(bucket="us", rank=130)
    url = poll_url(get(agent_client, f"{LIST}?bucket=us"))
    other = make_item(bucket="wait")
    assert agent_client.get(url).status_code == 204, "it is not what this list shows"
    items.save_item(other, {"bucket": "us", "rank": 120})
    make_item(bucket="us", rank=140)
    html = get(agent_client, url)
    assert keys(html) == []
    assert '<a class="changes" href="/work/?bucket=us">2 changed: show</a>' in html
    assert agent_client.get(poll_url(html)).status_code == 204


def test_a_change_on_another_page_is_no_news_of_this_one(agent_client, make_item, monkeypatch):
    monkeypatch.setattr(queue, "PAGE", 3)
    rows = [make_item(rank=100 + 10 * number) for number in range(9)]
    long_ago = timezone.now() - timedelta(hours=1)
    WorkItem.objects.update(changed_at=long_ago)
    first = get(agent_client)
    second = get(agent_client, link(first, "next"))
    items.touch(rows[8].pk)
    assert agent_client.get(poll_url(first)).status_code == 204
    assert agent_client.get(poll_url(second)).status_code == 204
    items.save_item(rows[8], {"rank": 145})
    assert agent_client.get(poll_url(first)).status_code == 204
    assert "1 changed: show" in get(agent_client, poll_url(second))


def test_an_empty_list_hears_of_the_first_orders(agent_client, make_item, project):
    url = poll_url(get(agent_client))
    assert agent_client.get(url).status_code == 204
    make_item()
    make_item()
    assert agent_client.get(url)["HX-Refresh"] == "true"


def test_a_poll_knows_whose_list_it_is(agent_client, agent, make_item):
    make_item(assignee=agent)
    url = poll_url(get(agent_client, f"{LIST}?owner=me"))
    item = make_item()
    assert agent_client.get(url).status_code == 204
    items.save_item(item, {"assignee": agent})
    assert "1 changed: show" in get(agent_client, url)


def test_a_poll_goes_on_when_hundreds_change_at_once(agent_client, make_item):
    make_item()
    url = poll_url(get(agent_client))
    for _ in range(120):
        make_item(rank=100)
    html = get(agent_client, url)
    assert "100+ changed: show" in html
    assert agent_client.get(poll_url(html)).status_code == 204


def test_a_poll_without_a_page_behind_it_is_refused(agent_client):
    before_all_time = "?since=0001-01-01T00:00:05%2B00:00"
    for odd in ("", "?since=yesterday", "?since=2026-06-09T12:00:00", before_all_time):
        assert agent_client.get(reverse("work:list_live") + odd).status_code == 400


def test_a_poll_with_odd_values_breaks_nothing(agent_client, make_item):
    make_item()
    since = "since=2026-06-09T12:00:00%2B00:00"
    odd = f"{since}&rows=1.x,.,9999999999999999999.1&told=a,-1,&start=~~&end=%00&sort=date"
    assert agent_client.get(f"{reverse('work:list_live')}?{odd}").status_code in (200, 204)


def test_a_poll_after_signing_out_leads_the_window_to_the_sign_in_page(
    agent_client, client, make_item
):
    make_item()
    url = poll_url(get(agent_client))
    answer = client.get(
        url,
        headers={
            "HX-Request": "true",
            "HX-Current-URL": "http://testserver/work/?bucket=us&sort=date",
        },
    )
    login, _, query = answer["HX-Redirect"].partition("?")
    assert (login, parse_qs(query)) == ("/sign-in/", {"next": ["/work/?bucket=us&sort=date"]})


def test_a_version_that_grows_alone_is_a_change(agent_client, make_item):
    item = make_item()
    url = poll_url(get(agent_client))
    WorkItem.objects.filter(pk=item.pk).update(version=F("version") + 1)
    assert keys(get(agent_client, url)) == [item.pk]


def test_a_row_says_that_there_are_later_dates(agent_client, make_item):
    days = [["2026-12-01", 1], ["2026-12-04", 3], ["2026-12-08", 6]]
    make_item(bucket="date", foc_date=date(2026, 12, 4), foc_dates=days)  # the first went live
    html = agent_client.get(reverse("work:list")).content.decode()
    friday = words.day_text(date(2026, 12, 4))
    assert f">{friday} +1</span>" in html
    assert f"{friday}, 3 numbers; " in html


def test_a_row_names_the_number_it_was_found_by(agent_client, numbered, make_item, monkeypatch):
    monkeypatch.setattr(search, "_match_sources", [])
    make_item(carriers="+14255550142")

    def source(numbers, items):
        rows = WorkItem.objects.filter(pk__in=items).order_by()
        first = Concat("carriers", Value(" CONFIRMED"))
        return rows.values(item=F("pk")).annotate(first=first, many=F("counted"))

    search.register_matches(source, str.title)
    search.register_matches(source, str.title)
    html = get(agent_client, "/work/?q=0142")
    told = " ".join(strip_tags(html).split())
    assert "+1 206 555 0142, Confirmed and 2 more" in told
    assert "+1 425 555 0142, Confirmed and 2 more" in told
    assert _statements(agent_client, "/work/?q=0142") <= 4
    live = unescape(re.search(r'id="list-news"[^>]*hx-get="([^"]+)"', html)[1])
    items.save_item(numbered["seattle"], {"live_count": 1})
    row = strip_tags(get(agent_client, live))
    assert "+1 206 555 0142, Confirmed" in row, "a changed row still says it"


def test_a_search_without_digits_asks_nothing_about_numbers(make_item, django_assert_num_queries):
    item = make_item()
    with django_assert_num_queries(0):
        assert search.matches("Harborview", [item.pk]) == {}
        assert search.beside("Harborview") == []
