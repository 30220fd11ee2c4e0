from django.apps import AppConfig


class WorkConfig(AppConfig):
    """What lists, timelines and search stand on, for both kinds of order."""

    name = "portal.work"
    verbose_name = "Work"
