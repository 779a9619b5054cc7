from django.db import migrations, models

import markets.fields


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_closing_orders")]

    operations = [
        migrations.CreateModel(
            name="EquityPoint",
            fields=[
                ("at", models.DateTimeField(primary_key=True, serialize=False)),
                (
                    "collateral",
                    markets.fields.AmountField(
                        help_text="Σ balances; null while some account's was never read.", null=True
                    ),
                ),
                (
                    "value",
                    markets.fields.AmountField(
                        help_text="Σ shares at their mark; null while some market has no mark.", null=True
                    ),
                ),
                ("cost", markets.fields.AmountField(help_text="What these shares cost.")),
                ("realized", markets.fields.AmountField()),
                ("accounts", models.IntegerField()),
                ("unmarked", models.IntegerField(default=0, help_text="Positions without a mark.")),
            ],
            options={"ordering": ["-at"]},
        )
    ]
