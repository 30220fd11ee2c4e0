"""Many claimers in processes of their own: no row twice, none missed."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from portal.operations.models import Reading

ROOT = Path(__file__).parents[2]
ROWS = 40_000 if os.environ.get("FAULTS") == "long" else 4_000
CLAIMERS = 4
# Each takes some rows, then waits until all of them have, and then they go on side by side.
CLAIM = """
import django, sys
django.setup()
from portal.operations.models import Reading
def claim():
    return [row.pk for row in Reading.claim(Reading.objects.all(), limit=100, seconds=600)]
print(*claim(), flush=True)
sys.stdin.readline()
while rows := claim():
    print(*rows)
"""


@pytest.mark.django_db(transaction=True)
def test_four_processes_get_each_row_once(project, servers):
    Reading.objects.bulk_create(
        [
            Reading(project=project, kind="test_thing", resource_id=str(n), lease_id=None)
            for n in range(ROWS)
        ],
        batch_size=5000,
    )
    # The database of the tests stands beside the one that the servers' address names.
    place = urlsplit(servers.postgres.url)
    url = urlunsplit(place._replace(path=f"/{connection.settings_dict['NAME']}"))
    env = os.environ | {"DATABASE_URL": url}
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(CLAIMERS)
    ]
    first = [claimer.stdout.readline() for claimer in claimers]
    with ThreadPoolExecutor(CLAIMERS) as together:
        said = list(together.map(lambda one: one.communicate("go\n", timeout=300)[0], claimers))
    assert all(claimer.returncode == 0 for claimer in claimers)
    assert all(first)
    taken = [int(pk) for lines in (*first, *said) for pk in lines.split()]
    assert len(taken) == len(set(taken)) == ROWS
