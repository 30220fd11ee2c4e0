"""Figures 1 and 2: receiving webhooks, beside a bare view on the same server."""

from statistics import median

from benchmarks import data, load
from benchmarks.desk import web
from benchmarks.result import Figure
from portal.accounts.models import SinchProject, WebhookToken


def throughput(quick: bool) -> list[Figure]:
    """Requests a second of the full ingest ÷ of the bare view, and of large ÷ small bodies.

    Rounds of the three alternate, so that a machine that slows down slows all of them down; the
    median of the rounds counts.
    """
    project = SinchProject.objects.create(
        name="Ingest", project_id="ingest", key_id="k", key_secret="s"
    )
    token = WebhookToken.make(project)
    path = f"/webhooks/porting/{token.token}/"
    small = data.webhook(1, 1)
    large = data.webhook(2, 500)
    rounds, seconds = (3, 1.0) if quick else (7, 2.5)
    rates: dict[str, list[float]] = {"bare": [], "small": [], "large": []}
    answers: dict[int, int] = {}
    with web() as port:
        requests = {
            "bare": load.request_bytes("/bare/", small, port),
            "small": load.request_bytes(path, small, port),
            "large": load.request_bytes(path, large, port),
        }
        for request in requests.values():
            load.run(port, request, seconds=0.5)
        for _ in range(rounds):
            for name, request in requests.items():
                result = load.run(port, request, seconds=seconds)
                rates[name].append(result.per_second)
                for status, count in result.statuses.items():
                    answers[status] = answers.get(status, 0) + count
    rate = {name: median(values) for name, values in rates.items()}
    fine = set(answers) == {200}
    first, second = rate["small"] / rate["bare"], rate["large"] / rate["small"]
    return [
        Figure(
            1,
            "full webhook ingest ÷ bare one-INSERT view, requests/s",
            f"{first:.2f} ({rate['small']:.0f} ÷ {rate['bare']:.0f}; answers {answers})",
            "≥ 0.80",
            first >= 0.80 and fine,
        ),
        Figure(
            2,
            f"same with 500 numbers ({len(large) // 1000} kB) ÷ with 1",
            f"{second:.2f}",
            "≥ 0.65",
            second >= 0.65 and fine,
        ),
    ]
