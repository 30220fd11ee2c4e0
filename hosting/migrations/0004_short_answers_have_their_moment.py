from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosting", "0003_drafts_without_an_order"),
    ]

    operations = [
        migrations.AddField(
            model_name="importednumber",
            name="answered_at",
            field=models.DateTimeField(null=True),
        ),
    ]
