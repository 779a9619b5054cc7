"""An exposure's place on the ladder, what of it is at risk, and the dispatch's statements that keep both."""

from decimal import Decimal
from pathlib import Path

from django.db import migrations, models

import markets.fields

SQL = Path(__file__).resolve().parent.parent / "dispatch.sql"


class Migration(migrations.Migration):
    dependencies = [("strategies", "0003_dispatch_functions")]
    operations = [
        migrations.AddField(
            "exposure",
            "at_risk",
            markets.fields.AmountField(
                decimal_places=18,
                default=Decimal("0"),
                help_text="Collateral that is lost if those shares lose.",
                max_digits=38,
            ),
        ),
        migrations.AddField(
            "exposure",
            "next_rung",
            models.SmallIntegerField(blank=True, help_text="Set while the rung is ending.", null=True),
        ),
        migrations.AddField(
            "exposure",
            "rung_owed",
            markets.fields.AmountField(
                decimal_places=18,
                default=Decimal("0"),
                help_text="Shares the rung began with that are not covered yet.",
                max_digits=38,
            ),
        ),
        migrations.AddField("exposure", "rung_since", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "exposure",
            "unhedged",
            markets.fields.AmountField(
                decimal_places=18,
                default=Decimal("0"),
                help_text="Shares no fill has covered yet, in flight or not.",
                max_digits=38,
            ),
        ),
        migrations.AlterField(
            "exposure",
            "rung",
            models.SmallIntegerField(default=0, help_text="The place on the strategy's ladder, from 0."),
        ),
        migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
