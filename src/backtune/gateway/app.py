"""The application: its routes and the order of its middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool

from backtune.gateway.catalog import routes as catalog_routes
from backtune.gateway.draining import ClosingConnections
from backtune.gateway.error_answers import ProblemDetails, add_error_handlers
from backtune.gateway.jobs import routes as job_routes
from backtune.gateway.jobs import submission_routes
from backtune.gateway.keys.roles import ROUTES
from backtune.gateway.live import routes as live_routes
from backtune.gateway.middleware.access_control import AccessControl
from backtune.gateway.middleware.body_limit import BodyLimit
from backtune.gateway.middleware.request_log import RequestLog
from backtune.gateway.middleware.security_headers import SecurityHeaders
from backtune.gateway.monitoring import routes as monitoring_routes
from backtune.gateway.reports import routes as report_routes
from backtune.gateway.services import Services
from backtune.gateway.settings import VERSION, Settings
from backtune.wire.protocol import API_PREFIX
from backtune.wire.signature import KEY_HEADER

_SECURITY_SCHEME: Final = "ApiKey"


def create_app(
    settings: Settings,
    address: str,
    prepare: Callable[[], None] = lambda: None,
    before_end: Callable[[Services], None] = lambda _: None,
) -> FastAPI:
    """Return the gateway as an ASGI application, whose reconciler runs from startup to shutdown.

    Args:
        settings: The settings of the gateway.
        address: The address of the Ray cluster's dashboard.
        prepare: The function that is called before every round of the reconciler, such as to start a head that has died.
        before_end: The function that is called when the reconciler has ended.

    Raises:
        RecordsError: The database cannot be used.
        SpecError: The secret, a limit or the file of alerts cannot be used.
    """
    services = Services.build(settings, address, prepare)
    app = FastAPI(
        title="backtune gateway",
        version=VERSION,
        description="Submit, watch and fetch sweeps.",
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=f"{API_PREFIX}/docs",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        lifespan=_run_services,
    )
    app.state.services = services
    app.state.before_end = before_end
    for module in (
        monitoring_routes,
        catalog_routes,
        submission_routes,
        job_routes,
        report_routes,
        live_routes,
    ):
        app.include_router(module.router, prefix=API_PREFIX)
    # Probes, scrapers and sockets look for these at the root.
    for module in (monitoring_routes, live_routes):
        app.include_router(module.router, include_in_schema=False)
    add_error_handlers(app)
    # The middleware that is added last is the outermost.
    limits = settings.request_limits
    app.add_middleware(
        AccessControl,
        authenticator=services.authenticator,
        audit=services.request_audit,
        limits=limits,
        role_without_key=settings.role_without_key,
    )
    app.add_middleware(BodyLimit, n_bytes=settings.limits.body_bytes, seconds=limits.body_seconds)
    app.add_middleware(RequestLog, metrics=services.metrics)
    app.add_middleware(SecurityHeaders, docs_path=app.docs_url or "")
    app.add_middleware(ClosingConnections, draining=services.draining)
    app.openapi = lambda: _describe_api(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _run_services(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    services.reconciler_loop.start()
    if services.alert_notifier is not None:
        services.alert_notifier.start()
    try:
        yield
    finally:
        await run_in_threadpool(services.reconciler_loop.stop)
        if services.alert_notifier is not None:
            await run_in_threadpool(services.alert_notifier.stop)
        await run_in_threadpool(app.state.before_end, services)
        await services.rate_limiter.close()
        services.database.close()


def _describe_api(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the schema of refusals and the routes that need a key."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        components = schema.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = problem
        components["securitySchemes"] = {
            _SECURITY_SCHEME: {"type": "apiKey", "in": "header", "name": KEY_HEADER}
        }
        for rule in ROUTES:
            operation = schema["paths"].get(rule.path, {}).get(rule.method.lower())
            if operation is not None and rule.roles is not None:
                operation["security"] = [{_SECURITY_SCHEME: []}]
        app.openapi_schema = schema
    return app.openapi_schema
