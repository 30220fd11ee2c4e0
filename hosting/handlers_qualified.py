"""How each write about qualified numbers is sent, looked up after a lost answer, and settled."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from django.utils import timezone

from hosting import sync, sync_numbers, wire
from hosting.handlers_number import AboutNumber, Deletes, client_of
from hosting.models import QualifiedNumber
from portal.accounts.models import SinchProject
from portal.operations import readings, runner
from portal.operations.heard import recall, remember
from portal.operations.models import Operation
from portal.operations.runner import Found, Handler, Refused
from portal.sinch.errors import (
    SinchError,
    SinchInvalidRequest,
    SinchNotFound,
    SinchPaymentRequired,
)
from portal.sinch.hosting import HostingClient, is_number

State = QualifiedNumber.State
PAST_PROOF = (State.VERIFIED, State.HOSTING_IN_PROGRESS, State.HOSTING_DONE, State.HOSTING_FAILED)
NOT_ACCEPTED = "Sinch did not accept the code"
WRONG_CODE = (
    "Ask again what was read out and hand that in, have it called with a new code, or prove it by "
    "invoices."
)
UNSAID = (
    "Sinch took the code and has not said yet whether it is right; the number is read again until "
    "it does."
)
BLOCKED = "Proof by phone call is blocked for this number now; use invoices."
UNKNOWN = (
    "The answer was lost, and the state of the number does not tell whether Sinch judged the code. "
    "The desk does not hand it in twice, as each wrong one costs a try. Check with Sinch in a "
    "minute; if the number is not verified then, have it called with a new code, or prove it by "
    "invoices."
)


def register() -> None:
    """Make the writes known to the engine."""
    for handler in (AddHandler(), CallHandler(), VerifyHandler(), DeleteHandler()):
        runner.register(handler)


class AddHandler(Handler):
    """Has a batch of numbers qualified. Payload: {"numbers": [E.164, …]}."""

    kind = "qualified.add"
    stands_alone = True
    how_found_out = (
        "Each number of the batch is read at Sinch: numbers that are there were taken in, and "
        "only the others are sent again."
    )

    def send(self, operation: Operation) -> dict[str, Any]:
        """Send the batch, and keep what Sinch took in for settling."""
        at = timezone.now()
        numbers = operation.payload.get("missing") or operation.payload["numbers"]
        taken = client_of(operation).add_qualified_numbers(numbers)
        remember(operation, {"numbers": [dict(entry) for entry in taken]}, at)
        return {"taken": len(taken) or len(numbers)}

    def find_out(self, operation: Operation) -> Found | None:
        """Look for each number; the next try sends those that are not there."""
        client, at = client_of(operation), timezone.now()
        found, missing = [], []
        for phone in operation.payload["numbers"]:
            try:
                found.append(dict(client.get_qualified_number(phone)))
            except SinchNotFound:
                missing.append(phone)
        if missing:
            operation.payload = {**operation.payload, "missing": missing}
            Operation.objects.filter(pk=operation.pk).update(payload=operation.payload)
            return None
        remember(operation, {"numbers": found}, at)
        return Found({"taken": len(found)})

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store what Sinch said, and have every number of the batch read."""
        heard = recall(operation)
        if heard is not None:
            for entry in heard.payload["numbers"]:
                if is_number(wire.phone_of(entry)) and entry.get("globalProcessState"):
                    sync_numbers.store_qualified(operation.project, entry, heard.at)
        self._read_all(operation)

    def failed(self, operation: Operation) -> None:
        """Have the batch read if an answer was lost: Sinch may have taken in a part of it."""
        recall(operation)
        if operation.uncertain_since is not None or "missing" in operation.payload:
            self._read_all(operation)

    @staticmethod
    def _read_all(operation: Operation) -> None:
        wishes = dict.fromkeys(operation.payload["numbers"], timezone.now())
        readings.want(operation.project, sync.QUALIFIED_READER, wishes, "staff")


class QualifiedHandler(AboutNumber):
    """What all writes about one qualified number have in common."""

    model = QualifiedNumber
    reader = sync.QUALIFIED_READER

    def look(self, operation: Operation) -> str:
        """Read the number at Sinch, keep it for settling, and return its state."""
        at = timezone.now()
        payload = dict(client_of(operation).get_qualified_number(operation.payload["phone"]))
        remember(operation, payload, at)
        return str(payload.get("globalProcessState") or "")

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store what Sinch said, and have the number read."""
        heard = recall(operation)
        phone = operation.payload["phone"]
        if heard is not None and heard.payload.get("globalProcessState"):
            payload = {**heard.payload, "phoneNumber": phone}
            sync_numbers.store_qualified(operation.project, payload, heard.at)
        self.touch(operation)
        self.read_again(operation)


class CallHandler(QualifiedHandler):
    """Has Sinch call a number and read out a code."""

    kind = "qualified.call"
    how_found_out = (
        "Nothing at Sinch tells whether a call was made: a person who may hear the phone decides "
        "whether to call again."
    )

    def send(self, operation: Operation) -> dict[str, Any]:
        """Ask for the call."""
        at = timezone.now()
        answer = client_of(operation).send_voice_challenge(operation.payload["phone"])
        remember(operation, dict(answer), at)
        return {}

    def find_out(self, operation: Operation) -> Found | None:
        """Read the number; a call itself leaves no trace. Raises Refused, for a person."""
        state = self.look(operation)
        if state in (*PAST_PROOF, State.VERIFICATION_PENDING) and state != operation.payload.get(
            "state"
        ):
            return Found({})
        raise Refused(
            "The answer was lost, so nobody knows whether Sinch called. If the phone has not rung "
            "in a minute, call again."
        )

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Note when it was called."""
        super().succeeded(operation, answer)
        QualifiedNumber.objects.filter(
            project=operation.project, phone_number=operation.payload["phone"]
        ).update(called_at=operation.sent_at or timezone.now())


class VerifyHandler(QualifiedHandler):
    """Hands back the code that somebody heard, once. A 200 is no success: its state tells.

    Source: "Verify voice challenge", "a wrong code".
    """

    kind = "qualified.verify"
    how_found_out = (
        "The number is read at Sinch: another state than before tells whether the code was "
        "accepted. One that stays tells nothing, and a wrong code costs a try: a person decides."
    )

    def send(self, operation: Operation) -> dict[str, Any]:
        """Send the code, and read the state of the answer. Raises Refused for a wrong one.

        That the state cannot be read is no reason to hand the code in again: Sinch has it.
        """
        at, client = timezone.now(), client_of(operation)
        phone = operation.payload["phone"]
        try:
            answer = dict(client.verify_voice_challenge(phone, operation.payload["code"]))
        except SinchPaymentRequired:
            raise  # it says nothing of the code
        except SinchInvalidRequest as error:
            # Sinch may say so with an error; its state says whether more tries are left, or that
            # none is needed any more.
            said = WRONG_CODE
            with suppress(SinchError):
                state = self.look(operation)
                if state in PAST_PROOF:
                    return {}
                if state == State.VERIFICATION_BLOCKED:
                    said = BLOCKED
            raise Refused(said, status=error.status, judged=NOT_ACCEPTED) from None
        if not answer.get("globalProcessState"):
            with suppress(SinchError):
                answer = dict(client.get_qualified_number(phone))
        remember(operation, answer, at)
        state = str(answer.get("globalProcessState") or "")
        self._judge(state)
        return {} if state in PAST_PROOF else {"told": UNSAID}

    def find_out(self, operation: Operation) -> Found | None:
        """Judge by the state, which may move some time after the code. Raises Refused.

        A code that was judged wrong leaves a failed proof as it was, and one that Sinch judges
        later leaves it open: a state that stays is left to a person.
        """
        state = self.look(operation)
        if state in PAST_PROOF:
            return Found({})
        if state != operation.payload.get("state"):
            self._judge(state)
        if operation.looks + 1 >= len(runner.LOOK_PAUSES):
            raise Refused(UNKNOWN)
        return None

    @staticmethod
    def _judge(state: str) -> None:
        if state == State.VERIFICATION_BLOCKED:
            raise Refused(BLOCKED, status=200, judged=NOT_ACCEPTED)
        if state == State.VERIFICATION_FAILED:
            raise Refused(WRONG_CODE, status=200, judged=NOT_ACCEPTED)

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store the state; the code has done its work and is not kept."""
        super().succeeded(operation, answer)
        self._forget(operation)

    @staticmethod
    def _forget(operation: Operation) -> None:
        kept = {name: value for name, value in operation.payload.items() if name != "code"}
        Operation.objects.filter(pk=operation.pk).update(payload=kept)

    def failed(self, operation: Operation) -> None:
        """Store the state that came with the refusal, which says whether more tries are left."""
        if operation.state == Operation.State.REFUSED:
            self._forget(operation)
        heard = recall(operation)
        if heard is not None and heard.payload.get("globalProcessState"):
            payload = {**heard.payload, "phoneNumber": operation.payload["phone"]}
            sync_numbers.store_qualified(operation.project, payload, heard.at)
        super().failed(operation)


class DeleteHandler(Deletes, QualifiedHandler):
    """Deletes a qualified number."""

    kind = "qualified.delete"

    def delete(self, client: HostingClient, phone: str) -> None:
        """Delete it."""
        client.delete_qualified_number(phone)

    def mark_gone(self, project: SinchProject, phone: str, at: datetime) -> None:
        """Note that it is gone."""
        sync_numbers.mark_qualified_gone(project, phone, at)
