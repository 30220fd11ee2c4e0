from django.db import migrations, models
from django.db.models import Min


def leave_out_what_was_told_twice(apps, schema_editor):
    """Keep the first of entries that say the same while they wait on their operation."""
    entries = apps.get_model("work", "TimelineEntry").objects.filter(item=None).order_by()
    first = entries.values("fact").annotate(first=Min("pk")).values("first")
    entries.exclude(pk__in=first).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("work", "0003_item_foc_dates"),
    ]

    operations = [
        migrations.RunPython(leave_out_what_was_told_twice, migrations.RunPython.noop),
        migrations.AlterModelOptions(
            name="timelineentry",
            options={"ordering": ["-at", "-id"], "verbose_name_plural": "timeline entries"},
        ),
        migrations.RemoveConstraint(
            model_name="timelineentry",
            name="a_fact_is_told_once",
        ),
        migrations.AddConstraint(
            model_name="timelineentry",
            constraint=models.UniqueConstraint(
                fields=("item", "fact"), name="a_fact_is_told_once", nulls_distinct=False
            ),
        ),
    ]
