"""Qualified numbers: added, proven, text-enabled and deleted, whatever breaks."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from hosting import actions_qualified as qualified
from hosting import overview, sync, sync_numbers
from hosting.models import HostingDraft, QualifiedNumber
from hosting.review import Review
from portal.accounts.models import SinchProject
from portal.numbers import MAX_LINES
from portal.operations import readings, runner
from portal.operations.models import Operation, Reading
from portal.sandbox.clock import iso_instant
from tests.hosting.tools import FAULTS, PHONE, post, told_plainly

pytestmark = pytest.mark.django_db
VERIFY = "QualifiedNumberService_VerifyVoiceChallenge"
DELETE_QUALIFIED = "QualifiedNumberService_DeleteQualifiedNumber"


def mailed(client, *rows):
    """Note that the invoices of these numbers were mailed."""
    chosen = {"number": [row.pk for row in rows], "do": "mailed"}
    return client.post(reverse("hosting:qualified_invoices"), chosen)


def test_a_number_is_not_qualified_anew_before_its_deletion_has_ended(
    project, agent_client, sandbox, settle, read_qualified
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_FAILED")
    number = read_qualified(PHONE)
    sandbox.faults.add("drop_after", DELETE_QUALIFIED)
    post(agent_client, "qualified_delete", number)
    assert runner.run_one()
    Operation.objects.update(next_try_at=None)
    assert read_qualified(PHONE).gone_at is not None
    typed = {"numbers": "206 555 0142\n206 555 0143", "key": "a" * 32}
    answer = agent_client.post(reverse("hosting:qualify"), typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "The deletion of +1 206 555 0142 is still on its way" in page.replace("\xa0", " ")
    assert "206 555 0143" in page
    Operation.objects.update(next_try_at=timezone.now())
    settle()
    assert agent_client.post(reverse("hosting:qualify"), typed).status_code == 302
    settle()
    assert sandbox.state.calls[DELETE_QUALIFIED] == 1
    assert read_qualified(PHONE).gone_at is None


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_numbers_are_qualified_once(fault, agent_client, project, sandbox, settle):
    if fault:
        sandbox.faults.add(fault, "QualifiedNumberService_BatchCreateQualifiedNumbers")
    typed = {"numbers": "206 555 0142\n206-555-0143", "key": "a" * 32}
    assert agent_client.post(reverse("hosting:qualify"), typed).status_code == 302
    agent_client.post(reverse("hosting:qualify"), typed)
    settle()
    assert set(QualifiedNumber.objects.values_list("phone_number", flat=True)) == {
        PHONE,
        "+12065550143",
    }
    assert Operation.objects.filter(state="succeeded").count() == 1


def test_numbers_that_are_added_on_the_same_page_afterwards_are_qualified_too(
    agent_client, project, sandbox, settle
):
    """A browser that goes back shows the page as it was, key and all."""
    qualify = reverse("hosting:qualify")
    for numbers in ("206 555 0142", "206 555 0142\n206 555 0143\n206 555 0144"):
        assert agent_client.post(qualify, {"numbers": numbers, "key": "a" * 32}).status_code == 302
    settle()
    assert QualifiedNumber.objects.count() == 3
    sent = [operation.payload["numbers"] for operation in Operation.objects.order_by("pk")]
    assert sent == [[PHONE], ["+12065550143", "+12065550144"]], "and each of them once"


def test_a_key_that_the_database_refuses_is_kept_without_what_it_refuses(agent_client, project):
    typed = {"numbers": "206 555 0142", "key": "a\x00b"}
    assert agent_client.post(reverse("hosting:qualify"), typed).status_code == 302
    assert Operation.objects.get().marker == f"qualified:{project.pk}:ab:1"


def test_a_wrong_code_is_told_and_the_right_one_verifies(
    both, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    assert post(agent_client, "qualified_call", number).status_code == 302
    settle()
    number = read_qualified(PHONE)
    assert number.state == "VERIFICATION_PENDING"
    assert post(agent_client, "qualified_verify", number, code="1111").status_code == 302
    settle()
    number = read_qualified(PHONE)
    assert number.state != "VERIFIED"
    page = told_plainly(agent_client, number)
    assert "Sinch did not accept the code" in page
    assert "The code for +1 206 555 0142: Ask again what was read out" in page
    assert "Refused by Sinch" in page
    assert "Sinch did not accept the code. Ask again" in page.partition("What was done")[2]
    for untrue in ("Not sent", "Refused here", "Nothing changed at Sinch", "typed is kept"):
        assert untrue not in page
    assert post(agent_client, "qualified_verify", number, code="0142").status_code == 302
    settle()
    assert read_qualified(PHONE).state == "VERIFIED"
    refused = Operation.objects.get(kind="qualified.verify", state="refused")
    assert "1111" not in str(refused.payload)


@pytest.mark.parametrize(
    ("code", "verdict"), [("0142", "VERIFIED"), ("1111", "VERIFICATION_FAILED")]
)
def test_a_code_that_sinch_took_without_a_verdict_is_not_told_as_accepted(
    code, verdict, agent_client, project, sandbox, read_qualified, work_off
):
    sandbox.control.personality(wrong_code="later")
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    post(agent_client, "qualified_verify", number, code=code)
    assert runner.run_one()
    operation = Operation.objects.get(kind="qualified.verify")
    assert "code" not in operation.payload
    page = agent_client.get(number.get_absolute_url()).content.decode()
    assert "has not said yet whether it is right" in page
    assert "Accepted" not in page
    # As long as Sinch does not say it is asked again, soon.
    sandbox.hosting.do_qualified(PHONE, "set", {"state": "VERIFICATION_PENDING"})
    assert read_qualified(PHONE).state == "VERIFICATION_PENDING"
    reading = Reading.objects.get(kind=sync.QUALIFIED_READER)
    assert reading.next_try_at - timezone.now() < timedelta(minutes=1)
    sandbox.hosting.do_qualified(PHONE, "set", {"state": verdict})
    assert read_qualified(PHONE).state == verdict
    assert sandbox.state.calls[VERIFY] == 1


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_whether_sinch_called_is_asked_of_a_person_when_the_answer_is_lost(
    fault, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    sandbox.faults.add(fault, "QualifiedNumberService_SendVoiceChallenge")
    post(agent_client, "qualified_call", number)
    settle()
    operation = Operation.objects.get()
    # It was sent once, and either the state tells or a person is asked; it never rings twice.
    assert sandbox.state.calls["QualifiedNumberService_SendVoiceChallenge"] <= 1
    assert operation.state == ("succeeded" if fault == "drop_after" else "refused")
    page = agent_client.get(number.get_absolute_url()).content.decode()
    assert ("nobody knows whether Sinch called" in page) is (fault == "drop_before")
    assert "Nothing changed at Sinch" not in page


def test_another_code_is_refused_and_kept_while_one_is_on_its_way(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    post(agent_client, "qualified_verify", number, code="1111")
    # A second click is one though the number has moved meanwhile.
    sandbox.hosting.do_qualified(PHONE, "set", {"state": "VERIFICATION_FAILED"})
    QualifiedNumber.objects.update(state="VERIFICATION_FAILED")
    assert post(agent_client, "qualified_verify", number, code="11 11").status_code == 302
    answer = post(agent_client, "qualified_verify", number, code="0142")
    page = answer.content.decode()
    assert answer.status_code == 409
    told = "The code for +1 206 555 0142 is still on its way to Sinch. Wait until it has arrived."
    assert told in page.replace("\xa0", " ")
    assert 'value="0142"' in page
    settle()
    assert sandbox.state.calls[VERIFY] == Operation.objects.count() == 1


@pytest.mark.parametrize(("code", "state"), [("0142", "succeeded"), ("1111", "refused")])
def test_a_code_is_judged_once_though_its_answer_is_lost(
    code, state, both, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    post(agent_client, "qualified_call", number)
    settle()
    sandbox.faults.add("drop_after", VERIFY)
    post(agent_client, "qualified_verify", number, code=code)
    settle()
    operation = Operation.objects.get(kind="qualified.verify")
    assert operation.state == state
    assert "code" not in operation.payload
    number.refresh_from_db()
    assert (number.state == "VERIFIED") is (state == "succeeded")
    page = told_plainly(agent_client, number)
    # That its answer was lost is over: what became of it was found out.
    assert ("Sinch did not accept the code" in page) is (state == "refused")
    assert "its answer was lost" not in page


@pytest.mark.parametrize(
    ("wrong_before", "fault"),
    [(1, "drop_after"), (1, "drop_before"), (0, "drop_before"), (0, "500")],
)
def test_a_code_whose_answer_is_lost_is_not_handed_in_twice(
    wrong_before, fault, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    for _ in range(wrong_before):
        post(agent_client, "qualified_verify", number, code="1111")
        settle()
    before = read_qualified(PHONE).state
    sandbox.faults.add(fault, VERIFY)
    post(agent_client, "qualified_verify", number, code="2222")
    settle()
    # Its state stays, whether the code came to Sinch and was wrong or did not come at all.
    assert read_qualified(PHONE).state == before
    assert sandbox.state.calls[VERIFY] <= wrong_before + 1
    operation = Operation.objects.filter(kind="qualified.verify").latest("pk")
    assert operation.state == "refused"
    assert "code" not in operation.payload
    page = told_plainly(agent_client, number)
    assert "does not tell whether Sinch judged the code" in page
    assert "Nothing changed at Sinch" not in page
    assert ("1 code not accepted so far" in page) is bool(wrong_before)


def test_a_code_that_sinch_judges_late_is_waited_for_though_its_answer_is_lost(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    sandbox.faults.add("drop_after", VERIFY)
    post(agent_client, "qualified_verify", number, code="1111")
    assert runner.run_one()
    sandbox.hosting.do_qualified(PHONE, "set", {"state": "VERIFICATION_PENDING"})
    settle()
    assert Operation.objects.get().state == "refused"
    assert sandbox.state.calls[VERIFY] == 1
    # A person was asked; the verdict may come all the same and is read then.
    reading = Reading.objects.get(kind=sync.QUALIFIED_READER)
    assert reading.next_try_at - timezone.now() < timedelta(minutes=1)


@pytest.mark.parametrize("wrong_code", ["state", "error"])
def test_a_code_is_handed_in_once_though_its_state_cannot_be_read(
    wrong_code, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.control.personality(wrong_code=wrong_code)
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    if wrong_code == "state":
        # The answer says nothing, not even the state.
        sandbox.faults.add("status", VERIFY, status=200, after=True)
    sandbox.faults.add("500", "QualifiedNumberService_GetQualifiedNumber", times=None)
    post(agent_client, "qualified_verify", number, code="1111")
    assert runner.run_one()
    sandbox.faults.clear()
    settle()
    assert sandbox.state.calls[VERIFY] == 1
    assert read_qualified(PHONE).state == "VERIFICATION_FAILED"


def test_a_code_for_a_number_that_is_verified_meanwhile_is_not_told_as_wrong(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    row = read_qualified(PHONE)
    sandbox.hosting.do_qualified(PHONE, "accept_invoices")
    sandbox.faults.add("status", VERIFY, status=400)
    post(agent_client, "qualified_verify", row, code="1234")
    settle()
    row.refresh_from_db()
    assert (row.state, Operation.objects.get().state) == ("VERIFIED", "succeeded")
    assert qualified.tries_of(row) == 0


def test_a_code_that_no_balance_is_left_for_is_not_told_as_wrong(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    row = read_qualified(PHONE)
    sandbox.faults.add("402", VERIFY)
    post(agent_client, "qualified_verify", row, code="1234")
    settle()
    operation = Operation.objects.get()
    assert operation.state == "refused"
    assert "no balance left" in operation.staff_message
    assert qualified.tries_of(row) == 0


def test_a_blocked_number_offers_invoices_and_no_call(
    agent_client, project, sandbox, read_qualified
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_BLOCKED")
    number = read_qualified(PHONE)
    assert post(agent_client, "qualified_call", number).status_code == 409
    page = agent_client.get(number.get_absolute_url()).content.decode()
    assert "use invoices" in page
    mail = agent_client.post(reverse("hosting:qualified_invoices"), {"number": number.pk})
    assert PHONE in mail.content.decode() or "206 555 0142" in mail.content.decode()
    assert mailed(agent_client, number).status_code == 302
    number.refresh_from_db()
    assert number.invoices_sent_at is not None


def test_counts_of_qualified_numbers_carry_their_noun(
    agent_client, project, sandbox, read_qualified
):
    def told(**asked):
        page = agent_client.get(reverse("hosting:qualified_numbers"), asked).content.decode()
        return " ".join(strip_tags(page).split())

    for line, state in ((1, "ELIGIBLE"), (2, "VERIFIED"), (3, "HOSTING_DONE")):
        sandbox.hosting.add_qualified(f"+1206555014{line}", state)
        read_qualified(f"+1206555014{line}")
    assert "3 qualified numbers. 2 numbers need us." in told()
    assert "0 qualified numbers match. 2 numbers in all need us." in told(q="9999")
    assert "We looked at numbers, in any spelling." in told(q="9999")
    none = told(state="NOT_ELIGIBLE")
    assert "The filters above fit none of them." in none
    assert "We looked at" not in none


def test_numbers_whose_invoices_are_under_review_need_us_only_when_they_are_refused(
    agent_client, project, sandbox, read_qualified
):
    phones = [f"+1206555014{line}" for line in range(1, 4)]
    for phone in phones:
        sandbox.hosting.add_qualified(phone, "VERIFICATION_PENDING")
    first, second, _ = (read_qualified(phone) for phone in phones)
    mailed(agent_client, first, second)
    sandbox.hosting.do_qualified(phones[0], "refuse_invoices")
    read_qualified(phones[0])
    shown = agent_client.get(reverse("hosting:qualified_numbers"), {"state": "us"}).context
    assert [line.number.phone_number for line in shown["lines"]] == [phones[0], phones[2]]
    assert (shown["us"], [line.move for line in shown["lines"]]) == (2, ["us", "us"])


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_a_qualified_number_is_deleted(
    fault, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    if fault:
        sandbox.faults.add(fault, DELETE_QUALIFIED)
    assert post(agent_client, "qualified_delete", number).status_code == 302
    settle()
    number.refresh_from_db()
    assert number.gone_at is not None
    assert PHONE not in sandbox.state.hosting.qualified


@pytest.mark.parametrize(
    ("phones", "operation"),
    [
        ((PHONE, "+12065550143"), "QualifiedNumberService_TextEnableNumbers"),
        (("+18335550142", "+18335550143"), "QualifiedNumbersTextEnableTollFreeNumbers"),
    ],
)
@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_verified_numbers_go_into_an_order(
    fault, phones, operation, agent_client, project, sandbox, read_qualified, typed, settle
):
    for phone in phones:
        sandbox.hosting.add_qualified(phone, "VERIFIED")
        read_qualified(phone)
    if fault:
        sandbox.faults.add(fault, operation)
    answer = agent_client.post(reverse("hosting:qualified_text_enable"), {"all": "1"})
    page = agent_client.get(answer.url).content.decode()
    version = re.search(r'name="version" value="(\d+)"', page)[1]
    fields = typed() | {"numbers": "\n".join(phones), "version": version, "action": "ask"}
    page = agent_client.post(answer.url, fields, follow=True).content.decode()
    attempt = re.search(r'name="attempt" value="(\w+)"', page)[1]
    version = re.search(r'name="version" value="(\d+)"', page)[1]
    fields |= {"action": "send", "attempt": attempt, "version": version}
    assert agent_client.post(answer.url, fields).status_code == 302
    settle()
    if operation.endswith("TollFreeNumbers") and fault in ("drop_before", "500"):
        # Without a campaign no list is sure to hold it: a person decides what is sent again.
        assert Operation.objects.get(kind="hosting.toll_free_qualified").state == "refused"
        assert sandbox.hosting.orders() == []
        return
    (made,) = sandbox.hosting.orders()
    assert sorted(n.phone_number for n in made.numbers) == sorted(phones)
    assert made.toll_free is operation.endswith("TollFreeNumbers")
    assert sandbox.state.calls[operation] >= 1
    assert list(sandbox.violations) == []


def test_a_batch_of_which_only_a_part_was_taken_in_is_kept_though_the_rest_is_refused(
    agent_client, project, sandbox, settle, work_off
):
    """The answer was lost, so nobody has told the desk of those that Sinch took in."""
    batch = "QualifiedNumberService_BatchCreateQualifiedNumbers"
    sandbox.faults.add("drop_after", batch)
    typed = {"numbers": "206 555 0142\n206-555-0143", "key": "a" * 32}
    agent_client.post(reverse("hosting:qualify"), typed)
    work_off()
    del sandbox.state.hosting.qualified["+12065550143"]
    sandbox.faults.add("status", batch, status=400)
    settle()
    assert Operation.objects.get().state == "refused"
    assert QualifiedNumber.objects.get().phone_number == PHONE


def test_invoices_that_were_refused_are_not_told_as_being_reviewed(
    agent_client, project, sandbox, read_qualified
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    mailed(agent_client, read_qualified(PHONE))
    sandbox.hosting.do_qualified(PHONE, "refuse_invoices")
    row = read_qualified(PHONE)
    assert row.state == "VERIFICATION_FAILED"
    assert "The review mostly takes" not in told_plainly(agent_client, row)


@pytest.fixture
def proof_failed(project):
    """Read the number with a proof that failed for a reason, so many minutes ago if Sinch says."""

    def read(error, minutes=None, state="VERIFICATION_FAILED"):
        payload = {"phoneNumber": PHONE, "globalProcessState": state}
        payload["ownershipVerification"] = {"status": "FAILED", "error": error}
        if minutes is not None:
            payload["updatedTime"] = iso_instant(timezone.now() - timedelta(minutes=minutes))
        return sync_numbers.store_qualified(project, payload, timezone.now())

    return read


@pytest.mark.parametrize(("before", "now"), [(60, 0), (None, None)])
def test_invoices_that_were_refused_after_a_wrong_code_are_not_told_as_being_reviewed(
    before, now, proof_failed, agent_client
):
    mailed(agent_client, proof_failed("Wrong code", before))
    row = proof_failed("Wrong code", before)
    assert "The review mostly takes" in told_plainly(agent_client, row)
    row = proof_failed("The invoices do not list the number", now)
    assert "The review mostly takes" not in told_plainly(agent_client, row)


@pytest.mark.parametrize(("before", "now"), [(60, 0), (None, None)])
@pytest.mark.parametrize("was", ["VERIFICATION_BLOCKED", "VERIFICATION_PENDING"])
def test_invoices_that_were_refused_for_a_number_that_cannot_be_called_any_more_are_told_as_that(
    was, before, now, proof_failed, agent_client
):
    mailed(agent_client, proof_failed("Too many wrong codes", before, was))
    row = proof_failed("Too many wrong codes", before, was)
    assert "The review mostly takes" in told_plainly(agent_client, row)
    row = proof_failed("The invoices do not list the number", now, "VERIFICATION_BLOCKED")
    told = told_plainly(agent_client, row)
    assert "The review mostly takes" not in told
    assert "Last mailed" in told, "nobody mails the same ones again"
    listed = agent_client.get(reverse("hosting:qualified_numbers"), {"state": "us"}).context
    assert ([line.move for line in listed["lines"]], listed["us"]) == (["us"], 1)


def test_a_wrong_code_that_is_read_only_after_the_invoices_were_mailed_refuses_none(
    proof_failed, agent_client
):
    mailed(agent_client, proof_failed("Wrong code", 60))
    row = proof_failed("Wrong code, one try left", 30)
    assert "The review mostly takes" in told_plainly(agent_client, row)


def test_a_number_qualified_anew_has_nothing_of_the_proof_before(
    agent_client, project, sandbox, read_qualified, settle
):
    first = sandbox.hosting.add_qualified(PHONE, "VERIFICATION_BLOCKED")
    first.created_at = iso_instant(timezone.now() - timedelta(hours=2))
    row = read_qualified(PHONE)
    mailed(agent_client, row)
    Operation.objects.create(
        project=project,
        kind="qualified.verify",
        target=row.target,
        payload={"phone": PHONE},
        state="refused",
        answer={"judged": "no"},
        created_at=timezone.now() - timedelta(hours=1),
    )
    assert "Mailed" in told_plainly(agent_client, row)
    assert qualified.tries_of(row) == 1
    QualifiedNumber.objects.update(
        invoices_sent_at=timezone.now() - timedelta(hours=1),
        called_at=timezone.now() - timedelta(hours=1),
    )
    agent_client.post(reverse("hosting:qualified_delete", args=[row.pk]))
    settle()
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    row = read_qualified(PHONE)
    assert (row.gone_at, row.state) == (None, "ELIGIBLE")
    assert (row.invoices_sent_at, row.invoices_sent_by, row.called_at) == (None, None, None)
    assert qualified.tries_of(row) == 0
    assert "Mailed" not in told_plainly(agent_client, row)


def test_qualified_numbers_of_two_projects_are_as_old_as_the_lists_of_the_one_read_first(
    project, agent_client
):
    minutes = {"second": 40, "out of use": 55}
    for name, is_active in (("second", True), ("out of use", False)):
        SinchProject.objects.create(
            name=name, project_id=name, key_id="k", key_secret="s", is_active=is_active
        )
    for one in SinchProject.objects.all():
        readings.want_one(one, overview.WALK_READER, overview.QUALIFIED, "sweep")
        read_at = timezone.now() - timedelta(minutes=minutes.get(one.name, 10))
        Reading.objects.filter(project=one).update(read_at=read_at)
    page = strip_tags(agent_client.get(reverse("hosting:qualified_numbers")).content.decode())
    assert "Sinch’s lists were read 40 min ago." in page.replace("\xa0", " ")


@pytest.fixture
def verified(agent_client, sandbox, read_qualified, typed):
    """A verified number, and a click that sends the order that is typed for it."""
    sandbox.hosting.add_qualified(PHONE, "VERIFIED")
    row = read_qualified(PHONE)
    draft = agent_client.post(reverse("hosting:qualified_text_enable"), {"all": "1"}).url
    fields = typed(numbers=PHONE, action="ask")
    page = agent_client.get(draft).content.decode()
    fields["version"] = re.search(r'name="version" value="(\d+)"', page)[1]
    said = agent_client.post(draft, fields, follow=True).content.decode()
    fields["version"] = re.search(r'name="version" value="(\d+)"', said)[1]
    fields["attempt"] = re.search(r'name="attempt" value="(\w+)"', said)[1]
    return row, lambda: agent_client.post(draft, fields | {"action": "send"})


def test_verified_numbers_go_into_no_order_before_their_deletion_has_ended(
    verified, agent_client, sandbox, settle
):
    row, send = verified
    assert post(agent_client, "qualified_delete", row).status_code == 302
    answer = send()
    assert answer.status_code == 422
    told = "The deletion of +1 206 555 0142 is still on its way to Sinch."
    assert told in answer.content.decode().replace("\xa0", " ")
    settle()
    assert sandbox.hosting.orders() == []


def test_a_verified_number_that_sinch_refuses_as_unknown_is_read_again(verified, sandbox, settle):
    row, send = verified
    del sandbox.state.hosting.qualified[PHONE]
    assert send().status_code == 302
    settle()
    assert Operation.objects.get().state == "refused"
    row.refresh_from_db()
    assert row.gone_at is not None


def test_a_number_that_goes_into_an_order_is_not_deleted_beside_it(
    verified, agent_client, sandbox, settle
):
    row, send = verified
    assert send().status_code == 302
    answer = post(agent_client, "qualified_delete", row)
    assert answer.status_code == 409
    assert "It is in an order on its way to Sinch" in answer.content.decode()
    settle()
    assert sandbox.state.calls[DELETE_QUALIFIED] == 0
    assert len(sandbox.hosting.orders()) == 1


@pytest.fixture
def of_two_projects(project):
    """Return verified numbers of two projects, and of one that is out of use, by project."""
    rows = {}
    for name, quantity in ((project.name, 2), ("Clinics", 1), ("Out of use", 1)):
        owner = project
        if name != project.name:
            owner = SinchProject.objects.create(
                name=name, project_id=name, key_id="k", is_active=name != "Out of use"
            )
        rows[name] = [
            sync_numbers.store_qualified(
                owner,
                {"phoneNumber": f"+1206555{place:04}", "globalProcessState": "VERIFIED"},
                timezone.now(),
            )
            for place in range(142, 142 + quantity)
        ]
    return rows


def drafted():
    """Return the numbers of each draft by the name of its project."""
    drafts = HostingDraft.objects.order_by("project_id")
    return [(one.project.name, one.field("numbers").split("\n")) for one in drafts]


def test_verified_numbers_are_counted_and_ordered_for_each_project(
    of_two_projects, project, agent_client
):
    page = agent_client.get(reverse("hosting:qualified_numbers")).content.decode()
    assert f"Text-enable all 2 verified of {project.name}…" in page
    assert "Text-enable the verified one of Clinics…" in page
    assert "Out of use…" not in page
    keys = re.findall(r'name="project" value="(\d+)"', page)
    for key in keys:
        asked = {"all": "yes", "project": key}
        assert agent_client.post(reverse("hosting:qualified_text_enable"), asked).status_code == 302
    phones = ["+12065550142", "+12065550143"]
    assert drafted() == [(project.name, phones), ("Clinics", phones[:1])]


def test_verified_numbers_of_one_project_are_counted_without_its_name(
    of_two_projects, project, agent_client
):
    SinchProject.objects.filter(name="Clinics").update(is_active=False)
    page = agent_client.get(reverse("hosting:qualified_numbers")).content.decode()
    assert "Text-enable all 2 verified…" in page
    agent_client.post(reverse("hosting:qualified_text_enable"), {"all": "yes"})
    assert drafted() == [(project.name, ["+12065550142", "+12065550143"])]


def test_chosen_numbers_of_two_projects_go_into_an_order_of_each(
    of_two_projects, project, agent_client
):
    (first, _), (other,), (out,) = of_two_projects.values()
    page = agent_client.get(reverse("hosting:qualified_numbers")).content.decode()
    assert {str(row.pk) for row in (first, other)} <= set(
        re.findall(r'type="checkbox" name="number" value="(\d+)"', page)
    )
    chosen = {"number": [first.pk, other.pk, out.pk, "x", "9" * 30]}
    answer = agent_client.post(reverse("hosting:qualified_text_enable"), chosen, follow=True)
    assert drafted() == [(project.name, [PHONE]), ("Clinics", [PHONE])]
    assert "The numbers of each Sinch project go into an order of their own" in (
        answer.content.decode()
    )


def test_a_number_of_another_project_is_ordered_and_proven_from_its_page(
    of_two_projects, agent_client
):
    other = of_two_projects["Clinics"][0]
    page = agent_client.get(other.get_absolute_url()).content.decode()
    assert f'name="number" value="{other.pk}"' in page
    agent_client.post(reverse("hosting:qualified_text_enable"), {"number": other.pk})
    assert drafted() == [("Clinics", [PHONE])]
    QualifiedNumber.objects.update(state="VERIFICATION_PENDING")
    mailed(agent_client, other)
    sent = QualifiedNumber.objects.exclude(invoices_sent_at=None)
    assert sent.get() == other, "and not its namesake of another project"


@pytest.mark.parametrize("odd", [" - ", "anonymous"])
def test_an_answer_that_names_a_number_without_its_digits_ends_the_batch_all_the_same(
    odd, agent_client, project, sandbox, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFIED").phone_number = odd
    typed = {"numbers": "206 555 0142\n206-555-0143", "key": "a" * 32}
    assert agent_client.post(reverse("hosting:qualify"), typed).status_code == 302
    settle()
    operation = Operation.objects.get()
    assert (operation.state, operation.uncertain_since) == ("succeeded", None)
    phones = QualifiedNumber.objects.values_list("phone_number", flat=True)
    assert set(phones) - {PHONE} == {"+12065550143"}


def test_verified_numbers_beyond_what_a_draft_reads_are_told_and_ordered_by_themselves(
    project, agent_client
):
    QualifiedNumber.objects.bulk_create(
        QualifiedNumber(
            project=project,
            phone_number=f"+1206{5550000 + place}",
            state="VERIFIED",
            fetched_at=timezone.now(),
        )
        for place in range(MAX_LINES + 2)
    )
    beyond = QualifiedNumber.objects.order_by("phone_number").last()
    text_enable = reverse("hosting:qualified_text_enable")
    page = agent_client.post(text_enable, {"all": "yes"}, follow=True).content.decode()
    said = (
        "5,002 numbers are verified, and these are the first 5,000 of them, up to +1 206 555 4999."
    )
    assert said in strip_tags(page).replace("\xa0", " ")
    (cut,) = HostingDraft.objects.all()
    assert len(cut.field("numbers").split("\n")) == MAX_LINES
    page = agent_client.post(text_enable, {"number": beyond.pk}, follow=True).content.decode()
    assert "numbers are verified" not in page
    assert HostingDraft.objects.exclude(pk=cut.pk).get().field("numbers") == beyond.phone_number
    typed = f"{cut.field('numbers')}\n{beyond.phone_number}"
    fields = {"numbers": typed, "version": "1", "action": "ask"}
    page = agent_client.post(cut.get_absolute_url(), fields).content.decode()
    assert page.count("Only the first 5,000 lines are read") == 2, "beside the numbers, and why not"
    assert 'name="attempt"' not in page, "nothing is offered to be sent"
    cut.refresh_from_db()
    fields = {"numbers": typed.partition("\n")[2], "version": cut.version, "action": "ask"}
    page = agent_client.post(cut.get_absolute_url(), fields).content.decode()
    assert "lines are read" not in page
    cut.refresh_from_db()
    assert beyond.phone_number in Review(cut, "UTC").numbers


def test_numbers_to_qualify_beyond_those_that_are_read_are_told_and_none_is_sent(
    project, agent_client
):
    typed = "\n".join(f"206 {5550000 + place}" for place in range(MAX_LINES + 1))
    answer = agent_client.post(reverse("hosting:qualify"), {"numbers": typed, "key": "a" * 32})
    assert answer.status_code == 422
    assert "At most 5,000 lines are read at once; paste the rest after these." in (
        answer.content.decode()
    )
    assert "206 5555000" in answer.content.decode(), "what was pasted stays"
    assert not Operation.objects.exists()


def test_a_code_that_is_handed_in_once_more_from_the_same_page_costs_no_second_try(
    agent_client, sandbox, read_qualified, settle
):
    def hand_in(code):
        answer = post(agent_client, "qualified_verify", number, key=key, code=code)
        settle()
        return answer.status_code, sandbox.state.calls[VERIFY]

    def key_of_page():
        page = agent_client.get(number.get_absolute_url()).content.decode()
        found = re.search(r'name="key" value="(\w+)"', page)
        return found[1] if found else ""

    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    key = key_of_page()
    assert hand_in("1111") == (302, 1)
    assert hand_in("1111") == (302, 1)
    assert hand_in("2222") == (302, 2), "another one is another try"
    key = key_of_page()
    assert hand_in("1111") == (302, 3), "and so is one of a page that was opened anew"
    assert "1111" not in str(list(Operation.objects.values()))


def test_a_second_click_makes_no_second_call(agent_client, sandbox, read_qualified, settle):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    assert post(agent_client, "qualified_call", number).status_code == 302
    settle()
    answer = post(agent_client, "qualified_call", number)
    assert answer.status_code == 409
    assert "Sinch was asked to call it a moment ago." in answer.content.decode()
    settle()
    called = sandbox.state.calls["QualifiedNumberService_SendVoiceChallenge"]
    QualifiedNumber.objects.update(called_at=timezone.now() - timedelta(minutes=2))
    assert post(agent_client, "qualified_call", number).status_code == 302
    settle()
    assert (called, sandbox.state.calls["QualifiedNumberService_SendVoiceChallenge"]) == (1, 2)


def test_a_second_click_finds_the_draft_of_the_verified_numbers(of_two_projects, agent_client):
    first, _ = next(iter(of_two_projects.values()))
    agent_client.post(reverse("hosting:qualified_text_enable"), {"number": first.pk})
    for _ in range(2):
        answer = agent_client.post(reverse("hosting:qualified_text_enable"), {"all": "yes"})
    assert sorted(len(phones) for _, phones in drafted()) == [1, 1, 2], "one for each project"
    first = HostingDraft.objects.get(pk=answer.url.split("/")[-2])
    fields = {"numbers": "206 555 0142", "version": first.version, "action": "save"}
    agent_client.post(answer.url, fields)
    agent_client.post(reverse("hosting:qualified_text_enable"), {"all": "yes"})
    assert len(drafted()) == 4, "what was typed since is not taken for it"


def test_a_stopped_deletion_does_not_go_on_beside_an_order_of_the_number(
    verified, agent_client, sandbox, settle
):
    row, send = verified
    post(agent_client, "qualified_delete", row)
    lost = {"state": "dead", "uncertain_since": timezone.now(), "next_try_at": None}
    Operation.objects.update(seen_at=timezone.now(), **lost)
    assert send().status_code == 302
    stopped = Operation.objects.get(kind="qualified.delete")
    answer = agent_client.post(reverse("operations:again", args=[stopped.key]), follow=True)
    assert "It cannot be tried again" in answer.content.decode()
    settle()
    assert sandbox.state.calls[DELETE_QUALIFIED] == 0
    assert len(sandbox.hosting.orders()) == 1
