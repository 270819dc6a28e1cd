import django.db.models.deletion
import evdash.eventlog.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('eventlog', '0002_delivery'),
    ]

    operations = [
        migrations.DeleteModel(name='Gap'),
        migrations.CreateModel(
            name='Gap',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.TextField(choices=[('before', 'removed from the stream before evdash first read it'), ('removed', 'removed from the stream before they were read'), ('acknowledged', 'acknowledged by an operator without being applied'), ('parked', 'could not be applied and were parked')])),
                ('first_id', evdash.eventlog.fields.EntryIdField()),
                ('last_id', evdash.eventlog.fields.EntryIdField()),
                ('entries', models.BigIntegerField(null=True)),
                ('noticed_at', models.DateTimeField()),
                ('reason', models.TextField(blank=True)),
                ('position', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='eventlog.groupposition')),
            ],
            options={
                'indexes': [models.Index(fields=['last_id'], name='gaps_by_end')],
                'constraints': [models.UniqueConstraint(fields=('position', 'kind', 'first_id', 'last_id'), name='a_gap_is_recorded_once')],
            },
        ),
    ]
