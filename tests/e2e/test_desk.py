"""The desk as a whole: it starts, shows the sign-in page, and survives the death of a process."""

import re

from tests.desk import PASSWORD
from tests.tools import get, wait_for

PROCESSES = {"web", "worker", "people", "beat", "sandbox", "PostgreSQL", "Redis"}


def test_make_run_serves_the_sign_in_page(desk):
    status, text = get(f"{desk.address}/sign-in/")
    assert status == 200
    assert 'name="username"' in text


def test_every_process_is_up_and_named_in_the_state(desk):
    assert set(desk.state()["processes"]) == PROCESSES
    assert all(desk.pid(name) for name in PROCESSES)


def test_what_is_printed_holds_no_password_and_no_webhook_token(desk):
    addresses = desk.manage("webhook_urls")
    tokens = re.findall(r"/webhooks/\w+/([^/\s]+)/", addresses)
    assert tokens
    printed = desk.log()
    assert "The portal is ready" in printed
    assert PASSWORD not in printed
    assert not [token for token in tokens if token in printed]


def test_a_management_command_beside_the_desk_speaks_to_the_sandbox(desk):
    script = "from django.conf import settings; print(settings.SINCH_PORTING_URL)"
    assert desk.manage("shell", "-v", "0", "-c", script).strip() == desk.sandbox


def test_a_killed_worker_is_replaced_and_said_so(desk):
    desk.kill_and_wait("people")
    assert "people stopped unexpectedly (ended by SIGKILL)" in desk.log()


def test_a_killed_redis_is_replaced(desk):
    desk.kill_and_wait("Redis")
    wait_for(lambda: get(f"{desk.address}/healthz/")[0] == 200)
