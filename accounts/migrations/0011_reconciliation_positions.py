"""Reconciliation: positions, orders the venue does not know, an outage told from a difference, and bounded tries."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_desk_state")]
    operations = [
        migrations.AddField(
            "reconciliation",
            "tries",
            models.IntegerField(default=0, help_text="Looks in a row that left something unexplained."),
        ),
        migrations.AddField(
            "reconciliation",
            "unreachable_since",
            models.DateTimeField(
                blank=True,
                help_text="Since when nobody could look: the venue, the proxy or our engine is away.",
                null=True,
            ),
        ),
        migrations.AddField(
            "reconciliation",
            "orders_missing",
            models.IntegerField(default=0, help_text="Open here and unknown to the venue, at the last look."),
        ),
        migrations.AddField(
            "reconciliation",
            "positions_apart",
            models.IntegerField(default=0, help_text="Holdings that two looks saw differ from the ledger."),
        ),
        migrations.AlterField(
            "reconciliation",
            "failing_since",
            models.DateTimeField(blank=True, help_text="Since when something stays unexplained.", null=True),
        ),
    ]
