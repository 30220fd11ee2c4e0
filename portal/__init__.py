"""The ground of the porting portal: what both kinds of order share."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
