"""Videos by the program ffmpeg: H.264, with sound and colour tags, at a constant rate of frames."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import PictureError

QUALITY = '16'
# ffprobe's names of the colour tags, and ffmpeg's.
TAGS = {
    'color_range': '-color_range',
    'color_space': '-colorspace',
    'color_transfer': '-color_trc',
    'color_primaries': '-color_primaries',
}


def restore_with_ffmpeg(
    path: Path, output: Path, height: int, width: int, fps: float, frames: Iterable[np.ndarray]
) -> tuple[int, list[str]]:
    """Write restored frames, and beside them the sound of the video that they are of.

    Args:
        path: that video.
        output: where the result goes; its suffix chooses the container.
        height, width, fps: of the frames.
        frames: (H, W, 3) RGB, uint8, in order.

    Returns:
        How many were written, and what is not as it was, a message each.

    Raises:
        PictureError: ffmpeg fails; its last words.
    """
    tags, uneven = _probed(path)
    command = ['ffmpeg', '-v', 'error', '-nostdin', '-y']
    command += ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}', '-r', f'{fps:.6f}', '-i', 'pipe:0']
    command += ['-i', str(path.absolute()), '-map', '0:v', '-map', '1:a?', '-map_metadata', '1', '-c:a', 'copy']
    command += ['-c:v', 'libx264', '-crf', QUALITY, '-pix_fmt', 'yuv420p', *tags, str(output.absolute())]
    written = 0
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words)
        assert process.stdin is not None
        try:
            for frame in frames:
                process.stdin.write(np.ascontiguousarray(frame).data)
                written += 1
            process.stdin.close()
            code = process.wait()
        except BrokenPipeError:  # ffmpeg has given up, and says why
            code = process.wait() or 1
        except BaseException:
            process.kill()
            process.wait()
            raise
        words.seek(0)
        said = words.read().decode('utf-8', 'replace').strip().splitlines()
    if code:
        raise PictureError(f'ffmpeg cannot write it: {said[-1] if said else code}')
    notes = ['its frames came at uneven times, and are written at a constant rate: pip install av'] if uneven else []
    return written, notes


def _probed(path: Path) -> tuple[list[str], bool]:
    """ffmpeg's arguments for the colour tags, and whether the rate of the frames varies; ffprobe comes with ffmpeg."""
    program = shutil.which('ffprobe')
    if program is None:
        return [], False
    wanted = ','.join((*TAGS, 'r_frame_rate', 'avg_frame_rate'))
    command = [program, '-v', 'error', '-select_streams', 'v:0', '-show_entries', f'stream={wanted}', '-of', 'json']
    done = subprocess.run([*command, str(path.absolute())], capture_output=True, text=True, check=False)
    if done.returncode:
        return [], False
    stream = (json.loads(done.stdout).get('streams') or [{}])[0]
    known = {flag: stream[name] for name, flag in TAGS.items() if stream.get(name) not in (None, 'unknown')}
    uneven = stream.get('r_frame_rate') != stream.get('avg_frame_rate')
    return [word for pair in known.items() for word in pair], uneven
