"""Messages are called in the admin what its menu calls them. No table changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bot", "0002_delete_resultpoint")]

    operations = [migrations.AlterModelOptions("outboxmessage", {"ordering": ["-id"], "verbose_name": "message"})]
