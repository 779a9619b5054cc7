"""The desk's own REDUCING, and an index for what open buys reserve."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_doubted_ends")]
    operations = [
        migrations.AddField(
            "desk",
            "state",
            models.CharField(
                choices=[("active", "Active"), ("reducing", "Reducing"), ("halted", "Halted")],
                default="active",
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            "order",
            models.Index(
                condition=models.Q(
                    ("action", "buy"),
                    ("status__in", ["accepted", "initialized", "partially_filled", "submitted", "unknown"]),
                ),
                fields=["account"],
                name="order_reserving",
            ),
        ),
    ]
