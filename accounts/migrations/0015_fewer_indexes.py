"""Indexes that others cover cost each fill and order; a position's row has room to be updated in place."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0014_ledger_looks_first"),
        ("markets", "0002_limits_and_states"),
    ]

    operations = [
        migrations.AlterField(
            model_name="fill",
            name="account",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="fills", to="accounts.account"
            ),
        ),
        migrations.AlterField(
            model_name="fill",
            name="market",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="fills", to="markets.market"
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="orders",
                to="accounts.account",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="market",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="orders", to="markets.market"
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="order_hash",
            field=models.CharField(blank=True, max_length=66, null=True),
        ),
        migrations.AlterField(
            model_name="position",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="positions",
                to="accounts.account",
            ),
        ),
        migrations.AlterField(
            model_name="position",
            name="market",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="positions",
                to="markets.market",
            ),
        ),
        migrations.AddIndex(
            model_name="fill",
            index=models.Index(fields=["market"], name="fill_by_market"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["market"], name="order_by_market"),
        ),
        migrations.AddIndex(
            model_name="position",
            index=models.Index(fields=["market"], name="position_by_market"),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(fields=("order_hash",), name="order_hash_once"),
        ),
        migrations.RunSQL(
            "ALTER TABLE accounts_position SET (fillfactor = 80)", "ALTER TABLE accounts_position RESET (fillfactor)"
        ),
    ]
