from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("eventlog", "0006_session_checkpoints")]

    operations = [
        migrations.RenameModel("SessionCheckpoint", "SessionSnapshot"),
        migrations.RemoveConstraint("SessionSnapshot", "one_checkpoint_per_session_and_entry"),
        migrations.AddConstraint(
            "SessionSnapshot",
            models.UniqueConstraint(fields=["session_id", "entry_id"], name="one_snapshot_per_session_and_entry"),
        ),
    ]
