"""An exposure's row is written with every fill: no index holds what changes then, and it has room to stay in place."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0015_fewer_indexes"),
        ("markets", "0002_limits_and_states"),
        ("strategies", "0011_dispatch_reads_at_once"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="exposure",
            name="exposure_newest",
        ),
        migrations.AlterField(
            model_name="decision",
            name="exposure",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="decisions",
                to="strategies.exposure",
            ),
        ),
        migrations.AlterField(
            model_name="exposure",
            name="market",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="exposures",
                to="markets.market",
            ),
        ),
        migrations.AlterField(
            model_name="exposure",
            name="pair",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="exposures",
                to="strategies.pair",
            ),
        ),
        migrations.AlterField(
            model_name="exposure",
            name="primary_account",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.account"
            ),
        ),
        migrations.AddIndex(
            model_name="exposure",
            index=models.Index(fields=["market"], name="exposure_by_market"),
        ),
        migrations.RunSQL(
            "ALTER TABLE strategies_exposure SET (fillfactor = 70)",
            "ALTER TABLE strategies_exposure RESET (fillfactor)",
        ),
    ]
