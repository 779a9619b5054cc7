-- The dispatch's two statements, around the ledger's (accounts/ledger/ledger.sql). strategies/exposures.py calls them.

-- Record what is new of the executions, make the exposures they touch, then lock and read every exposure concerned:
-- those touched, those whose own orders filled, and those named in `ids`.
CREATE OR REPLACE FUNCTION dispatch_open(executions jsonb, ids uuid[], at timestamptz) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    ledger json := '{"orders":[],"fills":[],"settled":[],"positions":[]}';
    wanted uuid[] := ids;
    exposures json;
    markets text[];
    judged text[];
    has_ladder boolean;
    accounts json := '[]';
    tradable uuid[];
    bounds json := '[]';
    is_bounded boolean := false;
    moved uuid[] := '{}';
    owners uuid[];
    hedges uuid[];
    hedged_in text[];
    -- Whose the orders are that are told together and are nobody's in particular.
    several constant uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    IF jsonb_array_length(executions) > 0 THEN
        ledger := ledger_open(executions, at);

        -- The pairs of the touched accounts, as they stand now: a strategy just started or changed counts at once.
        IF EXISTS (
            SELECT 1 FROM jsonb_to_recordset(executions) AS i(account_id uuid, market_key text)
            JOIN LATERAL (
                SELECT p.id FROM strategies_pair p WHERE p.primary_id = i.account_id AND p.enabled
                UNION ALL
                SELECT p.id FROM strategies_pair p JOIN strategies_strategy s ON s.id = p.strategy_id
                WHERE p.hedge_id = i.account_id AND p.enabled AND (s.config ->> 'mutual')::boolean
            ) p ON true
            WHERE NOT EXISTS (
                SELECT 1 FROM strategies_exposure e
                WHERE e.pair_id = p.id AND e.market_id = i.market_key AND e.primary_account_id = i.account_id
            )
        ) THEN
            INSERT INTO strategies_exposure (
                id, strategy_id, pair_id, market_id, primary_account_id, hedge_account_id, "primary", hedged, lots,
                in_flight, need, rung, rung_owed, unhedged, at_risk, reason, revision, created_at, updated_at
            )
            SELECT gen_random_uuid(), s.id, d.pair_id, t.market_key, d.primary_id, d.hedge_id, 0, 0, '[]', 0, 0, 0, 0, 0, 0,
                '', 0, at, at
            FROM (
                SELECT DISTINCT i.account_id, i.market_key
                FROM jsonb_to_recordset(executions) AS i(account_id uuid, market_key text)
            ) t
            JOIN markets_market m ON m.id = t.market_key
            JOIN LATERAL (
                SELECT p.id AS pair_id, p.strategy_id, p.primary_id, p.hedge_id, false AS mirrored
                FROM strategies_pair p WHERE p.primary_id = t.account_id AND p.enabled
                UNION ALL
                SELECT p.id, p.strategy_id, p.hedge_id, p.primary_id, true
                FROM strategies_pair p WHERE p.hedge_id = t.account_id AND p.enabled
            ) d ON true
            JOIN strategies_strategy s ON s.id = d.strategy_id
            WHERE s.started_at IS NOT NULL
              AND (NOT d.mirrored OR coalesce((s.config ->> 'mutual')::boolean, false))
              AND (coalesce(jsonb_array_length(s.config -> 'markets'), 0) = 0 OR s.config -> 'markets' ? m.market_id)
              AND NOT EXISTS (
                SELECT 1 FROM strategies_exposure e
                WHERE e.pair_id = d.pair_id AND e.market_id = t.market_key AND e.primary_account_id = d.primary_id
              )
            ON CONFLICT DO NOTHING;
        END IF;

        moved := ARRAY(SELECT o.id FROM json_to_recordset(ledger -> 'orders') AS o(id uuid));
        wanted := wanted || ARRAY(
            SELECT e.id
            FROM jsonb_to_recordset(executions) AS i(account_id uuid, market_key text)
            JOIN strategies_exposure e ON e.primary_account_id = i.account_id AND e.market_id = i.market_key
            UNION
            SELECT o.exposure_id FROM json_to_recordset(ledger -> 'orders') AS o(exposure_id uuid)
            WHERE o.exposure_id IS NOT NULL
        );
    END IF;

    SELECT coalesce(json_agg(row_to_json(r)), '[]'), array_agg(DISTINCT r.market_key), bool_or(r.has_ladder),
        array_agg(DISTINCT r.hedge_id),
        array_agg(DISTINCT r.market_key) FILTER (WHERE r.strategy_state <> 'halted' AND r.pair_enabled),
        array_agg(r.id), array_agg(r.hedge_id), array_agg(r.market_key)
    INTO exposures, markets, has_ladder, tradable, judged, owners, hedges, hedged_in FROM (
        SELECT e.id, e.strategy_id, e.pair_id, e.market_id AS market_key, e.primary_account_id AS primary_id,
            e.hedge_account_id AS hedge_id, e."primary", e.hedged, e.lots, e.in_flight, e.need, e.rung, e.rung_since,
            e.next_rung, e.rung_owed, e.reason, e.unhedged_since, e.dust_since, e.revision, s.name AS strategy_name,
            s.kind AS strategy_kind, s.config::text AS config, s.state AS strategy_state,
            s.updated_at AS strategy_changed_at, coalesce(jsonb_array_length(s.config -> 'ladder'), 0) > 0 AS has_ladder,
            coalesce(jsonb_array_length(s.config -> 'ladder'), 0) > 0 AND EXISTS (
                SELECT 1 FROM strategies_exposure x
                WHERE x.primary_account_id = e.primary_account_id AND x.market_id = e.market_id AND x.id <> e.id
            ) AS is_primary_shared, p.enabled AS pair_enabled, pa.name AS primary_name,
            pa.state AS primary_state, ha.name AS hedge_name, ha.state AS hedge_state,
            ha.platform AS hedge_platform, ha.mode AS hedge_mode, ha.max_order AS hedge_max_order,
            ha.max_position AS hedge_max_position, ha.max_notional_per_day AS hedge_max_notional,
            coalesce(desk.stopped, false) AS desk_stopped, coalesce(desk.level, '') AS desk_level
        FROM strategies_exposure e
        JOIN strategies_strategy s ON s.id = e.strategy_id
        JOIN strategies_pair p ON p.id = e.pair_id
        JOIN accounts_account pa ON pa.id = e.primary_account_id
        JOIN accounts_account ha ON ha.id = e.hedge_account_id
        LEFT JOIN accounts_desk desk ON desk.id = 1
        WHERE e.id = ANY(wanted)
        ORDER BY e.id
        FOR UPDATE OF e
    ) r;

    -- A ladder may go on to other hedge accounts, and back to the primary.
    IF has_ladder THEN
        SELECT coalesce(json_agg(row_to_json(r)), '[]'), tradable || array_agg(r.id) INTO accounts, tradable FROM (
            SELECT DISTINCT a.id, a.name, a.platform, a.mode, a.state, a.max_order, a.max_position,
                a.max_notional_per_day
            FROM strategies_exposure e
            JOIN strategies_strategy s ON s.id = e.strategy_id
            JOIN accounts_account a ON a.id = e.primary_account_id OR a.name IN (
                SELECT step.value ->> 'account' FROM jsonb_array_elements(s.config -> 'ladder') step
            )
            WHERE e.id = ANY(wanted) AND jsonb_array_length(s.config -> 'ladder') > 0
        ) r;
        SELECT array_agg(t.id), array_agg(m.key) INTO hedges, hedged_in
        FROM unnest(tradable) AS t(id) CROSS JOIN unnest(markets) AS m(key);
    END IF;

    -- What is ordered in a market is judged one after the other, here and by the intake (accounts/standing.py): two
    -- orders that would cross must not both be judged before either is written. Last of all locks, and by key, so that
    -- nobody waits in a circle: the intake holds nothing else when it asks for its one.
    PERFORM pg_advisory_xact_lock(locks.key) FROM (
        SELECT hashtextextended('orders:' || market_key, 0) AS key FROM unnest(judged) AS market_key ORDER BY key
    ) locks;

    -- What all our accounts together may hold there, and do hold; only where somebody set a limit.
    IF EXISTS (SELECT 1 FROM markets_marketlimit) THEN
        SELECT coalesce(json_agg(row_to_json(r)), '[]') INTO bounds FROM (
            SELECT b.market_key, b.max_position, b.price_band,
                CASE WHEN m.marked_at > at - interval '1 hour' THEN m.mark END AS mark, b.yes, b.no
            FROM market_bounds(markets) b
            JOIN markets_market m ON m.id = b.market_key
            WHERE b.max_position IS NOT NULL OR b.price_band IS NOT NULL
        ) r;
        is_bounded := json_array_length(bounds) > 0;
    END IF;

    -- Read after the locks: what other dispatches planned for these exposures is in here.
    RETURN (
        WITH told AS (
            -- One by one: what these exposures ordered, what these executions filled, and what is doubted. A hedge
            -- whose end is doubted (accounts/ends.py) may have filled without our knowing: its rest is in flight.
            SELECT o.id, o.exposure_id, o.account_id, o.market_id AS market_key, o.outcome, o.action, o.price,
                o.size - o.filled AS remaining, o.status, o.cancel_requested_at IS NOT NULL AS cancel_requested,
                o.reason = 'repriced' AS is_repriced
            FROM accounts_order o
            WHERE o.exposure_id = ANY(owners)
              AND o.status IN ('initialized', 'submitted', 'accepted', 'unknown', 'partially_filled')
            UNION ALL
            SELECT o.id, o.exposure_id, o.account_id, o.market_id, o.outcome, o.action, o.price, o.size - o.filled,
                o.status, o.cancel_requested_at IS NOT NULL, o.reason = 'repriced'
            FROM unnest(moved) AS f(id) CROSS JOIN LATERAL (SELECT * FROM accounts_order o WHERE o.id = f.id OFFSET 0) o
            WHERE NOT coalesce(o.exposure_id = ANY(owners), false)
              AND o.status IN ('initialized', 'submitted', 'accepted', 'unknown', 'partially_filled')
            UNION ALL
            SELECT o.id, o.exposure_id, o.account_id, o.market_id, o.outcome, o.action, o.price, o.size - o.filled,
                o.status, true, o.reason = 'repriced'
            FROM accounts_order o
            WHERE o.market_id = ANY(markets) AND o.doubted_since IS NOT NULL
              AND o.status IN ('cancelled', 'expired') AND o.filled < o.size
        ), others AS (
            -- What the accounts we may trade on have going besides, summed. Where a market's limit asks, everybody's.
            -- OFFSET 0 keeps each look-up one by index, whatever the planner thinks of a young table.
            SELECT o.id, o.account_id, o.market_id, o.outcome, o.action, o.price, o.size - o.filled AS remaining
            FROM (SELECT DISTINCT * FROM unnest(hedges, hedged_in) AS h(account_id, market_key)) h
            CROSS JOIN LATERAL (
                SELECT * FROM accounts_order o
                WHERE o.account_id = h.account_id AND o.market_id = h.market_key
                  AND o.status IN ('initialized', 'submitted', 'accepted', 'unknown', 'partially_filled')
                OFFSET 0
            ) o
            WHERE NOT is_bounded AND NOT coalesce(o.exposure_id = ANY(owners), false) AND o.id <> ALL(moved)
            UNION ALL
            SELECT o.id, CASE WHEN o.account_id = ANY(tradable) THEN o.account_id ELSE several END, o.market_id,
                o.outcome, o.action, o.price, o.size - o.filled
            FROM accounts_order o
            WHERE is_bounded AND o.market_id = ANY(markets)
              AND NOT coalesce(o.exposure_id = ANY(owners), false) AND o.id <> ALL(moved)
              AND o.status IN ('initialized', 'submitted', 'accepted', 'unknown', 'partially_filled')
        )
        SELECT json_build_object(
            'ledger', ledger, 'exposures', exposures, 'accounts', accounts, 'bounds', bounds,
            'open_orders', (
                SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM (
                    SELECT * FROM told
                    UNION ALL
                    SELECT (array_agg(o.id))[1], NULL, o.account_id, o.market_id, o.outcome, o.action,
                        CASE o.action WHEN 'buy' THEN max(o.price) ELSE min(o.price) END, sum(o.remaining), 'accepted',
                        true, false
                    FROM others o
                    WHERE o.remaining > 0
                    GROUP BY o.account_id, o.market_id, o.outcome, o.action
                    UNION ALL
                    -- Hundreds of accounts may quote in a market. What is crossed first is the best bid and the best
                    -- ask of all of ours; both are told in YES, whichever outcome they are in.
                    SELECT n.id, NULL, several, m.key, 'yes', s.action, n.price, n.remaining, 'accepted', true, false
                    FROM unnest(markets) AS m(key)
                    CROSS JOIN (VALUES ('bid', 'buy'), ('ask', 'sell')) AS s(side, action)
                    CROSS JOIN LATERAL (
                        SELECT o.id, yes_price(o.outcome, o.price) AS price, o.size - o.filled AS remaining
                        FROM accounts_order o
                        WHERE o.market_id = m.key AND book_side(o.outcome, o.action) = s.side AND o.filled < o.size
                          AND o.status IN ('initialized', 'submitted', 'accepted', 'unknown', 'partially_filled')
                          AND o.id <> ALL(moved)
                        ORDER BY reach(o.outcome, o.action, o.price) DESC LIMIT 1
                    ) n
                    WHERE NOT is_bounded
                ) r
            ),
            'positions', (
                SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM (
                    SELECT p.account_id, p.market_id AS market_key, p.outcome, p.size, coalesce((
                        SELECT sum(f.size) FROM accounts_fill f
                        WHERE f.settlement = 'matched' AND f.action = 'buy'
                          AND f.account_id = p.account_id AND f.market_id = p.market_id AND f.outcome = p.outcome
                    ), 0) AS unsettled
                    FROM accounts_position p
                    WHERE p.account_id = ANY(tradable) AND p.market_id = ANY(markets) AND p.size <> 0
                ) r
            ),
            'funds', (
                SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM (
                    SELECT f.account_id, f.free FROM account_funds(tradable, at - interval '2 minutes') f
                ) r
            ),
            'venues', (SELECT coalesce(json_object_agg(v.platform, v.state), '{}') FROM markets_venuestate v),
            'desk_state', coalesce((SELECT d.state FROM accounts_desk d WHERE d.id = 1), 'halted')
        )
    );
END
$$;

-- Write the ledger's part, the exposures and the decisions. Gives the ids of the orders inserted.
CREATE OR REPLACE FUNCTION dispatch_close(ledger jsonb, updates jsonb, decisions jsonb, at timestamptz) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE strategies_exposure e SET "primary" = t."primary", hedged = t.hedged, lots = t.lots,
        in_flight = t.in_flight, need = t.need, rung = t.rung, rung_since = t.rung_since, next_rung = t.next_rung,
        rung_owed = t.rung_owed, reason = left(t.reason, 255), unhedged_since = t.unhedged_since,
        dust_since = t.dust_since, unhedged = t.unhedged, at_risk = t.at_risk, revision = e.revision + 1, updated_at = at
    FROM jsonb_to_recordset(updates) AS t(
        id uuid, "primary" numeric, hedged numeric, lots jsonb, in_flight numeric, need numeric, rung smallint,
        rung_since timestamptz, next_rung smallint, rung_owed numeric, reason text, unhedged_since timestamptz,
        dust_since timestamptz, unhedged numeric, at_risk numeric
    )
    WHERE e.id = t.id;

    INSERT INTO strategies_decision (exposure_id, cause, "primary", hedged, in_flight, need, orders, reason, book, at)
    SELECT t.exposure_id, left(t.cause, 200), t."primary", t.hedged, t.in_flight, t.need, t.orders,
        left(t.reason, 255), t.book, dispatch_close.at
    FROM jsonb_to_recordset(decisions) AS t(
        exposure_id uuid, cause text, "primary" numeric, hedged numeric, in_flight numeric, need numeric, orders jsonb,
        reason text, book jsonb
    );

    RETURN ledger_close(ledger, dispatch_close.at);
END
$$;
