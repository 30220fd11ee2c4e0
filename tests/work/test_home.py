"""The home page: what now, what goes live, what changed, did it leave; and the frame around it."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hosting.models import HostingDraft
from orders.models import PortInDraft
from portal import words
from portal.accounts.models import User
from portal.operations.models import Operation, Reading
from portal.work import context, home, items
from portal.work.home import looked_before
from portal.work.models import TimelineEntry, WorkItem
from portal.work.office import first_open_day


def get(client: Client, url: str = "/") -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def forget_frame() -> None:
    """Have the frame counted anew."""
    for key in User.objects.values_list("pk", flat=True):
        cache.delete(f"frame:{key}")


@pytest.fixture
def busy(make_item, agent):
    return make_busy(make_item, agent)


def make_busy(make_item, agent):
    """Make a desk with something of everything; return the items by what they are."""
    today = timezone.localdate()
    tom = User.objects.create(username="tom", first_name="Tom", last_name="Adair")
    return {
        "ready": make_item(
            bucket="ready",
            rank=100,
            status="CONFIRMED",
            foc_date=today,
            end_user="Pinecrest Veterinary Clinic",
            counted=8,
            reasons=[{"code": "", "text": "Activate 8 numbers", "tone": "ready", "glyph": "ready"}],
        ),
        "late": make_item(
            bucket="us",
            rank=120,
            status="CONFIRMED",
            end_user="Copper Kettle Bakery Inc",
            foc_date=first_open_day(timezone.now()) - timedelta(days=1),
            reasons=[
                {
                    "code": "P2",
                    "text": "2 numbers confirmed for Monday are not live",
                    "tone": "bad",
                    "glyph": "bad",
                    "next": "Ask Sinch",
                }
            ],
        ),
        "rejected": make_item(
            bucket="us",
            rank=130,
            assignee=agent,
            end_user="Harborview Dental LLC",
            reasons=[
                {
                    "code": "P3",
                    "text": "2 numbers rejected: PIN",
                    "tone": "bad",
                    "glyph": "bad",
                    "next": "Fix PIN",
                },
                {"code": "P4", "text": "Sinch asks for a bill", "tone": "us", "glyph": "note"},
            ],
        ),
        "toms": make_item(
            bucket="us",
            rank=140,
            assignee=tom,
            end_user="Bluebird Moving Co",
            foc_date=today + timedelta(days=1),
            reasons=[{"code": "P5", "text": "FOC date moved", "tone": "us", "glyph": "us"}],
        ),
        "waiting": make_item(end_user="Juniper and Pike Law PLLC"),
        "done": make_item(bucket="done", rank=800, status="COMPLETED", end_user="Cedar Falls"),
    }


def test_home_asks_for_a_sign_in_and_only_reads(client, agent_client):
    assert client.get("/").status_code == 302
    assert agent_client.post("/").status_code == 405


def test_home_tells_what_to_do_now_worst_first_with_one_step_for_each(agent_client, busy):
    html = get(agent_client)
    today = timezone.localdate()
    assert f"<h1>{today:%A} {today.day} {today:%B}</h1>" in html
    assert "<b>3 orders need you, 1 is late.</b>" in html
    assert "1 goes live today and 1 tomorrow; one of them is not ready." in html
    todo = html[html.index('id="h-now"') :]
    places = [
        todo.index(text) for text in ("Activate 8 numbers", "not live", "2 numbers rejected: PIN")
    ]
    assert places == sorted(places)
    activate = reverse("orders:activate", args=[busy["ready"].target_pk])
    assert f'class="btn btn-sm btn-primary" href="{activate}"' in html
    rejected = busy["rejected"].get_absolute_url()
    assert f'href="{rejected}#numbers">Fix PIN' in html
    assert "also: Sinch asks for a bill" in html
    assert "Do now, worst first" in html
    assert 'href="/work/?bucket=ready,us&amp;owner=me,nobody">All 3 in the list' in html


@pytest.fixture
def make_draft(project):
    """Make a draft that was sent; its create stands as said."""

    def make(by, state="refused", model=PortInDraft, is_locked=False, **fields):
        now = timezone.now()
        ended = {"finished_at": now} if state in ("refused", "dead", "succeeded") else {}
        if state == "refused":
            ended["answer"] = {"status": 400, "message": "wrong"}
        values = {"kind": "port_in.create", "target": "draft:1", "by": by} | ended | fields
        operation = Operation.objects.create(project=project, state=state, **values)
        return model.objects.create(
            project=project,
            by=by,
            title="Juniper and Pike Law PLLC",
            operation=operation,
            state="sending" if is_locked else "open",
        )

    return make


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("refused", "Sinch refused our order"),
        ("dead", "Our order stopped and needs a look"),
        ("uncertain", "No trace of our order at Sinch yet"),
    ],
)
def test_a_draft_whose_order_did_not_come_about_needs_us(
    agent_client, agent, make_draft, state, said
):
    lost = {"uncertain_since": timezone.now() - timedelta(minutes=15)}
    draft = make_draft(agent, state, is_locked=state != "refused", **lost)
    html = get(agent_client)
    assert "<b>1 order needs you.</b>" in html
    todo = html[html.index('id="h-now"') :]
    assert f'<a class="what" href="{draft.get_absolute_url()}">{said}</a>' in todo
    assert "Juniper and Pike Law PLLC" in todo
    assert "<span>a draft</span>" in todo
    assert f'href="{draft.get_absolute_url()}">Look at it' in todo
    assert "in the list</a>" not in todo, "the list does not know drafts"


def test_what_never_left_is_not_said_to_be_refused_by_sinch(agent_client, agent, make_draft):
    make_draft(agent, answer={}, staff_message="The draft is not in the desk any more.")
    html = get(agent_client)
    assert "Our order did not go through" in html
    assert "Sinch refused" not in html


def test_a_hosting_draft_that_was_refused_needs_us_too(agent_client, agent, make_draft):
    draft = make_draft(agent, model=HostingDraft, kind="hosting.text_enable")
    html = get(agent_client)
    assert f'href="{draft.get_absolute_url()}">Sinch refused our hosting order</a>' in html


def test_drafts_come_before_what_needs_us_and_are_counted(agent_client, agent, busy, make_draft):
    make_draft(agent)
    html = get(agent_client)
    assert "<b>4 orders need you, 1 is late.</b>" in html
    assert "<span>Needs us</span><span>3</span>" in html
    assert ">All 3 in the list</a>" in html
    assert html.index("Sinch refused our order") < html.index("2 numbers rejected: PIN")


def test_a_draft_is_no_trouble_while_its_order_is_under_way_or_once_it_is_settled(
    agent_client, agent, make_draft, make_item
):
    now = timezone.now()
    make_item()
    make_draft(agent, "sending", is_locked=True)
    make_draft(agent, "uncertain", is_locked=True, uncertain_since=now - timedelta(minutes=14))
    make_draft(agent, "dead", seen_at=now)
    for state in ("sent", "thrown_away"):
        draft = make_draft(agent)
        PortInDraft.objects.filter(pk=draft.pk).update(state=state)
    assert "Nothing needs you." in get(agent_client)


def test_drafts_of_colleagues_are_told_to_the_team_and_to_who_supervises(
    agent_client, agent, make_agent, make_draft
):
    tom = make_agent("tom", first_name="Tom", last_name="Adair")
    draft = make_draft(tom)
    there = f'href="{draft.get_absolute_url()}">Sinch refused our order</a>'
    assert there not in get(agent_client)
    html = get(agent_client, "/?who=team")
    assert there in html
    assert "<span>Tom Adair</span>" in html
    supervisor = Client()
    supervisor.force_login(
        make_agent("mara", "manage_project"),
        backend="portal.accounts.backends.EmailOrUsernameBackend",
    )
    assert there in get(supervisor)
    Operation.objects.update(by=agent)
    assert there in get(agent_client), "whoever sent it hears of it as well"


def test_a_day_counts_the_numbers_that_go_on_it(agent_client, make_item):
    today = timezone.localdate()
    later = (today + timedelta(days=4)).isoformat()
    make_item(
        bucket="ready",
        rank=100,
        foc_date=today,
        counted=11,
        foc_dates=[[today.isoformat(), 8], [later, 3]],
    )
    make_item(bucket="date", rank=300, foc_date=today, counted=2)  # stored before days were
    page = get(agent_client)
    assert "2 orders, 10 numbers" in page
    assert "8 numbers, by us" in page


def test_an_order_that_goes_on_both_days_stands_at_both(agent_client, make_item):
    today = timezone.localdate()
    tomorrow = today + timedelta(days=1)
    dates = [[today.isoformat(), 8], [tomorrow.isoformat(), 3]]
    make_item(bucket="us", rank=100, foc_date=today, counted=11, foc_dates=dates)
    page = get(agent_client)
    assert "1 goes live today and 1 tomorrow; 2 of them are not ready." in page
    first, second = page.partition("Going live")[2].split("Tomorrow")
    assert "1 order, 8 numbers" in first
    assert "1 order, 3 numbers" in second


def test_today_is_the_day_it_is_where_orders_go_live(agent_client, agent, project, make_item):
    # Twenty-five hours apart: never the same day.
    User.objects.filter(pk=agent.pk).update(time_zone="Pacific/Kiritimati")
    project.porting_configuration = {"defaultPortTimeZone": "Pacific/Pago_Pago"}
    project.save()
    now = timezone.now()
    there, here = first_open_day(now), timezone.localdate(now, ZoneInfo("Pacific/Kiritimati"))
    make_item(bucket="ready", rank=100, foc_date=there, end_user="Pinecrest Clinic")
    page = get(agent_client)
    assert "1 goes live today and 0 tomorrow." in page
    assert "<span>FOC today</span>" in page
    first, second = page.partition("Going live")[2].split("Tomorrow")
    assert f"{words.day_text(there, here)} in Pago Pago" in first
    assert "Pinecrest Clinic" in first
    assert "Pinecrest Clinic" not in second.partition("Since you last looked")[0]


def test_whoever_is_where_orders_go_live_is_not_told_what_day_it_is_there(agent_client, make_item):
    assert " in Eastern" not in get(agent_client)


def test_a_day_with_more_orders_than_are_named_counts_them_all(agent_client, make_item):
    today = timezone.localdate()
    for number in range(home.MOST_DATED + 3):
        make_item(bucket="us" if number < 2 else "date", rank=300, foc_date=today, counted=1)
    make_item(bucket="date", rank=310, foc_date=today + timedelta(days=1))
    page = get(agent_client)
    count = home.MOST_DATED + 3
    assert f"{count} go live today and 1 tomorrow; 2 of them are not ready." in page
    today, tomorrow = page.partition("Going live")[2].split("Tomorrow")
    assert f"<span>{count} orders</span>" in today
    assert '<div class="muted">and 3 more orders</div>' in today
    assert "1 order, 3 numbers" in tomorrow


@pytest.mark.parametrize(
    ("ready", "us", "named_ready", "named_us"),
    [(25, 15, 10, 10), (25, 4, 16, 4), (3, 30, 3, 17), (25, 0, 20, 0), (0, 25, 0, 20)],
)
def test_many_of_one_kind_leave_the_other_its_place(
    agent_client, make_item, ready, us, named_ready, named_us
):
    for bucket, rank, count in (("ready", 100, ready), ("us", 120, us)):
        for number in range(count):
            make_item(bucket=bucket, rank=rank, end_user=f"Store {bucket} {number}")
    page = get(agent_client)
    to_do = page.partition("Do now, worst first")[2].partition("living orders")[0]
    first, _, second = to_do.partition("<span>Needs us</span>")
    assert first.count('title="Store ready') == named_ready
    assert second.count('title="Store us') == named_us
    for part, bucket, more in (
        (first, "ready", ready - named_ready),
        (second, "us", us - named_us),
    ):
        assert (f'?bucket={bucket}&amp;owner=me,nobody">{more} more orders</a>' in part) is (
            more > 0
        )


def test_figures_end_where_counting_does(agent_client, project):
    kept = {"project": project, "kind": "port_in", "status": "PENDING"}
    WorkItem.objects.bulk_create(
        WorkItem(target_pk=number, sinch_id=str(number), bucket=bucket, rank=200, **kept)
        for number, bucket in enumerate(["ready", "us", "wait"] * 1002)
    )
    page = get(agent_client)
    assert "All 1,000+ in the list" in page
    assert "Several at once</a> · 1,000+</span>" in page
    assert "<span>Needs us</span><span>1,000+</span>" in page
    assert "1,000+ living orders" in page
    assert "Waiting <b>1,000+</b>" in page
    assert 'aria-label="Waiting on carrier: 1,000+ orders"' in page
    assert "1,001" not in page


def test_the_alarm_leads_to_the_activations_only_when_one_can_be_activated(
    agent_client, busy, make_item
):
    alarm = get(agent_client).partition('id="alarm"')[2].partition("</section>")[0]
    assert "Copper Kettle Bakery" in alarm
    assert "activations" not in alarm
    assert f'<a class="btn" href="{busy["late"].get_absolute_url()}">Open the order</a>' in alarm
    today = first_open_day(timezone.now())
    still = make_item(bucket="ready", rank=100, status="CONFIRMED", foc_date=today)
    alarm = get(agent_client).partition('id="alarm"')[2].partition("</section>")[0]
    assert "activations" not in alarm, "its day is not over everywhere"
    WorkItem.objects.filter(pk=still.pk).update(foc_date=today - timedelta(days=1))
    alarm = get(agent_client).partition('id="alarm"')[2].partition("</section>")[0]
    assert f'href="{reverse("orders:activations")}">To the activations</a>' in alarm


def test_everyones_work_includes_that_of_colleagues(agent_client, busy):
    assert "FOC date moved" not in get(agent_client).split("Going live")[0]
    html = get(agent_client, "/?who=team")
    assert "FOC date moved" in html.split("Going live")[0]
    assert "<b>4 orders need you" in html
    assert 'href="/work/?bucket=ready,us">All 4 in the list' in html


def test_going_live_shows_today_and_tomorrow_and_who_is_not_ready(agent_client, busy):
    dates = get(agent_client).split("Going live")[1]
    assert "1 order, 8 numbers" in dates
    assert "Not ready: FOC date moved" in dates
    assert dates.index("Pinecrest") < dates.index("Tomorrow") < dates.index("Bluebird")


def test_news_are_those_of_others_since_the_last_look(agent_client, agent, busy):
    now = timezone.now()
    get(agent_client)
    cache.set(f"looked:{agent.pk}", (now - timedelta(hours=9), now - timedelta(hours=2)), 60)
    events = [
        items.Event(text="last Lumen number confirmed", fact=("a",), at=now - timedelta(hours=1)),
        items.Event(text="was told days ago", fact=("b",), at=now - timedelta(hours=3)),
        items.Event(text="I did this", fact=("c",), source="staff", by=agent, at=now),
    ]
    items.tell(busy["rejected"], events)
    html = get(agent_client)
    assert "last Lumen number confirmed" in html
    assert "was told days ago" not in html
    assert "I did this" not in html
    assert "last Lumen number confirmed" in get(agent_client), "a reload forgets nothing"


def test_news_of_another_day_stand_beneath_that_day(agent_client, agent, busy):
    now = timezone.now()
    earlier = now - timedelta(days=3)
    get(agent_client)
    cache.set(f"looked:{agent.pk}", (now - timedelta(days=4), now), 60)
    told = [
        items.Event(text="one number rejected", fact=("x",), at=now),
        items.Event(text="another number confirmed", fact=("y",), at=earlier),
    ]
    items.tell(busy["rejected"], told)
    news = get(agent_client).split("Since you last looked")[1]
    new, day, old = news.partition(f'<li class="day">{words.day_text(timezone.localdate(earlier))}')
    assert day
    assert "one number rejected" in new
    assert "another number confirmed" in old
    assert news.count('class="day"') == 1, "today needs no name"


def test_many_orders_found_at_once_are_one_line_of_the_news(agent_client, make_item):
    now = timezone.now()
    for number in range(6):
        item = make_item(end_user=f"Newcomer {number}")
        found = f"{TimelineEntry.FOUND}: 2 numbers, Newcomer {number}, pending"
        items.tell(item, [items.Event(text=found, fact=("found",), at=now)])
    items.tell(item, [items.Event(text="2 numbers rejected", fact=("x",), at=now)])
    news = get(agent_client).split("Since you last looked")[1]
    assert ">6 orders</a> found at Sinch" in news
    assert "2 numbers rejected" in news
    assert news.count("ound at Sinch") == 1


def test_the_last_look_moves_on_only_after_a_break(agent):
    now = timezone.now()
    cache.set(f"looked:{agent.pk}", (now - timedelta(hours=3), now - timedelta(minutes=5)), 60)
    assert looked_before(agent) == now - timedelta(hours=3)
    cache.set(f"looked:{agent.pk}", (now - timedelta(hours=3), now - timedelta(hours=1)), 60)
    assert looked_before(agent) == now - timedelta(hours=1)
    assert looked_before(agent) == now - timedelta(hours=1)


def test_somebody_new_has_looked_at_nothing_before_there_was_an_account(agent):
    now = timezone.now()
    agent.date_joined = now - timedelta(hours=2)
    assert looked_before(agent) == agent.date_joined
    cache.clear()
    agent.date_joined = now - timedelta(days=90)
    assert looked_before(agent) > now - timedelta(days=1, seconds=1)


def test_my_last_actions_say_what_became_of_them(agent_client, agent, project):
    now = timezone.now()
    for state, subject, ended in (
        ("succeeded", "Order HVD-2026-014", now),
        ("refused", "Change of JPL-77", now),
        ("sending", "Document to PVC-0091", None),
    ):
        Operation.objects.create(
            project=project,
            kind="port_in.create",
            target="draft:1",
            by=agent,
            state=state,
            subject=subject,
            finished_at=ended,
            payload={"pin": "482193"},
        )
    html = get(agent_client)
    for said in ("Order HVD-2026-014", "arrived ", "refused ", "sending"):
        assert said in html
    assert "482193" not in html


def test_home_costs_at_most_eight_statements_however_busy_the_desk_is(
    agent_client, agent, busy, make_item, make_draft, project
):
    def statements() -> int:
        agent_client.get("/")
        forget_frame()
        with CaptureQueriesContext(connection) as queries:
            assert agent_client.get("/").status_code == 200
        return len(queries)

    few = statements()
    for number in range(60):
        item = make_item(bucket="us", rank=130, foc_date=timezone.localdate())
        items.tell(item, [items.Event(text=f"News {number}", fact=("n",))])
        Operation.objects.create(project=project, kind="port_in.note", target="x", by=agent)
        make_draft(agent)
        make_draft(agent, model=HostingDraft)
    assert few <= 8
    assert statements() == few


def test_an_empty_desk_is_told_what_will_come(agent_client, project):
    html = get(agent_client)
    assert "No orders yet." in html
    assert "New port-in order" in html


def test_nothing_to_do_is_good_news(agent_client, make_item):
    make_item()
    make_item(bucket="date", foc_date=timezone.localdate() + timedelta(days=3))
    html = get(agent_client)
    assert "Nothing needs you." in html
    assert "1 order waits on carriers; the next date is" in html
    assert "See all living orders" in html


def test_the_picture_is_drawn_from_twenty_orders_on(agent_client, busy, make_item):
    assert "A picture is drawn from 20 orders on" in get(agent_client)
    for _ in range(20):
        make_item()
    html = get(agent_client)
    assert "25 living orders" in html
    assert 'aria-label="Waiting on carrier: 21 orders"><rect class="fill tone-wait"' in html


# --- The frame ----------------------------------------------------------------------------------


def test_the_frame_counts_what_its_links_lead_to(agent_client, busy):
    html = get(agent_client, "/work/")
    assert 'Home<span class="count due">3</span>' in html
    assert 'All work<span class="count">6</span>' in html
    assert 'Ready to activate<span class="count due">1</span>' in html
    assert 'Needs us<span class="count due">3</span>' in html
    assert 'Nobody owns it<span class="count">3</span>' in html


def test_the_frame_counts_the_drafts_that_home_tells_of(
    agent_client, agent, make_agent, busy, make_draft
):
    make_draft(agent)
    make_draft(make_agent("ana"))
    html = get(agent_client, "/work/")
    assert 'Home<span class="count due">4</span>' in html
    assert 'Mine + unassigned<span class="count">3</span>' in html


def test_every_draft_that_the_frame_counts_can_be_gone_on_with(agent_client, agent, project):
    for number in range(25):
        PortInDraft.objects.create(by=agent, project=project, title=f"Store {number}")
    html = get(agent_client, reverse("orders:create"))
    assert 'Drafts<span class="count">25</span>' in html
    listed = html.partition('id="drafts"')[2].partition("</section>")[0]
    assert listed.count(">Store ") == 25


def test_the_link_of_the_view_that_is_shown_is_marked(agent_client, busy):
    html = get(agent_client, "/work/?bucket=us")
    assert 'href="/work/?bucket=us" aria-current="true"' in html
    assert 'href="/work/?bucket=ready" aria-current="true"' not in html
    frame, _, _ = get(agent_client, "/work/?bucket=us&kind=hosting").partition("<main")
    assert 'href="/work/?bucket=us" aria-current="true"' not in frame, "it shows fewer"


def test_a_page_that_has_no_frame_asks_nothing_for_it(client, db):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse("login")).status_code == 200
    assert len(queries) == 0


def health(person: User) -> context.Health:
    forget_frame()
    return context.health_of(context.counts_of(person))


def test_the_desk_is_in_step_after_a_sweep_with_nothing_stuck(agent, project):
    assert health(agent).word == "Behind Sinch"
    project.discovered_at = timezone.now()
    project.save()
    found = health(agent)
    assert (found.tone, found.word) == ("done", "In step with Sinch")
    assert found.title.startswith("No webhook yet, last sweep 0 s ago")


def test_the_desk_is_behind_when_the_sweep_is_late(agent, project):
    project.discovered_at = timezone.now() - timedelta(hours=1)
    project.save()
    assert health(agent).tone == "us"


def test_a_stopped_write_and_a_silent_sinch_are_bad(agent, project):
    project.discovered_at = timezone.now()
    project.save()
    stopped = Operation.objects.create(
        project=project, kind="port_in.note", target="x", state="dead", next_try_at=None
    )
    assert (health(agent).tone, health(agent).word) == ("bad", "1 write stopped")
    stopped.seen_at = timezone.now()
    stopped.save()
    assert health(agent).tone == "done"
    Reading.objects.create(
        project=project,
        kind="port_in_order",
        resource_id="1",
        attempts=3,
        last_error="Sinch does not answer.",
    )
    assert (health(agent).tone, health(agent).word) == ("bad", "Sinch does not answer")


def test_a_desk_without_a_project_says_so(agent):
    assert health(agent).word == "No Sinch project"


def test_a_write_under_way_for_long_is_worth_a_look(agent, project):
    project.discovered_at = timezone.now()
    project.save()
    Operation.objects.create(project=project, kind="port_in.note", target="x")
    assert health(agent).tone == "done"
    assert "writes: 1 under way, none stuck" in health(agent).title
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    assert health(agent).tone == "us"


def test_training_is_named_when_the_sandbox_is_the_other_side(rf, agent, settings):
    request = rf.get("/")
    request.user = agent
    assert "training" not in context.desk(request)["desk"]
    settings.SINCH_SANDBOX_PAGE = "http://127.0.0.1:8001/"
    shown = context.desk(request)["desk"]
    assert shown["training"] == "Training: the Sinch sandbox"
    assert shown["sandbox_page"] == "http://127.0.0.1:8001/"


def test_counts_are_kept_for_a_moment(agent, make_item):
    assert context.counts_of(agent)["all"] == 0
    make_item()
    assert context.counts_of(agent)["all"] == 0
    context.forget(agent)
    assert context.counts_of(agent)["all"] == 1
    assert WorkItem.objects.count() == 1
