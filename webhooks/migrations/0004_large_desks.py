import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Webhooks come in meanwhile: none may have to wait for an index.
    atomic = False

    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("operations", "0006_large_desks"),
        ("webhooks", "0003_events_of_hosting"),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET statement_timeout = 0", "SET statement_timeout = 0"),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(fields=["kind", "-received_at", "-id"], name="delivery_kind"),
        ),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass("event_type", "varchar_pattern_ops"),
                name="delivery_event",
            ),
        ),
        migrations.RunSQL("RESET statement_timeout", "RESET statement_timeout"),
    ]
