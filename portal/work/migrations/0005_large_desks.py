from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("work", "0004_told_once_without_an_item"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(("bucket__in", ("ready", "us"))),
                fields=["assignee", "urgency", "id"],
                name="item_home",
            ),
        ),
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(
                    ("assignee", None), ("bucket__in", ("ready", "us", "date", "wait"))
                ),
                fields=["id"],
                name="item_nobody",
            ),
        ),
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(
                    ("bucket__in", ("ready", "us")), ("reasons__contains", [{"code": "P2"}])
                ),
                fields=["foc_date"],
                name="item_late",
            ),
        ),
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(("bucket", "ready")), fields=["foc_date"], name="item_ready"
            ),
        ),
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(("bucket", "ended"), _negated=True),
                fields=["foc_date", "urgency", "id"],
                name="item_day",
            ),
        ),
    ]
