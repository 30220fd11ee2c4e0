from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0004_refusals_that_are_over"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="portinorder",
            options={"verbose_name": "port-in order"},
        ),
        migrations.AlterModelOptions(
            name="portindraft",
            options={"ordering": ["-updated_at"], "verbose_name": "port-in draft"},
        ),
    ]
