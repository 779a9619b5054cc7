"""An order may also be one that closes a holding."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_index_unsettled_fills")]
    operations = [
        migrations.AlterField(
            model_name="order",
            name="origin",
            field=models.CharField(
                choices=[
                    ("user", "User"),
                    ("strategy", "Strategy"),
                    ("quoter", "Quoter"),
                    ("rehearsal", "Rehearsal"),
                    ("closing", "Closing"),
                ],
                default="user",
                max_length=10,
            ),
        )
    ]
