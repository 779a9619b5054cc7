"""A decision keeps the top of the book it looked at; the dispatch writes it (strategies/dispatch.sql)."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "dispatch.sql"


class Migration(migrations.Migration):
    dependencies = [("strategies", "0005_imbalance")]
    operations = [
        migrations.AddField(
            "decision",
            "book",
            models.JSONField(blank=True, help_text="The top of the book it looked at, in YES prices.", null=True),
        ),
        migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
