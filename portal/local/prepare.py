"""Make the database ready for the launcher: `python -m portal.local.prepare`.

Runs in a process of its own, with the environment of the desk. The last line it prints is one
JSON object: `admin` (username, and the password when it was made just now) and `webhook` (the
porting webhook's full address). Exit status 2 means a wrong setting, named in the last line.
"""

import io
import json
import os
import secrets
import sys

# Letters and digits that are not mistaken for one another when read from a screen.
ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def new_password() -> str:
    """Return a password of about 93 random bits in four groups, easy to copy by hand."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))


def ensure_admin() -> dict[str, str]:
    """Make the first administrator unless there is one; return the name and a made password."""
    from portal.accounts.models import User

    wanted = os.environ.get("DJANGO_SUPERUSER_USERNAME", "").strip()
    password = os.environ.get("DJANGO_SUPERUSER_PASSWORD", "")
    username = wanted or "admin"
    chosen = (
        User.objects.filter(username=username) if wanted else User.objects.filter(is_superuser=True)
    )
    if there := chosen.order_by("pk").first():
        return {"username": there.get_username()}
    email = os.environ.get("DJANGO_SUPERUSER_EMAIL", "").strip() or f"{username}@desk.example"
    made = password or new_password()
    User.objects.create_superuser(username=username, email=email, password=made)
    if password:
        return {"username": username, "given": "yes"}
    return {"username": username, "password": made}


def reset_admin() -> str:
    """Give the administrator a new password and return what to print."""
    from portal.accounts.models import User

    wanted = os.environ.get("DJANGO_SUPERUSER_USERNAME", "").strip()
    chosen = (
        User.objects.filter(username=wanted) if wanted else User.objects.filter(is_superuser=True)
    )
    person = chosen.order_by("pk").first()
    if person is None:
        return "There is no administrator yet; `make run` makes one."
    password = new_password()
    person.set_password(password)
    person.save(update_fields=["password"])
    return f"The new password of {person.get_username()} is  {password}"


def webhook_address() -> str:
    """Return the full address Sinch reaches the project of the environment at.

    It holds a token: not for any log.
    """
    from django.conf import settings

    from portal.accounts.models import SinchProject
    from portal.projects import configuration

    project = SinchProject.objects.get(project_id=settings.SINCH_PROJECT_ID)
    token = configuration.valid_tokens(project).first()
    return configuration.webhook_address(token.token) if token is not None else ""


def check_migrations() -> int:
    """Tell whether every model change has its migration; needs no database."""
    import warnings

    # Nobody listens there: the comparison with what a database has applied is left out.
    os.environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.DATABASES["default"]["OPTIONS"].pop("pool", None)  # it would try for seconds
    django.setup()
    warnings.filterwarnings("ignore", message="Got an error checking a consistent migration")
    call_command("makemigrations", check=True, dry_run=True)
    return 0


def main() -> int:
    """Run the preparations and return the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import CommandError, call_command
    from django.db import OperationalError, ProgrammingError

    try:
        django.setup()
        if "--new-password" in sys.argv[1:]:
            print(reset_admin())
            return 0
        call_command("migrate", interactive=False, verbosity=0)
        call_command("ensure_project", stdout=io.StringIO())
        result = {"admin": ensure_admin(), "webhook": webhook_address()}
    except (ImproperlyConfigured, CommandError) as error:
        print(str(error).replace("\n", " "))
        return 2
    except ProgrammingError:
        if "--new-password" not in sys.argv[1:]:
            raise
        print("There is no administrator yet; `make run` makes one.")
        return 2
    except OperationalError as error:
        print("The database at DATABASE_URL does not answer: " + " ".join(str(error).split()))
        return 2
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
