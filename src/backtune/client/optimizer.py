"""The client of a gateway, for blocking calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from backtune.client.optimizer_async import AsyncHyperOptClient
from backtune.client.retries import RetryLimits
from backtune.client.transport import BlockingTransport

Arguments = ParamSpec("Arguments")
Content = TypeVar("Content")


def _blocking(
    operation: Callable[Concatenate[AsyncHyperOptClient, Arguments], Coroutine[Any, Any, Content]],
) -> Callable[Concatenate[HyperOptClient, Arguments], Content]:
    """Return a method of the asynchronous client as a method that blocks until the result is there."""

    @wraps(operation)
    def method(client: HyperOptClient, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Content:
        # Over the blocking transport the coroutine runs to its end at the first step, without an event loop.
        try:
            operation(client._asynchronous, *args, **kwargs).send(None)
        except StopIteration as end:
            return cast("Content", end.value)
        raise AssertionError("a coroutine was suspended over the blocking transport")

    return method


class HyperOptClient:
    """A client of a gateway, with the methods of the asynchronous client. Safe to use from several threads.

    Every call is tried again after a pause where that is safe and may help: when the gateway is busy (it says how long to
    wait) or cannot be reached. A start carries an idempotency key, so that two tries start one job.

    Args:
        api_base: URL of the gateway, such as ``https://gateway.example.com``.
        api_key: Key as ``backtune keys create`` printed it, which signs the requests where it can; None for a gateway
            that asks for no key.
        retries: Patience of the client.
        timeout_seconds: Longest wait for one answer, except for reports, which have three minutes.

    Raises:
        SpecError: ``api_base`` is no URL, or ``api_key`` is not a whole key.

    All methods raise the kind of :class:`~backtune.errors.GatewayError` that fits.
    """

    def __init__(
        self,
        api_base: str,
        api_key: str | None = None,
        *,
        retries: RetryLimits | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._asynchronous = AsyncHyperOptClient(
            api_base, api_key, retries=retries, timeout_seconds=timeout_seconds, transport=BlockingTransport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    close = _blocking(AsyncHyperOptClient.close)
    health = _blocking(AsyncHyperOptClient.health)
    get_strategies = _blocking(AsyncHyperOptClient.get_strategies)
    get_assets = _blocking(AsyncHyperOptClient.get_assets)
    start_optimization = _blocking(AsyncHyperOptClient.start_optimization)
    start_batch = _blocking(AsyncHyperOptClient.start_batch)
    get_optimization_status = _blocking(AsyncHyperOptClient.get_optimization_status)
    wait_for_completion = _blocking(AsyncHyperOptClient.wait_for_completion)
    list_optimizations = _blocking(AsyncHyperOptClient.list_optimizations)
    cancel_optimization = _blocking(AsyncHyperOptClient.cancel_optimization)
    resume_optimization = _blocking(AsyncHyperOptClient.resume_optimization)
    get_optimization_logs = _blocking(AsyncHyperOptClient.get_optimization_logs)
    generate_pine_script = _blocking(AsyncHyperOptClient.generate_pine_script)
    get_performance_report = _blocking(AsyncHyperOptClient.get_performance_report)
