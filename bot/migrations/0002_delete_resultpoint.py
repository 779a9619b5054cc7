"""The result's points are the dashboard's own (`accounts.EquityPoint`)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bot", "0001_initial")]

    operations = [migrations.DeleteModel("ResultPoint")]
