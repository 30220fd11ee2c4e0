from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("hosting", "0004_short_answers_have_their_moment"),
    ]

    operations = [
        migrations.AddField(
            model_name="importednumber",
            name="came_back_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="qualifiednumber",
            name="came_back_at",
            field=models.DateTimeField(null=True),
        ),
    ]
