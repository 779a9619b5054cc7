"""The ledger's statements, as functions of the database (accounts/ledger/ledger.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "ledger" / "ledger.sql"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_desk_and_analyst_views")]
    operations = [
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION ledger_close(jsonb, timestamptz); DROP FUNCTION ledger_open(jsonb, timestamptz);",
        )
    ]
