"""The dispatch counts what is left of a hedge whose end is doubted as in flight (strategies/dispatch.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "dispatch.sql"


class Migration(migrations.Migration):
    dependencies = [("strategies", "0006_decision_book"), ("accounts", "0009_doubted_ends")]
    operations = [migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
