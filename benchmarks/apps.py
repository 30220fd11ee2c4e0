from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    """The table that the bare view writes to; installed in measurements only."""

    name = "benchmarks"
