-- The ledger's two statements. One round trip opens a batch (lock, insert, settle, read), one closes it (write).
-- accounts/ledger/fills.py is their only caller in Python; the arithmetic between them is the kernel's.
-- Locks are taken in one order by everybody: orders, fills, positions, then exposures; each class by id.

CREATE OR REPLACE FUNCTION ledger_open(executions jsonb, at timestamptz) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    hashes text[];
    wanted int;
    has_word boolean;
    orders json;
    fills json;
    settled json := '[]';
    positions json;
    locked int;
BEGIN
    SELECT array_agg(i.order_hash), count(DISTINCT (i.account_id, i.market_key, i.outcome)),
        bool_or(i.settlement <> 'matched')
    INTO hashes, wanted, has_word
    FROM jsonb_to_recordset(executions) AS i(
        account_id uuid, market_key text, outcome text, order_hash text, settlement text
    );

    SELECT coalesce(json_agg(row_to_json(o)), '[]') INTO orders FROM (
        SELECT o.id, o.exposure_id, o.account_id, o.market_id AS market_key, o.outcome, o.action, o.price, o.size,
            o.filled, o.status
        FROM accounts_order o
        WHERE o.order_hash = ANY(hashes)
        ORDER BY o.id FOR UPDATE
    ) o;

    WITH f AS (
        INSERT INTO accounts_fill (
            account_id, market_id, order_id, exposure_id, trade_id, settlement_id, order_hash, outcome, action, price,
            size, fee, fee_kind, liquidity, settlement, transaction_hash, venue_time, received_at, recorded_at,
            settled_at
        )
        SELECT i.account_id, i.market_key, o.id, o.exposure_id, i.trade_id, i.settlement_id, i.order_hash, i.outcome,
            i.action, i.price, i.size, i.fee, i.fee_kind, i.liquidity, i.settlement, i.transaction_hash, i.venue_time,
            i.received_at, at, CASE WHEN i.settlement = 'matched' THEN NULL ELSE at END
        FROM jsonb_to_recordset(executions) AS i(
            account_id uuid, market_key text, trade_id text, settlement_id text, order_hash text, outcome text,
            action text, price numeric, size numeric, fee numeric, fee_kind text, liquidity text, settlement text,
            transaction_hash text, venue_time timestamptz, received_at timestamptz
        )
        LEFT JOIN accounts_order o ON o.order_hash = i.order_hash AND o.account_id = i.account_id
        ORDER BY i.account_id, i.trade_id
        ON CONFLICT (account_id, trade_id) DO NOTHING
        RETURNING *
    )
    SELECT coalesce(json_agg(row_to_json(r)), '[]') INTO fills FROM (
        SELECT f.trade_id, f.account_id, f.market_id AS market_key, f.order_id, f.exposure_id, o.strategy_id,
            f.outcome, f.action, f.price, f.size, coalesce(f.fee, 0) AS fee, f.fee_kind, f.settlement, f.received_at
        FROM f LEFT JOIN accounts_order o ON o.id = f.order_id
    ) r;

    IF has_word THEN
        WITH prior AS (
            SELECT f.id, f.settlement, coalesce(f.fee, 0) AS fee, f.fee_kind, i.settlement AS settled_as,
                i.fee AS new_fee, i.fee_kind AS new_fee_kind, i.liquidity AS new_liquidity,
                i.transaction_hash AS new_transaction_hash
            FROM jsonb_to_recordset(executions) AS i(
                account_id uuid, trade_id text, settlement text, fee numeric, fee_kind text, liquidity text,
                transaction_hash text
            )
            JOIN accounts_fill f ON f.account_id = i.account_id AND f.trade_id = i.trade_id
            -- A chain's last word stands: settled is never undone, and a failure may yet be settled.
            WHERE (f.settlement = 'matched' AND i.settlement IN ('settled', 'failed'))
               OR (f.settlement = 'failed' AND i.settlement = 'settled')
            ORDER BY f.id
            FOR UPDATE OF f
        ), f AS (
            UPDATE accounts_fill f SET
                settlement = prior.settled_as,
                fee = CASE WHEN prior.settled_as = 'settled' THEN coalesce(prior.new_fee, f.fee) ELSE f.fee END,
                fee_kind = CASE WHEN prior.settled_as = 'settled' THEN coalesce(prior.new_fee_kind, f.fee_kind)
                                ELSE f.fee_kind END,
                liquidity = coalesce(prior.new_liquidity, f.liquidity),
                transaction_hash = CASE WHEN prior.new_transaction_hash <> '' THEN prior.new_transaction_hash
                                        ELSE f.transaction_hash END,
                settled_at = at
            FROM prior WHERE f.id = prior.id
            RETURNING f.trade_id, f.account_id, f.market_id, f.order_id, f.exposure_id, f.outcome, f.action, f.price,
                f.size, f.fee, f.fee_kind, f.settlement, f.received_at, prior.settlement AS before,
                prior.fee AS fee_before, prior.fee_kind AS fee_kind_before
        )
        SELECT coalesce(json_agg(row_to_json(r)), '[]') INTO settled FROM (
            SELECT f.trade_id, f.account_id, f.market_id AS market_key, f.order_id, f.exposure_id, o.strategy_id,
                f.outcome, f.action, f.price, f.size, coalesce(f.fee, 0) AS fee, f.fee_kind, f.settlement,
                f.received_at, f.before, f.fee_before, f.fee_kind_before
            FROM f LEFT JOIN accounts_order o ON o.id = f.order_id
        ) r;
    END IF;

    -- A position must be a row before it is locked: two first fills must not both start from nothing. So the first look
    -- may find too few; then the rows are made, and the market's before them.
    LOOP
        SELECT coalesce(json_agg(row_to_json(p)), '[]'), count(*) INTO positions, locked FROM (
            SELECT p.account_id, p.market_id AS market_key, p.outcome, p.size, p.cost, p.realized, p.fees, p.cash
            FROM accounts_position p
            WHERE (p.account_id, p.market_id, p.outcome) IN (
                SELECT i.account_id, i.market_key, i.outcome
                FROM jsonb_to_recordset(executions) AS i(account_id uuid, market_key text, outcome text)
            )
            ORDER BY p.id FOR UPDATE
        ) p;
        EXIT WHEN locked = wanted;

        -- A fill in a market the catalogue has not met is still a fill: it gets a row that trades nothing until synced.
        INSERT INTO markets_market (
            id, platform, market_id, title, question, slug, category, status, yes_token, no_token, condition_id, tick,
            lot, min_size, min_value, fee_rate_bps, is_neg_risk, is_yield_bearing
        )
        SELECT DISTINCT i.market_key, split_part(i.market_key, ':', 1),
            substr(i.market_key, position(':' IN i.market_key) + 1), i.market_key, '', '', '', 'closed', '', '', '',
            0, 0, 0, 0, 0, false, false
        FROM jsonb_to_recordset(executions) AS i(market_key text)
        ON CONFLICT DO NOTHING;

        INSERT INTO accounts_position (account_id, market_id, outcome, size, cost, realized, fees, cash, updated_at)
        SELECT DISTINCT i.account_id, i.market_key, i.outcome, 0, 0, 0, 0, 0, at
        FROM jsonb_to_recordset(executions) AS i(account_id uuid, market_key text, outcome text)
        ON CONFLICT DO NOTHING;
    END LOOP;

    RETURN json_build_object('orders', orders, 'fills', fills, 'settled', settled, 'positions', positions);
END
$$;

-- `batch` holds what moved: {"progress": […], "positions": […], "orders": […]}. Gives the ids of the orders it inserted:
-- an id that exists already is another decision's order, which whoever made it sends.
CREATE OR REPLACE FUNCTION ledger_close(batch jsonb, at timestamptz) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    inserted json;
BEGIN
    -- The fill event itself has announced this status.
    UPDATE accounts_order o SET filled = t.filled, status = t.status, announced = t.status, updated_at = at,
        closed_at = CASE WHEN t.closed THEN coalesce(o.closed_at, at) END
    FROM jsonb_to_recordset(batch -> 'progress') AS t(id uuid, filled numeric, status text, closed boolean)
    WHERE o.id = t.id;

    UPDATE accounts_position p SET size = t.size, cost = t.cost, realized = t.realized, fees = t.fees, cash = t.cash,
        updated_at = at
    FROM jsonb_to_recordset(batch -> 'positions') AS t(
        account_id uuid, market_key text, outcome text, size numeric, cost numeric, realized numeric, fees numeric,
        cash numeric
    )
    WHERE p.account_id = t.account_id AND p.market_id = t.market_key AND p.outcome = t.outcome;

    WITH o AS (
        INSERT INTO accounts_order (
            id, account_id, market_id, outcome, action, order_type, post_only, price, size, filled, status, reason,
            origin, mode, exposure_id, strategy_id, cause, leg, rung, salt, expires_at_s, order_hash, venue_order_id,
            body, sender, attempts, cause_at, created_at, submitted_at, closed_at, updated_at, announced
        )
        SELECT t.id, t.account_id, t.market_key, t.outcome, t.action, t.order_type, t.post_only, t.price, t.size, 0,
            t.status, left(t.reason, 255), t.origin, t.mode, t.exposure_id, t.strategy_id, left(t.cause, 200), t.leg,
            t.rung, t.salt, t.expires_at_s, t.order_hash, '', decode(t.body, 'base64'), t.sender, 0, t.cause_at, at,
            CASE WHEN t.status = 'submitted' THEN at END, CASE WHEN t.status = 'denied' THEN at END, at, ''
        FROM jsonb_to_recordset(batch -> 'orders') AS t(
            id uuid, account_id uuid, market_key text, outcome text, action text, order_type text, post_only boolean,
            price numeric, size numeric, status text, reason text, origin text, mode text, exposure_id uuid,
            strategy_id uuid, cause text, leg smallint, rung smallint, salt bigint, expires_at_s bigint,
            order_hash text, body text, sender text, cause_at timestamptz
        )
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    )
    SELECT coalesce(json_agg(o.id), '[]') INTO inserted FROM o;
    RETURN inserted;
END
$$;
