from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RenameModel("AccessLogEntry", "AuditLogEntry"),
        migrations.AlterModelOptions("AuditLogEntry", options={"ordering": ["-pk"], "verbose_name_plural": "audit log entries"}),
    ]
