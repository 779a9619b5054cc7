"""A market's mark and limits, and each venue's trading state."""

import django.db.models.deletion
from django.db import migrations, models

import markets.fields


class Migration(migrations.Migration):
    dependencies = [("markets", "0001_initial")]
    operations = [
        migrations.AddField(
            "market",
            "mark",
            markets.fields.AmountField(
                blank=True,
                decimal_places=18,
                help_text="The middle of the book when last seen, in YES.",
                max_digits=38,
                null=True,
            ),
        ),
        migrations.AddField("market", "marked_at", models.DateTimeField(blank=True, null=True)),
        migrations.CreateModel(
            "VenueState",
            [
                (
                    "platform",
                    models.CharField(
                        choices=[("predict", "Predict"), ("polymarket", "Polymarket")],
                        max_length=16,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("reducing", "Reducing"), ("halted", "Halted")],
                        default="active",
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=255)),
                ("changed_by", models.CharField(blank=True, max_length=150)),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            "MarketLimit",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "max_position",
                    markets.fields.AmountField(
                        blank=True,
                        decimal_places=18,
                        help_text="Most shares of one outcome, all accounts and open buys together.",
                        max_digits=38,
                        null=True,
                    ),
                ),
                (
                    "price_band",
                    markets.fields.AmountField(
                        blank=True,
                        decimal_places=18,
                        help_text="Furthest an order's price may lie from the market's mark; 0.1 is ten cents.",
                        max_digits=38,
                        null=True,
                    ),
                ),
                ("changed_by", models.CharField(blank=True, max_length=150)),
                ("changed_at", models.DateTimeField()),
                (
                    "market",
                    models.OneToOneField(
                        blank=True,
                        help_text="Empty: every market.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limit",
                        to="markets.market",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("market",), name="market_limit_once", nulls_distinct=False),
                    models.CheckConstraint(
                        condition=models.Q(("max_position__isnull", True), ("max_position__gte", 0), _connector="OR"),
                        name="market_limit_position",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("price_band__isnull", True), ("price_band__gte", 0), _connector="OR"),
                        name="market_limit_band",
                    ),
                ]
            },
        ),
    ]
