"""A page on which people give a model their photographs, served by Gradio."""

import html
import os
import socket
import threading
from collections.abc import Sequence
from typing import Any, cast

from keras_clce.checks import import_module
from keras_clce.files import printable_text
from keras_clce.inference.demo_answers import Answer, PhotographAnswers, RefusedPhotograph

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 7860, 100
TITLE = "What is in the photograph?"
_MOST_BYTES = "40mb"
# Uploads go after an hour, and all at the end.
_KEPT_SECONDS = 3600
# Whatever a later Gradio may want to load from elsewhere, browsers then do not.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"
)
_SYSTEM_FONTS = ["system-ui", "sans-serif"]
_CSS = """
.answer { font-size: 1.5rem; font-weight: 600; overflow-wrap: anywhere; }
.reason { margin-top: 0.25rem; }
.similar { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr));
  gap: 0.75rem; margin: 0; padding: 0; list-style: none; }
.similar img, .similar .gone { width: 100%; aspect-ratio: 1; object-fit: cover;
  border-radius: 0.5rem; }
.similar .gone { display: grid; place-items: center; border: 1px dashed currentColor; }
.similar li { overflow-wrap: anywhere; }
"""


def check_demo(host: str = HOST, port: int | None = None) -> None:
    """Refuse what the demo cannot be served with, before a model is loaded.

    Args:
        host: As in `launch_demo`, and so is the other. Defaults to `"127.0.0.1"`.
        port: Defaults to `None`.

    Raises:
        ImportError: If Gradio is not installed.
        ValueError: If nothing can listen there.

    Example:
    ```python
    check_demo()
    ```
    """
    _gradio()
    _free_port(host, port)


def demo_page(answers: PhotographAnswers, title: str = TITLE) -> Any:
    """Build the page.

    Args:
        answers: What is asked of each photograph.
        title: Heading of the page. Defaults to `"What is in the photograph?"`.

    Returns:
        `gradio.Blocks`, which another Gradio application can hold; `launch_demo` serves it alone.

    Raises:
        ImportError: If Gradio is not installed.

    Example:
    ```python
    demo_page(PhotographAnswers(model)).title  # "What is in the photograph?"
    ```
    """
    gradio = _gradio()

    def look(path):
        if path is None:
            return _nothing(), None, ""
        try:
            answer = answers(path)
        except RefusedPhotograph as error:
            return _said("Not looked at", str(error)), None, ""
        return _verdict(answer, answers.threshold), _shares(answer), _similar(answer)

    with gradio.Blocks(
        title=title, analytics_enabled=False, delete_cache=(_KEPT_SECONDS, _KEPT_SECONDS)
    ) as page:
        gradio.HTML(f"<h1>{html.escape(title)}</h1><p>{_about(answers)}</p>")
        with gradio.Row():
            with gradio.Column():
                photograph = gradio.Image(
                    label="Photograph",
                    type="filepath",
                    sources=["upload", "clipboard"],
                    height=360,
                    elem_id="photograph",
                )
                # Gradio's own opens the file first. What is no image shall end in a sentence. (In
                # place of a subclass, beside whose source Gradio would write a file.)
                photograph.preprocess = _path
            with gradio.Column():
                verdict = gradio.HTML(_nothing(), elem_id="verdict")
                shares = gradio.Label(
                    label="Probabilities", show_heading=False, elem_id="probabilities"
                )
        similar = gradio.HTML("", elem_id="similar")
        # One at a time, which memory allows for.
        photograph.change(
            look,
            photograph,
            [verdict, shares, similar],
            concurrency_limit=1,
            api_visibility="private",
            show_progress="minimal",
        )
    return page


def launch_demo(
    answers: PhotographAnswers,
    title: str = TITLE,
    host: str = HOST,
    port: int | None = None,
    wait: bool = True,
) -> Any:
    """Serve the page until the program is stopped.

    Nothing is shared or counted, and pages load nothing from elsewhere.

    Args:
        answers: What is asked of each photograph.
        title: Heading of the page. Defaults to `"What is in the photograph?"`.
        host: Address that it listens on. Defaults to `"127.0.0.1"`, this computer alone;
            `"0.0.0.0"` is every network that it is in.
        port: Port. Defaults to `None`, the first free one from 7860.
        wait: Whether the call returns at the end alone. Defaults to `True`.

    Returns:
        What `demo_page` gives, which has `local_url` and `close`.

    Raises:
        ImportError: If Gradio is not installed.
        ValueError: If nothing can listen there.

    Example:
    ```python
    page = launch_demo(PhotographAnswers(model), wait=False)
    page.local_url  # "http://127.0.0.1:…/"
    page.close()
    ```
    """
    port = _free_port(host, port)
    page = demo_page(answers, title)
    gradio = _gradio()
    theme = gradio.themes.Default(
        font=_SYSTEM_FONTS, font_mono=["ui-monospace", "monospace"], spacing_size="md"
    )
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
        show_error=False,
        footer_links=[],
        max_file_size=_MOST_BYTES,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=theme,
        css=_CSS,
        app_kwargs={"middleware": [_policy_middleware()], "docs_url": None, "redoc_url": None},
    )
    if wait:
        print(f"Page:     {page.local_url} (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        finally:
            page.close(verbose=False)
    return page


def _path(payload: Any) -> str | None:
    return None if payload is None else payload.path or ""


def _gradio() -> Any:
    # Read while Gradio is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return import_module("gradio", "The demo", '"keras-clce[demo]"')


def _free_port(host: str, port: int | None) -> int:
    for candidate in range(FIRST_PORT, FIRST_PORT + PORTS) if port is None else (port,):
        try:
            socket.create_server((host, candidate)).close()
        except (OSError, OverflowError) as error:
            problem = error
        else:
            return candidate
    raise ValueError(
        "`host` and `port` must be an address of this computer and a port that is free. Received: "
        f"host={host!r}, port={port!r} ({problem})"
    )


def _policy_middleware() -> Any:
    middleware = import_module("starlette.middleware", "The demo", '"keras-clce[demo]"')
    header = (b"content-security-policy", _POLICY.encode())

    class Policy:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            async def send_with_policy(message):
                if message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", ()), header]
                await send(message)

            await self.app(scope, receive, send_with_policy)

    return middleware.Middleware(Policy)


def _about(answers: PhotographAnswers) -> str:
    model, names = answers.model, answers.class_names or answers.model.class_names
    count = model.num_classes
    if answers.enrolled is not None:
        names = answers.enrolled.class_names
        count = len(names)
    side = answers.preprocessing.image_size
    known = f": {_some(names)}" if names else ""
    return html.escape(
        f"Drop a photograph. The model knows {count} classes{known}. It looks at the "
        f"middle of the photograph, at {side} x {side} pixels."
    )


def _some(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(map(printable_text, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _nothing() -> str:
    return _said("No photograph yet", "Drop one, choose a file, or paste one.")


def _verdict(answer: Answer, threshold: float | None) -> str:
    is_share = answer.score == "probability"
    # `None` is of enrolled classes of which none is rejected: there are no labels, and all is sure.
    bound = cast(float, threshold)
    if answer.labels is not None:
        least = f"a probability of {100 * bound:g} % or more"
        if not answer.labels:
            return _said("No label", f"None has {least}.")
        return _said(", ".join(map(printable_text, answer.labels)), f"with {least} each")
    first, score = printable_text(answer.class_names[0]), answer.probabilities[0]
    shown = _percent(score) if is_share else f"{score:.2f}"
    if answer.is_sure:
        return _said(first, f"with a {answer.score} of {shown}")
    least = f"{100 * bound:g} %" if is_share else f"{bound:.2f}"
    return _said(
        "None of these",
        f"No class has a {answer.score} of {least} or more. The first one, {first}, has {shown}.",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _said(answer: str, reason: str) -> str:
    return (
        f'<div role="status"><div class="answer">{html.escape(answer)}</div>'
        f'<div class="reason">{html.escape(reason)}</div></div>'
    )


def _shares(answer: Answer) -> dict[str, float]:
    names = map(printable_text, answer.class_names)
    # A bar cannot be shorter than nothing, as a cosine can be.
    return dict(zip(names, (max(0.0, score) for score in answer.probabilities), strict=True))


def _similar(answer: Answer) -> str:
    if not answer.similar:
        return ""
    items = []
    for one in answer.similar:
        name = html.escape(printable_text(one.class_name or "class not known"))
        picture = '<div class="gone">picture not found</div>'
        if one.picture is not None:
            picture = f'<img src="{one.picture}" alt="{name}">'
        items.append(f"<li>{picture}<div>{name}</div><div>cosine {one.cosine:.2f}</div></li>")
    return f'<h2>The most similar known photographs</h2><ul class="similar">{"".join(items)}</ul>'
