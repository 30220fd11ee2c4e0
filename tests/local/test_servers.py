"""The embedded servers start, keep what they are given, and take over from the dead."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from portal.local import paths
from portal.local.servers import EmbeddedPostgres, EmbeddedRedis, ServerError
from tests.tools import ROOT, wait_for


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short, passable folder: pytest's own is closed to the user root lends PostgreSQL to."""
    made = Path(tempfile.mkdtemp(prefix="portal-srv-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "postgres", folder / "sockets" / "pg", durable=False)
    server.start()
    yield server
    server.stop()


def again(server: EmbeddedPostgres) -> EmbeddedPostgres:
    return EmbeddedPostgres(server.data_dir, server.socket_dir, durable=False)


def note_down(server: EmbeddedPostgres, text: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
        connection.execute("INSERT INTO notes VALUES (%s)", [text])


def noted(server: EmbeddedPostgres) -> list[str]:
    with psycopg.connect(server.url) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM notes")]


def test_postgres_keeps_rows_over_a_stop_and_a_start(postgres):
    note_down(postgres, "kept")
    postgres.stop()
    with again(postgres) as second:
        assert noted(second) == ["kept"]


def test_postgres_listens_on_its_socket_only_and_nobody_else_may_use_it(postgres):
    with psycopg.connect(postgres.url) as connection:
        shown = connection.execute("SHOW listen_addresses").fetchone()
    assert shown == ("",)
    assert postgres.socket_dir.stat().st_mode & 0o077 == 0


def test_postgres_starts_after_it_was_killed(postgres):
    note_down(postgres, "before the kill")
    os.kill(postgres.process.pid, signal.SIGKILL)
    wait_for(postgres.died)
    with again(postgres) as second:
        assert noted(second) == ["before the kill"]


def test_postgres_takes_over_from_a_server_that_was_left_behind(postgres):
    note_down(postgres, "by the first")
    with again(postgres) as second:
        assert postgres.died()
        assert noted(second) == ["by the first"]


def test_a_pid_file_that_names_another_living_process_does_not_stop_the_start(postgres):
    postgres.stop()
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        lines = [str(bystander.pid), str(postgres.data_dir), "1700000000", "5432"]
        (postgres.data_dir / "postmaster.pid").write_text("\n".join(lines) + "\n")
        with again(postgres) as second, psycopg.connect(second.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert bystander.poll() is None
    finally:
        bystander.communicate()


def test_data_of_an_unknown_postgres_version_is_refused_in_a_sentence(folder):
    server = EmbeddedPostgres(folder / "postgres", folder / "sockets" / "pg")
    server.data_dir.mkdir(parents=True)
    (server.data_dir / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServerError, match="made by PostgreSQL 9"):
        server.start()


def test_a_first_start_that_was_cut_short_does_not_stop_the_next_one(folder):
    server = EmbeddedPostgres(folder / "postgres", folder / "sockets" / "pg", durable=False)
    code = (
        "import sys; from pathlib import Path; from portal.local.servers import EmbeddedPostgres;"
        "EmbeddedPostgres(*map(Path, sys.argv[1:]), durable=False).start()"
    )
    command = [sys.executable, "-c", code, str(server.data_dir), str(server.socket_dir)]
    first = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    wait_for(lambda: list(folder.glob("*/PG_VERSION")), what="the making of the data", pause=0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    with server:
        note_down(server, "works")
        assert noted(server) == ["works"]


def test_the_log_of_postgres_holds_no_values_of_a_failed_statement(postgres):
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE pins (pin text UNIQUE)")
        for _ in range(2):
            try:
                connection.execute("INSERT INTO pins VALUES ('774411')")
            except psycopg.errors.UniqueViolation:
                break
    assert "pins_pin_key" in postgres.log.read_text()
    assert "774411" not in postgres.log.read_text()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_redis_keeps_what_was_written_a_second_ago(folder, how):
    server = EmbeddedRedis(folder / "redis", folder / "redis.sock")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        client.execute_command("WAIT", 0, 0)
        # On disk at the latest a second later; Redis itself says when.
        wait_for(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0)
    server.process.send_signal(how)
    wait_for(server.died)
    with (
        EmbeddedRedis(folder / "redis", folder / "redis.sock") as second,
        redis.Redis.from_url(second.url) as client,
    ):
        assert client.get("key") == b"value"


def test_redis_takes_over_from_a_server_that_was_left_behind(folder):
    first = EmbeddedRedis(folder / "redis", folder / "redis.sock")
    first.start()
    with EmbeddedRedis(folder / "redis", folder / "redis.sock") as second:
        wait_for(first.died)
        assert not second.died()


def test_a_folder_of_somebody_else_is_refused(folder):
    (folder / "elsewhere").mkdir()
    (folder / "redis").symlink_to(folder / "elsewhere")
    with pytest.raises(ServerError, match="belongs to somebody else"):
        EmbeddedRedis(folder / "redis", folder / "redis.sock").start()


# --- Addresses -----------------------------------------------------------------------------


def test_sockets_are_inside_a_short_local_folder_and_outside_a_long_one(folder):
    assert paths.socket_dir(folder) == folder / "sockets"
    for awkward in (folder / ("long" * 30), folder / "with space", folder / "tēlefōn"):
        outside = paths.socket_dir(awkward)
        assert folder not in outside.parents
        assert len(os.fsencode(outside / "pg" / ".s.PGSQL.5432.lock")) < 107
        assert outside != paths.socket_dir(folder / ("other" * 30))


def test_root_keeps_postgres_out_of_a_closed_home(folder, monkeypatch):
    home = folder / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert paths.postgres_dir(home / "portal" / ".local").is_relative_to("/var/lib")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert paths.postgres_dir(home / "portal" / ".local").is_relative_to(home)


def test_a_start_in_a_closed_home_works_for_whoever_starts_it(folder):
    home = folder / "home"
    home.mkdir(mode=0o700)
    local = home / "portal" / ".local"
    data = paths.postgres_dir(local)
    try:
        with EmbeddedPostgres(data, paths.postgres_socket_dir(local), durable=False) as server:
            assert server.url == paths.database_url(local)
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        assert home.stat().st_mode & 0o777 == 0o700
    finally:
        for used in (data, paths.socket_dir(local)):
            shutil.rmtree(used, ignore_errors=True)
        if not data.is_relative_to(local):
            shutil.rmtree(data.parent)


def test_kept_secrets_are_read_and_anything_unreadable_is_none(folder):
    assert paths.secrets(folder) == {}
    (folder / "secrets.json").write_text('{"SECRET_KEY": "k", "odd": 3}')
    assert paths.secrets(folder) == {"SECRET_KEY": "k"}
    (folder / "secrets.json").write_text("not json")
    assert paths.secrets(folder) == {}
