"""`python -m paper.telegram`: the command line of the local Bot API server."""

import argparse
import asyncio
import sys
from pathlib import Path

from aiohttp import web

from paper.telegram import control, methods
from paper.telegram.server import SERVER, Server, Settings, answer_errors, run_world, serve


def build_app(settings: Settings) -> web.Application:
    """The application with its state loaded."""
    app = web.Application(middlewares=[answer_errors], client_max_size=50 * 1024 * 1024)
    app[SERVER] = Server(settings)
    app.add_routes(
        [
            web.route("*", "/bot{token}/{method}", methods.answer),
            web.get("/paper/health", control.get_health),
            web.post("/paper/say", control.say),
            web.post("/paper/press", control.press),
            web.post("/paper/inline", control.ask_inline),
            web.get("/paper/answer/{id}", control.get_answer),
            web.get("/paper/chat/{id}", control.get_chat),
            web.get("/paper/file/{id}", control.get_file),
            web.post("/paper/faults", control.set_faults),
        ]
    )
    app.cleanup_ctx.append(run_world)
    return app


def parse_settings(arguments: list[str] | None = None) -> Settings:
    parser = argparse.ArgumentParser(prog="paper.telegram", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8766)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--per-second", type=int, default=30, help="messages a second before 429")
    parser.add_argument("--chat-burst", type=int, default=6, help="messages one chat takes at once")
    return Settings(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Exit 1 with one sentence when the folder or the port can't be had."""
    settings = parse_settings()
    try:
        asyncio.run(serve(build_app(settings), settings))
    except OSError as error:
        sys.exit(f"paper.telegram: {error}")


if __name__ == "__main__":
    main()
