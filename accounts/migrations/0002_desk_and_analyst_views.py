"""The desk's one row, and the views analysts read: the seed's tables per platform, without secrets."""

from django.db import migrations

ACCOUNTS = """
CREATE VIEW {platform}_accounts AS
SELECT id, name, address, signer_kind, tags, notes, state, mode, connection, collateral, reserved, balance_at, created_at, updated_at
FROM accounts_account WHERE platform = '{platform}';
"""
TRADES = """
CREATE VIEW {platform}_trades AS
SELECT o.id, o.account_id, a.name AS account_name, m.market_id, o.outcome AS side, o.action, o.order_type, o.price,
       o.size AS shares, o.filled, o.status, o.reason, o.origin, o.mode, o.strategy_id, o.exposure_id, o.order_hash,
       o.venue_order_id, o.created_at, o.sent_at, o.answered_at, o.closed_at, o.latency_us
FROM accounts_order o JOIN accounts_account a ON a.id = o.account_id JOIN markets_market m ON m.id = o.market_id
WHERE a.platform = '{platform}';
"""
POSITIONS = """
CREATE VIEW {platform}_positions AS
SELECT p.id, p.account_id, a.name AS account_name, m.market_id, m.title AS market_title, p.outcome AS side,
       p.size AS shares, p.cost, CASE WHEN p.size > 0 THEN p.cost / p.size END AS average_price,
       p.realized AS realized_pnl, p.fees, p.cash, p.updated_at
FROM accounts_position p JOIN accounts_account a ON a.id = p.account_id JOIN markets_market m ON m.id = p.market_id
WHERE a.platform = '{platform}';
"""
PLATFORMS = ("predict", "polymarket")

CREATE = "".join(view.format(platform=platform) for platform in PLATFORMS for view in (ACCOUNTS, TRADES, POSITIONS))
DROP = "".join(
    f"DROP VIEW {platform}_{name};" for platform in PLATFORMS for name in ("positions", "trades", "accounts")
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("markets", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "INSERT INTO accounts_desk (id, stopped, level, generation, changed_by, reason) VALUES (1, false, '', 0, '', '')",
            "DELETE FROM accounts_desk",
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
