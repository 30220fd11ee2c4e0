"""In which country toll-free numbers are, as their area codes do not say; pure, no database."""

from collections.abc import Iterable, Mapping

from portal.addresses import is_in_canada
from portal.numbers import TOLL_FREE, area_code, is_canadian


def canadian_toll_free(
    numbers: Iterable[str], countries: Mapping[str, str], state: str, code: str
) -> list[str]:
    """Return the toll-free numbers among some, E.164, that are Canadian.

    `countries` are the ones Sinch names, by number: US, CA or "". Where it names none the service
    address decides, by its state and its ZIP or postal code; without one, whether any number
    beside it is Canadian.
    Source: Porting API, "Get port-in order details", countryCode.
    """
    numbers = list(numbers)
    is_home = is_in_canada(state, code) if state or code else any(map(is_canadian, numbers))
    home = "CA" if is_home else "US"
    return [n for n in numbers if area_code(n) in TOLL_FREE and (countries.get(n) or home) == "CA"]
