"""What the tests of hosting numbers share: a number, what callbacks say, pages in plain words."""

import html

from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from hosting import sync

PHONE = "+12065550142"
FAULTS = ["drop_after", "drop_before", "500"]
DELETE = "ImportNumberService_DeleteImportedNumber"
DONE = {"type": "PROVISIONING", "state": "DONE"}
PLAN_EVENT, CAMPAIGN_EVENT = "DEPROVISIONING_TO_SMS_PLATFORM", "UNLINK_TO_10DLC_CAMPAIGN"


def told(project, event_type, status, code="", at=None, about="IMPORTED_NUMBER", thing=PHONE):
    """Have a callback about the number, or another thing, applied."""
    sync.apply_event(
        project.pk,
        resource_type=about,
        resource_id=thing,
        event_type=event_type,
        status=status,
        failure_code=code,
        at=at or timezone.now(),
        event_id=event_type,
    )


def failed(project, event_type, code):
    told(project, event_type, "FAILED", code)


def told_plainly(client, row):
    """The words of a number's page, their spaces collapsed."""
    page = client.get(row.get_absolute_url()).content.decode()
    return " ".join(html.unescape(strip_tags(page)).replace("\xa0", " ").split())


def post(client, page, row, **fields):
    return client.post(reverse(f"hosting:{page}", args=[row.pk]), fields)
