"""A simulated Sinch: the Porting API and its token endpoint, for training, local use and tests.

`create_app()` gives a WSGI application with a state of its own; `python -m portal.sandbox` serves
one on this machine, with a page at `/` to move orders along by hand. It knows nothing of the
portal and the portal nothing of it: they speak HTTP. What becomes of a number follows from its
digits, see `portal.sandbox.rules`.
"""

from portal.sandbox.app import Sandbox, create_app
from portal.sandbox.config import Personality, SandboxConfig

__all__ = ["Personality", "Sandbox", "SandboxConfig", "create_app"]
