"""The permission to operate, and the person of that name who could do everything until now."""

from django.db import migrations, models


def people_named_operator_are_operators(apps, schema_editor):
    User = apps.get_model("auth", "User")
    people = User.objects.filter(username="operator")
    if not people:
        return  # who comes later is made an operator as they come (one_time_links.py)
    of, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="accounts", model="operating"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=of, codename="operate", defaults={"name": "May change streams and consumer groups"}
    )
    operators, _ = apps.get_model("auth", "Group").objects.get_or_create(name="operators")
    operators.permissions.add(permission)
    for person in people:
        person.groups.add(operators)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.CreateModel(
            name='Operating',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
            ],
            options={
                'permissions': [('operate', 'May change streams and consumer groups')],
                'managed': False,
                'default_permissions': (),
            },
        ),
        migrations.RunPython(people_named_operator_are_operators, migrations.RunPython.noop),
    ]
