"""What Django finds wanting in a desk that others can reach, and how its web process starts."""

import os
import subprocess
import sys

import pytest

from tests.tools import ROOT

PUBLIC = {
    "PUBLIC_URL": "https://desk.alder.example",
    "SECRET_KEY": "a long key for tests only " * 3,
}


def check(**values: str) -> str:
    """Return what `manage.py check --deploy` says with these settings."""
    env = {**os.environ, **PUBLIC, **values}
    env.pop("DJANGO_ALLOW_ASYNC_UNSAFE")  # ours, for the tests in a browser
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_behind_a_proxy_that_ends_tls_nothing_is_left_to_mend():
    assert "no issues" in check(BEHIND_TLS_PROXY="yes")


def test_without_word_of_a_proxy_requests_are_not_sent_in_circles():
    said = check()
    assert "security.W008" in said, "nothing is redirected"
    assert "security.W012" not in said, "cookies are for https all the same"


@pytest.mark.parametrize("value", ["soon", "-1"])
def test_a_malformed_time_for_https_is_named(value):
    assert "HSTS_SECONDS" in check(BEHIND_TLS_PROXY="yes", HSTS_SECONDS=value)


def test_a_collection_does_not_look_through_what_was_loaded_at_the_start():
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import gc, portal.wsgi, sys; print(len(gc.get_objects()), len(sys.modules))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    objects, modules = map(int, told.stdout.split())
    assert objects < modules  # of the hundred thousand and more that these modules hold
