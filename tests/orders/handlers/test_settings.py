"""The porting settings of a project: created, then replaced, whatever Sinch shows of them."""

import pytest

from portal.accounts.models import SinchProject, User
from portal.operations import clients
from portal.operations.actions import submit
from portal.projects import configuration as project_configuration
from portal.sandbox import Sandbox
from tests.orders.handlers.tools import Run, State, state_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]
SETTINGS = {
    "contact": {"email": "ports@desk.example", "name": "Dana Whitfield", "phone": "+12065550100"},
    "webhookUrl": "https://desk.example/webhooks/porting/abc/",
    "defaultPortTime": "08:30:00",
    "defaultPortTimeZone": "US/Pacific",
}


@pytest.mark.parametrize("absent", ["not_found", "empty"])
@pytest.mark.parametrize("fault", [None, "drop_after", "drop_before"])
def test_settings_are_created_then_replaced(
    project: SinchProject,
    agent: User,
    sandbox: Sandbox,
    settle: Run,
    absent: str,
    fault: str | None,
) -> None:
    sandbox.control.personality(configuration_absent=absent, webhook_url_read="bare_host")
    for zone in ("US/Pacific", "US/Central"):
        if fault:
            sandbox.control.faults.add(fault, "createConfiguration")
            sandbox.control.faults.add(fault, "updateConfiguration")
        operation, _ = submit(
            project,
            "porting.configure",
            target=f"project:{project.pk}",
            payload={"configuration": {**SETTINGS, "defaultPortTimeZone": zone}},
            by=agent,
        )
        settle()
        sandbox.control.faults.clear()
        assert state_of(operation) == State.SUCCEEDED
        project.refresh_from_db()
        assert project.default_port_time_zone == zone
        assert sandbox.state.configuration["defaultPortTimeZone"] == zone


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_an_address_of_which_sinch_shows_only_the_host_is_sent_again_when_the_answer_was_lost(
    project: SinchProject, agent: User, sandbox: Sandbox, settle: Run, fault: str
) -> None:
    """Taken for registered, the old token would be retired and every webhook lost."""
    sandbox.control.personality(webhook_url_read="bare_host")
    for token in ("abc", "def"):
        payload = {"configuration": {"webhookUrl": SETTINGS["webhookUrl"].replace("abc", token)}}
        if token == "abc":
            payload = {"configuration": SETTINGS}
        else:
            sandbox.control.faults.add(fault, "updateConfiguration")
            shown = clients.porting_client(project).get_configuration()
            payload["base"] = project_configuration.digest(shown)
        operation, _ = submit(
            project,
            "porting.configure",
            target=f"project:{project.pk}",
            payload=payload,
            by=agent,
        )
        settle()
        assert state_of(operation) == State.SUCCEEDED
        assert sandbox.state.configuration["webhookUrl"].endswith(f"/{token}/")
