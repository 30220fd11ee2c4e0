from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_hosting_settings"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="sinchproject",
            options={"ordering": ["name"], "verbose_name": "Sinch project"},
        ),
    ]
