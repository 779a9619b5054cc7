"""The paper Predict.fun as one aiohttp application. `serve` runs it until told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import structlog
from aiohttp import web

from paper.predict import account_api, control, markets_api, matches_api, orders_api, rpc, seeds
from paper.predict.gate import LIMITS, VENUE, gate
from paper.predict.limits import RateLimits
from paper.predict.settings import Settings
from paper.predict.stream import STREAM, Stream, open_stream
from paper.predict.venue import Venue
from paper.traders import Traders

log = structlog.get_logger()


def build_app(settings: Settings) -> web.Application:
    """The application with its state loaded; its loops start and stop with it."""
    venue = Venue(settings)
    if settings.seed_markets and not venue.state.markets:
        for spec in seeds.FIRST_MARKETS:
            venue.submit(seeds.open_market(spec, spec.id or 0, venue.now_ms()))
        venue.forget_tokens()
    feed = matches_api.MatchFeed(venue.state)
    venue.listeners.append(feed.apply)
    venue.on_prune.append(feed.rebuild)
    app = web.Application(middlewares=[gate])
    app[VENUE] = venue
    app[LIMITS] = RateLimits(settings)
    app[STREAM] = Stream(venue)
    app[matches_api.FEED] = feed
    app[control.TRADERS] = Traders(
        venue, settings.seed, settings.taker_every_s, settings.settlement_delay_ms, settings.traders
    )
    app.add_routes(
        [
            web.get("/ws", open_stream),
            web.post("/rpc", rpc.answer),
            web.get("/v1/auth/message", account_api.get_auth_message),
            web.post("/v1/auth", account_api.log_in),
            web.get("/v1/account", account_api.get_account),
            web.post("/v1/account/reserved-balances/query", account_api.query_reserved),
            web.get("/v1/positions", account_api.list_own_positions),
            web.get("/v1/positions/{address}", account_api.list_positions),
            web.get("/v1/markets", markets_api.list_markets),
            web.get("/v1/markets/orderbooks", markets_api.list_books),
            web.get("/v1/markets/{id}", markets_api.get_market),
            web.get("/v1/markets/{id}/orderbook", markets_api.get_book),
            web.get("/v1/markets/{id}/stats", markets_api.get_stats),
            web.get("/v1/markets/{id}/last-sale", markets_api.get_last_sale),
            web.get("/v1/markets/{id}/timeseries", markets_api.get_timeseries),
            web.get("/v1/markets/{id}/timeseries/latest", markets_api.get_timeseries),
            web.get("/v1/categories", markets_api.list_categories),
            web.get("/v1/categories/{slug}", markets_api.get_category),
            web.get("/v1/tags", markets_api.list_tags),
            web.get("/v1/search", markets_api.search),
            web.post("/v1/orders", orders_api.create_order),
            web.get("/v1/orders", orders_api.list_orders),
            web.get("/v1/orders/matches", matches_api.list_matches),
            web.post("/v1/orders/remove", orders_api.remove_orders),
            web.post("/v1/orders/remove-by-hash", orders_api.remove_by_hash),
            web.get("/v1/orders/{hash}", orders_api.get_order),
            web.get("/paper/health", control.get_health),
            web.post("/paper/accounts", control.add_account),
            web.get("/paper/snapshot", control.get_snapshot),
            web.post("/paper/markets", control.add_market),
            web.post("/paper/trading", control.set_trading),
            web.post("/paper/take", control.take_order),
            web.post("/paper/resolve", control.resolve_market),
            web.post("/paper/split", control.split_sets),
            web.post("/paper/redeem", control.redeem),
            web.get("/paper/faults", control.get_faults),
            web.post("/paper/faults", control.set_faults),
            web.get("/paper/traders", control.get_traders),
            web.post("/paper/traders", control.set_traders),
        ]
    )
    app.cleanup_ctx.append(_loops)
    app.on_shutdown.append(_close_streams)
    return app


async def _loops(app: web.Application) -> AsyncIterator[None]:
    venue, stream, traders = app[VENUE], app[STREAM], app[control.TRADERS]
    tasks = [
        asyncio.create_task(_guard("timers", venue.run_timers())),
        asyncio.create_task(_guard("books", stream.run_books())),
        asyncio.create_task(_guard("makers", traders.run_makers())),
        asyncio.create_task(_guard("takers", traders.run_takers())),
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    venue.close()


async def _guard(name: str, work: Coroutine[Any, Any, None]) -> None:
    """A loop that dies takes the venue with it: half a venue would lie."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException:
        log.exception("paper_loop_died", loop=name)
        signal.raise_signal(signal.SIGTERM)


async def _close_streams(app: web.Application) -> None:
    stream = app[STREAM]
    await stream.close(list(stream.connections))


async def serve(settings: Settings) -> None:
    """Listen until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    runner = web.AppRunner(build_app(settings), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    site = web.TCPSite(runner, settings.host, settings.port)
    await site.start()
    port = runner.addresses[0][1]
    log.info("paper_predict_ready", host=settings.host, port=port)
    await stop.wait()
    await runner.cleanup()
