"""How each write about an imported number is sent, looked up after a lost answer, and settled."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from hosting import moves, sync, sync_numbers, wire
from hosting.handlers_number import AboutNumber, Deletes, client_of
from hosting.models import ImportedNumber, QualifiedNumber
from portal.accounts.models import SinchProject
from portal.operations import runner
from portal.operations.heard import recall, remember
from portal.operations.models import Operation
from portal.operations.runner import Found
from portal.projects import callbacks
from portal.sinch.errors import SinchConflict, SinchNotFound
from portal.sinch.hosting import HostingClient


def register() -> None:
    """Make the writes known to the engine."""
    for handler in (
        CreateHandler(),
        RenameHandler(),
        UnlinkHandler(),
        LinkHandler(),
        DeleteHandler(),
    ):
        runner.register(handler)


class NumberHandler(AboutNumber):
    """What all writes about an imported number have in common."""

    model = ImportedNumber
    reader = sync.IMPORTED_READER

    def look(self, operation: Operation) -> wire.ImportedFacts:
        """Read the number at Sinch, and keep it for settling."""
        at = timezone.now()
        payload = dict(client_of(operation).get_imported_number(operation.payload["phone"]))
        remember(operation, {"number": payload, "partial": False}, at)
        return wire.read_imported(payload)

    def patch(self, operation: Operation, body: dict[str, Any]) -> dict[str, Any]:
        """Send a change with our callback address, and keep the answer for settling."""
        at = timezone.now()
        if address := callbacks.callback_url(operation.project):
            body = {**body, "callbackUrl": address}
        answer = client_of(operation).update_imported_number(operation.payload["phone"], body)
        remember(operation, {"number": dict(answer), "partial": True}, at)
        return {}

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store what Sinch said, and have the number read with its provisioning."""
        heard = recall(operation)
        phone = operation.payload["phone"]
        if heard is not None and heard.payload["number"]:
            sync_numbers.store_imported(
                operation.project,
                {**heard.payload["number"], "phoneNumber": phone},
                heard.at,
                partial=bool(heard.payload["partial"]),
            )
        self.touch(operation)
        self.read_again(operation)


class CreateHandler(NumberHandler):
    """Imports one number; one that is imported already is read and shown instead."""

    kind = "imported.create"
    how_found_out = "The number is read at Sinch: when it is there, it was imported."

    def send(self, operation: Operation) -> dict[str, Any]:
        """Import it. A conflict is no failure when the number is ours: it is there."""
        at = timezone.now()
        body = dict(operation.payload["body"])
        if address := callbacks.callback_url(operation.project):
            body["callbackUrl"] = address
        try:
            answer = client_of(operation).import_number(body)
        except SinchConflict:
            if (found := self.find_out(operation)) is None:
                raise
            return found.answer | {"was_there": True}
        remember(operation, {"number": dict(answer), "partial": True}, at)
        return {}

    def find_out(self, operation: Operation) -> Found | None:
        """Look whether the number is there."""
        try:
            there = self.look(operation)
        except SinchNotFound:
            return None
        wanted = operation.payload["body"]["smsConfiguration"]
        plan, campaign = there.service_plan_id, there.campaign_id
        if plan in ("", wanted["servicePlanId"]) and campaign in ("", wanted.get("campaignId")):
            return Found({})
        where = f"{plan} with the campaign {campaign}" if campaign else plan
        return Found(
            {
                "told": f"It was imported already, on the service plan {where}, and is left as it "
                "was. Move it if it is to be elsewhere."
            }
        )


class RenameHandler(NumberHandler):
    """Gives a number another name."""

    kind = "imported.rename"
    how_found_out = "The number is read at Sinch and its name compared; sending it again is safe."

    def send(self, operation: Operation) -> dict[str, Any]:
        """Send the name."""
        return self.patch(operation, {"displayName": operation.payload["name"]})

    def find_out(self, operation: Operation) -> Found | None:
        """Compare the name."""
        name = self.look(operation).display_name
        return Found({}) if name == operation.payload["name"] else None


class UnlinkHandler(NumberHandler):
    """Gives up links of a number; the first half of a move."""

    kind = moves.UNLINK
    how_found_out = (
        "The number is read at Sinch: empty links, or links being taken away, tell that it was "
        "done."
    )

    def send(self, operation: Operation) -> dict[str, Any]:
        """Send the links to be given up, empty."""
        return self.patch(operation, {"smsConfiguration": operation.payload["configuration"]})

    def find_out(self, operation: Operation) -> Found | None:
        """Look at the links and at what is being done to them."""
        said, sent = self.look(operation), operation.payload["configuration"]
        steps = said.steps.steps
        gone = []
        for key, linked, kind, state in (
            ("servicePlanId", said.service_plan_id, said.platform_type, steps["platform"]),
            ("campaignId", said.campaign_id, said.campaign_type, steps["campaign"]),
        ):
            if key in sent:
                # One that failed may be the try before; giving a link up twice does no harm.
                is_taken_away = kind == wire.DEPROVISIONING and state != wire.FAILED
                gone.append(not linked or is_taken_away)
        return Found({}) if all(gone) else None

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Let the move wait for Sinch, then store what Sinch said."""
        moves.unlinked(operation)
        super().succeeded(operation, answer)

    def failed(self, operation: Operation) -> None:
        """Stop the move."""
        moves.stopped(operation)
        super().failed(operation)

    def overtaken(self) -> Sequence[tuple[Any, str]]:
        """Send nothing of it after a later move."""
        return moves.overtaken()

    def taken_up(self, operation: Operation) -> None:
        """Let the move go on."""
        moves.taken_up(operation)


class LinkHandler(NumberHandler):
    """Makes new links of a number; the second half of a move."""

    kind = moves.LINK
    how_found_out = "The number is read at Sinch: when the new links are there, it was done."

    def send(self, operation: Operation) -> dict[str, Any]:
        """Send the new links."""
        return self.patch(operation, {"smsConfiguration": operation.payload["configuration"]})

    def find_out(self, operation: Operation) -> Found | None:
        """Compare the links; a provisioning that is only scheduled counts.

        One that has failed may be the try before: making a link once more does no harm.
        """
        at_sinch = self.look(operation)
        heard = recall(operation)
        pending: dict[str, Any] = {}
        if heard is not None:
            remember(operation, heard.payload, heard.at)
            sms = wire.mapping(heard.payload["number"].get("smsConfiguration"))
            scheduled = wire.mapping(sms.get("scheduledProvisioning"))
            if wire.state_of_scheduled(scheduled) != wire.FAILED:
                pending = dict(scheduled)
        sent = operation.payload["configuration"]
        there = [
            sent["servicePlanId"] in (at_sinch.service_plan_id, pending.get("servicePlanId"))
            if "servicePlanId" in sent
            else True,
            sent["campaignId"] in (at_sinch.campaign_id, pending.get("campaignId"))
            if "campaignId" in sent
            else True,
        ]
        return Found({}) if all(there) else None

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Let the move settle, then store what Sinch said."""
        moves.linked(operation)
        super().succeeded(operation, answer)

    def failed(self, operation: Operation) -> None:
        """Stop the move."""
        moves.stopped(operation)
        super().failed(operation)

    def overtaken(self) -> Sequence[tuple[Any, str]]:
        """Send nothing of it after a later move."""
        return moves.overtaken()

    def taken_up(self, operation: Operation) -> None:
        """Let the move go on."""
        moves.taken_up(operation)


class DeleteHandler(Deletes, NumberHandler):
    """Deletes an imported number."""

    kind = "imported.delete"

    def refuse(self, number: ImportedNumber | QualifiedNumber) -> None:
        """Raise NotPossible for one that is being moved, too."""
        moves.refuse_moving(number)
        super().refuse(number)

    def delete(self, client: HostingClient, phone: str) -> None:
        """Delete it."""
        client.delete_imported_number(phone)

    def mark_gone(self, project: SinchProject, phone: str, at: datetime) -> None:
        """Note that it is gone."""
        sync_numbers.mark_imported_gone(project, phone, at)
