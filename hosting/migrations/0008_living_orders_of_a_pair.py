from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_names_in_the_admin"),
        ("hosting", "0007_verified_of_each_project"),
        ("work", "0006_home_of_each"),
    ]

    operations = [
        # On a large desk an index may take longer than any statement may otherwise.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="hostingorder",
            index=models.Index(
                condition=models.Q(
                    ("gone_at", None),
                    models.Q(("state__in", ["COMPLETED", "REJECTED"]), _negated=True),
                ),
                fields=["project", "campaign_id", "service_plan_id"],
                name="hosting_order_living",
            ),
        ),
    ]
