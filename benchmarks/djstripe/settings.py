"""The least that dj-stripe's webhook endpoint needs; little middleware, which is to its favour."""

import json
import os

SECRET_KEY = "measured and thrown away"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "djstripe"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # says how long an answer is
ROOT_URLCONF = "benchmarks.djstripe.urls"
# The pool of the desk's own settings: without it each request would pay for a new session.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **json.loads(os.environ["DJSTRIPE_DATABASE"]),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 12, "timeout": 10}},
    }
}
# The tables as the models say: going through all of its migrations takes a minute.
MIGRATION_MODULES = dict.fromkeys(("auth", "contenttypes", "djstripe"))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = os.environ["DJSTRIPE_KEY"]
# Nobody listens there: what would ask Stripe fails at once instead of leaving the machine.
STRIPE_API_HOST = "http://127.0.0.1:9"
LOGGING_CONFIG = None
