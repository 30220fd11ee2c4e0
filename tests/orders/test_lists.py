"""Files of numbers in a draft: added, read in the background, corrected, left out."""

import csv
import io
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import load_workbook

from orders import actions, actions_lists, list_report, list_work, sync
from orders.list_files import MOST_BYTES
from orders.list_out import csv_file, template_csv, template_xlsx
from orders.models import ListRow, NumberList, PortInDraft
from portal.accounts.models import SinchProject, User
from tests.orders.lists import HTMX, ListDesk, book, csv_text, read_all

pytestmark = pytest.mark.django_db

TITLES = ("Number", "Name on the bill", "Street number", "Street", "City", "State", "ZIP")
TITLES = (*TITLES, "Port-out PIN")
PIN = "4821907"


def line(number: Any, zip_code: Any = "98101", **changed: Any) -> list[Any]:
    row = [number, "Pike Street Books", "88", "Pike St", "Seattle", "WA", zip_code, PIN]
    for name, value in changed.items():
        row[["number", "name", "num", "street", "city", "state", "zip", "pin"].index(name)] = value
    return row


@pytest.fixture
def desk(agent_client: Client, agent: User, project: SinchProject) -> ListDesk:
    draft = PortInDraft.objects.create(
        project=project, by=agent, data={"numbers": "206 555 0100", "name": "Pike"}
    )
    return ListDesk(agent_client, draft)


@pytest.fixture
def mixed(desk: ListDesk) -> ListDesk:
    """A list with one row of each kind: good, wrong ZIP, wrong number, repeated, Canadian."""
    desk.added(
        book(
            [
                TITLES,
                line("206-555-0142"),
                line("206-555-0143", "981"),
                line("206-555-014"),
                line("(206) 555 0142"),
                line("604-555-0110", "V5K 0A1", city="Vancouver", state="BC"),
            ]
        )
    )
    return desk


# --- Adding and reading ---------------------------------------------------------------------------


def test_a_list_takes_the_place_of_the_pasted_numbers_and_is_read_by_a_worker(desk):
    answer = desk.add(book([TITLES, line("206-555-0142"), line("206-555-0143")]), name="a.xlsx")
    assert answer.status_code == 302
    html = desk.client.get(answer["Location"].partition("#")[0]).content.decode()
    assert "Reading. You can leave this page." in html
    assert 'name="numbers"' not in html
    read_all()
    html = desk.client.get(desk.draft.get_absolute_url()).content.decode()
    assert "2 rows" in html
    assert 'name="numbers"' not in html
    assert [row.number for row in desk.list.rows.going()] == ["+12065550142", "+12065550143"]
    assert desk.row(2).data["details"] == {
        "name": "Pike Street Books",
        "street_num": "88",
        "street": "Pike St",
        "city": "Seattle",
        "state": "WA",
        "zip": "98101",
        "pin": PIN,
    }


def test_what_was_typed_is_saved_with_the_list(desk):
    desk.add(book([["Number"], ["206-555-0142"]]), signer="Ada Renner")
    desk.draft.refresh_from_db()
    assert desk.draft.data["signer"] == "Ada Renner"
    assert desk.draft.data["numbers"] == "206 555 0100"


def test_the_report_tells_each_kind_of_row(mixed):
    assert mixed.list.state == NumberList.State.READY
    counts = list_report.counts_of(mixed.list)
    assert counts.sentence == "5 rows: 2 good, 2 to correct, 1 repeated"
    html = mixed.page()
    assert "5 digits, such as 98101" in html
    assert "9 digits; a number has 10." in html
    assert "British Columbia: needs a reseller name" in html
    assert 'Same as <a href="' in html
    assert mixed.row(5).repeats == 2
    assert PIN not in html


def test_a_killed_worker_is_taken_up_where_it_was_and_no_row_is_doubled(desk, monkeypatch):
    monkeypatch.setattr(list_work, "BATCH", 2)
    desk.add(book([TITLES, *(line(f"206-555-01{n:02d}") for n in range(7))]))
    kept, real = [], list_work._keep

    def die_after_two(*arguments: Any) -> bool:
        if len(kept) == 2:
            raise SystemExit  # as when the process is killed: nothing else is done
        kept.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(list_work, "_keep", die_after_two)
    with pytest.raises(SystemExit):
        list_work.run_one()
    assert (desk.list.state, desk.list.done) == (NumberList.State.READING, 4)
    assert desk.list.rows.count() == 4
    assert not list_work.run_one()  # the lease of the dead one still holds
    NumberList.objects.update(next_try_at=timezone.now(), lease_until=timezone.now())
    monkeypatch.setattr(list_work, "_keep", real)
    read_all()
    assert (desk.list.state, desk.list.done) == (NumberList.State.READY, 7)
    assert list(desk.list.rows.values_list("position", flat=True)) == [2, 3, 4, 5, 6, 7, 8]


def test_a_worker_whose_lease_has_passed_on_writes_nothing_more(desk, monkeypatch):
    monkeypatch.setattr(list_work, "BATCH", 2)
    desk.add(book([TITLES, *(line(f"206-555-01{n:02d}") for n in range(6))]))
    real = list_work._keep

    def lose_the_lease(number_list: NumberList, rows: list[ListRow], done: int) -> bool:
        if done == 4:
            actions_lists.choose_columns(desk.draft, {0: "number"})
        return real(number_list, rows, done)

    monkeypatch.setattr(list_work, "_keep", lose_the_lease)
    list_work.run_one()
    monkeypatch.setattr(list_work, "_keep", real)
    assert desk.list.rows.count() == 0
    read_all()
    assert desk.list.rows.count() == 6
    assert all(row.data["details"] == {} for row in desk.list.rows.all())


def test_statements_do_not_grow_with_the_rows_of_a_batch(desk):
    counts = []
    for size in (3, 60):
        desk.add(book([TITLES, *(line(f"206-555-01{n:02d}") for n in range(size))]))
        with CaptureQueriesContext(connection) as queries:
            read_all()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_page_of_the_report_takes_the_same_statements_for_any_number_of_rows(desk):
    counts = []
    desk.client.get("/")  # what every page needs is in the cache from here on
    for size in (4, 49):
        desk.added(book([TITLES, *(line(f"206-555-01{n:02d}", "981") for n in range(size))]))
        with CaptureQueriesContext(connection) as queries:
            desk.page("?show=wrong")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_an_open_page_gets_nothing_while_nothing_changed_and_the_line_of_the_file_once_it_has(desk):
    desk.add(book([TITLES, line("206-555-0142"), line("206-555-0143")]))
    token = list_report.live_token(desk.list)
    url = f"{desk.url('list_live')}?where=draft&seen="
    assert desk.client.get(f"{url}{token}", headers=HTMX).status_code == 204
    read_all()
    answer = desk.client.get(f"{url}{token}", headers=HTMX)
    html = answer.content.decode()
    assert html.count('id="list-box"') == 1
    assert "2 rows" in html
    assert "data-poll" not in html  # it asks no more
    assert 'hx-trigger="load"' in html  # and has the rest of the page brought up to date


def test_reading_and_its_end_are_seen_without_script(desk):
    desk.add(book([TITLES, line("206-555-0142")]))
    html = desk.page()
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in html
    read_all()
    assert 'http-equiv="refresh"' not in desk.page()


# --- What is refused ------------------------------------------------------------------------------


def test_a_file_that_is_no_list_is_refused_beside_it_and_what_was_typed_stays(desk):
    fields = {
        "list": SimpleUploadedFile("a.csv", b"%PDF-1.7 sites"),
        "version": "1",
        "signer": "Ada",
    }
    answer = desk.client.post(desk.url("list_add"), fields, headers=HTMX)
    assert answer.status_code == 422
    assert answer["HX-Retarget"] == "#list-add"
    assert "This is a PDF." in answer.content.decode()
    desk.draft.refresh_from_db()
    assert desk.draft.data["signer"] == "Ada"
    assert not NumberList.objects.exists()


def test_without_script_a_refusal_is_told_on_the_draft(desk):
    answer = desk.client.post(desk.url("list_add"), {"version": "1"}, follow=True)
    assert "Choose a file first." in answer.content.decode()


def test_too_many_rows_and_too_many_bytes_are_refused(desk, monkeypatch):
    monkeypatch.setattr(list_work, "MOST_ROWS", 3)
    desk.added(csv_text("Number", *(f"206-555-01{n:02d}" for n in range(4))), "a.csv")
    assert desk.list.state == NumberList.State.FAILED
    assert "Split the file" in desk.page()
    assert NumberList.objects.get().content is None
    huge = b"Number\r\n" + b"2065550142\r\n" * (MOST_BYTES // 12 + 1)
    answer = desk.client.post(
        desk.url("list_add"),
        {"list": SimpleUploadedFile("b.csv", huge), "version": "1"},
        headers=HTMX,
    )
    assert answer.status_code == 422
    assert "larger than 20 MB" in answer.content.decode()


def test_a_damaged_spreadsheet_ends_in_a_sentence_and_not_in_a_loop(desk):
    broken = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book([TITLES, line("206-555-0142")]))) as whole,
        zipfile.ZipFile(broken, "w") as package,
    ):
        for part in whole.namelist():
            content = whole.read(part)
            package.writestr(part, content[:400] if "sheet1" in part else content)
    desk.added(broken.getvalue())
    assert desk.list.state == NumberList.State.FAILED
    assert "does not open" in desk.list.problem
    assert desk.list.next_try_at is None


@pytest.mark.parametrize("name", ["list", "list_live", "list_wrong", "list_add", "list_columns"])
def test_readers_and_strangers_have_no_part_in_lists(mixed, make_agent, name):
    url = mixed.url(name, *(["csv"] if name == "list_wrong" else []))
    post = name in ("list_add", "list_columns")
    reader, stranger = Client(), Client()
    reader.force_login(
        make_agent("rosa"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    for client, status in ((reader, 403), (stranger, 302)):
        answer = client.post(url) if post else client.get(url)
        assert answer.status_code == status
    wrong = mixed.client.get(url) if post else mixed.client.delete(url)
    assert wrong.status_code == 405


# --- Columns --------------------------------------------------------------------------------------


def test_our_own_template_is_read_without_asking(desk):
    for content in (template_csv(), template_xlsx()):
        desk.added(content)
        assert desk.list.state == NumberList.State.READY
        # The row of example is never ordered.
        assert list_report.counts_of(desk.list).left_out == 1
        assert not desk.list.rows.going().exists()


def test_a_column_nobody_knows_makes_the_desk_ask_and_is_named_as_not_used(desk):
    desk.added(book([(*TITLES, "Site manager"), [*line("206-555-0142"), "Rosa"]]))
    assert desk.list.state == NumberList.State.COLUMNS
    html = desk.page()
    assert "Which column is which?" in html
    assert "Site manager" in html
    assert PIN not in html
    assert "Look at the columns" in desk.client.get(desk.draft.get_absolute_url()).content.decode()
    chosen = {f"column-{i}": name for i, name in desk.list.columns.items()}
    answer = desk.client.post(desk.url("list_columns"), chosen)
    assert answer.status_code == 302
    read_all()
    assert list_report.counts_of(desk.list).good == 1
    assert "Not used: Site manager" in desk.page()
    assert (
        "Not used: Site manager" in desk.client.get(desk.draft.get_absolute_url()).content.decode()
    )


def test_two_columns_for_one_field_are_refused_in_words_and_the_choice_stays(desk):
    desk.added(book([("Tel A", "Tel B", "City"), ("206-555-0142", "206-555-0143", "Seattle")]))
    answer = desk.client.post(
        desk.url("list_columns"), {"column-0": "number", "column-1": "number"}, headers=HTMX
    )
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Two columns are “Number”. One of them can be." in html
    assert html.count('<option value="number" selected>') == 2
    none = desk.client.post(desk.url("list_columns"), {"column-2": "city"})
    assert none.status_code == 422
    assert "No column is the number." in none.content.decode()
    assert not desk.list.rows.exists()


def test_columns_can_be_changed_after_reading(mixed):
    assert mixed.row(2).data["details"]["name"]
    columns = {f"column-{i}": n for i, n in mixed.list.columns.items() if n != "name"}
    mixed.client.post(mixed.url("list_columns"), columns)
    assert not mixed.list.rows.exists()
    read_all()
    assert "name" not in mixed.row(2).data["details"]


# --- Correcting -----------------------------------------------------------------------------------


def test_a_link_to_a_row_leads_to_the_page_it_stands_on(desk):
    desk.added(csv_text("Number", *(f"206-556-{n:04d}" for n in range(120))), "a.csv")
    html = desk.page("?show=all&row=60")
    assert 'id="row-60"' in html
    assert "51 to 100 of 120" in html
    for odd in ("?page=0", "?page=-1", "?page=99999999999", "?row=x", f"?open={'9' * 5000}"):
        assert 'id="row-2"' in desk.page(f"{odd}&show=all") or "101 to 120" in desk.page(odd)


def test_rows_are_corrected_in_place_number_and_fields(mixed):
    fixes = {"was-3-zip": "981", "fix-3-zip": "98103", "was-4-number": "206-555-014"}
    answer = mixed.press("save", **fixes, **{"fix-4-number": "206-555-0144"})
    assert answer.status_code == 200
    assert "2 rows corrected." in answer.content.decode()
    assert list_report.counts_of(mixed.list).sentence == "5 rows: 4 good, 1 repeated"
    assert mixed.row(3).data["details"]["zip"] == "98103"
    assert mixed.row(4).number == "+12065550144"


def test_a_correction_that_is_wrong_again_is_kept_as_typed_and_told(mixed):
    answer = mixed.press("save", **{"was-3-zip": "981", "fix-3-zip": "9810"})
    assert answer.status_code == 422
    html = answer.content.decode()
    assert 'value="9810"' in html
    assert "1 row still to correct" in html
    assert list_report.counts_of(mixed.list).wrong == 2


def test_a_corrected_number_that_stands_elsewhere_in_the_list_is_a_repeat(mixed):
    mixed.press("save", **{"was-4-number": "206-555-014", "fix-4-number": "206 555 0142"})
    assert (mixed.row(4).repeats, mixed.row(5).repeats) == (2, 2)


def test_without_script_a_correction_leads_back_to_the_page(mixed):
    fixes = {"action": "save", "was-3-zip": "981", "fix-3-zip": "98103"}
    answer = mixed.client.post(f"{mixed.url()}?show=wrong", fixes)
    assert answer.status_code == 302
    assert answer["Location"] == f"{mixed.url()}?show=wrong#rows"


def test_a_secret_is_kept_when_its_box_stays_empty_and_never_shown(mixed):
    html = mixed.page("?show=all&open=2")
    assert 'name="fix-2-pin" type="password" value=""' in html
    assert "•••• is kept unless you type another" in html
    assert PIN not in html
    mixed.press("save", **{"fix-2-pin": "", "was-2-pin": "", "fix-2-city": "Tacoma"})
    assert mixed.row(2).data["details"]["pin"] == PIN
    mixed.press("save", **{"fix-2-pin": "7777", "was-2-pin": ""})
    assert mixed.row(2).data["details"]["pin"] == "7777"


def test_wrong_rows_are_left_out_one_by_one_or_all_at_once_and_taken_back(mixed):
    mixed.press("leave_out:3")
    assert list_report.counts_of(mixed.list).wrong == 1
    mixed.press("leave_wrong")
    assert list_report.counts_of(mixed.list).sentence == ("5 rows: 2 good, 1 repeated, 2 left out")
    assert "Take in again" in mixed.page("?show=out")
    mixed.press("take_back:3")
    assert list_report.counts_of(mixed.list).wrong == 1


def test_leaving_out_a_wrong_row_does_not_lose_its_number_when_it_stands_again_below(desk):
    desk.added(book([TITLES, line("206-555-0142", "981"), line("206-555-0142")]))
    assert desk.row(3).repeats == 2
    desk.press("leave_wrong")
    assert [row.position for row in desk.list.rows.going()] == [3]


def test_numbers_in_a_living_order_are_named_with_a_link_and_can_be_left_out(
    desk, project, order_json
):
    order = sync.store_port_in_order(
        project, order_json({"+12065550142": {}}), fetched_at=timezone.now(), cause="sweep"
    )
    desk.added(book([TITLES, line("206-555-0142"), line("206-555-0143")]))
    html = desk.page()
    assert f'<a href="{order.get_absolute_url()}">Harborview Dental LLC, 40118273</a>' in html
    desk.press("leave_elsewhere")
    assert desk.row(2).left_out == "On its way in another order"
    assert [row.number for row in desk.list.rows.going()] == ["+12065550143"]


# --- In a spreadsheet ---------------------------------------------------------------------------


def test_wrong_rows_go_out_and_come_back_corrected_alone(mixed):
    answer = mixed.client.get(mixed.url("list_wrong", "csv"))
    text = answer.content.decode("utf-8-sig")
    titles, *rows = list(csv.reader(io.StringIO(text)))
    assert (titles[0], titles[-1]) == ("Row", "What is wrong")
    assert [row[0] for row in rows] == ["3", "4"]
    assert "5 digits" in rows[0][-1]
    assert PIN not in text
    rows[0][titles.index("ZIP")] = "98103"
    rows[1][titles.index("Number")] = "206-555-0144"
    extra = list(rows[1])
    extra[0], extra[titles.index("Number")] = "", "206-555-0155"
    good = [mixed.row(position).data for position in (2, 6)]
    assert mixed.correct_with(csv_file([titles, *rows, extra])).status_code == 302
    assert "Corrections are being read" in mixed.page()
    read_all()
    counts = list_report.counts_of(mixed.list)
    assert counts.sentence == "6 rows: 5 good, 1 repeated"
    # The masked PIN that came back is the one that was there.
    assert mixed.row(3).data["details"]["pin"] == PIN
    assert mixed.row(7).number == "+12065550155"
    assert [mixed.row(position).data for position in (2, 6)] == good
    assert "3 rows, " in mixed.page()


def test_corrections_as_a_spreadsheet_that_a_person_has_saved_work_too(mixed):
    sheet = load_workbook(io.BytesIO(mixed.client.get(mixed.url("list_wrong", "xlsx")).content))
    rows = [[str(cell or "") for cell in row] for row in sheet.active.iter_rows(values_only=True)]
    zip_at = rows[0].index("ZIP")
    kept = [0, 1, zip_at]  # the other columns were deleted
    mine = [[row[i] for i in kept] for row in rows]
    mine[1][2], mine[1][0] = "98103", 3.0
    mixed.correct_with(book(mine[:2]), "mine.xlsx")
    read_all()
    row = mixed.row(3)
    assert (row.problems, row.data["details"]["zip"]) == ([], "98103")
    assert row.data["details"]["name"] == "Pike Street Books"
    assert row.data["details"]["pin"] == PIN


def test_a_file_of_corrections_without_numbers_is_refused_and_changes_nothing(mixed):
    before = list_report.counts_of(mixed.list)
    mixed.correct_with(csv_text("Row|ZIP", "3|98103"))
    read_all()
    assert list_report.counts_of(mixed.list) == before
    html = mixed.page()
    assert "No column of numbers." in html
    answer = mixed.client.post(mixed.url("list_corrections"), {}, headers=HTMX)
    assert answer.status_code == 422
    assert "Choose a file first." in answer.content.decode()


def test_a_worker_killed_while_taking_over_does_it_once(mixed, monkeypatch):
    mixed.correct_with(csv_text("Row|Number", "4|206-555-0144", "|206-555-0155"))
    real = list_work.number_repeats

    def die(number_list: NumberList) -> None:
        raise SystemExit

    monkeypatch.setattr(list_work, "number_repeats", die)
    with pytest.raises(SystemExit):
        list_work.run_one()
    assert mixed.list.rows.count() == 5
    monkeypatch.setattr(list_work, "number_repeats", real)
    NumberList.objects.update(next_try_at=timezone.now(), lease_until=timezone.now())
    NumberList.objects.filter(corrects=None).update(next_try_at=None)
    read_all()
    assert mixed.list.rows.count() == 6
    assert mixed.row(4).number == "+12065550144"


# --- Pasted, removed, thrown away, sent -----------------------------------------------------------


def test_more_pasted_numbers_than_an_order_takes_become_a_list_with_one_button(desk):
    numbers = [f"206 55{5 + n // 10_000} {n % 10_000:04d}" for n in range(501)]
    text = "\n".join([*numbers, "206-555-014", "206 555 0146 / 0147"])
    own = [{"key": "o1", "number": "+12065550003", "name": "Lobby", "pin": PIN}]
    desk.draft.data |= {"numbers": text, "overrides": own}
    desk.draft.save()
    html = desk.client.get(desk.draft.get_absolute_url()).content.decode()
    assert "Go on as a list" in html
    answer = desk.client.post(
        desk.url("list_add"), {"version": "1", "numbers": text, "action": "list_of_pasted"}
    )
    assert answer.status_code == 302
    read_all()
    counts = list_report.counts_of(desk.list)
    assert (counts.total, counts.wrong, counts.repeated) == (504, 1, 2)
    row = desk.list.rows.get(number="+12065550003")
    assert row.data["details"] == {"name": "Lobby", "pin": PIN}
    assert desk.list.rows.filter(number="+12065550147").exists()


def test_removing_the_file_brings_the_pasted_numbers_back(mixed):
    mixed.client.post(mixed.url("list_add"), {"version": "1", "action": "remove_list"})
    assert not ListRow.objects.exists()
    html = mixed.client.get(mixed.draft.get_absolute_url()).content.decode()
    assert "206 555 0100</textarea>" in html


def test_throwing_the_draft_away_leaves_nothing_of_its_list(mixed):
    mixed.correct_with(csv_text("Row|Number", "4|206-555-0144"))
    actions.throw_draft_away(mixed.draft)
    assert not NumberList.objects.exists()
    assert not ListRow.objects.exists()
    assert mixed.client.get(mixed.url()).status_code == 302


def test_a_list_that_is_taken_away_while_it_is_read_stops_the_reading(desk, monkeypatch):
    monkeypatch.setattr(list_work, "BATCH", 2)
    desk.add(book([TITLES, *(line(f"206-555-01{n:02d}") for n in range(6))]))
    real = list_work._keep

    def taken_away(number_list: NumberList, rows: list[ListRow], done: int) -> bool:
        if done == 4:
            actions_lists.remove_list(desk.draft)
        return real(number_list, rows, done)

    monkeypatch.setattr(list_work, "_keep", taken_away)
    list_work.run_one()
    assert not ListRow.objects.exists()


def test_a_list_of_a_draft_that_is_sent_stays_as_it_went(mixed):
    actions_lists.forget_file(mixed.draft)
    PortInDraft.objects.update(state=PortInDraft.State.SENT)
    assert NumberList.objects.get().content is None
    answer = mixed.press("leave_wrong")
    assert answer.status_code == 409
    html = mixed.page()
    assert "This draft was sent; its list stays as it went." in html
    assert "Leave out" not in html
    assert "Change the columns" not in html


def test_a_draft_comes_with_its_list_but_without_the_file(mixed):
    draft = PortInDraft.objects.get(pk=mixed.draft.pk)
    with CaptureQueriesContext(connection) as queries:
        assert draft.number_list.name == "sites.xlsx"
    assert [query["sql"].count('"content"') for query in queries] == [0]


def test_nothing_secret_of_a_list_stands_in_the_database_in_clear(mixed):
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(r)::text FROM orders_listrow r")
        rows = [row for (row,) in cursor.fetchall()]
        cursor.execute("SELECT to_jsonb(l)::text FROM orders_numberlist l")
        rows += [row for (row,) in cursor.fetchall()]
    assert len(rows) == 6
    assert not [row for row in rows if PIN in row or PIN.encode().hex() in row]
