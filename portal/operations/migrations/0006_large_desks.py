from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("operations", "0005_clocks_of_machines"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                condition=models.Q(("state__in", ("queued", "sending", "uncertain"))),
                fields=["project"],
                name="operation_under_way",
            ),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                condition=models.Q(("seen_at", None), ("state", "dead")),
                fields=["-id"],
                name="operation_stopped",
            ),
        ),
        migrations.AddIndex(
            model_name="reading",
            index=models.Index(
                condition=models.Q(("attempts__gte", 3), ("next_try_at__isnull", False)),
                fields=["-attempts"],
                name="reading_unanswered",
            ),
        ),
        migrations.AddIndex(
            model_name="reading",
            index=models.Index(
                condition=models.Q(("missed_webhooks__gt", 0)),
                fields=["missed_webhooks"],
                name="reading_missed",
            ),
        ),
        migrations.AddIndex(
            model_name="sinchcall",
            index=models.Index(
                condition=models.Q(("status", None), ("status__gte", 400), _connector="OR"),
                fields=["-at"],
                name="sinch_call_trouble",
            ),
        ),
    ]
