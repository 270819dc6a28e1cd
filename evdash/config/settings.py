"""Django's settings. User settings are declared in `config.environment`; all others are defined here."""

from datetime import timedelta

from evdash.config.environment import CHECKOUT, Configuration
from evdash.config.secret_key import cookie_suffix, secret_key
from evdash.config.static_files import keep_forever, version_of
from evdash.logs import logging_configuration

EVDASH = Configuration.from_environment()

SECRET_KEY = EVDASH.secret_key or secret_key(EVDASH.data_dir)
DEBUG = EVDASH.debug
ALLOWED_HOSTS = EVDASH.hosts()
DATABASES = EVDASH.databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROOT_URLCONF = "evdash.config.urls"
ASGI_APPLICATION = "evdash.config.asgi.application"

INSTALLED_APPS = [
    *(["daphne"] if DEBUG else []),  # only for its runserver; the import takes every process 0.3 s
    "evdash",
    "evdash.accounts",
    "evdash.eventlog",
    "evdash.audit_log",
    "evdash.notes",
    "evdash.saved_views",
    "evdash.web",
    "evdash.live",
    "channels",
    "django_htmx",
    "axes",
    "csp",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "evdash.web.input_limits.InputLimits",
    "evdash.web.compression.CompressedPages",
    "servestatic.middleware.ServeStaticMiddleware",
    "evdash.accounts.middleware.NotStored",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "evdash.accounts.sessions.SessionLimits",
    "evdash.accounts.middleware.SignInRequired",
    "evdash.web.redis_budget.RedisBudget",
    "evdash.web.sandbox_middleware.SandboxMount",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [CHECKOUT / "templates"],
        "OPTIONS": {
            "environment": "evdash.web.templating.environment",
            "context_processors": ["django.contrib.messages.context_processors.messages"],
        },
    },
]

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
"""Maximum size of a request's body in bytes. serving/limits.py refuses a larger one before it is received."""

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# Static files are served from their source directories, below an address with their version. Nothing has to be
# collected before a start, and a page never loads the script of another version.
STATICFILES_DIRS = [CHECKOUT / "static", ("idiomorph", CHECKOUT / "node_modules/idiomorph/dist")]
STATIC_URL = f"/static/{version_of((CHECKOUT / 'static', CHECKOUT / 'node_modules/idiomorph/dist'), 'django-htmx')}/"
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_ADD_HEADERS_FUNCTION = None if DEBUG else keep_forever
SERVESTATIC_ALLOW_ALL_ORIGINS = False

# Sign-in. Every view requires it unless the view is exempt (accounts.middleware).
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "sign-in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_HANDLER = "evdash.accounts.throttle.Throttle"  # it has the limits
AXES_FAILURE_LIMIT = 1
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_CLIENT_IP_CALLABLE = "evdash.accounts.client_address.client_network"
AXES_USERNAME_CALLABLE = "evdash.accounts.throttle.name_key"
AXES_LOCKOUT_CALLABLE = "evdash.accounts.views.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_VERBOSE = False
# The audit log has sign-ins. The table of django-axes would also store the path, which has the secret of a link.
AXES_DISABLE_ACCESS_LOG = True

# A page may load only its own scripts, styles, images and socket. Inline scripts and styles are forbidden.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    feature: [] for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
}
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
# Browsers send a cookie to every port of a host. Two installations on one host therefore need different names.
_COOKIE_SUFFIX = cookie_suffix(SECRET_KEY)
SESSION_COOKIE_NAME = f"evdash_session_{_COOKIE_SUFFIX}"
CSRF_COOKIE_NAME = f"evdash_csrf_{_COOKIE_SUFFIX}"
OVERVIEW_COOKIE_NAME = f"evdash_overview_{_COOKIE_SUFFIX}"
# The default storage has a cookie with a fixed name.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_ENGINE = "evdash.accounts.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = EVDASH.https
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "evdash.web.error_pages.form_expired"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = EVDASH.https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if EVDASH.https else None

LOGGING_CONFIG = "evdash.logs.configure"
LOGGING = logging_configuration(EVDASH.log_format, EVDASH.log_level)
