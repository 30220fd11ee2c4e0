from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("hosting", "0006_large_desks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="qualifiednumber",
            index=models.Index(
                condition=models.Q(("gone_at", None), ("state", "VERIFIED")),
                fields=["project"],
                name="qualified_verified",
            ),
        ),
    ]
