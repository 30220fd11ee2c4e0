from django.db import migrations, models
from django.utils import timezone


def have_dated_items_worked_out(apps, schema_editor):
    """Have the bucket of every living item with a date worked out again, which fills the column."""
    items = apps.get_model("work", "WorkItem").objects.filter(
        kind="port_in", bucket__in=["ready", "us", "date", "wait"], foc_date__isnull=False
    )
    items.update(next_change_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [
        ("work", "0002_worst_first"),
    ]

    operations = [
        migrations.AddField(
            model_name="workitem",
            name="foc_dates",
            field=models.JSONField(default=list),
        ),
        migrations.RunPython(have_dated_items_worked_out, migrations.RunPython.noop),
    ]
