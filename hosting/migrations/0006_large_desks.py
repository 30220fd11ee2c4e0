import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("hosting", "0005_numbers_made_anew"),
        ("operations", "0006_large_desks"),
        ("work", "0004_told_once_without_an_item"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.RemoveIndex(
            model_name="qualifiednumber",
            name="qualified_state",
        ),
        migrations.AddIndex(
            model_name="hostingdraft",
            index=models.Index(
                condition=models.Q(("state__in", ["open", "sending"])),
                fields=["by", "-updated_at"],
                name="hosting_draft_open",
            ),
        ),
        migrations.AddIndex(
            model_name="hostingorder",
            index=models.Index(
                fields=["service_plan_id", "campaign_id"], name="hosting_order_pair"
            ),
        ),
        migrations.AddIndex(
            model_name="importednumber",
            index=models.Index(
                condition=models.Q(("gone_at", None)),
                fields=["phone_number", "id"],
                name="imported_listed",
            ),
        ),
        migrations.AddIndex(
            model_name="importednumber",
            index=models.Index(
                condition=models.Q(("is_settling", True)),
                fields=["phone_number"],
                name="imported_settling",
            ),
        ),
        migrations.AddIndex(
            model_name="importednumber",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("display_name"), "text_pattern_ops"
                ),
                name="imported_name",
            ),
        ),
        migrations.AddIndex(
            model_name="qualifiednumber",
            index=models.Index(
                condition=models.Q(("gone_at", None)),
                fields=["state", "phone_number"],
                name="qualified_state",
            ),
        ),
        migrations.AddIndex(
            model_name="qualifiednumber",
            index=models.Index(
                condition=models.Q(("gone_at", None)),
                fields=["phone_number", "id"],
                name="qualified_listed",
            ),
        ),
    ]
