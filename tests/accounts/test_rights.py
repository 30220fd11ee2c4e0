"""What is posted: every address of the desk asks who it is, and most of them for a right."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

# Sinch proves itself by its token and its signature, and whoever signs in is nobody yet.
OPEN = {"login", "logout", "alive", "webhooks:porting", "webhooks:hosting"}
# What somebody may do who may only look: their own account, notes for the team, and closing what
# became of a write of their own.
FOR_EVERYBODY = {
    "projects:account",
    "projects:look",
    "projects:password",
    "orders:team_note",
    "hosting:team_note",
    "operations:seen",
    "operations:seen_together",
}
# They have something read at Sinch, which changes nothing there.
READING = {
    "orders:refresh",
    "orders:activations_refresh",
    "orders:document_fetch",
    "hosting:refresh",
    "hosting:number_refresh",
    "hosting:imported_numbers",
    "hosting:imported_refresh",
    "hosting:qualified_refresh",
}
# It looks for the row first; tests/orders/test_documents.py has one.
ROW_FIRST = {"orders:paper"}
SOMETHING = {
    "IntConverter": 1,
    "UUIDConverter": "00000000-0000-4000-8000-000000000001",
    "SlugConverter": "something",
    "StringConverter": "something",
}


def routes(within: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and an address of every route but those of the admin."""
    for route in within.url_patterns:
        if isinstance(route, URLResolver):
            if route.namespace != "admin":
                yield from routes(route, f"{route.namespace}:" if route.namespace else prefix)
        elif isinstance(route, URLPattern) and route.name:
            places = route.pattern.converters.items()
            given = {name: SOMETHING[type(converter).__name__] for name, converter in places}
            yield prefix + route.name, reverse(prefix + route.name, kwargs=given)


ROUTES = dict(routes(get_resolver()))


@pytest.mark.parametrize("name", sorted(ROUTES.keys() - OPEN))
def test_nobody_posts_anything_without_signing_in(client, db, name):
    answer = client.post(ROUTES[name])
    if answer.status_code != 405:
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("login"))


@pytest.mark.parametrize("name", sorted(ROUTES.keys() - OPEN - FOR_EVERYBODY - READING - ROW_FIRST))
def test_whoever_has_no_right_posts_nothing_but_what_is_their_own(make_agent, name):
    client = Client()
    client.force_login(
        make_agent("rhea"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    assert client.post(ROUTES[name]).status_code in (403, 405)
