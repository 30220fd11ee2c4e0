"""JSON of the Imported Numbers and Hosting Orders API, as the client hands it out.

Source: Imported Numbers and Hosting Orders API, version 1.0, schemas of the same names.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

from portal.sinch.payloads import storable_text


class AuthorisedPerson(TypedDict, total=False):
    """Who signs the LOA; the British spelling of its key is Sinch's."""

    firstName: str
    lastName: str
    email: str


class Address(TypedDict, total=False):
    """A service address; `country` is US or CA, `state` two letters."""

    buildingNumber: str
    street: str
    city: str
    state: str
    postalCode: str
    country: str


class LoaInfo(TypedDict, total=False):
    """What a direct or reseller LOA is made of; `businessName` for resellers only."""

    businessName: str
    authorisedPerson: AuthorisedPerson
    address: Address
    currentVoiceCarrier: str


class TextEnableInfo(LoaInfo, total=False):
    """The LOA of an order as it is read."""

    serviceProvider: str
    nnid: str
    loaType: str


class HostingOrder(TypedDict, total=False):
    """A hosting order without its numbers; the LOA block is always `textEnableInfo` here."""

    projectId: str
    hostingOrderId: str
    displayName: str
    regionCode: str
    state: str
    type: str
    createdTime: str
    updatedTime: str
    scheduledOsrUpdateTime: str
    scheduledZipwhipProvisioningTime: str
    servicePlanId: str
    campaignId: str
    migrateToSinchTmo: bool
    textEnableInfo: TextEnableInfo
    numberImport: Any
    callbackUrl: str


class HostingOrderReport(TypedDict):
    """How far the numbers of an order are; counts."""

    total: int
    osrUpdated: int
    smsProvisioned: int
    addedToCampaign: int
    ongoingManualAction: int


class CarrierState(TypedDict, total=False):
    """One service at one mobile operator."""

    state: str
    operation: str
    errorCode: str | int | None
    errorMessage: str | None
    updateTime: str | None


class HostingOrderNumber(TypedDict, total=False):
    """A number of an order, with each step; a block that is absent does not apply."""

    projectId: str
    hostingOrderId: str
    phoneNumber: str
    osrUpdate: dict[str, Any]
    campaignProvisioning: dict[str, Any]
    platformProvisioning: dict[str, Any]
    smsAtt: CarrierState
    smsTmo: CarrierState
    mmsAtt: CarrierState
    mmsTmo: CarrierState


class ImportedNumber(TypedDict, total=False):
    """An imported number; POST and PATCH answer without the last three blocks."""

    phoneNumber: str
    projectId: str
    regionCode: str
    displayName: str
    smsConfiguration: dict[str, Any]
    callbackUrl: str
    mnoConfiguration: dict[str, CarrierState]
    smsProvisioning: dict[str, Any]
    campaignProvisioning: dict[str, Any]


class QualifiedNumber(TypedDict, total=False):
    """A number being qualified; `globalProcessState` is without its prefix here."""

    phoneNumber: str
    projectId: str
    regionCode: str
    globalProcessState: str
    osrEligibility: dict[str, Any]
    ownershipVerification: dict[str, Any]
    hostedNumber: dict[str, Any]
    createdTime: str
    updatedTime: str


class CallbackConfiguration(TypedDict, total=False):
    """The secret that signs a project's callbacks, in clear."""

    projectId: str
    hmacSecret: str


COMMON_KEYS = ("displayName", "regionCode", "numbers", "servicePlanId", "callbackUrl")
LOA_KEYS = ("directLoaInfo", "resellerLoaInfo")
IMPORT_KEYS = (*COMMON_KEYS, "campaignId", "migrateToSinchTmo")
TEXT_ENABLE_KEYS = (
    *COMMON_KEYS,
    "campaignId",
    "nnid",
    *LOA_KEYS,
    "blanketLoaInfo",
    "scheduledOsrUpdateTime",
    "migrateToSinchTmo",
)
TOLL_FREE_KEYS = (*COMMON_KEYS, *LOA_KEYS, "scheduledZipwhipProvisioningTime")
NUMBER_KEYS = ("phoneNumber", "regionCode", "displayName", "smsConfiguration", "callbackUrl")


def writable(body: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the keys of a body that a request takes, without what is empty of meaning.

    An empty text is kept inside `smsConfiguration`, where it unlinks, and left out elsewhere.
    """
    return {
        key: _plain(body[key])
        for key in keys
        if body.get(key) is not None and (body[key] != "" or key == "blanketLoaInfo")
    }


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
