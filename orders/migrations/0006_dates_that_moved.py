from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0005_names_in_the_admin"),
    ]

    operations = [
        migrations.AddField(
            model_name="portinorder",
            name="moved",
            field=models.JSONField(null=True),
        ),
    ]
