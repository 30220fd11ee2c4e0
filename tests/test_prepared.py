"""Query sets whose SQL is put together once give what the query set itself gives."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connections
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from django.utils import timezone

from portal.accounts.models import SinchProject, WebhookToken
from portal.prepared import A_MOMENT, A_WORD, Prepared


def with_tokens(pk):
    """Projects of a key with their webhook tokens beside them."""
    tokens = WebhookToken.objects.filter(project=OuterRef("pk")).order_by("pk")
    told = ArraySubquery(tokens.values(json=JSONObject(kind="kind", pk="pk")))
    return SinchProject.objects.annotate(told=told).defer("key_secret").filter(pk=pk)


@pytest.fixture
def two(db):
    """Two projects, one of which has tokens."""
    made = [
        SinchProject.objects.create(name=name, project_id=name, key_id="key", key_secret="s")
        for name in ("one", "other")
    ]
    for _ in range(2):
        WebhookToken.make(made[0])
    return made


def test_each_key_gives_its_own_row_as_the_query_set_would(two, django_assert_num_queries):
    prepared = Prepared(with_tokens)
    for project in (*two, *two):
        expected = with_tokens(project.pk).get()
        with django_assert_num_queries(1):
            found = prepared.get(project.pk)
        assert (found.pk, found.name, found.told) == (expected.pk, expected.name, expected.told)
        assert len(found.told) == (2 if project == two[0] else 0)
        assert found.get_deferred_fields() == {"key_secret"}


def test_what_changed_meanwhile_is_seen(two):
    prepared = Prepared(with_tokens)
    assert prepared.get(two[0].pk).name == "one"
    SinchProject.objects.filter(pk=two[0].pk).update(name="renamed")
    assert prepared.get(two[0].pk).name == "renamed"


@pytest.mark.parametrize("key", [0, -1, 2**40, 2**70, -(2**70)])
def test_a_key_that_is_not_there_is_told_so_however_odd(key, two):
    prepared = Prepared(with_tokens)
    assert prepared.all(key) == []
    with pytest.raises(SinchProject.DoesNotExist):
        prepared.get(key)


def test_a_query_set_that_does_not_ask_for_its_key_is_a_mistake(two):
    with pytest.raises(ValueError, match="does not ask for what it is given"):
        Prepared(lambda pk: SinchProject.objects.all()).get(1)


def test_words_and_moments_are_asked_for_as_well(two):
    def named(name, since):
        rows = SinchProject.objects.filter(name=name, tokens__created_at__gte=since)
        return rows.order_by("pk").distinct()

    prepared = Prepared(named, A_WORD, A_MOMENT)
    now = timezone.now()
    assert prepared.first("one", now - timedelta(hours=1)) == two[0]
    assert prepared.first("one", now + timedelta(hours=1)) is None
    assert prepared.first("other", now - timedelta(hours=1)) is None


def test_of_several_query_sets_the_first_that_has_a_row_gives_it(two):
    def by_name(name):
        named = SinchProject.objects.filter(name=name)
        return named.filter(key_id="other key")[:1], named.order_by("-pk")[:1]

    prepared = Prepared(by_name, A_WORD)
    assert prepared.all("one") == [two[0]]
    assert prepared.all("nobody") == []
    twin = SinchProject.objects.create(name="one", project_id="3", key_id="k", key_secret="s")
    assert prepared.all("one") == [twin]
    SinchProject.objects.filter(pk=two[0].pk).update(key_id="other key")
    assert prepared.all("one") == [two[0]]


def test_a_statement_around_it_gives_the_same_columns_and_takes_more_values(two):
    around = "WITH found ({columns}) AS ({text}) SELECT * FROM found WHERE {key} <> %s"
    prepared = Prepared(
        lambda name: SinchProject.objects.filter(name__gte=name).order_by("pk"),
        A_WORD,
        within=around,
    )
    assert prepared.all("a", more=(0,)) == two
    assert prepared.all("a", more=(two[0].pk,)) == [two[1]]


@pytest.mark.django_db(transaction=True)
def test_threads_ask_at_the_same_time_each_on_a_connection_of_its_own(two):
    prepared = Prepared(with_tokens)

    def ask(number):
        try:
            return prepared.get(two[number % 2].pk).name
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(64)))
    assert found == ["one", "other"] * 32
