"""Figure 7: tasks a second of workers whose Sinch takes 50 ms for each answer.

The workers are processes of their own, one for each processor as the README has it; Sinch is
another. Our own pace, ten requests a second for each project, is set aside.
"""

import os
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from statistics import median

from django.utils import timezone

from benchmarks import data, slow_sinch, tasks
from benchmarks.desk import worker
from benchmarks.result import Figure
from orders import sync
from portal.accounts.models import SinchProject
from portal.operations import readings
from portal.operations.models import Reading
from portal.operations.tasks import readers_of

WORKERS, EACH = 2, 8
THREADS, READERS = WORKERS * EACH, WORKERS * readers_of(EACH)
PAUSE = 0.05  # seconds
FIRST = 2_000_000  # of the orders of data.py, away from those of other figures


def tasks_per_second(quick: bool) -> list[Figure]:
    """Tasks that only ask, and whole readings of orders, both ÷ what waiting alone would allow.

    The median of several rounds counts, so that a moment in which the machine is slow does not.
    """
    rounds, each = (1, (500, 80)) if quick else (3, (1_000, 400))
    asks, reads = (rounds * count for count in each)
    project = SinchProject.objects.create(
        name="Waiting", project_id="waiting", key_id="k", key_secret="s"
    )
    for number in range(FIRST, FIRST + reads):
        sync.store_port_in_order(project, data.order(number, 1), fetched_at=timezone.now())
    with slow_sinch.running(PAUSE) as sinch, ExitStack() as beside:
        pids = [beside.enter_context(worker(EACH, sinch)).pid for _ in range(WORKERS)]
        begun = _cpu_seconds(pids)
        asked = median(_asked(project, n * each[0], each[0]) for n in range(rounds))
        between = _cpu_seconds(pids)
        read = median(_read(project, n * each[1], each[1]) for n in range(rounds))
        ended = _cpu_seconds(pids)
    ask_costs, read_costs = (between - begun) / asks * 1000, (ended - between) / reads * 1000
    ideal, ideal_read = THREADS / PAUSE, READERS / PAUSE
    return [
        Figure(
            7,
            f"tasks/s with a 50 ms API ÷ ({WORKERS} × {EACH} threads / 0.05 s)",
            f"{asked / ideal:.2f} ({asked:.0f} ÷ {ideal:.0f}); {ask_costs:.1f} ms of processor "
            "each",
            "≥ 0.80",
            asked / ideal >= 0.80,
        ),
        Figure(
            7,
            f"same with whole readings of small orders ÷ ({READERS} readers / 0.05 s)",
            f"{read / ideal_read:.2f} ({read:.0f} ÷ {ideal_read:.0f}); "
            f"{read_costs:.1f} ms of processor each",
            "≥ 0.80",
            read / ideal_read >= 0.80,
        ),
    ]


def _asked(project: SinchProject, begin: int, count: int) -> float:
    """Return how many tasks a second the worker does that only ask Sinch."""
    ids = [str(data.FIRST_ID + n) for n in range(begin, begin + count)]
    rows = Reading.objects.bulk_create(
        Reading(project=project, kind="asked", resource_id=one, next_try_at=None) for one in ids
    )
    for row in rows:
        tasks.ask.apply_async([row.pk], queue="sync", ignore_result=True)
    return _rate("asked", ids)


def _read(project: SinchProject, begin: int, count: int) -> float:
    """Return how many due readings a second the worker does, each of another order."""
    ids = [str(data.FIRST_ID + FIRST + n) for n in range(begin, begin + count)]
    readings.want(project, sync.READER, dict.fromkeys(ids, timezone.now()), readings.SWEEP)
    return _rate(sync.READER, ids)


def _rate(kind: str, ids: list[str]) -> float:
    """Wait for all of them; return the pace from now on until nine of ten are done.

    What puts them in the queue takes a processor too, and is not what is measured.
    """
    begun = timezone.now()
    wanted = Reading.objects.filter(kind=kind, project__name="Waiting", resource_id__in=ids)
    rows = wanted.filter(read_at__isnull=False)
    until = time.monotonic() + 120
    while rows.count() < len(ids) and time.monotonic() < until:
        time.sleep(0.5)
    times = rows.order_by("read_at").values_list("read_at", flat=True)
    done = [moment for moment in times if moment]
    last = len(done) * 9 // 10
    # Where they are put in the queue more slowly than they are done, half of them are measured.
    first = min(sum(moment < begun for moment in done), last // 2)
    return (last - first) / max((done[last] - done[first]) / timedelta(seconds=1), 1e-9)


def _cpu_seconds(pids: list[int]) -> float:
    """Return the processor time some processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
