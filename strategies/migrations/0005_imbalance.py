"""Differences between what the venues hold and what the ledger says."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

import markets.fields


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_ledger_functions"),
        ("strategies", "0004_ladder"),
    ]

    operations = [
        migrations.CreateModel(
            name="Imbalance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "market_key",
                    models.CharField(help_text="The market, known to the catalogue or not.", max_length=160),
                ),
                ("outcome", models.CharField(choices=[("yes", "Yes"), ("no", "No")], max_length=3)),
                ("at_venue", markets.fields.AmountField(decimal_places=18, max_digits=38)),
                ("in_ledger", markets.fields.AmountField(decimal_places=18, max_digits=38)),
                (
                    "difference",
                    markets.fields.AmountField(
                        decimal_places=18,
                        help_text="Shares the venue has beyond what the ledger can explain, at the last read.",
                        max_digits=38,
                    ),
                ),
                (
                    "believed",
                    markets.fields.AmountField(
                        decimal_places=18,
                        default=Decimal("0"),
                        help_text="The part of it that two reads apart both showed.",
                        max_digits=38,
                    ),
                ),
                ("reads", models.PositiveIntegerField(default=1)),
                ("first_seen_at", models.DateTimeField()),
                ("read_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="imbalances", to="accounts.account"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("account", "market_key", "outcome"), name="imbalance_once")
                ],
            },
        ),
    ]
