"""Each row records the decoder that wrote it. The log is not rewritten: a column with a constant default costs nothing.

Django's own operation would copy the whole table on SQLite.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import migrations, models


def register_older_rows(apps: Any, schema_editor: Any) -> None:
    """Count the existing rows as those of decoder 0, and mark the read models as made by several decoders."""
    database = schema_editor.connection.alias
    rows = apps.get_model("eventlog", "LoggedEvent").objects.using(database).count()
    if rows:
        long_ago = datetime(1970, 1, 1, tzinfo=UTC)
        apps.get_model("eventlog", "Decoder").objects.using(database).create(
            pk=0, fingerprint="", first_used_at=long_ago, last_used_at=long_ago, rows=rows
        )
    apps.get_model("eventlog", "GroupPosition").objects.using(database).update(decoder_id=0)


class Migration(migrations.Migration):
    dependencies = [("eventlog", "0007_snapshots")]

    operations = [
        migrations.CreateModel(
            name="Decoder",
            fields=[
                ("id", models.SmallAutoField(primary_key=True, serialize=False)),
                ("fingerprint", models.CharField(max_length=32, unique=True)),
                ("first_used_at", models.DateTimeField()),
                ("last_used_at", models.DateTimeField()),
                ("rows", models.BigIntegerField(default=0)),
                ("redecoded_through", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.AddField("GroupPosition", "decoder_id", models.SmallIntegerField(null=True)),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE eventlog_loggedevent ADD COLUMN decoder_id smallint DEFAULT 0 NOT NULL",
                    "ALTER TABLE eventlog_loggedevent DROP COLUMN decoder_id",
                )
            ],
            state_operations=[migrations.AddField("LoggedEvent", "decoder_id", models.SmallIntegerField(db_default=0))],
        ),
        migrations.RunPython(register_older_rows, migrations.RunPython.noop),
    ]
