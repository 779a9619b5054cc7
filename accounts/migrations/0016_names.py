"""The desk is called in the admin what its menu calls it. No table changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0015_fewer_indexes")]

    operations = [migrations.AlterModelOptions("desk", {"verbose_name_plural": "desk and stops"})]
