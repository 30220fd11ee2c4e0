"""The three roles of the desk, as groups; administrators may change what each may do."""

from django.db import migrations

RIGHTS = {
    "send_to_sinch": "Can send orders, changes, notes and documents to Sinch",
    "reveal_secrets": "Can look at port-out PINs and account numbers",
    "manage_project": "Can change what a Sinch project is set to",
    "read_deliveries": "Can read the webhook log",
}
ROLES = {
    "Support agents": ["send_to_sinch", "reveal_secrets", "read_deliveries"],
    "Supervisors": ["send_to_sinch", "reveal_secrets", "read_deliveries", "manage_project"],
    "Readers": [],
}


def make_roles(apps, schema_editor):
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="accounts", model="user"
    )
    # Django makes permissions only after all migrations have run; these are needed here.
    permissions = {
        codename: apps.get_model("auth", "Permission").objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )[0]
        for codename, name in RIGHTS.items()
    }
    for name, rights in ROLES.items():
        group, made = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        if made:
            group.permissions.set([permissions[right] for right in rights])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop, elidable=False)]
