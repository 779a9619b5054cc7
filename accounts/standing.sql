-- Where accounts and markets stand, for everybody who judges an order: the dispatch (strategies/dispatch.sql) judges
-- hedges, accounts/standing.py all others. Each rule is written once, here.

-- What all our accounts together may hold in each of these markets, how far from its mark a price may lie, and what
-- they do hold. A market's own figure stands before that of every market; holdings are summed only where a limit asks.
CREATE OR REPLACE FUNCTION market_bounds(wanted text[])
RETURNS TABLE (market_key text, max_position numeric, price_band numeric, yes numeric, no numeric)
LANGUAGE sql STABLE AS $$
    SELECT m.id, l.max_position, l.price_band, coalesce(held.yes, 0), coalesce(held.no, 0)
    FROM markets_market m
    CROSS JOIN LATERAL (
        SELECT coalesce(own.max_position, base.max_position) AS max_position,
            coalesce(own.price_band, base.price_band) AS price_band
        FROM (SELECT m.id) t(id)
        LEFT JOIN markets_marketlimit own ON own.market_id = t.id
        LEFT JOIN markets_marketlimit base ON base.market_id IS NULL
    ) l
    LEFT JOIN LATERAL (
        SELECT sum(p.size) FILTER (WHERE p.outcome = 'yes') AS yes, sum(p.size) FILTER (WHERE p.outcome = 'no') AS no
        FROM accounts_position p WHERE p.market_id = m.id AND l.max_position IS NOT NULL
    ) held ON true
    WHERE m.id = ANY(wanted)
$$;

-- What each of these accounts can still pay: the collateral its venue told of since `since`, less what its open buys
-- reserve (`judged`, the order in question, left out) and what is bought and not paid on the chain yet. An account
-- whose balance is not known is not in here.
CREATE OR REPLACE FUNCTION account_funds(wanted uuid[], since timestamptz, judged uuid DEFAULT NULL)
RETURNS TABLE (account_id uuid, free numeric)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.collateral - coalesce((
        SELECT sum(o.price * (o.size - o.filled)) FROM accounts_order o
        WHERE o.account_id = a.id AND o.action = 'buy' AND o.id IS DISTINCT FROM judged
          AND o.status IN ('submitted', 'accepted', 'unknown', 'partially_filled')
    ), 0) - coalesce((
        SELECT sum(f.price * f.size) FROM accounts_fill f
        WHERE f.account_id = a.id AND f.settlement = 'matched' AND f.action = 'buy'
    ), 0)
    FROM accounts_account a WHERE a.id = ANY(wanted) AND a.balance_at > since
$$;

-- The one book of a market, in YES: a buy of YES and a sell of NO are bids, the others asks (trading/positions.py).
CREATE OR REPLACE FUNCTION book_side(outcome text, action text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (outcome = 'yes') = (action = 'buy') THEN 'bid' ELSE 'ask' END
$$;

CREATE OR REPLACE FUNCTION yes_price(outcome text, price numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN outcome = 'yes' THEN price ELSE 1 - price END
$$;

-- The larger, the sooner it is crossed: a bid's YES price, an ask's less than nothing. The index `order_best` is over
-- these two and must be made anew if they change; what an index calls may call no function of ours in turn.
CREATE OR REPLACE FUNCTION reach(outcome text, action text, price numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN outcome = 'yes' THEN price ELSE 1 - price END
        * CASE WHEN (outcome = 'yes') = (action = 'buy') THEN 1 ELSE -1 END
$$;
