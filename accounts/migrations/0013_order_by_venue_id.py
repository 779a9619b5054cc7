from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0012_standing_functions"),
        ("markets", "0002_limits_and_states"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(("venue_order_id", ""), _negated=True),
                fields=["venue_order_id"],
                name="order_by_venue_id",
            ),
        ),
    ]
