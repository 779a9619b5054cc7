"""Alerts that resolve once their cause is gone: open means neither acknowledged nor resolved."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.AddField(
            "alert",
            "resolved_at",
            models.DateTimeField(blank=True, help_text="When its cause was seen to be gone.", null=True),
        ),
        migrations.AlterField(
            "alert",
            "kind",
            models.CharField(help_text="What sort of thing: one of alerts.kinds.", max_length=64),
        ),
        migrations.RemoveConstraint("alert", "alert_open_once"),
        migrations.AddConstraint(
            "alert",
            models.UniqueConstraint(
                condition=models.Q(("acknowledged_at__isnull", True), ("resolved_at__isnull", True)),
                fields=("dedup_key",),
                name="alert_open_once",
            ),
        ),
        migrations.AddIndex(
            "alert",
            models.Index(
                condition=models.Q(("resolved_at__isnull", True)),
                fields=["kind", "dedup_key"],
                name="alert_unresolved",
            ),
        ),
    ]
