
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('eventlog', '0010_inheritance'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConsumerClaim',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('stream', models.TextField()),
                ('group', models.TextField()),
                ('consumer', models.TextField()),
                ('claimed_at', models.DateTimeField()),
                ('read_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('stream', 'group', 'consumer'), name='one_last_claim_per_consumer')],
            },
        ),
        migrations.CreateModel(
            name='WorkerProblem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('group', models.TextField()),
                ('consumer', models.TextField()),
                ('stream', models.TextField(blank=True)),
                ('code', models.TextField()),
                ('cause', models.TextField()),
                ('since', models.DateTimeField()),
                ('noted_at', models.DateTimeField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('group', 'consumer', 'stream'), name='one_problem_per_worker_and_stream')],
            },
        ),
    ]
