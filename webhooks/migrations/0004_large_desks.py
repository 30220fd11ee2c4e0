import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("operations", "0006_large_desks"),
        ("webhooks", "0003_events_of_hosting"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["kind", "-received_at", "-id"], name="delivery_kind"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass("event_type", "varchar_pattern_ops"),
                name="delivery_event",
            ),
        ),
    ]
