"""Where accounts and markets stand, as functions of the database (accounts/standing.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "standing.sql"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_reconciliation_positions"), ("markets", "0002_limits_and_states")]
    operations = [
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            "DROP FUNCTION account_funds(uuid[], timestamptz, uuid); DROP FUNCTION market_bounds(text[]);",
        )
    ]
