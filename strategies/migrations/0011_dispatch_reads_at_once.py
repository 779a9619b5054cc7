"""The dispatch reads what a decision depends on in one statement (strategies/dispatch.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "dispatch.sql"


class Migration(migrations.Migration):
    dependencies = [("strategies", "0010_standing_functions"), ("accounts", "0014_ledger_looks_first")]
    operations = [migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
