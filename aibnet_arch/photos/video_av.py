"""Videos by PyAV (FFmpeg's libraries): H.264, with sound, frame times and colour tags as they were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PictureError

QUALITY = '16'  # x264's constant rate factor: hardly to be told from the frames
MISSING_PART = 0.02  # of the announced frames, or of the time where their count is not announced, may be missing
TAGS = ('color_range', 'color_primaries', 'color_trc', 'colorspace')


def restore_with_av(path: Path, output: Path, restore: Callable[[np.ndarray], np.ndarray]) -> tuple[int, list[str]]:
    """Restore a video.

    Args:
        path: the video.
        output: where the result goes; its suffix chooses the container.
        restore: a frame, (H, W, 3) RGB, uint8, upright, to one of the same shape.

    Returns:
        How many frames were written, and what is not as it was, a message each.

    Raises:
        PictureError: it cannot be decoded, or the result is not what was written.
        ModuleNotFoundError: PyAV is not installed.
    """
    import av

    try:
        with av.open(str(path)) as source, av.open(str(output), 'w') as target:
            written, notes = _Copy(source, target, output.suffix.lower()).run(restore)
        with av.open(str(output)) as result:
            found = sum(1 for packet in result.demux(video=0) if packet.size)
    except av.error.FFmpegError as error:
        raise PictureError(f'FFmpeg cannot decode or write it ({error.strerror}): it may be damaged') from error
    if found != written:
        raise PictureError(f'{written} frames were written, but the result has {found}: the disk may be full')
    return written, notes


class _Copy:
    """One video on its way; the containers are PyAV's and open."""

    def __init__(self, source: Any, target: Any, suffix: str) -> None:
        self._source, self._target, self._suffix = source, target, suffix
        self._video = source.streams.video[0]
        self._video.thread_type = 'AUTO'
        self._encoder: Any = None
        self._notes: list[str] = []
        self._end = 0.0  # seconds, of the last frame
        target.metadata.update(source.metadata)

    def run(self, restore: Callable[[np.ndarray], np.ndarray]) -> tuple[int, list[str]]:
        written = 0
        waiting: list[Any] = []  # packets of sound before the first frame: its size opens the file
        sounds = self._kept_sounds()
        for packet in self._source.demux([self._video, *sounds]):
            if packet.stream.type != 'video':
                waiting.append(packet)
            else:
                for frame in packet.decode():
                    self._write(frame, restore, sounds)
                    written += 1
            if self._encoder is not None:
                self._mux(waiting, sounds)
                waiting = []
        if self._encoder is None:
            raise PictureError('FFmpeg finds no frame in it: it may be damaged')
        self._target.mux(self._encoder.encode(None))
        self._check_end(written)
        return written, self._notes

    def _check_end(self, written: int) -> None:
        """Count frames where they are counted; AVI counts its gaps, too, and Matroska tells the time alone."""
        video, end = self._video, self._end
        if video.frames and self._source.format.name != 'avi':
            if written < (1 - MISSING_PART) * video.frames:
                raise PictureError(f'it ends after {written} of {video.frames} frames: it may be truncated')
            return
        if video.duration is not None:
            announced = float(((video.start_time or 0) + video.duration) * video.time_base)
            end += 1 / float(video.average_rate)  # the last frame's own time
        else:
            announced = (self._source.duration or 0) / 1e6 - 1  # of all: sound may go on for a little
        if end < (1 - MISSING_PART) * announced:
            raise PictureError(f'it ends after {end:.1f} of {announced:.1f} seconds: it may be truncated')

    def _kept_sounds(self) -> dict[Any, Any]:
        """Streams of sound, without a place in the result yet; what it cannot hold is noted."""
        sounds: dict[Any, Any] = {}
        for stream in self._source.streams.audio:
            if stream.codec_context.name in self._target.supported_codecs:
                sounds[stream] = None
            else:
                self._notes.append(
                    f'its sound ({stream.codec_context.name}) is not kept: {self._suffix} cannot hold it'
                )
        others = {stream.type for stream in self._source.streams} - {'video', 'audio'}
        if others or len(self._source.streams.video) > 1:
            self._notes.append('only its first picture and its sound are kept')
        return sounds

    def _write(self, frame: Any, restore: Callable[[np.ndarray], np.ndarray], sounds: dict[Any, Any]) -> None:
        import av

        turns = round(getattr(frame, 'rotation', 0) / 90)  # counter-clockwise, as phones tell it
        pixels = np.ascontiguousarray(np.rot90(frame.to_ndarray(format='rgb24'), turns))
        if self._encoder is None:
            self._open(frame, pixels, sounds)
        if pixels.shape[:2] != (self._encoder.height, self._encoder.width):
            raise PictureError(f'the frame at {frame.time:.2f} s has another size than the first')
        restored = av.VideoFrame.from_ndarray(np.ascontiguousarray(restore(pixels)), format='rgb24')
        # With the matrix and range that it was decoded by: tags that are missing are so before and after.
        coded = restored.reformat(format='yuv420p', dst_colorspace=frame.colorspace, dst_color_range=frame.color_range)
        self._end = max(self._end, frame.time or 0.0)
        coded.pts, coded.time_base = frame.pts, frame.time_base
        self._target.mux(self._encoder.encode(coded))

    def _open(self, frame: Any, pixels: np.ndarray, sounds: dict[Any, Any]) -> None:
        options = {'crf': QUALITY, **({'bf': '0'} if self._suffix == '.avi' else {})}  # AVI has no order of display
        self._encoder = self._target.add_stream('libx264', rate=self._video.average_rate, options=options)
        self._encoder.height, self._encoder.width = pixels.shape[:2]
        self._encoder.pix_fmt = 'yuv420p'
        self._encoder.codec_context.time_base = frame.time_base
        self._encoder.time_base = frame.time_base
        for tag in TAGS:
            setattr(self._encoder.codec_context, tag, getattr(self._video.codec_context, tag))
        bits = max(component.bits for component in frame.format.components)
        if bits > 8:
            self._notes.append(f'written with 8 of its {bits} bits')
        for stream in sounds:
            sounds[stream] = self._target.add_stream_from_template(stream)

    def _mux(self, packets: list[Any], sounds: dict[Any, Any]) -> None:
        for packet in packets:
            if packet.dts is not None:  # the end of a stream has none
                packet.stream = sounds[packet.stream]
                self._target.mux(packet)
