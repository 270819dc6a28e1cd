"""Scopes, patterns and expiry of API tokens. Tokens from before keep what they could do: read and export everything."""

from django.db import migrations, models

EARLIER_SCOPES = ["read", "export"]


def keep_earlier_tokens_working(apps, schema_editor):
    apps.get_model("accounts", "ApiToken").objects.update(scopes=EARLIER_SCOPES)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_roles")]

    operations = [
        migrations.AddField("apitoken", "scopes", models.JSONField(default=list)),
        migrations.AddField("apitoken", "stream_patterns", models.JSONField(default=list)),
        migrations.AddField("apitoken", "user_patterns", models.JSONField(default=list)),
        migrations.AddField("apitoken", "expires_at", models.DateTimeField(null=True)),
        migrations.RunPython(keep_earlier_tokens_working, migrations.RunPython.noop),
    ]
