"""The page: where pictures are dropped, what is chosen, what is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import gradio as gr

from ..errors import PictureError, UserError
from ..messages import printable
from ..photos.picture_file import FORMATS
from .restoring import Shown, Workshop

TITLE = 'A blurred photo made sharp'


def build(workshop: Workshop, weights: Sequence[str]) -> gr.Blocks:
    """The page.

    Args:
        weights: files to choose from, the first is chosen.
    """
    # Told nobody: gradio would ask its makers for its newest version, and send them what is used.
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        done: Any = gr.State([])
        gr.Markdown(f'# {TITLE}\nDrop photos here. They stay on this machine: nothing is sent anywhere.')
        with gr.Row():
            with gr.Column(scale=1):
                files = gr.File(label='Photos', file_count='multiple', file_types=list(FORMATS), elem_id='photos')
                chosen = gr.Dropdown(
                    [(Path(name).name, name) for name in weights], value=weights[0], label='Weights', elem_id='weights'
                )
                own = gr.File(label='... or weights of your own', file_types=['.pth', '.safetensors'], height=160)
                maps = gr.Checkbox(True, label='Blur map', elem_id='maps')
                start = gr.Button('Restore', variant='primary', elem_id='start')
                told = gr.Textbox(label='What was done', lines=3, interactive=False, elem_id='told')
            with gr.Column(scale=3):
                which = gr.Dropdown([], label='Photo', visible=False, elem_id='which')
                slider: Any = gr.ImageSlider(
                    label='Before | after', type='filepath', format='png', interactive=False, elem_id='slider',
                    max_height=700, buttons=['fullscreen'],
                )  # fmt: skip
                results = gr.File(label='Download, in full size and depth', interactive=False, elem_id='results')
                gallery = gr.Gallery(
                    label='Where the network sees blur', columns=3, height=340, object_fit='contain', elem_id='gallery',
                    interactive=False, buttons=['fullscreen'],
                )  # fmt: skip

        def restore(
            paths: Optional[list[str]], name: str, own_path: Optional[str], with_maps: bool, progress: Any = _PROGRESS
        ) -> tuple[Any, ...]:
            if not paths:
                raise gr.Error('Drop a photo first.')
            shown: list[Shown] = []
            lines = []
            for number, path in enumerate(map(Path, paths)):

                def tell(part: float, what: str, number: int = number) -> None:
                    progress((number + part) / len(paths), desc=what)

                try:
                    shown.append(workshop.restore(path, own_path or name, maps=with_maps, progress=tell))
                    lines.append(f'{printable(path.name)}: {shown[-1].note}')
                except PictureError as error:
                    lines.append(f'{printable(path.name)}: FAILED: {error}')
                except UserError as error:  # of the weights or the memory: of no photo's own
                    raise gr.Error(printable(error), duration=None) from error
            names = [(each.result.name, index) for index, each in enumerate(shown)]
            return (
                shown,
                '\n'.join(lines),
                [str(each.result) for each in shown],
                gr.Dropdown(names, value=0 if names else None, visible=len(names) > 1),
                *show(shown, 0 if names else None),
            )

        def show(shown: list[Shown], index: Optional[int]) -> tuple[Any, ...]:
            if index is None or not shown:
                return None, []
            one = shown[index]
            return (str(one.before), str(one.after)), [(str(path), title) for title, path in one.maps]

        start.click(
            restore, [files, chosen, own, maps], [done, told, results, which, slider, gallery], api_visibility='private'
        )
        which.input(show, [done, which], [slider, gallery], api_visibility='private')
    return page


_PROGRESS = gr.Progress()
