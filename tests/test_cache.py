"""The cache while Redis does not answer, and when it does again."""

import pytest
import redis
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from portal.cache import PatientRedisCache
from portal.sinch.shared import Breaker
from tests.tools import wait_for


@pytest.fixture
def server(servers, monkeypatch):
    """The Redis of the cache, which is left alone for a moment only when it does not answer."""
    monkeypatch.setattr(PatientRedisCache, "_breaker", Breaker(0.5))
    with redis.Redis.from_url(servers.redis.url) as client:
        yield client


def stop_answering(server):
    """Let Redis take no change any more, and the cache notice."""
    server.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    cache.set("noticed", True)


def answer_again(server):
    server.execute_command("CLIENT", "UNPAUSE")
    wait_for(lambda: cache.set("back", True) or cache.get("back"), what="the cache")


@pytest.mark.django_db
def test_who_signs_out_while_redis_is_away_stays_signed_out_when_it_is_back(agent_client, server):
    home, session = reverse("work:home"), agent_client.cookies["sessionid"].value
    assert agent_client.get(home).status_code == 200
    stop_answering(server)
    agent_client.post(reverse("logout"))
    answer_again(server)
    with_the_old_cookie = Client()
    with_the_old_cookie.cookies["sessionid"] = session
    assert with_the_old_cookie.get(home).status_code == 302


def test_what_changes_while_redis_is_away_is_not_told_as_it_was(server):
    cache.set_many({"set": "old", "set_too": "old", "deleted": "old", "deleted_too": "old"})
    stop_answering(server)
    cache.set("set", "new")
    cache.set_many({"set_too": "new"})
    cache.delete("deleted")
    cache.delete_many(["deleted_too"])
    answer_again(server)
    assert cache.get_many(["set", "set_too", "deleted", "deleted_too"]) == {}
