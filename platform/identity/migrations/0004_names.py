"""People, tokens and the audit log are called in the admin what its menu calls them. No table changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("identity", "0003_api_tokens")]

    operations = [
        migrations.AlterModelOptions("apitoken", {"ordering": ["-created_at", "-id"], "verbose_name": "API token"}),
        migrations.AlterModelOptions("auditentry", {"ordering": ["-id"], "verbose_name_plural": "audit log"}),
        migrations.AlterModelOptions(
            "user", {"ordering": ["username"], "verbose_name": "person", "verbose_name_plural": "people"}
        ),
    ]
