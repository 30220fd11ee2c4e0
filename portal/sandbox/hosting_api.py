"""The operations of the Imported Numbers and Hosting Orders API, on the sandbox's state.

Each method answers one operation of the description and is named after it. Rules that a schema
cannot hold are checked here. Callers hold the state's lock.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from portal.sandbox.api import Call, Refusal, Reply
from portal.sandbox.clock import iso_instant
from portal.sandbox.config import SandboxConfig
from portal.sandbox.hosting_life import HostingLife
from portal.sandbox.hosting_state import (
    IMPORT,
    TEXT_ENABLE,
    HostedNumber,
    HostingOrder,
    Imported,
    Json,
    Qualified,
    ulid,
)
from portal.sandbox.hosting_wire import PREFIX, HostingWire
from portal.sandbox.rules import TOLL_FREE_AREA_CODES, area_code, is_north_american
from portal.sandbox.state import State

DEFAULT_PAGE_SIZE = 20
MOST_PAGE_SIZE = 1000


class HostingApi:
    """Sinch's hosting API on a state."""

    def __init__(self, state: State, config: SandboxConfig, life: HostingLife) -> None:
        self._state = state
        self._hosting = state.hosting
        self._config = config
        self._life = life
        self.handlers: dict[str, Callable[[Call], Reply]] = {
            "HostingOrderService_ListHostingOrders": self.list_orders,
            "HostingOrderService_GetHostingOrder": self.get_order,
            "GetHostingOrderReport": self.get_report,
            "HostingOrderService_ListHostingOrderNumbers": self.list_numbers,
            "HostingOrderService_GetHostingOrderNumber": self.get_number,
            "HostingOrderService_ImportNumbers": self.import_numbers,
            "TextEnableNumbers": self.text_enable,
            "TextEnableTollFreeNumbers": self.text_enable_toll_free,
            "ImportNumberService_ListImportedNumbers": self.list_imported,
            "ImportNumberService_ImportNumber": self.import_number,
            "ImportNumberService_GetImportedNumber": self.get_imported,
            "ImportNumberService_UpdateImportedNumber": self.update_imported,
            "ImportNumberService_DeleteImportedNumber": self.delete_imported,
            "QualifiedNumberService_ListQualifiedNumbers": self.list_qualified,
            "QualifiedNumberService_GetQualifiedNumber": self.get_qualified,
            "QualifiedNumberService_DeleteQualifiedNumber": self.delete_qualified,
            "QualifiedNumberService_BatchCreateQualifiedNumbers": self.add_qualified,
            "QualifiedNumberService_SendVoiceChallenge": self.send_voice_challenge,
            "QualifiedNumberService_VerifyVoiceChallenge": self.verify_voice_challenge,
            "QualifiedNumberService_TextEnableNumbers": self.text_enable_qualified,
            "QualifiedNumbersTextEnableTollFreeNumbers": self.text_enable_toll_free,
            "GetCallbackConfiguration": self.get_callback_configuration,
            "UpdateCallbackConfiguration": self.update_callback_configuration,
        }

    def handle(self, operation_id: str, call: Call) -> Reply:
        """Answer one call; raises Refusal."""
        return self.handlers[operation_id](call)

    @property
    def wire(self) -> HostingWire:
        """How things are written at the moment."""
        return HostingWire(self._state.personality, self._config.project_id)

    # Hosting orders

    def list_orders(self, call: Call) -> Reply:
        """List orders by state, type, plan and campaign."""
        query = call.query
        self._need(query, "states", "type", "servicePlanId", "campaignId")
        found = [
            order
            for order in self._hosting.orders.values()
            if query.get("states") in (None, order.state)
            and query.get("type") in (None, order.type)
            and query.get("servicePlanId") in (None, order.service_plan)
            and query.get("campaignId") in (None, order.campaign)
            and query.get("regionCode") in (None, order.region)
            and (order.campaign or self._state.personality.without_campaign == "listed")
        ]
        return self._page(call, "hostingOrders", found, self.wire.listed_order)

    def get_order(self, call: Call) -> Reply:
        """Read one order."""
        return Reply(200, self.wire.order(self._order(call)))

    def get_report(self, call: Call) -> Reply:
        """Read the counters of an order."""
        return Reply(200, self.wire.report(self._order(call)))

    def list_numbers(self, call: Call) -> Reply:
        """List the numbers of an order."""
        order, query = self._order(call), call.query

        def fits(number: HostedNumber) -> bool:
            steps = (
                ("osrUpdateState", "osrUpdate"),
                ("campaignProvisioningState", "campaignProvisioning"),
                ("platformProvisioningState", "platformProvisioning"),
            )
            return all(
                query.get(name) in (None, number.steps.get(step, {}).get("state"))
                for name, step in steps
            )

        found = [number for number in order.numbers if fits(number)]
        return self._page(call, "numbers", found, lambda n: self.wire.number(order, n))

    def get_number(self, call: Call) -> Reply:
        """Read one number of an order."""
        order = self._order(call)
        number = order.number(call.path["phoneNumber"])
        if number is None:
            raise Refusal(404)
        return Reply(200, self.wire.number(order, number))

    def import_numbers(self, call: Call) -> Reply:
        """Make an import order."""
        body = call.body
        if len(body["numbers"]) > self._config.import_limit:
            raise _refused("numbers", f"At most {self._config.import_limit} numbers")
        moves = body.get("migrateToSinchTmo") and self._state.personality.held_import == "taken"
        for number in body["numbers"]:
            there = self._hosting.imported.get(number)
            elsewhere = number.endswith("90")
            if elsewhere or (there and (there.plan.id or there.plan.is_pending) and not moves):
                raise Refusal(409, f"Number {number} is already imported")
        order = self.make_order(body, type_=IMPORT)
        return Reply(200, self.wire.order(order))

    def text_enable(self, call: Call) -> Reply:
        """Make a text-enable order."""
        self._check_text_enable(call.body, toll_free=False)
        return Reply(200, self.wire.order(self.make_order(call.body, type_=TEXT_ENABLE)))

    def text_enable_toll_free(self, call: Call) -> Reply:
        """Make a toll-free order, of qualified numbers or others."""
        self._check_text_enable(call.body, toll_free=True)
        order = self.make_order(call.body, type_=TEXT_ENABLE, toll_free=True)
        self._host_qualified(order)
        return Reply(200, self.wire.order(order))

    def text_enable_qualified(self, call: Call) -> Reply:
        """Make a text-enable order of verified numbers; the answer is its id."""
        self._check_text_enable(call.body, toll_free=False)
        for number in call.body["numbers"]:
            known = self._hosting.qualified.get(number)
            if known is None or known.state != "VERIFIED":
                raise Refusal(404, f"Number {number} is not a verified number")
        order = self.make_order(call.body, type_=TEXT_ENABLE)
        self._host_qualified(order)
        return Reply(200, {"hostingOrderId": order.id})

    def make_order(
        self, body: Json, *, type_: str, toll_free: bool = False, origin: str = "api"
    ) -> HostingOrder:
        """Store an order from a checked body."""
        kind = next((k for k in ("direct", "reseller", "blanket") if f"{k}LoaInfo" in body), "")
        now = self._now
        order = HostingOrder(
            id=ulid(),
            type=type_,
            created_at=now,
            updated_at=now,
            display_name=body.get("displayName", ""),
            region=body["regionCode"],
            service_plan=body["servicePlanId"],
            campaign=body.get("campaignId", ""),
            nnid=body.get("nnid", ""),
            loa_kind=kind,
            loa=dict(body.get(f"{kind}LoaInfo") or {}),
            toll_free=toll_free,
            scheduled=body.get("scheduledOsrUpdateTime")
            or body.get("scheduledZipwhipProvisioningTime")
            or "",
            migrate=bool(body.get("migrateToSinchTmo")),
            callback_url=body.get("callbackUrl", ""),
            numbers=[HostedNumber(number) for number in body["numbers"]],
            origin=origin,
        )
        self._life.first_steps(order)
        self._hosting.orders[order.id] = order
        self._state.touch()
        return order

    def _check_text_enable(self, body: Json, *, toll_free: bool) -> None:
        for index, number in enumerate(body["numbers"]):
            is_toll_free = area_code(number) in TOLL_FREE_AREA_CODES
            if not is_north_american(number):
                raise _refused(f"numbers[{index}]", "Only US and CA numbers can be hosted")
            if is_toll_free != toll_free:
                word = "Toll-free numbers only" if toll_free else "TFN_NOT_ALLOWED"
                raise _refused(f"numbers[{index}]", word)

    def _host_qualified(self, order: HostingOrder) -> None:
        for number in order.numbers:
            if known := self._hosting.qualified.get(number.phone_number):
                self._life.be(known, "HOSTING_IN_PROGRESS")

    # Imported numbers

    def list_imported(self, call: Call) -> Reply:
        """List imported numbers by plan and campaign, and by digits."""
        query = call.query
        self._need(query, "servicePlanId", "campaignId")
        pattern = query.get("numberPattern.pattern", "")
        where = query.get("numberPattern.searchPattern", "CONTAIN")

        def fits(number: Imported) -> bool:
            phone = number.phone_number
            by_digits = {
                "START": phone.startswith(pattern),
                "END": phone.endswith(pattern),
                "CONTAIN": pattern in phone,
            }[where]
            return (
                query.get("servicePlanId") in (None, number.plan.id or number.plan.target)
                and query.get("campaignId") in (None, number.campaign.id or number.campaign.target)
                and query.get("regionCode") in (None, number.region)
                and by_digits
            )

        found = [number for number in self._hosting.imported.values() if fits(number)]
        return self._page(call, "importedNumbers", found, self.wire.imported)

    def import_number(self, call: Call) -> Reply:
        """Import one number."""
        body = call.body
        phone = body["phoneNumber"]
        if phone in self._hosting.imported or phone.endswith("90"):
            raise Refusal(409, f"Number {phone} is already imported")
        number = Imported(
            phone,
            body["regionCode"],
            body.get("displayName", ""),
            callback_url=body.get("callbackUrl", ""),
            created_at=self._now,
        )
        wanted = body["smsConfiguration"]
        self._life.provision(
            number, plan=wanted.get("servicePlanId"), campaign=wanted.get("campaignId")
        )
        self._hosting.imported[phone] = number
        return Reply(200, self.wire.imported(number, whole=False))

    def get_imported(self, call: Call) -> Reply:
        """Read one imported number."""
        return Reply(200, self.wire.imported(self._imported(call)))

    def update_imported(self, call: Call) -> Reply:
        """Rename, unlink or link a number; a link is never changed in one call."""
        number, body = self._imported(call), call.body
        wanted = body.get("smsConfiguration") or {}
        for key, link in (("servicePlanId", number.plan), ("campaignId", number.campaign)):
            new = wanted.get(key)
            busy = link.id or (link.is_pending and link.type == "DEPROVISIONING")
            if new and busy and new != link.id:
                raise _refused(f"smsConfiguration.{key}", "Unlink the number first")
        if "displayName" in body:
            number.display_name = body["displayName"]
        if body.get("callbackUrl"):
            number.callback_url = body["callbackUrl"]
        plan, campaign = wanted.get("servicePlanId"), wanted.get("campaignId")
        self._life.provision(
            number,
            plan=plan if plan != number.plan.id else None,
            campaign=campaign if campaign != number.campaign.id else None,
        )
        return Reply(200, self.wire.imported(number, whole=False))

    def delete_imported(self, call: Call) -> Reply:
        """Delete a number."""
        self._life.delete_imported(self._imported(call))
        return self._deleted()

    # Qualified numbers

    def list_qualified(self, call: Call) -> Reply:
        """List qualified numbers by state."""
        self._need(call.query, "states")
        wanted = call.query.get("states", "").removeprefix(PREFIX)
        found = [n for n in self._hosting.qualified.values() if wanted in ("", n.state)]
        return self._page(call, "qualifiedNumbers", found, self.wire.qualified)

    def get_qualified(self, call: Call) -> Reply:
        """Read one qualified number."""
        return Reply(200, self.wire.qualified(self._qualified(call)))

    def delete_qualified(self, call: Call) -> Reply:
        """Delete a qualified number."""
        del self._hosting.qualified[self._qualified(call).phone_number]
        self._state.touch()
        return self._deleted()

    def add_qualified(self, call: Call) -> Reply:
        """Take numbers in for qualification; known ones stay what they are."""
        taken = []
        for phone in call.body["phoneNumbers"]:
            now = self._now
            number = self._hosting.qualified.setdefault(
                phone, Qualified(phone, "ELIGIBLE_CHECK_PENDING", now, now)
            )
            taken.append(self.wire.qualified(number))
        self._state.touch()
        return Reply(200, {"qualifiedNumbers": taken})

    def send_voice_challenge(self, call: Call) -> Reply:
        """Call a number with a code."""
        number = self._qualified(call)
        if number.state in ("VERIFICATION_BLOCKED", "NOT_ELIGIBLE"):
            raise Refusal(400, "The number cannot be called in its present state")
        self._life.call(number)
        return Reply(200, self.wire.qualified(number))

    def verify_voice_challenge(self, call: Call) -> Reply:
        """Judge a code."""
        number = self._qualified(call)
        before = self.wire.qualified(number)
        right = self._life.verify(number, call.body["code"])
        if not right and self._state.personality.wrong_code == "error":
            raise _refused("code", "The code is wrong")
        told_later = self._state.personality.wrong_code == "later"
        return Reply(200, before if told_later else self.wire.qualified(number))

    # Callbacks

    def get_callback_configuration(self, call: Call) -> Reply:
        """Read the signing secret."""
        body: Json = {"projectId": self._config.project_id}
        if self._hosting.secret:
            body["hmacSecret"] = self._hosting.secret
        return Reply(200, body)

    def update_callback_configuration(self, call: Call) -> Reply:
        """Set the signing secret."""
        self._hosting.secret = call.body["hmacSecret"]
        self._state.touch()
        return self.get_callback_configuration(call)

    # Small things

    @property
    def _now(self) -> str:
        return iso_instant(self._config.clock.now())

    def _need(self, query: Any, *names: str) -> None:
        if self._state.personality.list_filters == "some":
            return
        missing = [name for name in names if name not in query]
        if missing:
            raise _refused(missing[0], "This parameter is required")

    def _order(self, call: Call) -> HostingOrder:
        found = self._hosting.orders.get(call.path["hostingOrderId"])
        if found is None:
            raise Refusal(404)
        return found

    def _imported(self, call: Call) -> Imported:
        found = self._hosting.imported.get(call.path["phoneNumber"])
        if found is None:
            raise Refusal(404)
        return found

    def _qualified(self, call: Call) -> Qualified:
        found = self._hosting.qualified.get(call.path["phoneNumber"])
        if found is None:
            raise Refusal(404)
        return found

    def _deleted(self) -> Reply:
        return Reply(200, {} if self._state.personality.delete_body == "object" else None)

    def _page(
        self, call: Call, wrapper: str, found: Sequence[Any], write: Callable[[Any], Json]
    ) -> Reply:
        size = min(int(call.query.get("pageSize", DEFAULT_PAGE_SIZE)), MOST_PAGE_SIZE)
        size = min(size, self._config.hosting_page_size)
        start = _start_of(call.query.get("pageToken", ""))
        page = found[start : start + size]
        body: Json = {wrapper: [write(thing) for thing in page], "totalSize": len(found)}
        if start + size < len(found):
            body["nextPageToken"] = base64.b64encode(f"from:{start + size}".encode()).decode()
        elif self._state.personality.last_page != "absent":
            body["nextPageToken"] = None if self._state.personality.last_page == "null" else ""
        return Reply(200, body)


def _start_of(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True).decode().removeprefix("from:"))
    except (binascii.Error, ValueError) as error:
        raise _refused("pageToken", "Not a page token") from error


def _refused(field: str, description: str) -> Refusal:
    return Refusal(400, f"Invalid {field}", violations=[(field, description)])
