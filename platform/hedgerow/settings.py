"""The one settings module of every process. All of it comes from the environment; `.env.example` documents each name.

`checks.py` says what a live process refuses to start on.
"""

import os
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from hedgerow.admin_look import UNFOLD as UNFOLD
from hedgerow.environment import Environment, load_environment_file, load_running_system
from hedgerow.logs import configure_logging
from trading.enums import Mode

BASE_DIR = Path(__file__).resolve().parents[2]

_file = os.environ.get("HEDGEROW_ENV_FILE", str(BASE_DIR / ".env"))
_given = load_environment_file(Path(_file)) if _file else {}
_state = Path(os.environ.get("HEDGEROW_STATE_DIR") or _given.get("HEDGEROW_STATE_DIR") or BASE_DIR / "var")
env = Environment(os.environ, _given, load_running_system(_state))
env.read_text("HEDGEROW_ENV_FILE", "")

# The desk ---------------------------------------------------------------------------------------

MODE = env.read_choice("HEDGEROW_MODE", Mode, Mode.PAPER)
LIVE = MODE is Mode.LIVE
STATE_DIR = env.read_path("HEDGEROW_STATE_DIR", BASE_DIR / "var")
PUBLIC_URL = env.read_url(
    "HEDGEROW_PUBLIC_URL", ("http", "https"), f"http://127.0.0.1:{env.read_number('HEDGEROW_PORT', 8000)}"
)

VAULT_PUBLIC_KEY_FILE = env.read_text("HEDGEROW_VAULT_PUBLIC_KEY_FILE", str(STATE_DIR / "vault" / "public.key"))
VAULT_PRIVATE_KEY_FILE = env.read_text("HEDGEROW_VAULT_PRIVATE_KEY_FILE", "")
"""Empty in every process that must not open keys: only the engine, listener and reconciling worker get it."""

# Engines ----------------------------------------------------------------------------------------

PAPER_DATABASE_URL = "postgresql://hedgerow@127.0.0.1:5432/hedgerow"
PAPER_REDIS_URL = "redis://127.0.0.1:6379/0"
PAPER_CLICKHOUSE_URL = "http://127.0.0.1:8123"

DATABASE_URL = env.read_url("DATABASE_URL", ("postgresql", "postgres"), PAPER_DATABASE_URL)
REDIS_URL = env.read_url("REDIS_URL", ("redis", "rediss", "unix"), PAPER_REDIS_URL)
CLICKHOUSE_URL = env.read_url("CLICKHOUSE_URL", ("http", "https"), PAPER_CLICKHOUSE_URL)

_connection = {name: str(value) for name, value in conninfo_to_dict(DATABASE_URL).items()}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _connection.pop("dbname", "hedgerow"),
        "USER": _connection.pop("user", ""),
        "PASSWORD": _connection.pop("password", ""),
        "HOST": _connection.pop("host", ""),
        "PORT": _connection.pop("port", ""),
        # A pool keeps its connections open itself; Django refuses persistent connections beside it.
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            **_connection,
            "pool": {
                "min_size": env.read_number("HEDGEROW_DATABASE_POOL_MIN", 1, most=100),
                "max_size": env.read_number("HEDGEROW_DATABASE_POOL_MAX", 10, least=1, most=500),
                "timeout": 10,
                "name": "django",
            },
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Venues -----------------------------------------------------------------------------------------

PREDICT_API_URL = env.read_url(
    "PREDICT_API_URL", ("http", "https"), "https://api.predict.fun" if LIVE else "http://127.0.0.1:8701"
)
PREDICT_WS_URL = env.read_url(
    "PREDICT_WS_URL", ("ws", "wss"), "wss://ws.predict.fun/ws" if LIVE else "ws://127.0.0.1:8701/ws"
)
PREDICT_RPC_URL = env.read_url(
    "PREDICT_RPC_URL", ("http", "https"), "https://bsc-dataseed.bnbchain.org" if LIVE else "http://127.0.0.1:8701/rpc"
)
PREDICT_CHAIN_ID = env.read_number("PREDICT_CHAIN_ID", 56, least=1)
PREDICT_API_KEY = env.read_text("PREDICT_API_KEY", "")

# Telegram ---------------------------------------------------------------------------------------

TELEGRAM_BOT_TOKEN = env.read_text("TELEGRAM_BOT_TOKEN", "")
TELEGRAM_API_URL = env.read_url("TELEGRAM_API_URL", ("http", "https"), "https://api.telegram.org")
TELEGRAM_WEBHOOK_URL = env.read_url("TELEGRAM_WEBHOOK_URL", ("http", "https"), "")
TELEGRAM_WEBHOOK_SECRET = env.read_text("TELEGRAM_WEBHOOK_SECRET", "")
TELEGRAM_WEBHOOK_HOST = env.read_text("TELEGRAM_WEBHOOK_HOST", "127.0.0.1")
TELEGRAM_WEBHOOK_PORT = env.read_number("TELEGRAM_WEBHOOK_PORT", 8090, least=1, most=65535)

# Alerts -----------------------------------------------------------------------------------------

UNKNOWN_ALERT_S = env.read_number("HEDGEROW_UNKNOWN_ALERT_S", 30, least=5)
"""An order whose outcome has been open for longer is told of."""
CONNECTION_ALERT_S = env.read_number("HEDGEROW_CONNECTION_ALERT_S", 60, least=5)
"""So is an account without its wallet stream."""

# Web --------------------------------------------------------------------------------------------

PAPER_SECRET_KEY = "paper-only-and-refused-in-live-mode-" + "0123456789abcdef" * 2


DEBUG = env.read_flag("HEDGEROW_DEBUG", False)
SECRET_KEY = env.read_text("HEDGEROW_SECRET_KEY", "") or PAPER_SECRET_KEY
ALLOWED_HOSTS = env.read_list("HEDGEROW_ALLOWED_HOSTS", "" if LIVE else "127.0.0.1,localhost,[::1]")
API_REQUESTS_PER_MINUTE = env.read_number("HEDGEROW_API_REQUESTS_PER_MINUTE", 1200, least=1)
API_REFUSALS_PER_MINUTE = 30
"""Invalid tokens taken from one address before it must wait."""
#: Of `/ws`, in seconds: silence before a heartbeat, between looks at a caller's right, until a stalled reader is cut.
SOCKET_HEARTBEAT_S = env.read_number("HEDGEROW_SOCKET_HEARTBEAT_S", 15, least=1)
SOCKET_CHECK_S = env.read_number("HEDGEROW_SOCKET_CHECK_S", 30, least=1)
SOCKET_STALLED_S = env.read_number("HEDGEROW_SOCKET_STALLED_S", 20, least=1)
METRICS_ADDRESSES = env.read_list("HEDGEROW_METRICS_ADDRESSES", "127.0.0.1,::1")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "ninja",
    "identity",
    "alerts",
    "markets",
    "accounts",
    "strategies",
    "bot",
    "hedgerow",
]
AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = ["identity.sign_in.GuardedBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

MIDDLEWARE = [
    "web.requests.RequestOriginMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "hedgerow.security.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "identity.access.ScopeMiddleware",
]
ROOT_URLCONF = "hedgerow.urls"
ASGI_APPLICATION = "hedgerow.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "hedgerow.context.describe_desk",
            ],
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = env.read_path("HEDGEROW_STATIC_ROOT", BASE_DIR / "staticfiles")

LANGUAGE_CODE = "en"
USE_I18N = False
DATETIME_FORMAT = "Y-m-d H:i:s"
FORMAT_MODULE_PATH = ["hedgerow.formats"]
USE_TZ = True
TIME_ZONE = "UTC"

# Behind TLS in live mode; paper speaks plain HTTP on loopback.
SECURE_SSL_REDIRECT = LIVE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if LIVE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = LIVE
SECURE_HSTS_PRELOAD = LIVE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.read_flag("HEDGEROW_BEHIND_PROXY", False) else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = LIVE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_SECURE = LIVE
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL.startswith("https://") else []
X_FRAME_OPTIONS = "DENY"

# Rare control messages only: live updates come from one stream reader per web process.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


# Logs -------------------------------------------------------------------------------------------

LOG_LEVEL = env.read_text("HEDGEROW_LOG_LEVEL", "INFO").upper()
LOG_FORMAT = env.read_text("HEDGEROW_LOG_FORMAT", "json" if LIVE else "console")
LOGGING_CONFIG = None
configure_logging(LOG_LEVEL, LOG_FORMAT)
