"""The Celery application: a doorbell for work whose truth is in the database."""

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def hand_over_sooner(**_: Any) -> None:
    """Let the threads of a worker take turns more often than Python does by itself.

    A thread that hears from PostgreSQL or Sinch would otherwise wait up to 5 ms for one that
    reckons, at each of the dozen answers a reading waits for.
    """
    sys.setswitchinterval(0.0005)
