"""Make the tables, the account with its key, and the endpoint; print the endpoint's path.

The rows are what dj-stripe would otherwise fetch from Stripe at the first event.
"""

import os

import django
from django.core.management import call_command
from django.urls import reverse


def main() -> None:
    """Prepare the database; the environment names the key and the signing secret."""
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    from djstripe.models import Account, APIKey, WebhookEndpoint

    account = Account.objects.create(id="acct_bench", livemode=False)
    APIKey.objects.create(
        secret=os.environ["DJSTRIPE_KEY"],
        type="secret",
        livemode=False,
        djstripe_owner_account=account,
    )
    endpoint = WebhookEndpoint.objects.create(
        id="we_bench",
        livemode=False,
        enabled_events=["*"],
        status="enabled",
        url="https://desk.example/stripe/",
        secret=os.environ["DJSTRIPE_SIGNING_SECRET"],
        djstripe_owner_account=account,
    )
    print(reverse("djstripe:djstripe_webhook_by_uuid", args=[endpoint.djstripe_uuid]))


if __name__ == "__main__":
    main()
