from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("operations", "0005_clocks_of_machines"),
        ("orders", "0006_dates_that_moved"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="portabilityrun",
            index=models.Index(fields=["-created_at"], name="portability_run_newest"),
        ),
        migrations.AddIndex(
            model_name="portindraft",
            index=models.Index(
                condition=models.Q(("state__in", ["open", "sending"])),
                fields=["by", "-updated_at"],
                name="orders_draft_open",
            ),
        ),
    ]
