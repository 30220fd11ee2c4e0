"""Figure 6: from the answer to a webhook to the open page."""

from benchmarks.result import Figure


def seen(quick: bool) -> list[Figure]:
    """Seconds between Sinch's webhook being answered and the change standing in an open page."""
    raise SystemExit("written with the browser harness")
