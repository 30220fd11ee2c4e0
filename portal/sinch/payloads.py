"""The JSON of Sinch's Porting API as types, and the one rule about what may be sent.

Keys are Sinch's own. Read types promise nothing: any key may be missing, null or joined by new
ones, so code that reads them uses `.get`. Write types hold what the contract allows, no more.
Source: Porting API v1.0 reference; see `portal/sandbox/openapi/porting.openapi.yaml`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NotRequired, TypedDict, cast
from zoneinfo import ZoneInfo

# The zones that may be written; GMT is only ever read.
PORT_ZONES: Final = ("US/Eastern", "US/Central", "US/Mountain", "US/Pacific")


class PortabilityResult(TypedDict):
    """Whether one number can be ported; `carrier` is the losing one, `reason` may be empty."""

    phoneNumber: str
    portable: bool
    carrier: NotRequired[str | None]
    reason: NotRequired[str | None]


class DesiredPortSchedule(TypedDict, total=False):
    """Date as YYYY-MM-DD, time as HH:MM:SS in the zone beside it."""

    desiredPortDate: str
    desiredPortTime: str | None
    desiredPortTimeZone: str | None


class EndUser(TypedDict, total=False):
    """The customer of record, exactly as the losing carrier has it."""

    name: str
    streetNum: str
    streetName: str
    streetPreDir: str
    streetType: str
    streetPostDir: str
    locationType1: str
    locationValue1: str
    locationType2: str
    locationValue2: str
    locationType3: str
    locationValue3: str
    city: str
    state: str
    zipCode: str
    typeOfService: str


class PortOutInfo(TypedDict, total=False):
    """What the losing carrier asks for; PIN and account number are secret."""

    existingPortOutPin: str | None
    accountNum: str | None
    accountPhoneNumber: str | None
    authorizingName: str | None
    authorizingDate: str | None


class VoiceConfiguration(TypedDict, total=False):
    """`type` RTC with `appId`, EST with `trunkId` or FAX with `serviceId`."""

    type: str
    appId: str | None
    trunkId: str | None
    serviceId: str | None


class SmsConfiguration(TypedDict, total=False):
    """The SMS service a number is tied to."""

    smsAppId: str | None


class E911(TypedDict, total=False):
    """Emergency address; the `enh` keys are the validated form and only ever read."""

    name: str
    streetNum: str
    streetInfo: str
    location: str
    city: str
    state: str
    postalCode: str
    postalCodePlusFour: str
    enhStreetNum: str | None
    enhStreetInfo: str | None
    enhLocation: str | None
    enhCity: str | None
    enhState: str | None
    enhPostalCode: str | None
    enhPostalCodePlusFour: str | None


class Features(TypedDict, total=False):
    """What a number has beside voice and SMS; only E911 is documented."""

    e911: E911 | None


class ExcludedFeature(TypedDict, total=False):
    """A feature left out although the number ports."""

    featureName: str
    exclusionReason: str | None


class PhoneNumberWrite(TypedDict):
    """One number of an order as it is sent."""

    phoneNumber: str
    endUser: EndUser
    portOutInfo: PortOutInfo
    voiceConfiguration: NotRequired[VoiceConfiguration]
    smsConfiguration: NotRequired[SmsConfiguration]
    features: NotRequired[Features]
    newPortOutPin: NotRequired[str]


class PhoneNumber(TypedDict, total=False):
    """One number of an order as it is read; short answers hold number and status only."""

    phoneNumber: str
    status: str
    countryCode: str | None
    endUser: EndUser | None
    portOutInfo: PortOutInfo | None
    voiceConfiguration: VoiceConfiguration | None
    smsConfiguration: SmsConfiguration | None
    features: Features | None
    newPortOutPin: str | None
    phoneNumberGroup: str | None
    focDate: str | None
    rejectReason: str | None
    exclusionReason: str | None
    exclusionTime: str | None
    exclusionDate: str | None
    excludedFeatures: list[ExcludedFeature] | None
    activateTime: str | None
    activatedDate: str | None
    confirmedDate: str | None
    activateUser: str | None


class PortInOrderWrite(TypedDict):
    """Body of a new order and of its full replacement."""

    desiredPortSchedule: DesiredPortSchedule
    phoneNumbers: list[PhoneNumberWrite]
    customerOrderReference: NotRequired[str]
    onDemandActivation: NotRequired[bool]
    loaUploadedBy: NotRequired[str]
    loaAttachmentDate: NotRequired[str]
    resellerName: NotRequired[str]


class Note(TypedDict, total=False):
    """A note inside an order (no id there), or the answer to a new one."""

    id: str
    note: str
    createdTime: str | None
    createdBy: str | None


class DocumentMeta(TypedDict, total=False):
    """A document without its content."""

    id: str
    documentName: str | None
    description: str | None


class PortInOrder(TypedDict, total=False):
    """An order as it is read. The client turns ids into text; the rest is as Sinch sent it."""

    id: str
    status: str
    desiredPortSchedule: DesiredPortSchedule
    customerOrderReference: str | None
    onDemandActivation: bool | None
    loaUploadedBy: str | None
    loaAttachmentDate: str | None
    phoneNumbers: list[PhoneNumber]
    notes: list[Note] | None
    documents: list[DocumentMeta] | None
    createdDate: str | None
    resellerName: str | None


class OrderListItem(TypedDict, total=False):
    """An order as the list shows it: counters instead of numbers."""

    id: str
    status: str
    customerOrderReference: str | None
    createdDate: str | None
    phoneNumberQuantity: int
    focQuantity: int
    activatedQuantity: int
    rejectedQuantity: int
    excludedQuantity: int


class ActivatedGroup(TypedDict, total=False):
    """A group named in the answer to an activation; its status words are not documented."""

    phoneNumberGroup: str
    status: str


class ActivateResponse(TypedDict, total=False):
    """Answer to an activation; often nothing at all."""

    phoneNumberGroups: list[ActivatedGroup]


class ConfigurationContact(TypedDict, total=False):
    """Whom Sinch asks about ports of this project."""

    email: str | None
    name: str | None
    phone: str | None


class Configuration(TypedDict, total=False):
    """Porting defaults of a project; on read `webhookUrl` may be a bare host name."""

    contact: ConfigurationContact | None
    webhookUrl: str | None
    defaultPortTime: str | None
    defaultPortTimeZone: str | None


ActivateKey = Literal["groupIds", "phoneNumberGroups"]

_ORDER_KEYS = (
    "customerOrderReference",
    "onDemandActivation",
    "loaUploadedBy",
    "loaAttachmentDate",
    "resellerName",
)
_SCHEDULE_KEYS = ("desiredPortDate", "desiredPortTime", "desiredPortTimeZone")
_END_USER_KEYS = tuple(EndUser.__annotations__)
_PORT_OUT_KEYS = tuple(PortOutInfo.__annotations__)
_E911_KEYS = tuple(key for key in E911.__annotations__ if not key.startswith("enh"))
_VOICE_ID_KEYS = {"RTC": "appId", "EST": "trunkId", "FAX": "serviceId"}


def storable_text(value: str) -> str:
    """Return a text without what JSON may hold and a database may not.

    NUL is taken out; half a surrogate pair, which is no legal text, becomes a question mark.
    """
    if "\x00" in value:
        value = value.replace("\x00", "")
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def writable_order(order: Mapping[str, Any]) -> PortInOrderWrite:
    """Return what may be sent of an order: writable keys that hold a value, in Sinch's format.

    An order that was read passes through here before it is sent back, because whether Sinch
    ignores or refuses echoed read-only keys is not documented. A port date loses its time of
    day, a port time its "Z"; a value nobody filled in is left out, which clears it on update.
    Source: Porting API, "Update a port-in order".
    """
    body = _picked(order, _ORDER_KEYS)
    body["desiredPortSchedule"] = _writable_schedule(order.get("desiredPortSchedule") or {})
    body["phoneNumbers"] = [_writable_number(item) for item in order.get("phoneNumbers") or []]
    return cast(PortInOrderWrite, body)


def _writable_schedule(schedule: Mapping[str, Any]) -> dict[str, Any]:
    body = _picked(schedule, _SCHEDULE_KEYS)
    if isinstance(day := body.get("desiredPortDate"), str):
        body["desiredPortDate"] = day = day[:10]
    if isinstance(at := body.get("desiredPortTime"), str):
        zone = str(body.get("desiredPortTimeZone") or "")
        body["desiredPortTime"], zone = written_time(at, zone, str(day or ""))
        if zone:
            body["desiredPortTimeZone"] = zone
    return body


def written_time(at: str, zone: str, day: str) -> tuple[str, str]:
    """Return a time of day and its zone as Sinch takes them: HH:MM:SS in one of PORT_ZONES.

    A time that was read may lack its seconds, end in "Z" or stand in GMT. It is told in
    US/Eastern then, as it is on that day (YYYY-MM-DD); what cannot be told so stays as it is.
    """
    at = at.removesuffix("Z")
    at = f"{at}:00" if at.count(":") == 1 else at
    if not zone or zone in PORT_ZONES:
        return at, zone
    try:
        moment = datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=ZoneInfo(zone))
    except (ValueError, KeyError, OSError):  # no date, no time, no zone, the name of a folder
        return at, zone
    there = moment.astimezone(ZoneInfo(PORT_ZONES[0]))
    return (f"{there:%H:%M:%S}", PORT_ZONES[0]) if f"{there:%Y-%m-%d}" == day else (at, zone)


def _writable_number(number: Mapping[str, Any]) -> dict[str, Any]:
    body = _picked(number, ("phoneNumber", "newPortOutPin"))
    body["endUser"] = _picked(number.get("endUser") or {}, _END_USER_KEYS)
    body["portOutInfo"] = _picked(number.get("portOutInfo") or {}, _PORT_OUT_KEYS)
    if voice := _writable_voice(number.get("voiceConfiguration") or {}):
        body["voiceConfiguration"] = voice
    if sms := _picked(number.get("smsConfiguration") or {}, ("smsAppId",)):
        body["smsConfiguration"] = sms
    features = number.get("features") or {}
    if e911 := _picked(features.get("e911") or {}, _E911_KEYS):
        body["features"] = {"e911": e911}
    return body


def _writable_voice(voice: Mapping[str, Any]) -> dict[str, Any]:
    # Each kind takes its own id and no other; an unknown kind is left for Sinch to judge.
    id_key = _VOICE_ID_KEYS.get(str(voice.get("type")))
    return _picked(voice, ("type", id_key) if id_key else ("type", *_VOICE_ID_KEYS.values()))


def _picked(source: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: source[key] for key in keys if source.get(key) not in (None, "")}
