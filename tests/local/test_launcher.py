"""The launcher refuses in one sentence, and looks after its processes."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.local import desk, keys, paths, prepare
from portal.local.processes import QUICK_DEATHS, Child, DeskError, Log
from tests.tools import ROOT, free_port, wait_for

SINCH_KEY = ("SINCH_PROJECT_ID", "SINCH_KEY_ID", "SINCH_KEY_SECRET")


def start_desk(
    folder: Path, shell: tuple[str, ...] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the launcher as somebody would type it, with nothing but these settings.

    `shell` is a command that runs it.
    """
    env = {"PATH": os.environ["PATH"], "PORTAL_LOCAL_DIR": str(folder), **settings}
    return subprocess.run(
        [*shell, sys.executable, "-m", "portal.local", "run"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def the_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return what was printed, which must be one line and no trace."""
    printed = (done.stdout + done.stderr).strip()
    assert "\n" not in printed
    return printed


def test_a_busy_port_is_named_in_one_sentence_with_the_way_out(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start_desk(tmp_path / "local", PORT=str(port))
    assert done.returncode == 2
    assert f"port {port} is taken" in the_sentence(done)
    assert f"PORT={port + 1} make run" in the_sentence(done)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (SINCH_KEY[:1], "SINCH_KEY_ID and SINCH_KEY_SECRET are not set"),
        (SINCH_KEY[:2], "SINCH_KEY_SECRET is not set"),
        (SINCH_KEY[2:], "SINCH_PROJECT_ID and SINCH_KEY_ID are not set"),
    ],
)
def test_half_a_sinch_key_is_refused_and_the_missing_half_named(tmp_path, given, missing):
    done = start_desk(tmp_path, **dict.fromkeys(given, "some-value"))
    assert done.returncode == 2
    assert missing in the_sentence(done)
    assert "some-value" not in the_sentence(done)


def test_a_key_id_that_holds_the_secret_as_well_is_refused_and_not_repeated(tmp_path):
    done = start_desk(tmp_path, **dict.fromkeys(SINCH_KEY, "key:secret"))
    assert done.returncode == 2
    assert "The portal cannot start: SINCH_KEY_ID has a colon in it" in done.stdout
    assert "key:secret" not in done.stdout + done.stderr


def test_a_disk_that_takes_nothing_is_told_in_one_sentence(tmp_path):
    takes_nothing = ("bash", "-c", 'ulimit -f 0; exec "$@"', "bash")
    done = start_desk(tmp_path / "local", takes_nothing, PORT=str(free_port()))
    assert done.returncode == 1
    assert "The portal stops: File too large" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "eighty"])
def test_a_port_that_is_none_is_refused(tmp_path, port):
    done = start_desk(tmp_path, PORT=port)
    assert done.returncode == 2
    assert "PORT is" in the_sentence(done)


def test_a_second_launcher_for_the_same_folder_is_refused_and_told_where_the_first_is(tmp_path):
    with desk.only_one(tmp_path):
        keys.keep(tmp_path, "desk.json", {"address": "http://127.0.0.1:8123"})
        done = start_desk(tmp_path, PORT=str(free_port()))
        assert desk.is_running(tmp_path)
    assert done.returncode == 2
    assert "running already at http://127.0.0.1:8123" in the_sentence(done)
    assert not desk.is_running(tmp_path)


def test_a_command_in_a_second_terminal_speaks_to_the_sinch_of_the_desk_and_to_no_other(
    tmp_path, monkeypatch
):
    for name in SINCH_KEY:
        monkeypatch.setenv(name, "a-key-of-its-own")
    monkeypatch.setenv("SINCH_AUTH_URL", "http://127.0.0.1:7001/oauth2/token")
    monkeypatch.setenv("SINCH_PORTING_URL", "http://127.0.0.1:7001")
    monkeypatch.delenv("SINCH_HOSTING_URL", raising=False)
    local = tmp_path / "local"
    local.mkdir()
    desk.Desk(local)._environment(keys.ensure_secrets(local))
    kept = paths.running(local)
    assert kept["SINCH_AUTH_URL"] == "http://127.0.0.1:7001/oauth2/token"
    assert kept["SINCH_PORTING_URL"] == "http://127.0.0.1:7001"
    assert "SINCH_HOSTING_URL" not in kept
    assert "a-key-of-its-own" not in kept.values()


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path):
    made = keys.ensure_secrets(tmp_path)
    assert keys.ensure_secrets(tmp_path) == made == paths.secrets(tmp_path)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_of_secrets_is_never_replaced(tmp_path):
    (tmp_path / "secrets.json").write_text('{"ENCRYPTION_KEYS": "half a')
    with pytest.raises(ValueError, match=r"secrets\.json"):
        keys.ensure_secrets(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == '{"ENCRYPTION_KEYS": "half a'


def test_made_passwords_differ_and_are_long_enough():
    made = {prepare.new_password() for _ in range(50)}
    assert len(made) == 50
    assert min(map(len, made)) >= 16


# --- Processes -----------------------------------------------------------------------------


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def make_child(tmp_path, printed) -> Iterator:
    made = []

    def make(script: str, **options: object) -> Child:
        child = Child(
            "web",
            [sys.executable, "-u", "-c", script],
            os.environ,
            tmp_path,
            Log(printed),
            ready=lambda: True,
            **options,
        )
        made.append(child)
        return child

    yield make
    for child in made:
        child.wait_to_stop()


WAITS = "import signal; print('up'); signal.pause()"


def test_each_line_begins_with_the_name_of_its_process(make_child, printed):
    child = make_child("print('one'); print('noise 1'); print('two')", quiet="noise")
    child.start()
    wait_for(child.ended)
    wait_for(lambda: "two" in printed.getvalue())
    assert printed.getvalue() == "web      | one\nweb      | two\n"


def test_the_token_of_a_webhook_address_never_reaches_the_log(make_child, printed):
    child = make_child("print('Not Found: /webhooks/porting/s3cr3t-t0ken/ and more')")
    child.start()
    wait_for(lambda: "and more" in printed.getvalue())
    assert "s3cr3t" not in printed.getvalue()
    assert "/webhooks/porting/…/ and more" in printed.getvalue()


def test_a_dead_process_is_started_again_after_a_pause_that_grows(make_child):
    child = make_child("raise SystemExit(3)")
    pauses = []
    for _ in range(QUICK_DEATHS - 1):
        child.start()
        assert wait_for(child.ended) == "exit status 3"
        pauses.append(child.after_death())
    assert pauses == sorted(set(pauses))
    child.start()
    wait_for(child.ended)
    with pytest.raises(DeskError, match=f"web stopped {QUICK_DEATHS} times"):
        child.after_death()


def test_how_a_process_ended_is_told_in_words(make_child):
    child = make_child(WAITS)
    child.start()
    os.kill(child.pid, signal.SIGKILL)
    assert wait_for(child.ended) == "ended by SIGKILL"


def test_a_process_that_will_not_stop_is_ended_with_all_it_has_started(make_child, printed):
    script = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(inner.pid)\n"
        "signal.pause()\n"
    )
    child = make_child(script, grace=0.3)
    child.start()
    inner = int(wait_for(lambda: printed.getvalue().rpartition("|")[2].strip()))
    child.ask_to_stop()
    child.wait_to_stop()
    assert child.ended() == "ended by SIGKILL"
    wait_for(lambda: _is_gone(inner))
    assert "web takes too long to stop" in printed.getvalue()


def _is_gone(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    # A container without an init keeps the dead as zombies; those count as gone.
    try:
        return ") Z " in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
