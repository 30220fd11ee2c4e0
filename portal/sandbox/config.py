"""How one sandbox is set up, and which reading of each uncertain point it follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from portal.sandbox.clock import Clock, SystemClock


def _switch(help_text: str, *choices: str) -> Any:
    """Declare a switch; the first choice is the one of the "seed" preset."""
    return field(default=choices[0], metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class Personality:
    """One reading of every point where Sinch's documents differ or are silent.

    Each field is a switch holding one of its `choices()`. The defaults are the "seed" preset.
    Source: the table of uncertain points in the porting working rules.
    """

    order_ids: str = _switch("Ids in answers", "number", "string")
    event_order_ids: str = _switch(
        "orderId in webhooks; mixed: text in ORDER_UPDATED, a number elsewhere",
        "mixed",
        "number",
        "string",
    )
    event_order_inner_id: str = _switch(
        "Whether the order inside ORDER_UPDATED has its id", "present", "absent"
    )
    cancelation: str = _switch("How an order is canceled", "two_steps", "straight")
    activations: str = _switch(
        "availableActivations, and the activate body that goes with it",
        "wrapped",
        "list",
    )
    phone_groups: str = _switch("The phoneGroups endpoint", "list", "wrapped", "missing")
    document_path: str = _switch("Where a document is read", "port_ins", "orders", "both")
    document_id: str = _switch("Key of a document's id", "id", "documentId", "both")
    activation_time: str = _switch("When a number went live", "activateTime", "activatedDate")
    confirmed_date: str = _switch("confirmedDate on read", "absent", "present")
    exclusion_time: str = _switch(
        "When a number was left out or refused", "exclusionTime", "exclusionDate"
    )
    foc_date: str = _switch("focDate", "datetime", "date")
    created_date: str = _switch("createdDate", "datetime", "date")
    pin_on_read: str = _switch("PINs on read", "echo", "masked", "absent")
    numbers_on_read: str = _switch("Numbers of an order on read", "full", "short")
    numbers_in_answers: str = _switch("Numbers in answers to create and update", "short", "full")
    blanks: str = _switch("Values that are not set", "empty", "absent", "null")
    first_page: str = _switch("Number of the first list page", "1", "0")
    list_order: str = _switch("Order of the list", "newest", "oldest")
    create_status: str = _switch("Status of a created order", "201", "200")
    added_status: str = _switch("Status of an added note, document or configuration", "200", "201")
    cancel_answer: str = _switch("Answer to a cancel", "object", "order", "no_content")
    write_bodies: str = _switch("Bodies of answers to writes", "full", "none")
    errors: str = _switch("Error bodies", "seed", "reference", "none")
    missing_field: str = _switch("Status when a required field is missing", "422", "400")
    locked_status: str = _switch(
        "Status when the order's status forbids a change", "422", "400", "409"
    )
    put_read_only: str = _switch("Read-only keys in an update", "ignore", "refuse")
    configuration_absent: str = _switch("Configuration before the first", "not_found", "empty")
    webhook_url_read: str = _switch("webhookUrl on read", "full", "bare_host")
    event_key: str = _switch("Key naming a webhook's event", "type", "event")
    event_numbers: str = _switch("Numbers in webhooks", "full", "short")
    event_status: str = _switch("Number status in webhooks", "upper", "capitalised")
    event_port_time: str = _switch("desiredPortTime in webhooks", "plain", "with_z")
    # Hosting
    loa_key: str = _switch("LOA block of a hosting order", "textEnableInfo", "hostingOrderInfo")
    loa_type: str = _switch("Spelling of loaType", "title", "upper")
    state_prefix: str = _switch("State of a qualified number", "prefixed", "bare")
    hosted_status: str = _switch("hostedNumber.status and scheduled status", "integer", "name")
    wrong_code: str = _switch(
        "Answer to a wrong voice code; later: to any code, its verdict comes after the answer",
        "state",
        "error",
        "later",
    )
    absent_steps: str = _switch("Steps that do not apply", "absent", "unspecified")
    report_zeros: str = _switch("Counters that are nought", "zero", "absent")
    held_place: str = _switch("Where T-Mobile's 60135 stands", "code", "message")
    held_import: str = _switch(
        "An order with migrateToSinchTmo for a number on a plan of ours", "taken", "conflict"
    )
    last_page: str = _switch("nextPageToken of the last page", "absent", "null", "empty")
    list_filters: str = _switch("Filters of hosting lists", "all", "some")
    without_campaign: str = _switch("Orders without a campaign in lists", "listed", "unlisted")
    listed_names: str = _switch("displayName in lists of orders", "present", "absent")
    failed_link: str = _switch(
        "Where it stands that a number could not be linked", "provisioning", "scheduled"
    )
    delete_body: str = _switch("Body of a deletion", "object", "empty")
    hosting_errors: str = _switch("Error bodies of hosting", "flat", "enveloped")
    event_resource: str = _switch("resourceId of order events", "phone", "order")
    event_failure: str = _switch("failureCode without a failure", "absent", "null")
    event_names: str = _switch("Names of callbacks", "documented", "sibling")
    event_time: str = _switch("Timestamp of callbacks", "zoned", "bare")
    signature: str = _switch("Writing of X-Sinch-Signature", "hex", "base64")

    def __post_init__(self) -> None:
        for switch in fields(self):
            value = getattr(self, switch.name)
            if value not in switch.metadata["choices"]:
                raise ValueError(
                    f"{switch.name} takes {', '.join(switch.metadata['choices'])}; not {value!r}."
                )

    @classmethod
    def preset(cls, name: str) -> "Personality":
        """Return the "seed" or the "reference" preset; raise ValueError for another name."""
        try:
            return cls(**PRESETS[name])
        except KeyError:
            known = ", ".join(PRESETS)
            raise ValueError(f"There is no personality {name!r}; there are {known}.") from None

    @classmethod
    def choices(cls) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return each switch with its explanation and the values it takes."""
        return {s.name: (s.metadata["help"], s.metadata["choices"]) for s in fields(cls)}

    def with_switches(self, switches: Mapping[str, Any]) -> "Personality":
        """Return a copy with some switches set; raise ValueError for an unknown name or value."""
        unknown = sorted(set(switches) - set(self.choices()))
        if unknown:
            raise ValueError(f"There is no switch {unknown[0]!r}.")
        return replace(self, **{name: str(value) for name, value in switches.items()})


# What the newest reference says, where it departs from the seeds.
PRESETS: dict[str, dict[str, str]] = {
    "seed": {},
    "reference": {
        "order_ids": "string",
        "event_order_ids": "string",
        "event_order_inner_id": "absent",
        "cancelation": "straight",
        "activations": "list",
        "phone_groups": "missing",
        "document_path": "orders",
        "document_id": "documentId",
        "activation_time": "activatedDate",
        "confirmed_date": "present",
        "exclusion_time": "exclusionDate",
        "foc_date": "date",
        "created_date": "date",
        "pin_on_read": "absent",
        "numbers_in_answers": "full",
        "blanks": "absent",
        "first_page": "0",
        "list_order": "oldest",
        "create_status": "200",
        "added_status": "201",
        "cancel_answer": "no_content",
        "errors": "reference",
        "locked_status": "400",
        "put_read_only": "refuse",
        "configuration_absent": "empty",
        "event_numbers": "short",
        "loa_key": "hostingOrderInfo",
        "loa_type": "upper",
        "state_prefix": "bare",
        "hosted_status": "name",
        "wrong_code": "error",
        "absent_steps": "unspecified",
        "report_zeros": "absent",
        "held_place": "message",
        "held_import": "conflict",
        "last_page": "empty",
        "list_filters": "some",
        "without_campaign": "unlisted",
        "listed_names": "absent",
        "failed_link": "scheduled",
        "delete_body": "empty",
        "hosting_errors": "enveloped",
        "event_failure": "null",
        "event_names": "sibling",
        "event_time": "bare",
        "signature": "base64",
    },
}


@dataclass
class SandboxConfig:
    """Settings of one sandbox. Times are in seconds.

    `speed` is the time between two steps of an order's life; 0 means by hand only.
    `activation_seconds` is how long an accepted activation takes; None means 2 s when the
    sandbox lives by itself and "on the next step" when it does not.
    `days_compressed` makes carriers confirm for today, so that orders go live in minutes.
    `reject_patience` is how many steps an order with refused numbers waits for a correction.
    `send_to_configured` lets webhooks go to the configuration's `webhookUrl` when no `webhook_url`
    is set; it is off so that a test that stores one does not reach out of the machine.
    `import_limit` is how many numbers one import order takes, `hosting_page_size` the longest page
    of a hosting list. `send_callbacks` lets hosting callbacks leave for the addresses that came
    with orders; it is off so that a test does not reach out of the machine.
    `check_answers` compares everything the sandbox says with the contract, for tests.
    """

    project_id: str = "sandbox"
    key_id: str = "sandbox-key"
    key_secret: str = field(default="sandbox-secret", repr=False)
    personality: Personality = field(default_factory=Personality)
    speed: float = 0.0
    activation_seconds: float | None = None
    days_compressed: bool = False
    reject_patience: int = 6
    webhook_url: str | None = field(default=None, repr=False)
    webhook_timeout: float = 5.0
    send_to_configured: bool = False
    state_file: Path | None = None
    demo: bool = False
    token_seconds: int = 3600
    document_limit: int = 12 * 1024 * 1024
    check_answers: bool = False
    import_limit: int = 5
    hosting_page_size: int = 1000
    send_callbacks: bool = False
    loopback_only: bool = True
    random_seed: int | None = None
    clock: Clock = field(default_factory=SystemClock)
