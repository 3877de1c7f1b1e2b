"""The page's server: on loopback, for this machine alone, and for nobody else's pages."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

from ..errors import UserError
from .restoring import Workshop

ADDRESS = '127.0.0.1'
# What a browser may load for the page: its own, and what its scripts make. gradio's pages name fonts and scripts of
# other hosts.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


def serve(
    weights: Sequence[str],
    *,
    port: Optional[int] = None,
    browser: bool = True,
    wait: Callable[[Any], object] = lambda page: page.block_thread(),
    **settings: Any,
) -> int:
    """Serve the page until Ctrl-C; uploads and results are deleted then.

    Args:
        weights: files to choose from; the first is read at once.
        port: of this machine; None: the first that is free from 7860 on.
        browser: open the page in the user's browser.
        wait: called while the page is served, with gradio's page; the end of it is the end of the server.
        settings: of :class:`.Deblurrer`.

    Raises:
        UserError: gradio is missing, the weights cannot be read, or the port is taken.
    """
    # Before it is imported, since it reads them then.
    os.environ.update(GRADIO_ANALYTICS_ENABLED='False', HF_HUB_DISABLE_TELEMETRY='1', HF_HUB_OFFLINE='1')
    try:
        import gradio as gr
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
    except ModuleNotFoundError as error:
        raise UserError('basicsr app needs gradio: pip install gradio') from error
    from .page import build

    # Its own requests to see whether it runs are not to go by a proxy.
    os.environ['NO_PROXY'] = ','.join(filter(None, [os.environ.get('NO_PROXY'), ADDRESS, 'localhost']))
    with tempfile.TemporaryDirectory(prefix='aibnet_app_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = os.path.join(folder, 'uploads')
        workshop = Workshop(Path(folder), **settings)
        try:
            workshop.deblurrer(weights[0])
        except ValueError as error:
            raise UserError(str(error)) from error
        page = build(workshop, weights)
        page.queue(default_concurrency_limit=1)  # the memory is for one picture at a time
        guards = [Middleware(TrustedHostMiddleware, allowed_hosts=[ADDRESS, 'localhost']), Middleware(_Policy)]
        try:
            _, url, _ = page.launch(
                server_name=ADDRESS,
                server_port=port,
                share=False,
                inbrowser=browser,
                prevent_thread_lock=True,
                quiet=True,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                enable_monitoring=False,
                footer_links=[],
                allowed_paths=[folder],
                app_kwargs={'middleware': guards},
                # Fonts of the system: the default theme loads some.
                theme=gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace']),
            )
        except OSError as error:
            # gradio's own words name its arguments, not ours.
            told = 'no port from 7860 on is free' if port is None else f'--port {port}: it is taken, or may not be used'
            raise UserError(told) from error
        print(f'{url}  (Ctrl-C ends it; uploads and results are deleted then)', flush=True)
        try:
            wait(page)
        finally:
            page.close(verbose=False)
    return 0


class _Policy:
    """An ASGI application that adds `POLICY` to every answer of the one that it wraps."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message['type'] == 'http.response.start':
                more = [(b'content-security-policy', POLICY.encode()), (b'referrer-policy', b'no-referrer')]
                message = {**message, 'headers': [*message.get('headers', []), *more]}
            await send(message)

        await self._app(scope, receive, send_with_policy)
