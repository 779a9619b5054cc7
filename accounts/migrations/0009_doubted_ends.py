"""A hedge that is said to be over is doubted until its end is proved (accounts/ends.py)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_connection_test")]
    operations = [
        migrations.AddField(
            "order",
            "doubted_since",
            models.DateTimeField(
                blank=True,
                help_text="A hedge said to be over, not proved yet: its remainder counts as in flight.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            "order",
            models.Index(condition=models.Q(("doubted_since__isnull", False)), fields=["market"], name="order_doubted"),
        ),
    ]
