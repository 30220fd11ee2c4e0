"""Figure 3: receiving webhooks while Redis is away, beside with it."""

from benchmarks import data, load
from benchmarks.desk import web
from benchmarks.result import Figure
from portal.accounts.models import SinchProject, WebhookToken
from portal.local.servers import EmbeddedRedis


def _p99(result: load.Load) -> float:
    times = sorted(result.latencies)
    return times[int(len(times) * 0.99)]


def without(quick: bool, redis: EmbeddedRedis) -> list[Figure]:
    """99th percentile of the answers without Redis ÷ with it; and how many were not 200."""
    project = SinchProject.objects.create(
        name="Redis away", project_id="redis-away", key_id="k", key_secret="s"
    )
    path = f"/webhooks/porting/{WebhookToken.make(project).token}/"
    seconds = 3.0 if quick else 10.0
    with web() as port:
        request = load.request_bytes(path, data.webhook(1, 1), port)
        load.run(port, request, seconds=1.0)
        there = load.run(port, request, clients=4, seconds=seconds)
        redis.stop()
        try:
            away = load.run(port, request, clients=4, seconds=seconds)
        finally:
            redis.start()
    ratio = _p99(away) / _p99(there)
    others = sum(count for status, count in away.statuses.items() if not 200 <= status < 300)
    return [
        Figure(
            3,
            "webhook ingest p99 with Redis stopped ÷ running; answers other than 2xx",
            f"{ratio:.2f} ({_p99(away) * 1000:.1f} ÷ {_p99(there) * 1000:.1f} ms); {others}",
            "≤ 1.5; 0",
            ratio <= 1.5 and not others,
        )
    ]
