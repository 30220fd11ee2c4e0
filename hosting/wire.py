"""Where Sinch's camelCase meets our columns: pure functions, no database.

Every reading of the uncertain points is accepted, an unknown word is kept as it is, and nothing
here raises over what Sinch sent.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from hosting.models import STEPS, HostingOrder, Verdict
from portal.numbers import TOLL_FREE, area_code
from portal.sinch import payloads_hosting as payloads
from portal.values import mapping, phone_of, read_flag, read_status, spelled, text, whole

UNSPECIFIED: Final = "STATE_UNSPECIFIED"
WAITING, IN_PROGRESS, DONE, FAILED = "WAITING", "IN_PROGRESS", "DONE", "FAILED"
PROVISIONING, DEPROVISIONING = "PROVISIONING", "DEPROVISIONING"
HELD: Final = "60135"  # T-Mobile: the number is with another messaging provider
ELSEWHERE: Final = re.compile("another aggregator|migrat", re.IGNORECASE)  # … in words
COUNTERS: Final = (
    "total",
    "osrUpdated",
    "smsProvisioned",
    "addedToCampaign",
    "ongoingManualAction",
)
AND: Final = ", "  # between the codes of one step
MOST_CODES: Final = 5
CARRIERS: Final = ("smsAtt", "smsTmo", "mmsAtt", "mmsTmo")
TMO: Final = ("sms_tmo", "mms_tmo")
_FRACTION: Final = re.compile(r"(\.\d{1,6})\d*")
_OFFSET: Final = re.compile(r"([+-]\d{2})(\d{2})$")
_YEARS: Final = range(1970, 9000)


def read_moment(value: object) -> datetime | None:
    """Return an instant in UTC; without a zone it is UTC. Nine decimals are cut to six.

    Source: Imported Numbers and Hosting Orders API, `timestamp` and the times of an order.
    """
    said = _OFFSET.sub(r"\1:\2", _FRACTION.sub(r"\1", text(value, 40)))
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def sent_moment(moment: datetime) -> str:
    """Return an instant as it is sent: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- Orders -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OrderFacts:
    """What an order says, in our words; "" where it says nothing."""

    sinch_id: str
    state: str
    order_type: str = ""
    display_name: str = ""
    region_code: str = ""
    service_plan_id: str = ""
    campaign_id: str = ""
    nnid: str = ""
    loa: str = ""
    business_name: str = ""
    signer_name: str = ""
    signer_email: str = ""
    voice_carrier: str = ""
    scheduled_at: datetime | None = None
    migrates_tmo: bool = False
    callback_url: str = ""
    sinch_created_at: datetime | None = None
    sinch_updated_at: datetime | None = None


ORDER_COLUMNS: Final = tuple(name for name in OrderFacts.__dataclass_fields__ if name != "sinch_id")


def read_order(payload: Mapping[str, Any]) -> OrderFacts:
    """Return the facts of an order. Source: "Get hosting order"."""
    loa = mapping(payload.get("textEnableInfo") or payload.get("hostingOrderInfo"))
    person = mapping(loa.get("authorisedPerson"))
    scheduled = payload.get("scheduledOsrUpdateTime") or payload.get(
        "scheduledZipwhipProvisioningTime"
    )
    signer = " ".join(
        filter(None, (text(person.get("firstName"), 100), text(person.get("lastName"), 99)))
    )
    return OrderFacts(
        sinch_id=text(payload.get("hostingOrderId"), 64),
        state=_state(payload.get("state"), "HOSTING_ORDER_STATE_"),
        order_type=read_status(payload.get("type")),
        display_name=text(payload.get("displayName"), 200),
        region_code=text(payload.get("regionCode"), 8),
        service_plan_id=text(payload.get("servicePlanId"), 100),
        campaign_id=text(payload.get("campaignId"), 100),
        nnid=text(loa.get("nnid") or payload.get("nnid"), 32),
        loa=_loa(payload, loa),
        business_name=text(loa.get("businessName"), 200),
        signer_name=signer,
        signer_email=text(person.get("email"), 254),
        voice_carrier=text(loa.get("currentVoiceCarrier") or loa.get("serviceProvider"), 200),
        scheduled_at=read_moment(scheduled),
        migrates_tmo=read_flag(payload.get("migrateToSinchTmo")),
        callback_url=text(payload.get("callbackUrl"), 500),
        sinch_created_at=read_moment(payload.get("createdTime")),
        sinch_updated_at=read_moment(payload.get("updatedTime")),
    )


def _state(value: object, prefix: str) -> str:
    """Return a state in capitals without its prefix, with which it may be too long for us."""
    return text(value).upper().removeprefix(prefix)[:32]


def _loa(payload: Mapping[str, Any], loa: Mapping[str, Any]) -> str:
    said = text(loa.get("loaType")).lower()[:16]
    if said:
        return said
    if loa.get("businessName"):
        return str(HostingOrder.Loa.RESELLER)
    if loa.get("authorisedPerson"):
        return str(HostingOrder.Loa.DIRECT)
    return str(HostingOrder.Loa.BLANKET) if "blanketLoaInfo" in payload else ""


def as_read(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a create body as Sinch would show it: what it does not repeat is kept from there."""
    order = {
        key: body[key]
        for key in (
            "displayName",
            "regionCode",
            "servicePlanId",
            "campaignId",
            "scheduledOsrUpdateTime",
            "scheduledZipwhipProvisioningTime",
            "callbackUrl",
        )
        if body.get(key)
    }
    for key, word in (("directLoaInfo", "Direct"), ("resellerLoaInfo", "Reseller")):
        if key in body:
            order["textEnableInfo"] = {**mapping(body[key]), "loaType": word}
    if "blanketLoaInfo" in body:
        order["textEnableInfo"] = {"loaType": "Blanket"}
    if body.get("nnid"):
        order.setdefault("textEnableInfo", {})["nnid"] = body["nnid"]
    return order


def merge(stored: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON of Sinch's with a newer answer over it; an answer may leave out what it had."""
    merged = {**stored, **{key: value for key, value in answer.items() if value is not None}}
    before = mapping(stored.get("textEnableInfo"))
    now = mapping(answer.get("textEnableInfo"))
    if before or now:
        merged["textEnableInfo"] = {**before, **now}
    return merged


def read_report(answer: Mapping[str, Any]) -> dict[str, int]:
    """Return the counters of a report; one that is absent is 0."""
    return {name: whole(text(answer.get(name)), 999_999_999) or 0 for name in COUNTERS}


def list_digest(payload: Mapping[str, Any]) -> str:
    """Return what an order in a list is known again by."""
    return f"{text(payload.get('state'), 40)}|{text(payload.get('updatedTime'), 40)}"


def is_toll_free(numbers: Iterable[str]) -> bool:
    """Tell whether all numbers, and at least one, are toll-free."""
    codes = {area_code(number) in TOLL_FREE for number in numbers}
    return codes == {True}


# --- Numbers and their steps --------------------------------------------------------------------


@dataclass(frozen=True)
class StepFacts:
    """The steps of a number by our columns, and the error of each that has one."""

    steps: Mapping[str, str]
    errors: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """What the steps come to."""
        return verdict_of(self.steps.values())

    @property
    def standing(self) -> Mapping[str, str]:
        """What a number stands at: the steps that failed, else all of them.

        While a failure stands, steps that go on beside it are nothing new about it.
        """
        failed = {step: state for step, state in self.steps.items() if state == FAILED}
        return failed or self.steps


def verdict_of(states: Iterable[str]) -> str:
    """Return what states come to: failed if any is, done if all there are are, else pending.

    Absent and unspecified ones do not count. Source: the desk's own rule.
    """
    return _verdict_of(tuple(states))


@lru_cache(maxsize=4096)  # many numbers stand alike
def _verdict_of(states: tuple[str, ...]) -> str:
    counted = [state for state in states if state and not state.endswith("UNSPECIFIED")]
    if FAILED in counted:
        return str(Verdict.FAILED)
    if counted and all(state == DONE for state in counted):
        return str(Verdict.DONE)
    return str(Verdict.PENDING)


def is_held(code: str, message: str) -> bool:
    """Tell whether an error is T-Mobile's 60135, wherever it is written."""
    return HELD in code or HELD in message


def read_steps(payload: Mapping[str, Any]) -> StepFacts:
    """Return the steps of a number of an order. Source: "Get hosting order number"."""
    steps: dict[str, str] = {}
    errors: dict[str, tuple[str, str]] = {}
    for key, column in STEPS.items():
        block = payload.get(key)
        if not isinstance(block, Mapping):
            steps[column] = ""
            continue
        steps[column] = read_status(block.get("state"))
        _note_error(column, block, errors)
    return StepFacts(steps, errors)


def _note_error(column: str, block: Mapping[str, Any], errors: dict[str, tuple[str, str]]) -> None:
    code, message = block.get("errorCode"), block.get("errorMessage")
    if code or message:
        said = (text(code, 60), text(message, 500))
        if any(said):
            errors[column] = said


def times_of(payload: Mapping[str, Any]) -> dict[str, datetime]:
    """Return when each step of a number of an order was last updated, where Sinch says so."""
    return _times((column, payload.get(key)) for key, column in STEPS.items())


def _times(blocks: Iterable[tuple[str, object]]) -> dict[str, datetime]:
    found = ((column, read_moment(mapping(block).get("updateTime"))) for column, block in blocks)
    return {column: at for column, at in found if at is not None}


@dataclass(frozen=True)
class ImportedFacts:
    """What an imported number says, in our words."""

    phone_number: str
    region_code: str = ""
    display_name: str = ""
    service_plan_id: str = ""
    campaign_id: str = ""
    platform_type: str = ""
    campaign_type: str = ""
    steps: StepFacts = field(default_factory=lambda: StepFacts({}))
    is_settling: bool = False


IMPORTED_COLUMNS: Final = (
    "region_code",
    "display_name",
    "service_plan_id",
    "campaign_id",
    "platform_type",
    "campaign_type",
    "is_settling",
)


def read_imported(payload: Mapping[str, Any]) -> ImportedFacts:
    """Return the facts of an imported number. Source: "Get imported number"."""
    configuration = mapping(payload.get("smsConfiguration"))
    pending = mapping(configuration.get("scheduledProvisioning"))
    blocks = dict(_blocks_of_imported(payload))
    sms, campaign = mapping(blocks["platform"]), mapping(blocks["campaign"])
    steps = dict.fromkeys(STEPS.values(), "")
    errors: dict[str, tuple[str, str]] = {}
    for column, block in blocks.items():
        if isinstance(block, Mapping) and (block or column not in ("platform", "campaign")):
            steps[column] = read_status(block.get("state"))
            _note_error(column, block, errors)
    scheduled = state_of_scheduled(pending)
    if scheduled == FAILED:
        _note_scheduled_failure(configuration, blocks, steps, errors)
    return ImportedFacts(
        phone_number=phone_of(payload),
        region_code=text(payload.get("regionCode"), 8),
        display_name=text(payload.get("displayName"), 200),
        service_plan_id=text(configuration.get("servicePlanId"), 100),
        campaign_id=text(configuration.get("campaignId"), 100),
        platform_type=read_status(sms.get("type"))[:20],
        campaign_type=read_status(campaign.get("type"))[:20],
        steps=StepFacts(steps, errors),
        is_settling=scheduled == IN_PROGRESS or any(is_under_way(s) for s in steps.values()),
    )


def is_under_way(state: str) -> bool:
    """Tell whether a step is still being worked on."""
    return state in (WAITING, IN_PROGRESS)


def state_of_scheduled(pending: Mapping[str, Any]) -> str:
    """Return IN_PROGRESS, FAILED or DONE for a scheduled provisioning; "" for none.

    Its status is a name, or an integer of an enum that has no names: then error codes tell that it
    failed. Source: `ScheduledProvisioning`.
    """
    status = read_status(pending.get("status"))
    if status.endswith(FAILED):
        return FAILED
    if status.endswith((WAITING, IN_PROGRESS)):
        return IN_PROGRESS
    if _codes_of_scheduled(pending):
        return FAILED
    if status.endswith((DONE, "SUCCEEDED")):
        return DONE
    said = any(pending.get(key) for key in ("servicePlanId", "campaignId", "status"))
    return IN_PROGRESS if said else ""


def _codes_of_scheduled(pending: Mapping[str, Any]) -> list[str]:
    said = pending.get("errorCodes")
    codes = (text(code, 60) for code in said[:MOST_CODES]) if isinstance(said, list) else ()
    return [code for code in codes if code not in ("", "0")]


def _note_scheduled_failure(
    configuration: Mapping[str, Any],
    blocks: Mapping[str, object],
    steps: dict[str, str],
    errors: dict[str, tuple[str, str]],
) -> None:
    """Let the link that a failed scheduled provisioning was to make have failed, with its codes.

    The block of the step still tells how the one before it went. Codes are about campaigns; a
    plan's link has none. Source: hosting.md, "Callbacks", `failureCode`.
    """
    pending = mapping(configuration.get("scheduledProvisioning"))
    codes = _codes_of_scheduled(pending)
    keys = {"platform": "servicePlanId", "campaign": "campaignId"}
    wanted = [column for column, key in keys.items() if pending.get(key)]
    failed = [c for c in wanted if pending[keys[c]] != configuration.get(keys[c])] or wanted
    if codes and "campaign" in failed:
        failed = ["campaign"]
    for column in failed or ["platform"]:
        if read_status(mapping(blocks[column]).get("type")) == DEPROVISIONING:
            continue  # what came after it
        steps[column] = FAILED
        if codes:
            errors[column] = (AND.join(codes), errors.get(column, ("", ""))[1])


def _blocks_of_imported(payload: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "platform", payload.get("smsProvisioning")
    yield "campaign", payload.get("campaignProvisioning")
    operators = mapping(payload.get("mnoConfiguration"))
    for key in CARRIERS:
        yield STEPS[key], operators.get(key)


def times_of_imported(payload: Mapping[str, Any]) -> dict[str, datetime]:
    """Return when each step of an imported number was last updated, where Sinch says so."""
    return _times(_blocks_of_imported(payload))


def times_of_failures(payload: Mapping[str, Any]) -> dict[str, datetime]:
    """Return when each link of an imported number failed, as its own step or as scheduled."""
    configuration = mapping(payload.get("smsConfiguration"))
    pending = mapping(configuration.get("scheduledProvisioning"))
    if state_of_scheduled(pending) != FAILED:
        return times_of_imported(payload)
    # The steps themselves still tell when the links before were made.
    failed_at = read_moment(pending.get("lastUpdatedTime"))
    return {} if failed_at is None else {"platform": failed_at, "campaign": failed_at}


def links_at_work(payload: Mapping[str, Any]) -> dict[str, datetime | None]:
    """Return the links of an imported number, platform or campaign, that are not what they will be.

    Such a link is being made or taken away, or another one than stands there is scheduled. With
    each comes when Sinch last moved it; None where Sinch does not say.
    """
    facts, times = read_imported(payload), times_of_imported(payload)
    scheduled = mapping(mapping(payload.get("smsConfiguration")).get("scheduledProvisioning"))
    is_scheduled = state_of_scheduled(scheduled) == IN_PROGRESS
    found: dict[str, datetime | None] = {}
    for column, key, linked in (
        ("platform", "servicePlanId", facts.service_plan_id),
        ("campaign", "campaignId", facts.campaign_id),
    ):
        wanted = text(scheduled.get(key), 100) if is_scheduled else ""
        moved = []
        if wanted not in ("", linked):
            moved.append(read_moment(scheduled.get("lastUpdatedTime")))
        if is_under_way(facts.steps.steps[column]):
            moved.append(times.get(column))
        if moved:
            found[column] = max(filter(None, moved), default=None)
    return found


def unlinking_of(facts: ImportedFacts, column: str) -> str:
    """Return how far Sinch is with taking a link away: IN_PROGRESS, DONE, FAILED, "" for unsaid.

    `column` is platform or campaign. Unsaid it is while the id is empty already and what is shown
    is how the link was made, or nothing. Source: hosting.md, "Unlink before relink".
    """
    linked, kind = {
        "platform": (facts.service_plan_id, facts.platform_type),
        "campaign": (facts.campaign_id, facts.campaign_type),
    }[column]
    state = facts.steps.steps.get(column, "")
    if kind == DEPROVISIONING and state == FAILED:
        return FAILED
    if linked or is_under_way(state):
        return IN_PROGRESS
    return DONE if kind == DEPROVISIONING and state == DONE else ""


@dataclass(frozen=True)
class QualifiedFacts:
    """What a qualified number says, in our words."""

    phone_number: str
    state: str
    region_code: str = ""
    eligibility: str = ""
    eligibility_error: str = ""
    ownership: str = ""
    ownership_error: str = ""
    hosted: str = ""
    hosted_error: str = ""


QUALIFIED_COLUMNS: Final = tuple(
    name for name in QualifiedFacts.__dataclass_fields__ if name != "phone_number"
)
CLOCK_SLACK: Final = timedelta(minutes=1)  # Sinch's clock may be before ours, or behind
# Source: `hostedNumber.status`: integers in the schema, names beside them.
_HOSTED: Final = {"0": "", "1": "HOSTED", "2": "FAILED", "UNSPECIFIED": ""}


def read_qualified(payload: Mapping[str, Any]) -> QualifiedFacts:
    """Return the facts of a qualified number. Source: "Get qualified number"."""
    eligible = mapping(payload.get("osrEligibility"))
    owned = mapping(payload.get("ownershipVerification"))
    hosted = mapping(payload.get("hostedNumber"))
    status = read_status(hosted.get("status")).removeprefix("HOSTING_STATUS_")
    return QualifiedFacts(
        phone_number=phone_of(payload),
        state=_state(payload.get("globalProcessState"), "GLOBAL_PROCESS_STATE_"),
        region_code=text(payload.get("regionCode"), 8),
        eligibility=read_status(eligible.get("status")),
        eligibility_error=text(eligible.get("error"), 500),
        ownership=read_status(owned.get("status")),
        ownership_error=text(owned.get("error"), 500),
        hosted=_HOSTED.get(status, status),
        hosted_error=text(hosted.get("error"), 500),
    )


def made_at(payload: Mapping[str, Any]) -> datetime | None:
    """Return when a qualified number was made at Sinch, by our clock at the latest; None unsaid."""
    created = read_moment(payload.get("createdTime"))
    return None if created is None else created - CLOCK_SLACK


def updated_at(payload: Mapping[str, Any]) -> datetime | None:
    """Return when a qualified number was last changed at Sinch, by Sinch's clock; None unsaid."""
    return read_moment(payload.get("updatedTime"))


# --- What Sinch does not document ---------------------------------------------------------------


def undocumented(payload: Mapping[str, Any], kind: type) -> list[tuple[str, str]]:
    """Return (label, value) of what a payload says beyond its description; `kind` is its type."""
    known = {*kind.__annotations__, "hostingOrderInfo", "numberImport"}
    return list(_beyond(payload, known))


def _beyond(payload: Mapping[str, Any], known: set[str]) -> Iterator[tuple[str, str]]:
    for key, value in payload.items():
        if key not in known:
            yield from spelled((key,), value)


def undocumented_of_order(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what an order says beyond the contract."""
    return undocumented(payload, payloads.HostingOrder)
