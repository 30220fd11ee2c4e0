"""Many claimers in processes of their own: no row twice, none missed."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from portal.operations.models import Reading

ROOT = Path(__file__).parents[2]
ROWS = 40_000 if os.environ.get("FAULTS") == "long" else 4_000
CLAIMERS = 4
CLAIM = """
import django, sys
django.setup()
from portal.operations.models import Reading
while rows := Reading.claim(Reading.objects.all(), limit=100, seconds=600):
    for row in rows:
        print(row.pk)
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
        subprocess.Popen([sys.executable, "-c", CLAIM], cwd=ROOT, env=env, stdout=subprocess.PIPE)
        for _ in range(CLAIMERS)
    ]
    said = [claimer.communicate(timeout=300)[0] for claimer in claimers]
    taken = [[int(line) for line in lines.split()] for lines in said]
    everything = [pk for mine in taken for pk in mine]
    assert all(claimer.returncode == 0 for claimer in claimers)
    assert len(everything) == len(set(everything)) == ROWS
    assert sum(bool(mine) for mine in taken) > 1  # they were at it side by side
