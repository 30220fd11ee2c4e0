from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("operations", "0004_writes_that_fly"),
    ]

    operations = [
        migrations.AddField(
            model_name="loop",
            name="ahead",
            field=models.FloatField(db_default=0.0),
        ),
    ]
