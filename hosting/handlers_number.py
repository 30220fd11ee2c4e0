"""What the handlers of imported and of qualified numbers have in common."""

from abc import abstractmethod
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone

from hosting import sync_numbers
from hosting.actions_number import refuse_in_order
from hosting.models import ImportedNumber, QualifiedNumber
from portal.accounts.models import SinchProject
from portal.operations import clients, readings
from portal.operations.heard import recall
from portal.operations.models import Operation
from portal.operations.runner import Found, Handler
from portal.sinch.errors import SinchNotFound
from portal.sinch.hosting import HostingClient
from portal.work.actions import NotPossible


def client_of(operation: Operation) -> HostingClient:
    """Return the client of the project an operation belongs to."""
    return clients.hosting_client(operation.project)


class AboutNumber(Handler):
    """A write about one number. Payload: {"phone": E.164, …}."""

    model: ClassVar[type[ImportedNumber] | type[QualifiedNumber]]
    reader: ClassVar[str]

    @abstractmethod
    def look(self, operation: Operation) -> Any:
        """Read the number at Sinch, and keep it for settling. Raises SinchError."""

    def failed(self, operation: Operation) -> None:
        """Have the number read: Sinch may know more than the mirror."""
        recall(operation)
        self.touch(operation)
        self.read_again(operation)

    def uncertain(self, operation: Operation) -> None:
        """Let open pages show that the outcome is being looked up."""
        self.touch(operation)

    def seen(self, operation: Operation) -> None:
        """Let open pages know that somebody has looked at the outcome."""
        self.touch(operation)

    def touch(self, operation: Operation) -> None:
        """Let open pages of the number know."""
        if row := self.row(operation):
            sync_numbers.touch(row)

    def read_again(self, operation: Operation) -> None:
        """Have the number read once more."""
        readings.want_one(operation.project, self.reader, operation.payload["phone"], "staff")

    def row(self, operation: Operation) -> ImportedNumber | QualifiedNumber | None:
        """Return the number it is about; None when the desk has it no more."""
        found: ImportedNumber | QualifiedNumber | None = self.model._default_manager.filter(
            project=operation.project, phone_number=operation.payload["phone"]
        ).first()
        return found


class Deletes(AboutNumber):
    """Deletes a number at Sinch; one that is gone already was deleted."""

    how_found_out = (
        "The number is read at Sinch: when it is not there, or was gone at a reading since the "
        "deletion left, it was deleted."
    )

    @abstractmethod
    def delete(self, client: HostingClient, phone: str) -> None:
        """Ask Sinch to delete it. Raises SinchError."""

    @abstractmethod
    def mark_gone(self, project: SinchProject, phone: str, at: datetime) -> None:
        """Note in the mirror that it is gone."""

    def send(self, operation: Operation) -> dict[str, Any]:
        """Delete it."""
        try:
            self.delete(client_of(operation), operation.payload["phone"])
        except SinchNotFound:
            return {"was_gone": True}
        return {}

    def refuse(self, number: ImportedNumber | QualifiedNumber) -> None:
        """Raise NotPossible for a number that is on its way somewhere. It is locked."""
        refuse_in_order(number)

    def taken_up(self, operation: Operation) -> None:
        """Lock the number, so that it does not begin to go somewhere beside this."""
        if (row := self.row(operation)) is not None:
            type(row)._default_manager.select_for_update().get(pk=row.pk)
        super().taken_up(operation)

    def why_not_again(self, operation: Operation) -> str:
        """Delete nothing that was made anew, or began to go somewhere, since it was asked for."""
        if (row := self.row(operation)) is not None:
            try:
                self.refuse(row)
            except NotPossible as reason:
                return str(reason)
        # One that may have left is looked up first, and that looks for the same.
        if operation.uncertain_since is None and self._is_another(operation, operation.created_at):
            return "The number was made anew at Sinch since. Delete it anew, if it is to go."
        return ""

    def find_out(self, operation: Operation) -> Found | None:
        """Look whether it is gone, or was: what is there after that was made anew."""
        row, sent_at = self.row(operation), operation.sent_at
        if row is not None and sent_at and row.was_gone_since(sent_at):
            return Found({})
        try:
            self.look(operation)
        except SinchNotFound:
            return Found({})
        return None

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Note that it is gone, unless it is there again or yet: Sinch may take its time."""
        recall(operation)
        if not self._is_another(operation, operation.sent_at or operation.created_at):
            self.mark_gone(operation.project, operation.payload["phone"], timezone.now())
        self.touch(operation)
        self.read_again(operation)

    def _is_another(self, operation: Operation, since: datetime) -> bool:
        """Tell whether the number that is there was made after a moment."""
        row = self.row(operation)
        return row is not None and row.gone_at is None and row.was_gone_since(since)
