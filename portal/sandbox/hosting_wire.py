"""How hosting things are written down, by the personality in force."""

from typing import Any

from portal.sandbox.clock import iso_instant
from portal.sandbox.config import Personality
from portal.sandbox.hosting_state import (
    DONE,
    FAILED,
    STEPS,
    HostedNumber,
    HostingOrder,
    Imported,
    Json,
    Link,
    Qualified,
)

PREFIX = "GLOBAL_PROCESS_STATE_"
_SIBLINGS = {
    "DEPROVISIONING_TO_SMS_PLATFORM": "DEPROVISIONING_FROM_SMS_PLATFORM",
    "LINK_TO_10DLC_CAMPAIGN": "PROVISIONING_TO_CAMPAIGN",
    "UNLINK_TO_10DLC_CAMPAIGN": "DEPROVISIONING_FROM_CAMPAIGN",
}
_ELIGIBLE = ("ELIGIBLE", "VERIFICATION_PENDING", "VERIFICATION_FAILED", "VERIFICATION_BLOCKED")
_OWNED = ("VERIFIED", "HOSTING_IN_PROGRESS", "HOSTING_DONE", "HOSTING_FAILED")


class HostingWire:
    """Writes hosting JSON for one personality and project."""

    def __init__(self, how: Personality, project_id: str) -> None:
        self._how = how
        self._project = project_id

    def order(self, order: HostingOrder) -> Json:
        """Return an order without its numbers."""
        body: Json = {
            "projectId": self._project,
            "hostingOrderId": order.id,
            "displayName": order.display_name,
            "regionCode": order.region,
            "state": order.state,
            "type": order.type,
            "createdTime": order.created_at,
            "updatedTime": order.updated_at,
            "servicePlanId": order.service_plan,
            "campaignId": order.campaign,
            "callbackUrl": order.callback_url,
            "migrateToSinchTmo": order.migrate,
        }
        if order.scheduled and not order.toll_free:
            body["scheduledOsrUpdateTime"] = order.scheduled
        if order.loa_kind:
            word = order.loa_kind.capitalize()
            loa = {
                **order.loa,
                "nnid": order.nnid,
                "loaType": word.upper() if self._how.loa_type == "upper" else word,
            }
            if self._how.loa_key == "textEnableInfo":
                body["textEnableInfo"] = loa
            else:
                body["hostingOrderInfo"] = loa
        else:
            body["numberImport"] = "{}"
        return body

    def listed_order(self, order: HostingOrder) -> Json:
        """Return an order as a list shows it."""
        body = self.order(order)
        if self._how.listed_names == "absent":
            del body["displayName"]
        return body

    def report(self, order: HostingOrder) -> Json:
        """Return the counters of an order."""

        def count(step: str) -> int:
            return sum(n.steps.get(step, {}).get("state") == "DONE" for n in order.numbers)

        found = {
            "total": len(order.numbers),
            "osrUpdated": count("osrUpdate"),
            "smsProvisioned": count("platformProvisioning"),
            "addedToCampaign": count("campaignProvisioning"),
            "ongoingManualAction": order.manual,
        }
        if self._how.report_zeros == "absent":
            found = {name: value for name, value in found.items() if value}
        return found

    def number(self, order: HostingOrder, number: HostedNumber) -> Json:
        """Return a number of an order with its steps."""
        body: Json = {
            "projectId": self._project,
            "hostingOrderId": order.id,
            "phoneNumber": number.phone_number,
        }
        for step in STEPS:
            there = number.steps.get(step)
            if there is None:
                if self._how.absent_steps == "unspecified":
                    body[step] = {"state": "STATE_UNSPECIFIED"}
                continue
            body[step] = self._step(order, step, there)
        return body

    def _step(self, order: HostingOrder, step: str, there: Json) -> Json:
        if step == "osrUpdate":
            return {"nnid": order.nnid or "103710", "state": there["state"]}
        if step == "platformProvisioning":
            return {"servicePlanId": order.service_plan, "state": there["state"]}
        if step == "campaignProvisioning":
            return {"campaignId": order.campaign, "state": there["state"]}
        return self._carrier(there)

    def _carrier(self, there: Json) -> Json:
        code, message = str(there.get("errorCode", "")), str(there.get("errorMessage", ""))
        if code == "60135" and self._how.held_place == "message":
            code, message = "", f"Error 60135: {message}"
        return {
            "state": there["state"],
            "errorCode": code,
            "errorMessage": message,
            "updateTime": there.get("updateTime") or None,
        }

    def imported(self, number: Imported, *, whole: bool = True) -> Json:
        """Return an imported number; POST and PATCH answer without its provisioning."""
        configuration: Json = {
            "servicePlanId": number.plan.id,
            "campaignId": number.campaign.id,
            "migrateToSinchTmo": number.migrate,
        }
        links = (number.plan, number.campaign)
        pending = [link for link in links if link.is_pending]
        failed = [link for link in links if self._is_failed_schedule(link)]
        if pending or failed:
            names, status = ("WAITING", "FAILED"), int(not pending)
            configuration["scheduledProvisioning"] = {
                "servicePlanId": number.plan.target,
                "campaignId": number.campaign.target,
                "status": names[status] if self._how.hosted_status == "name" else 1 + status,
                "lastUpdatedTime": (pending or failed)[0].updated_at,
                "errorCodes": [] if pending else [link.error_code for link in failed],
            }
        body: Json = {
            "phoneNumber": number.phone_number,
            "projectId": self._project,
            "regionCode": number.region,
            "displayName": number.display_name,
            "smsConfiguration": configuration,
            "callbackUrl": number.callback_url,
        }
        if not whole:
            return body
        if number.carriers:
            body["mnoConfiguration"] = {
                step: {**self._carrier(there), "operation": "PROVISIONING"}
                for step, there in number.carriers.items()
            }
        for key, word, link in (
            ("smsProvisioning", "SMS", number.plan),
            ("campaignProvisioning", "CAMPAIGN", number.campaign),
        ):
            if link.type:
                body[key] = self._service(word, link)
        return body

    def _is_failed_schedule(self, link: Link) -> bool:
        is_scheduled = self._how.failed_link == "scheduled" and link.type == "PROVISIONING"
        return is_scheduled and link.state == FAILED

    def _service(self, word: str, link: Link) -> Json:
        told_elsewhere = self._is_failed_schedule(link)
        return {
            "serviceType": word,
            "serviceId": link.target or link.id,
            "type": link.type,
            "state": DONE if told_elsewhere else link.state,
            "updateTime": link.updated_at or None,
            "errorMessage": "",
            "errorCode": "" if told_elsewhere else link.error_code,
        }

    def qualified(self, number: Qualified) -> Json:
        """Return a qualified number."""
        state = number.state
        eligible = "DONE" if state in (*_ELIGIBLE, *_OWNED) else "WAITING"
        eligible = FAILED if state == "NOT_ELIGIBLE" else eligible
        owned = "DONE" if state in _OWNED else "WAITING"
        owned = FAILED if state in ("VERIFICATION_FAILED", "VERIFICATION_BLOCKED") else owned
        hosted = {"HOSTING_DONE": 1, "HOSTING_FAILED": 2}.get(state, 0)
        names = ("HOSTING_STATUS_UNSPECIFIED", "HOSTING_STATUS_HOSTED", "HOSTING_STATUS_FAILED")
        return {
            "phoneNumber": number.phone_number,
            "projectId": self._project,
            "regionCode": "US",
            "globalProcessState": f"{PREFIX}{state}"
            if self._how.state_prefix == "prefixed"
            else state,
            "osrEligibility": {"status": eligible, "error": number.eligibility_error},
            "ownershipVerification": {"status": owned, "error": number.ownership_error},
            "hostedNumber": {
                "status": names[hosted] if self._how.hosted_status == "name" else hosted,
                "error": number.hosting_error,
            },
            "createdTime": number.created_at,
            "updatedTime": number.updated_at,
        }

    def event(
        self,
        *,
        event_id: str,
        at: Any,
        resource_type: str,
        resource_id: str,
        order_id: str,
        event_type: str,
        status: str,
        failure_code: str,
    ) -> Json:
        """Return a callback's body."""
        stamp = iso_instant(at)
        if self._how.event_time == "bare":
            stamp = f"{stamp.removesuffix('Z').partition('.')[0]}.123456789"
        by_order = self._how.event_resource == "order" and order_id
        named = (
            _SIBLINGS.get(event_type, event_type)
            if self._how.event_names == "sibling"
            else event_type
        )
        body: Json = {
            "eventId": event_id,
            "timestamp": stamp,
            "projectId": self._project,
            "resourceType": resource_type,
            "resourceId": order_id if by_order else resource_id,
            "eventType": named,
            "status": status,
        }
        if failure_code:
            body["failureCode"] = failure_code
        elif self._how.event_failure == "null":
            body["failureCode"] = None
        return body
