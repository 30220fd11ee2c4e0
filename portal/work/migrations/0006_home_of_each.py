from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("work", "0005_large_desks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.RemoveIndex(
            model_name="workitem",
            name="item_home",
        ),
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(("bucket__in", ("ready", "us"))),
                fields=["assignee", "bucket", "urgency", "id"],
                name="item_home",
            ),
        ),
        migrations.AddIndex(
            model_name="workitem",
            index=models.Index(
                condition=models.Q(("assignee", None), ("bucket__in", ("ready", "us"))),
                fields=["bucket", "urgency", "id"],
                name="item_home_nobody",
            ),
        ),
    ]
