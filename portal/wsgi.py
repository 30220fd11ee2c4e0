"""The WSGI entry point of the web process."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_wsgi_application()

# All that pages need is loaded now, and stays. A full collection that looked through it each time
# held up every request of the process for a tenth of a second, some pages of 500 numbers apart.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
