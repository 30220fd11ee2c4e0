"""Two people at one order, and Sinch changing it under them: nothing is overwritten silently."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orders import presence
from orders.models import PortInOrder
from portal.accounts.models import User
from portal.operations import readings, runner
from portal.operations.models import Operation, Reading
from portal.sandbox import Sandbox
from portal.work.models import TimelineEntry
from tests.orders.test_drafts import PIN
from tests.orders.test_edit import FIRST, SECOND, THIRD, EditPage
from tests.orders.test_edit import order as order

pytestmark = pytest.mark.django_db
Made = Callable[..., User]


@pytest.fixture
def tom(make_agent: Made) -> Client:
    """A colleague with the same rights."""
    person = make_agent("tom", "send_to_sinch", first_name="Tom", last_name="Okafor")
    client = Client()
    client.force_login(person, backend="portal.accounts.backends.EmailOrUsernameBackend")
    return client


def work_off() -> None:
    while runner.run_one() or readings.run_one():
        pass


def at_sinch(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """What Sinch holds of each number, PINs included."""
    return {n.phone_number: n.details for n in sandbox.control.orders()[0].numbers}


def change_at_sinch(sandbox: Sandbox, number: str, **end_user: str) -> None:
    """Change the end user as somebody in Sinch's own dashboard would."""
    at_sinch(sandbox)[number]["endUser"].update(end_user)


def updates() -> list[Operation]:
    return list(Operation.objects.filter(kind="port_in.update").order_by("pk"))


def send(page: EditPage, **typed: str) -> Any:
    answer = page.post("check", **typed)
    assert answer.status_code == 200, answer.status_code
    return page.post("send")


def choices(page: EditPage) -> list[str]:
    """The names of the choices on a page."""
    return list(dict.fromkeys(re.findall(r'name="(choice-\w+)"', page.html)))


# --- The copy an edit begins with ----------------------------------------------------------------


def test_opening_an_edit_has_sinchs_copy_read_and_sending_waits_for_it(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    sandbox.control.reset_calls()
    page = EditPage.__new__(EditPage)
    page.client, page.url = agent_client, f"/orders/{order.pk}/edit/"
    page.html = agent_client.get(page.url).content.decode()
    assert "Reading Sinch’s copy…" in page.html
    assert page.post("check", zip="98102").status_code == 200
    assert "Sinch’s copy is being read; sending waits for it." in page.html
    assert page.post("send").status_code == 409
    assert "has not been read yet" in page.html
    assert not updates()
    work_off()
    assert sandbox.control.calls()["getOrderDetails"] == 1
    assert page.post("send").status_code == 302
    assert len(updates()) == 1


def test_the_reading_that_is_asked_for_is_the_one_that_is_waited_for(
    agent_client: Client, order: PortInOrder
) -> None:
    page = EditPage(agent_client, order)
    since = re.search(r"since=([^&]+)&", page.html)
    assert since
    assert Reading.objects.get().requested_at == parse_datetime(unquote(since[1]))


def test_a_reading_that_left_before_the_edit_was_opened_is_not_fresh_enough(
    agent_client: Client, order: PortInOrder
) -> None:
    page = EditPage(agent_client, order)
    Reading.objects.update(read_at=timezone.now() - timezone.timedelta(hours=1))
    page.post("check", zip="98102")
    assert page.post("send").status_code == 409
    assert not updates()


def test_an_open_page_hears_that_the_copy_is_the_same_and_that_it_differs(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    ask = re.search(r'data-poll hx-get="([^"]+)"', page.html)
    assert ask
    url = ask[1].replace("&amp;", "&")
    first = agent_client.get(url)
    assert "The same as on this page" in first.content.decode()
    token = re.search(r"token=(\w+)", first.content.decode())
    assert token
    assert agent_client.get(f"{url}{token[1]}").status_code == 204
    change_at_sinch(sandbox, FIRST, city="Tukwila")
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    work_off()
    assert (
        "It differs from what this page began with"
        in agent_client.get(f"{url}{token[1]}").content.decode()
    )


# --- Sinch changes it while somebody types -------------------------------------------------------


def test_what_i_left_alone_stays_as_sinch_has_it_now_and_i_am_told(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    change_at_sinch(sandbox, FIRST, city="Tukwila")
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    work_off()
    page.post("check", zip="98102")
    said = "Sinch changed the city of +1 206 555 0142 to “Tukwila” meanwhile; that stays."
    assert said in page.html
    assert not choices(page)
    assert page.post("send").status_code == 302
    work_off()
    end_users = {n: d["endUser"] for n, d in at_sinch(sandbox).items()}
    assert [end_users[n]["city"] for n in (FIRST, SECOND)] == ["Tukwila", "Seattle"]
    assert {e["zipCode"] for e in end_users.values()} == {"98102"}


def test_a_field_both_sides_changed_is_chosen_by_a_person_before_anything_is_sent(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    change_at_sinch(sandbox, FIRST, city="Tukwila")
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    work_off()
    assert page.post("check", city="Renton", zip="98102").status_code == 409
    assert "Sinch’s copy changed while you were typing" in page.html
    assert "<b>Tukwila</b>" in page.html
    assert "<b>Renton</b>" in page.html
    assert "First choose the city of +1 206 555 0142." in page.html
    (asked,) = choices(page)
    fields = {name: value for name, value in page.fields().items() if name != asked}
    answer = page.client.post(page.url, fields | {"action": "send"})
    assert answer.status_code == 409
    assert not updates()
    page.html = answer.content.decode()
    assert page.post("check", **{asked: "sinch"}).status_code == 200
    assert page.post("send", **dict.fromkeys(choices(page), "sinch")).status_code == 302
    work_off()
    cities = [at_sinch(sandbox)[n]["endUser"]["city"] for n in (FIRST, SECOND, THIRD)]
    assert cities == ["Tukwila", "Renton", "Renton"]
    assert {d["endUser"]["zipCode"] for d in at_sinch(sandbox).values()} == {"98102"}


def test_what_i_typed_wins_when_i_say_so(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    change_at_sinch(sandbox, FIRST, city="Tukwila")
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    work_off()
    page.post("check", city="Renton")
    (asked,) = choices(page)
    assert page.post("send", **{asked: "ours"}).status_code == 302
    work_off()
    assert {d["endUser"]["city"] for d in at_sinch(sandbox).values()} == {"Renton"}


def test_a_choice_is_for_the_values_that_were_seen_and_no_others(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    typed = {"city": "Renton"}
    for city in ("Tukwila", "Kent"):
        change_at_sinch(sandbox, FIRST, city=city)
        readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
        work_off()
        assert page.post("check", **typed).status_code == 409
        assert f"<b>{city}</b>" in page.html
        (asked,) = choices(page)
        typed = {asked: "ours"}
    assert not updates()


# --- Sinch changes it between the send and the write ---------------------------------------------


def test_the_worker_reads_before_it_writes_and_leads_back_to_the_choice(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    assert send(page, city="Renton", pin="556617").status_code == 302
    change_at_sinch(sandbox, SECOND, city="Tukwila")
    change_at_sinch(sandbox, FIRST, zipCode="98188")
    before = at_sinch(sandbox)[FIRST]["portOutInfo"]["existingPortOutPin"]
    work_off()
    (refused,) = updates()
    assert refused.state == Operation.State.REFUSED
    assert "the city of +1 206 555 0143" in refused.staff_message
    assert "updatePortInOrder" not in sandbox.control.calls()
    assert at_sinch(sandbox)[FIRST]["portOutInfo"]["existingPortOutPin"] == before == PIN
    again = EditPage(agent_client, order)
    assert "<b>Tukwila</b>" in again.html
    assert "Sinch changed the ZIP of +1 206 555 0142 to “98188” meanwhile" in again.html
    (asked,) = choices(again)
    assert again.post("send", **{asked: "ours"}).status_code == 302
    work_off()
    assert {d["endUser"]["city"] for d in at_sinch(sandbox).values()} == {"Renton"}
    assert at_sinch(sandbox)[FIRST]["endUser"]["zipCode"] == "98188"
    assert at_sinch(sandbox)[FIRST]["portOutInfo"]["existingPortOutPin"] == "556617"
    assert updates()[1].state == Operation.State.SUCCEEDED


def test_a_change_of_sinchs_that_is_ours_too_does_not_stop_the_write(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    send(page, city="Renton", zip="98102")
    change_at_sinch(sandbox, SECOND, city="Renton")
    work_off()
    assert updates()[0].state == Operation.State.SUCCEEDED


def test_an_order_locked_meanwhile_is_told_in_words_and_nothing_is_written(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    send(page, zip="98102")
    sandbox.control.confirm(order.sinch_id)
    work_off()
    (refused,) = updates()
    assert refused.state == Operation.State.REFUSED
    assert "The order is confirmed by now" in refused.staff_message
    assert "updatePortInOrder" not in sandbox.control.calls()


def test_a_write_waits_while_sinch_cannot_be_read(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    send(page, zip="98102")
    sandbox.control.faults.add("status", "getOrderDetails", status=503, times=None)
    runner.run_one()
    assert updates()[0].state == Operation.State.QUEUED
    sandbox.control.faults.clear()
    Operation.objects.update(next_try_at=timezone.now())
    work_off()
    assert updates()[0].state == Operation.State.SUCCEEDED


# --- Two people ----------------------------------------------------------------------------------


def test_the_second_of_two_people_sees_who_changed_what_and_loses_nothing(
    agent_client: Client, tom: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    dana, toms = EditPage(agent_client, order), EditPage(tom, order)
    assert send(dana, city="Renton", zip="98102").status_code == 302
    answer = toms.post("check", city="Kent", signer="Ben Renner")
    assert answer.status_code == 409
    assert "Dana Whitfield changed it a moment ago" in toms.html
    assert "<ins>Ben Renner</ins>" in toms.html, "what he typed is still there"
    work_off()
    assert toms.post("check").status_code == 409
    assert "Changed by Dana Whitfield" in toms.html
    assert "<b>Renton</b>" in toms.html
    assert "<b>Kent</b>" in toms.html
    assert "Dana Whitfield changed the ZIP of all 3 numbers to “98102” meanwhile" in toms.html
    (asked,) = choices(toms)
    assert toms.post("send", **{asked: "sinch"}).status_code == 302
    work_off()
    for details in at_sinch(sandbox).values():
        assert details["endUser"]["city"] == "Renton"
        assert details["endUser"]["zipCode"] == "98102"
        assert details["portOutInfo"]["authorizingName"] == "Ben Renner"
    assert not sandbox.violations


def test_a_pin_a_colleague_changed_meanwhile_is_a_conflict_of_dots(
    agent_client: Client, tom: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    sandbox.control.personality(pin_on_read="absent")
    dana, toms = EditPage(agent_client, order), EditPage(tom, order)
    send(dana, pin="556617")
    work_off()
    assert toms.post("check", pin="778899").status_code == 409
    assert "Choose one" in toms.html
    for secret in ("556617", "778899", PIN, "771248"):
        assert secret not in re.sub(r'value="[^"]*"', "", toms.html)
    (asked,) = choices(toms)
    toms.post("send", **{asked: "ours"})
    work_off()
    pins = [at_sinch(sandbox)[n]["portOutInfo"]["existingPortOutPin"] for n in (FIRST, THIRD)]
    assert pins == ["778899", "771248"]


def test_a_colleagues_pin_stays_when_i_change_something_else(
    agent_client: Client, tom: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    sandbox.control.personality(pin_on_read="absent")
    dana, toms = EditPage(agent_client, order), EditPage(tom, order)
    send(dana, pin="556617")
    work_off()
    toms.post("check", zip="98102")
    assert "Dana Whitfield changed the port-out PIN of 2 numbers meanwhile" in toms.html
    toms.post("send")
    work_off()
    pins = [at_sinch(sandbox)[n]["portOutInfo"]["existingPortOutPin"] for n in (FIRST, THIRD)]
    assert pins == ["556617", "771248"]


def test_people_see_each_other_and_whether_something_was_typed(
    agent_client: Client, tom: Client, order: PortInOrder
) -> None:
    EditPage(agent_client, order)
    toms = EditPage(tom, order)
    assert "Dana Whitfield has this edit open" in toms.html
    assert "nothing typed yet" in toms.html
    page = EditPage(agent_client, order)
    typed = re.search(r'<span hidden hx-get="([^"]+)"', page.html)
    assert typed
    assert agent_client.get(typed[1].replace("&amp;", "&")).status_code == 204
    assert "has typed something" in EditPage(tom, order).html
    page.post("check", zip="98102")
    page.post("send")
    assert "Dana Whitfield" not in "".join(
        visitor.name for visitor in presence.note(order, User.objects.get(username="tom"))
    )


def test_a_lost_cache_loses_no_more_than_the_hint(agent_client: Client, order: PortInOrder) -> None:
    page = EditPage(agent_client, order)
    cache.clear()
    assert send(page, zip="98102").status_code == 302


def test_who_may_ask_for_the_live_part(
    client: Client, make_agent: Made, agent_client: Client, order: PortInOrder
) -> None:
    url = f"/orders/{order.pk}/edit/live/?since=2026-01-01T00:00:00%2B00:00"
    assert "/sign-in/" in client.get(url)["Location"]
    client.force_login(make_agent("rea"), backend="portal.accounts.backends.EmailOrUsernameBackend")
    assert client.get(url).status_code == 403
    assert agent_client.post(url).status_code == 405
    assert agent_client.get(f"/orders/{order.pk}/edit/live/?since=never").status_code == 404


# --- The check page ------------------------------------------------------------------------------


def test_a_line_is_undone_and_the_others_stay(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    page.post("check", city="Renton", zip="98102", pin="556617")
    undo = re.search(r'value="(undo:\w+)" aria-label="Undo the change of the city"', page.html)
    assert undo
    page.post(undo[1])
    assert "<ins>Renton</ins>" not in page.html
    assert "<ins>98102</ins>" in page.html
    page.post("edit")
    assert page.fields()["city"] == "Seattle"
    page.post("check")
    page.post("send")
    work_off()
    first = at_sinch(sandbox)[FIRST]
    assert (first["endUser"]["city"], first["endUser"]["zipCode"]) == ("Seattle", "98102")
    assert first["portOutInfo"]["existingPortOutPin"] == "556617"


def test_a_stored_secret_is_shown_to_who_may_and_the_look_is_logged(
    agent_client: Client, tom: Client, order: PortInOrder
) -> None:
    page = EditPage(agent_client, order)
    page.post("check", pin="55667788")
    assert "8 digits; you typed it" in page.html
    assert "2 digits more than before" in page.html
    assert PIN not in page.html
    show = re.search(r'value="(reveal:\w+)"', page.html)
    assert show
    page.post(show[1])
    assert f"<span data-secret-value>{PIN}</span>" in page.html
    assert "55667788" not in page.html
    told = TimelineEntry.objects.filter(text__startswith="Looked at the port-out PIN")
    assert told.get().text == "Looked at the port-out PIN of 2 numbers"
    assert PIN not in told.get().text
    toms = EditPage(tom, order)
    toms.post("check", pin="55667788")
    assert "reveal:" not in toms.html
    toms.post(show[1])
    assert PIN not in toms.html


def test_the_page_lists_what_stays_and_what_sending_does(
    agent_client: Client, order: PortInOrder
) -> None:
    page = EditPage(agent_client, order)
    page.post("check", zip="98102", signer="Ben Renner")
    assert "2 fields on 3 numbers." in page.html
    assert "<b>2</b> by you" in page.html
    stays = page.html[page.html.index('id="stays"') :]
    assert "<dt>Port-out PIN</dt><dd>of 3 numbers: sent again from our store" in stays
    assert "<dt>City</dt><dd>Seattle</dd>" in stays
    assert "<dt>ZIP</dt>" not in stays
    assert "For the 3 numbers changed." in page.html
    assert "All 3 numbers are sent again" in page.html
    assert "The LOA may not fit any more" in page.html
    page.post("edit")
    page.post("check", signer="Ada Renner", zip="98101", voice_id="01HX0TRUNK000000000000NEWW")
    assert "The LOA still fits" in page.html
