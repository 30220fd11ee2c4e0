"""Orders made elsewhere, drift, and the porting defaults of a project: found by asking Sinch."""

from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from orders import sync, wire
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.operations import clients, readings
from portal.operations.models import Reading
from portal.projects import configuration as project_configuration
from portal.sinch.porting import PAGE_SIZE

CONFIGURATION_AGE = timedelta(hours=1)


def discover(project: SinchProject, *, everything: bool = False) -> dict[str, int]:
    """Walk the list at Sinch and ask for a reading of each order that is new, differs, or was gone.

    So is one that nobody has ever meant to read, however it came into the mirror: what the list
    does not show, such as notes, would never come. Returns the keys of the readings by order id.
    One request and at most five statements for a thousand orders; `everything` asks for every
    order. Raises SinchError.
    """
    client = clients.porting_client(project)
    wished: dict[str, int] = {}
    for page in client.get_port_in_orders(page_size=PAGE_SIZE):
        said = {item["id"]: wire.list_digest(item) for item in page}
        readings_of = Reading.objects.filter(
            project=project, kind=sync.READER, resource_id=OuterRef("sinch_id")
        )
        orders = PortInOrder.objects.filter(project=project, sinch_id__in=said)
        orders = orders.only("sinch_id", "list_digest", "gone_at")
        known = {
            order.sinch_id: order for order in orders.annotate(is_followed=Exists(readings_of))
        }
        differing = [order for order in known.values() if order.list_digest != said[order.sinch_id]]
        wanted = said.keys() if everything else said.keys() - known.keys()
        # One that Sinch lists is not gone, whatever it once answered.
        wanted |= {o.sinch_id for o in known.values() if o.gone_at or not o.is_followed}
        wishes = dict.fromkeys({*wanted, *(order.sinch_id for order in differing)}, timezone.now())
        wished |= readings.want(project, sync.READER, wishes, "sweep")
        # Sinch may count in a way of its own: what it said is what the next walk expects. After
        # the wish and apart from it: whoever settles a write holds the order and wants a reading.
        sync.expect_in_list({order.pk: said[order.sinch_id] for order in differing})
    SinchProject.objects.filter(pk=project.pk).update(discovered_at=timezone.now())
    return wished


def read_configuration(project: SinchProject, *, older_than: timedelta = timedelta(0)) -> None:
    """Read the project's porting defaults, unless they were read recently. Raises SinchError.

    Source: Porting API, "Get configuration".
    """
    now, read_at = timezone.now(), project.porting_configuration_read_at
    if read_at and now - read_at < older_than:
        return
    said = clients.porting_client(project).get_configuration()
    # The accounts room keeps our own token out of what is stored.
    project_configuration.store(project, said, now)
