"""The Imported Numbers and Hosting Orders API: one method for each of Sinch's operations.

Where Sinch's documents differ or are silent, every reading is accepted here and the caller sees
one shape: the id of an order is `hostingOrderId` as text, its LOA is `textEnableInfo`, the state
of a qualified number has no prefix. All methods raise SinchError; see `portal.sinch.errors` for
which and for `outcome_unknown`. No operation knows an idempotency key: a create is sent once, and
after an unknown outcome it is looked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote

from portal.sinch.errors import SinchNotFound, SinchUnexpectedReply
from portal.sinch.payloads_hosting import (
    IMPORT_KEYS,
    NUMBER_KEYS,
    TEXT_ENABLE_KEYS,
    TOLL_FREE_KEYS,
    CallbackConfiguration,
    HostingOrder,
    HostingOrderNumber,
    HostingOrderReport,
    ImportedNumber,
    QualifiedNumber,
    writable,
)
from portal.sinch.transport import Transport

TEXT_ENABLE_BATCH: Final = 500  # numbers in one text-enable order
QUALIFY_BATCH: Final = 500  # numbers in one call; no limit is documented
PAGE_SIZE: Final = 500  # a wish: neither default nor ceiling is documented
MOST_PAGES: Final = 10_000
ID_LENGTH: Final = 64  # characters of an order id that the desk can keep
STATE_PREFIX: Final = "GLOBAL_PROCESS_STATE_"
ORDERS: Final = "/hostingOrders"
IMPORTED: Final = "/importedNumbers"
QUALIFIED: Final = "/qualifiedNumbers"
CONFIGURATION: Final = "/callbackConfiguration"


class HostingClient:
    """The hosting operations of one Sinch project; safe to share between threads."""

    def __init__(self, transport: Transport, project_id: str) -> None:
        self._transport = transport
        self._project_id = project_id

    def __repr__(self) -> str:
        """Return what may be told: the project, never the key."""
        return f"<HostingClient {self._transport!r}>"

    # Hosting orders

    def iter_hosting_orders(
        self,
        *,
        state: str,
        order_type: str,
        service_plan_id: str,
        campaign_id: str,
        region_code: str | None = None,
        odd: bool = False,
    ) -> Iterator[HostingOrder]:
        """Yield every order of one state, type, plan and campaign, once.

        With `odd` so are entries whose id is missing or cannot be kept; see `is_usable`. Source:
        "List hosting orders"; all four filters are documented as required.
        """
        query = {
            "states": state,
            "type": order_type,
            "servicePlanId": service_plan_id,
            "campaignId": campaign_id,
            "regionCode": region_code,
        }
        for entry in self._walk(ORDERS, query, "hostingOrders", "hostingOrderId", odd=odd):
            order = _order(entry)
            if not odd and not is_usable(order["hostingOrderId"]):
                raise _unexpected("GET", ORDERS, "an order id that cannot be kept")
            yield order

    def get_hosting_order(self, order_id: str) -> HostingOrder:
        """Return one order. Raises SinchNotFound for one this project does not have.

        Source: "Get hosting order".
        """
        path = _order_path(order_id)
        answer = self._transport.get(path)
        if not isinstance(answer, dict):
            raise _unexpected("GET", path, "no order in the answer")
        order = _order(answer)
        # Another order's facts must never be stored under this one.
        if order.setdefault("hostingOrderId", order_id) != order_id:
            raise _unexpected("GET", path, "the answer is about another order")
        return order

    def get_hosting_order_report(self, order_id: str) -> HostingOrderReport:
        """Return how far an order's numbers are; a counter that Sinch leaves out is 0.

        Source: "Get hosting order report".
        """
        path = f"{_order_path(order_id)}/report"
        answer = self._transport.get(path)
        if answer is not None and not isinstance(answer, dict):
            raise _unexpected("GET", path, "no report in the answer")
        said = answer or {}
        return HostingOrderReport(
            total=_count(said.get("total")),
            osrUpdated=_count(said.get("osrUpdated")),
            smsProvisioned=_count(said.get("smsProvisioned")),
            addedToCampaign=_count(said.get("addedToCampaign")),
            ongoingManualAction=_count(said.get("ongoingManualAction")),
        )

    def iter_hosting_order_numbers(
        self,
        order_id: str,
        *,
        osr_state: str | None = None,
        campaign_state: str | None = None,
        platform_state: str | None = None,
    ) -> Iterator[HostingOrderNumber]:
        """Yield every number of an order once, with the state of each step.

        Raises SinchUnexpectedReply after the last when the pages have shifted meanwhile, so that
        one may be missing; see `_walk`. Source: "List hosting order numbers".
        """
        query = {
            "osrUpdateState": osr_state,
            "campaignProvisioningState": campaign_state,
            "platformProvisioningState": platform_state,
        }
        path = f"{_order_path(order_id)}/numbers"
        for entry in self._walk(path, query, "numbers", "phoneNumber", whole=True):
            yield cast(HostingOrderNumber, entry)

    def get_hosting_order_number(self, order_id: str, phone: str) -> HostingOrderNumber:
        """Return one number of an order. Source: "Get hosting order number"."""
        path = f"{_order_path(order_id)}/numbers/{_phone(phone)}"
        return cast(HostingOrderNumber, self._thing(path, phone))

    def import_numbers(self, body: Mapping[str, Any]) -> HostingOrder:
        """Make an import order, sent once; {} when Sinch says nothing of it.

        Source: "Import numbers through a hosting order".
        """
        return self._made(f"{ORDERS}:importNumbers", writable(body, IMPORT_KEYS))

    def text_enable_numbers(self, body: Mapping[str, Any]) -> HostingOrder:
        """Make a text-enable order, sent once; exactly one LOA block goes with it.

        Source: "Text-enable numbers through a hosting order".
        """
        return self._made(f"{ORDERS}:textEnableNumbers", writable(body, TEXT_ENABLE_KEYS))

    def text_enable_toll_free_numbers(self, body: Mapping[str, Any]) -> HostingOrder:
        """Make a toll-free order, sent once, its fields at the top level.

        Source: "Text-enable toll-free numbers through a hosting order".
        """
        return self._made(f"{ORDERS}:textEnableTollFreeNumbers", self._toll_free(body))

    # Imported numbers

    def iter_imported_numbers(
        self,
        *,
        service_plan_id: str,
        campaign_id: str,
        region_code: str | None = None,
        pattern: str | None = None,
        search_pattern: str | None = None,
    ) -> Iterator[ImportedNumber]:
        """Yield every imported number of a plan and campaign, once, and entries without a number.

        `search_pattern` says where the digits of `pattern` stand: START (with the plus), CONTAIN
        or END. Source: "List imported numbers".
        """
        query = {
            "servicePlanId": service_plan_id,
            "campaignId": campaign_id,
            "regionCode": region_code,
            "numberPattern.pattern": pattern,
            "numberPattern.searchPattern": search_pattern if pattern else None,
        }
        for entry in self._walk(IMPORTED, query, "importedNumbers", "phoneNumber", odd=True):
            yield cast(ImportedNumber, entry)

    def import_number(self, body: Mapping[str, Any]) -> ImportedNumber:
        """Import one number, sent once. Raises SinchConflict for one that is imported already.

        Source: "Import one number".
        """
        answer = self._transport.post(IMPORTED, writable(body, NUMBER_KEYS))
        return cast(ImportedNumber, answer) if isinstance(answer, dict) else {}

    def get_imported_number(self, phone: str) -> ImportedNumber:
        """Return one imported number with its provisioning. Source: "Get imported number"."""
        return cast(ImportedNumber, self._thing(f"{IMPORTED}/{_phone(phone)}", phone))

    def update_imported_number(self, phone: str, body: Mapping[str, Any]) -> ImportedNumber:
        """Change a number, sent once: only what is in the body; "" in smsConfiguration unlinks.

        Source: "Update imported number"; no field mask is documented and none is sent.
        """
        path = f"{IMPORTED}/{_phone(phone)}"
        answer = self._transport.patch(path, writable(body, NUMBER_KEYS))
        return cast(ImportedNumber, answer) if isinstance(answer, dict) else {}

    def delete_imported_number(self, phone: str) -> None:
        """Delete a number; the answer's body says nothing. Source: "Delete imported number"."""
        self._transport.delete(f"{IMPORTED}/{_phone(phone)}")

    # Qualified numbers

    def add_qualified_numbers(self, phones: Sequence[str]) -> list[QualifiedNumber]:
        """Begin to qualify up to QUALIFY_BATCH numbers, sent once; return what Sinch took in.

        Raises ValueError for none and for more. Source: "Add numbers to qualify".
        """
        distinct = list(dict.fromkeys(phones))
        if not 0 < len(distinct) <= QUALIFY_BATCH:
            raise ValueError(f"between 1 and {QUALIFY_BATCH} numbers at once")
        answer = self._transport.post(f"{QUALIFIED}:addNumbers", {"phoneNumbers": distinct})
        found = answer.get("qualifiedNumbers") if isinstance(answer, dict) else None
        entries = found if isinstance(found, list) else []
        return [_qualified(entry) for entry in entries if isinstance(entry, dict)]

    def iter_qualified_numbers(
        self, *, state: str, region_code: str | None = None
    ) -> Iterator[QualifiedNumber]:
        """Yield every qualified number of a state, with or without its prefix, once.

        So are entries without a number. Source: "List qualified numbers".
        """
        prefixed = state if state.startswith(STATE_PREFIX) else f"{STATE_PREFIX}{state}"
        query = {"states": prefixed, "regionCode": region_code}
        for entry in self._walk(QUALIFIED, query, "qualifiedNumbers", "phoneNumber", odd=True):
            yield _qualified(entry)

    def get_qualified_number(self, phone: str) -> QualifiedNumber:
        """Return where one number's qualification stands. Source: "Get qualified number"."""
        return _qualified(self._thing(f"{QUALIFIED}/{_phone(phone)}", phone))

    def delete_qualified_number(self, phone: str) -> None:
        """Delete a qualified number. Source: "Delete qualified number"."""
        self._transport.delete(f"{QUALIFIED}/{_phone(phone)}")

    def send_voice_challenge(self, phone: str) -> QualifiedNumber:
        """Have Sinch call a number and read out a code, sent once. Source: the same title."""
        answer = self._transport.post(f"{QUALIFIED}/{_phone(phone)}:sendVoiceChallenge")
        return _qualified(answer) if isinstance(answer, dict) else {}

    def verify_voice_challenge(self, phone: str, code: str) -> QualifiedNumber:
        """Hand back the code, sent once. A 200 may hold a failed state: read it.

        Source: "Verify voice challenge".
        """
        path = f"{QUALIFIED}/{_phone(phone)}:verifyVoiceChallenge"
        answer = self._transport.post(path, {"code": code})
        return _qualified(answer) if isinstance(answer, dict) else {}

    def text_enable_qualified_numbers(self, body: Mapping[str, Any]) -> str:
        """Make a text-enable order of qualified numbers, sent once; return its id, "" unsaid.

        Source: "Text-enable qualified numbers".
        """
        made = self._made(f"{QUALIFIED}:textEnableNumbers", writable(body, TEXT_ENABLE_KEYS))
        return made.get("hostingOrderId", "")

    def text_enable_qualified_toll_free_numbers(self, body: Mapping[str, Any]) -> HostingOrder:
        """Make a toll-free order of qualified numbers, sent once.

        Source: "Text-enable qualified toll-free numbers".
        """
        return self._made(f"{QUALIFIED}:textEnableTollFreeNumbers", self._toll_free(body))

    # Callbacks

    def get_callback_configuration(self) -> CallbackConfiguration | None:
        """Return the project's signing secret, in clear; None when there is none.

        Source: "Get callback configuration".
        """
        try:
            answer = self._transport.get(CONFIGURATION)
        except SinchNotFound:
            return None
        if answer is not None and not isinstance(answer, dict):
            raise _unexpected("GET", CONFIGURATION, "no configuration in the answer")
        return cast(CallbackConfiguration, answer) if answer else None

    def update_callback_configuration(self, secret: str) -> None:
        """Set the project's signing secret. Source: "Update callback configuration"."""
        self._transport.patch(CONFIGURATION, {"hmacSecret": secret})

    # Within

    def _walk(
        self,
        path: str,
        query: Mapping[str, object],
        wrapper: str,
        key: str,
        *,
        whole: bool = False,
        odd: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Yield the entries of all pages, each once, following `nextPageToken`.

        Only a token tells where a list ends. One that comes again would go round for ever and is
        an unexpected reply. So is, for a list that must be `whole`, a total that changes or that
        the entries do not come to, when the pages show others once more: what moved from a page
        still to come to one that was read is missing. One page cannot shift, and where the last
        tells no total there is nothing to compare. An entry without its key is an unexpected reply
        unless the caller takes `odd` ones, too.
        Source: hosting orders, "nextPageToken": absent, null or empty on the last page;
        "totalSize": count over all pages.
        """
        seen: set[str] = set()
        tokens: set[str] = set()
        totals: set[int] = set()
        token: str | None = None
        for _ in range(MOST_PAGES):
            asked = {**query, "pageSize": PAGE_SIZE, "pageToken": token}
            answer = self._transport.get(path, asked)
            if answer is not None and not isinstance(answer, dict):
                raise _unexpected("GET", path, f"no {wrapper} in the answer")
            page = (answer or {}).get(wrapper) or []
            if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
                raise _unexpected("GET", path, f"no {wrapper} in the answer")
            for entry in page:
                name = _text(entry.get(key))
                if not name and not odd:
                    raise _unexpected("GET", path, f"an entry without {key}")
                if not name or name not in seen:
                    seen.add(name)
                    yield entry
            if total := _count((answer or {}).get("totalSize")):
                totals.add(total)
            token = _text((answer or {}).get("nextPageToken")) or None
            if token is None:
                if whole and tokens and total and totals != {len(seen)}:
                    # Or Sinch counts wrongly, each time: what stands still shows the same again.
                    again = {_text(e[key]) for e in self._walk(path, query, wrapper, key)}
                    if again != seen:
                        raise _unexpected("GET", path, f"the pages of {wrapper} have shifted")
                return
            if token in tokens:
                raise _unexpected("GET", path, "the same page token twice")
            tokens.add(token)
        raise _unexpected("GET", path, "pages without an end")

    def _thing(self, path: str, phone: str) -> dict[str, Any]:
        answer = self._transport.get(path)
        if not isinstance(answer, dict):
            raise _unexpected("GET", path, "nothing in the answer")
        # Null and spellings other than E.164 are the number that was asked for, too.
        said = re.sub(r"[\s().-]", "", _text(answer.get("phoneNumber")))
        if said and said.removeprefix("+") != phone.removeprefix("+"):
            raise _unexpected("GET", path, "the answer is about another number")
        return {**answer, "phoneNumber": phone}

    def _toll_free(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"projectId": self._project_id, **writable(body, TOLL_FREE_KEYS)}

    def _made(self, path: str, body: Mapping[str, Any]) -> HostingOrder:
        answer = self._transport.post(path, body)
        if answer is None:
            return {}
        if not isinstance(answer, dict):
            raise SinchUnexpectedReply(
                "no order in the answer", method="POST", path=path, outcome_unknown=True
            )
        order = _order(answer)
        if order.get("hostingOrderId") and not is_usable(order["hostingOrderId"]):
            raise SinchUnexpectedReply(
                "an order id that cannot be kept", method="POST", path=path, outcome_unknown=True
            )
        return order


def state_of(value: object) -> str:
    """Return the state of a qualified number without its prefix."""
    return _text(value).upper().removeprefix(STATE_PREFIX)


def _order(payload: Mapping[str, Any]) -> HostingOrder:
    """Return a copy with the id as text and the LOA under its one name."""
    order = dict(payload)
    if order.get("hostingOrderId") is None:
        order.pop("hostingOrderId", None)
    else:
        order["hostingOrderId"] = _text(order["hostingOrderId"])
    loa = order.pop("hostingOrderInfo", None)
    if isinstance(loa, dict) and loa and not order.get("textEnableInfo"):
        order["textEnableInfo"] = loa
    return cast(HostingOrder, order)


def _qualified(payload: Mapping[str, Any]) -> QualifiedNumber:
    number = dict(payload)
    if "globalProcessState" in number:
        number["globalProcessState"] = state_of(number["globalProcessState"])
    return cast(QualifiedNumber, number)


def is_usable(order_id: str) -> bool:
    """Tell whether an order id can be stored and be asked for; otherwise it is opaque.

    One of dots alone would be taken out of the path on its way. Source: `hostingOrderId`.
    """
    return 0 < len(order_id) <= ID_LENGTH and order_id not in (".", "..")


def _order_path(order_id: str) -> str:
    if not is_usable(order_id):
        raise ValueError(f"an order id has 1 to {ID_LENGTH} characters and is no dots alone")
    return f"{ORDERS}/{quote(order_id, safe='')}"


def is_number(phone: str) -> bool:
    """Tell whether a number is E.164 with its plus; no other can be asked for."""
    return re.fullmatch(r"\+[1-9][0-9]{6,14}", phone) is not None


def _phone(phone: str) -> str:
    if not is_number(phone):
        raise ValueError("a number is E.164 with its plus")
    return quote(phone, safe="")


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _count(value: object) -> int:
    text = _text(value)
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _unexpected(method: str, path: str, reason: str) -> SinchUnexpectedReply:
    return SinchUnexpectedReply(reason, method=method, path=path)
