from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("eventlog", "0008_decoders")]

    operations = [migrations.RenameField("groupposition", "made_anew_at", "recreated_at")]
