"""The dispatch's statements, as functions of the database (strategies/dispatch.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "dispatch.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("strategies", "0002_strategy_started_at"),
        ("accounts", "0003_ledger_functions"),
    ]
    operations = [
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION dispatch_close(jsonb, jsonb, jsonb, timestamptz);"
            "DROP FUNCTION dispatch_open(jsonb, uuid[], timestamptz);",
        )
    ]
