"""Settings of the porting portal, all from the environment; the README holds the table."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal import env
from portal.local import paths

BASE_DIR = Path(__file__).resolve().parent.parent
_kept = paths.secrets()  # made by `make run` for one machine; empty anywhere else
# A management command in a second terminal speaks to the desk, and to the Sinch, that the running
# portal speaks to; with a database or a key of one's own nothing of it applies.
_own = any(map(os.environ.get, ("DATABASE_URL", "SINCH_PROJECT_ID", "SINCH_KEY_ID")))
_running = {} if _own else paths.running()

DEBUG = env.flag("DEBUG")
SECRET_KEY = env.text("SECRET_KEY", _kept.get("SECRET_KEY"))
ENCRYPTION_KEYS = env.words(
    "ENCRYPTION_KEYS", env.text("ENCRYPTION_KEYS", _kept.get("ENCRYPTION_KEYS"))
)
for _position, _key in enumerate(ENCRYPTION_KEYS, 1):
    try:
        Fernet(_key)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"ENCRYPTION_KEYS: key {_position} is not a Fernet key (32 bytes in URL-safe base64)."
        ) from error

PORT = env.number("PORT", int(_running.get("PORT", 8000)), 1, 65535)
PUBLIC_URL = env.text(
    "PUBLIC_URL", _running.get("PUBLIC_URL") or f"http://127.0.0.1:{PORT}"
).rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in {"http", "https"} or not _public.hostname:
    raise ImproperlyConfigured(
        f"PUBLIC_URL is {PUBLIC_URL!r}; it takes the address staff open, such as https://desk.example."
    )
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", f"{_public.hostname},localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]

# --- Sinch -------------------------------------------------------------------------------
SINCH_PROJECT_ID = env.text("SINCH_PROJECT_ID", "")
SINCH_KEY_ID = env.text("SINCH_KEY_ID", "")
SINCH_KEY_SECRET = env.text("SINCH_KEY_SECRET", "")
_given = [bool(v) for v in (SINCH_PROJECT_ID, SINCH_KEY_ID, SINCH_KEY_SECRET)]
if any(_given) and not all(_given):
    raise ImproperlyConfigured(
        "SINCH_PROJECT_ID, SINCH_KEY_ID and SINCH_KEY_SECRET belong together: set all three, "
        "or none to work with the sandbox."
    )
if ":" in SINCH_KEY_ID:
    raise ImproperlyConfigured(
        "SINCH_KEY_ID has a colon in it: the id is what stands before it, and what follows belongs "
        "in SINCH_KEY_SECRET."
    )
SINCH_AUTH_URL = env.address(
    "SINCH_AUTH_URL", _running.get("SINCH_AUTH_URL", "https://auth.sinch.com/oauth2/token")
)
SINCH_PORTING_URL = env.address(
    "SINCH_PORTING_URL", _running.get("SINCH_PORTING_URL", "https://porting.api.sinch.com")
)
SINCH_HOSTING_URL = env.address(
    "SINCH_HOSTING_URL", _running.get("SINCH_HOSTING_URL", "https://imported.numbers.api.sinch.com")
)
# Service plans with their campaigns that hosting lists are walked for from the start.
HOSTING_PAIRS = [
    tuple(pair.split(":", 1)) for pair in env.words("HOSTING_PAIRS", "") if ":" in pair
]
SINCH_SANDBOX_PAGE = env.text("SINCH_SANDBOX_PAGE", "")  # shown to staff in training
SINCH_REQUESTS_PER_SECOND = env.number("SINCH_REQUESTS_PER_SECOND", 10, 1, 1000)

# --- Applications ------------------------------------------------------------------------
INSTALLED_APPS = [
    "portal.accounts",
    "portal.operations",
    "portal.projects",
    "portal.work",
    "portal",
    "orders",
    "hosting",
    "webhooks",
    "django_htmx",
    "axes",
    "csp",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "portal.accounts.sessions.TimeZoneMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.htmx.WayBackMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.work.context.desk",
            ],
        },
    },
]

# --- Stores ------------------------------------------------------------------------------
DATABASE_URL = env.text("DATABASE_URL", paths.database_url())
try:
    _database = dj_database_url.parse(DATABASE_URL)
except (ValueError, KeyError) as error:
    raise ImproperlyConfigured(
        "DATABASE_URL is not readable; it looks like postgresql://user:password@host:5432/name."
    ) from error
if _database.get("ENGINE") != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL database (postgresql://…).")
_database["ENGINE"] = "portal.database"
_database["CONN_MAX_AGE"] = 0  # the pool keeps sessions; Django must hand them back
# After a restart of PostgreSQL no request may meet a dead session: a webhook answered 500 is lost.
_database["CONN_HEALTH_CHECKS"] = True
_database.setdefault("OPTIONS", {}).update(
    {
        "pool": {
            "min_size": 1,
            "max_size": env.number("DATABASE_POOL", 12, 1, 200),
            "timeout": 10,
        },
        "connect_timeout": 5,
        # A session whose other end went without a word shows it within a minute.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        # Nothing waits for Sinch inside a transaction: one that lies still is that of a stopped
        # process or of a machine that is gone, and would hold its rows for hours.
        "options": "-c statement_timeout=20000 -c lock_timeout=5000"
        " -c idle_in_transaction_session_timeout=60000",
    }
)
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("REDIS_URL", paths.redis_url())
if urlsplit(REDIS_URL).scheme not in {"redis", "rediss", "unix", "redis+socket"}:
    raise ImproperlyConfigured("REDIS_URL must begin with redis://, rediss:// or unix://.")
# Cache and Celery spell a socket address differently.
REDIS_URL = REDIS_URL.replace("redis+socket://", "unix://")
CACHES = {
    "default": {
        "BACKEND": "portal.cache.PatientRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "portal",
        "OPTIONS": {
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "retry": Retry(NoBackoff(), 0),
        },
    }
}

# --- Background work: the database row is the queue, Celery is the doorbell ------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# The next message lies ready when a thread is free. Where all threads of a worker are busy for
# long it waits there, which costs the time until the next sweep rings at another worker.
CELERY_WORKER_PREFETCH_MULTIPLIER = 2
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # What a killed worker had taken is not put back: its row is still due, and the next sweep
    # rings for it. Keeping a second list of what is taken costs two trips to Redis for each task.
    "ack_emulation": False,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "max_retries": 1,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "sync"
CELERY_TASK_ROUTES = {
    "portal.operations.tasks.run_operations": {"queue": "people"},
    "portal.operations.tasks.run_readings": {"queue": "events"},
    "webhooks.tasks.process_deliveries": {"queue": "events"},
    "orders.tasks.check_portability": {"queue": "sync"},
}
SWEEP_SECONDS = 3
# A message's end is told by beat's clock and judged by a worker's: it must not be so near that a
# worker whose clock is a little ahead throws every sweep away.
SWEEP_EXPIRES = 60
CELERY_BEAT_SCHEDULE = {
    "sweep operations": {
        "task": "portal.operations.tasks.run_operations",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_EXPIRES},
    },
    "sweep readings": {
        "task": "portal.operations.tasks.run_readings",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_EXPIRES},
    },
    "sweep deliveries": {
        "task": "webhooks.tasks.process_deliveries",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_EXPIRES},
    },
    "sweep lists": {
        "task": "orders.tasks.read_lists",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_EXPIRES},
    },
    "sweep portability": {
        "task": "orders.tasks.check_portability",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_EXPIRES},
    },
    "discover orders": {
        "task": "orders.tasks.discover",
        "schedule": env.number("DISCOVER_SECONDS", 300, 5, 86400),
        "options": {"expires": 600},
    },
    "walk hosting lists": {
        "task": "hosting.tasks.walk",
        "schedule": env.number("HOSTING_WALK_SECONDS", 900, 5, 86400),
        "options": {"expires": 600},
    },
    "recompute hosting buckets": {
        "task": "hosting.tasks.recompute_due",
        "schedule": 60,
        "options": {"expires": 120},
    },
    "beat": {
        "task": "portal.operations.tasks.beat",
        "schedule": 10,
        "options": {"expires": SWEEP_EXPIRES},
    },
    "purge": {
        "task": "portal.operations.tasks.purge",
        "schedule": 600,
        "options": {"expires": 1200},
    },
    "recompute buckets": {
        "task": "orders.tasks.recompute_due",
        "schedule": 60,
        "options": {"expires": 120},
    },
}

# How long what is only looked back at is kept: webhooks for ever with 0, calls not at all.
DELIVERY_DAYS = env.number("DELIVERY_DAYS", 90, 0, 3650)
CALL_LOG_DAYS = env.number("CALL_LOG_DAYS", 14, 0, 3650)

# --- People ------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "portal.accounts.backends.EmailOrUsernameBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "work:home"
LOGOUT_REDIRECT_URL = "login"
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "429.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
# Behind a proxy everybody calls from the same address; eight tries would lock a name for all.
AXES_CLIENT_IP_CALLABLE = "portal.callers.address_of"
# However a name is spelled, the tries count for one person.
AXES_USERNAME_CALLABLE = "portal.accounts.backends.tried_name"
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# How many proxies in front append the address they were called from to X-Forwarded-For.
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 0, 0, 10)
# Without a proxy that says so it is not known here which requests came in the clear, and sending
# all of them to https would send them round in circles.
if env.flag("BEHIND_TLS_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = _public.scheme == "https"
    SECURE_REDIRECT_EXEMPT = [r"^healthz/$"]  # asked by the proxy itself
    SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", 365 * 86400, 0, 2 * 365 * 86400)
# Whether other hosts of the domain speak https is for the owner of the domain to say.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
    }
}
# A Django form of 500 numbers with their own details is larger than Django's default allows.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 11 * 1024 * 1024

# --- Words, time, files --------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "America/New_York"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"cut_tokens": {"()": "webhooks.logs.CutTokens"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["cut_tokens"],
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "portal": {"level": "INFO"},
        "orders": {"level": "INFO"},
        "hosting": {"level": "INFO"},
        "webhooks": {"level": "INFO"},
        # These two would repeat every doorbell.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
