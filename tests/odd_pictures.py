"""A folder of odd inputs for `basicsr deblur`, each with what is to become of it."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ICC = b'profile' * 40
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
# Names of files that fail, and a part of the message.
FAILING = {
    'cut.jpg': 'truncated',
    'cut.png': 'truncated',
    'cut16.png': 'truncated',
    'cut.tif': 'damaged',
    'cut16.tif': 'truncated',
    'cut.webp': 'damaged',
    'cut.bmp': 'truncated',
    'text.png': 'no picture',
    'empty.jpg': 'no picture',
    'noise.webp': 'no picture',
    'cmyk.jpg': 'CMYK',
    'cmyk.tif': 'CMYK',
    'float.tif': 'floating-point',
    'int32.tif': '32 bits',
    'animated.png': 'holds 2 pictures',
    'animated.webp': 'holds 2 pictures',
    'pages.tif': 'holds 2 pictures',
    'pipe.png': 'no file',
    'dangling.png': 'no such file',
    'clear.jpg': 'transparency',
    'raw.heic': 'no picture',
    'text.mp4': 'OpenCV cannot open it',
}
# Relative names of files that are restored, with mode and depth of their results.
RESTORED = {
    'one.png': 'RGB',
    'row.png': 'RGB',
    'column.jpg': 'RGB',
    'thin.png': 'RGB',
    'plain.jpg': 'RGB',
    'plain.jpeg': 'RGB',
    'plain.webp': 'RGB',
    'plain.bmp': 'RGB',
    'plain.tif': 'RGB',
    'PLAIN.TIFF': 'RGB',
    'progressive.jpg': 'RGB',
    'grey.png': 'L',
    'grey.jpg': 'L',
    'grey.tif': 'L',
    'bilevel.png': 'L',
    'bilevel.tif': 'L',
    'grey_alpha.png': 'LA',
    'grey_clear.png': 'LA',
    'alpha.png': 'RGBA',
    'alpha.webp': 'RGBA',
    'alpha.tif': 'RGBA',
    'colour_clear.png': 'RGB+',
    'palette.png': 'RGB',
    'palette.bmp': 'RGB',
    'palette_clear.png': 'RGBA',
    'grey16.png': 'L16',
    'rgb16.png': 'RGB16',
    'rgba16.png': 'RGBA16',
    'rgb16.tif': 'RGB16',
    'grey16.tif': 'L16',
    'rgba16.tif': 'RGBA16',
    'really_a_jpeg.png': 'RGB',
    'read_only.png': 'RGB',
    'ünïcode 写真.png': 'RGB',
    ' blank .png': 'RGB',
    'new\nline.png': 'RGB',
    'link.png': 'RGB',
    'a/same.png': 'RGB',
    'b/same.png': 'RGB',
    'b/deep/er/same.png': 'RGB',
    'turned.jpg': 'RGB',
    'turned16.png': 'RGB16',
    'damaged_exif.jpg': 'RGB',
}
SKIPPED = ('notes.txt', '.hidden.png', 'no_suffix')


def colours(height=20, width=30, channels=3, dtype=np.uint8, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def make_odd_pictures(folder: Path) -> None:
    """Write all of `RESTORED`, `FAILING` and `SKIPPED`."""
    rgb, deep = colours(), colours(channels=4, dtype=np.uint16)
    image, rgba = Image.fromarray(rgb), Image.fromarray(colours(channels=4))
    grey, palette = image.convert('L'), image.convert('P', palette=Image.Palette.ADAPTIVE, colors=16)
    bilevel = Image.fromarray(rgb[..., 0] > 127)
    for place in ('a', 'b/deep/er'):
        (folder / place).mkdir(parents=True)

    def save(name, picture, **options):
        picture.save(folder / name, **options)

    save('one.png', Image.fromarray(colours(1, 1)))
    save('row.png', Image.fromarray(colours(1, 40)))
    save('column.jpg', Image.fromarray(colours(40, 1)))
    save('thin.png', Image.fromarray(colours(3, 2000)))
    for name in ('plain.jpg', 'plain.jpeg', 'plain.webp', 'plain.bmp', 'plain.tif', 'PLAIN.TIFF'):
        save(name, image)
    save('progressive.jpg', image, progressive=True)
    for name in ('grey.png', 'grey.jpg', 'grey.tif'):
        save(name, grey)
    save('bilevel.png', bilevel)
    save('bilevel.tif', bilevel)
    save('grey_alpha.png', rgba.convert('LA'))
    save('grey_clear.png', grey, transparency=int(np.asarray(grey)[0, 0]))
    save('alpha.png', rgba)
    save('alpha.webp', rgba, lossless=True, exact=True)
    save('alpha.tif', rgba)
    save('colour_clear.png', image, transparency=tuple(map(int, rgb[0, 0])))
    save('palette.png', palette)
    save('palette.bmp', palette)
    save('palette_clear.png', palette, transparency=3)
    for name, pixels in {
        'grey16.png': deep[..., 0],
        'rgb16.png': deep[..., :3],
        'rgba16.png': deep,
        'rgb16.tif': deep[..., :3],
        'grey16.tif': deep[..., 0],
        'rgba16.tif': deep,
    }.items():
        assert cv2.imwrite(str(folder / name), pixels)
    save('really_a_jpeg.png', image, format='JPEG')
    for name in (
        'read_only.png',
        'ünïcode 写真.png',
        ' blank .png',
        'new\nline.png',
        'a/same.png',
        'b/same.png',
        'b/deep/er/same.png',
    ):
        save(name, image)
    os.chmod(folder / 'read_only.png', 0o444)
    (folder / 'link.png').symlink_to('one.png')
    save('turned.jpg', image, exif=exif(orientation=6), icc_profile=ICC, dpi=(300, 300), comment=b'hello', xmp=XMP)
    (folder / 'turned16.png').write_bytes(with_exif(png16(deep[..., :3]), exif(orientation=8)))
    save('damaged_exif.jpg', image, exif=b'Exif\0\0II*\0\x08\0\0\0\xff\xff damaged')

    for name in ('plain.jpg', 'plain.bmp', 'plain.webp', 'plain.tif'):
        cut(folder / name, folder / name.replace('plain', 'cut'))
    cut(folder / 'alpha.png', folder / 'cut.png')
    cut(folder / 'rgb16.png', folder / 'cut16.png')
    cut(folder / 'rgb16.tif', folder / 'cut16.tif')
    (folder / 'text.png').write_text('this is no picture\n')
    (folder / 'raw.heic').write_text('left alone\n')
    (folder / 'text.mp4').write_text('this is no video\n')
    (folder / 'empty.jpg').touch()
    (folder / 'noise.webp').write_bytes(rgb.tobytes())
    save('cmyk.jpg', image.convert('CMYK'))
    save('cmyk.tif', image.convert('CMYK'))
    save('float.tif', grey.convert('F'))
    save('int32.tif', grey.convert('I'))
    for name in ('animated.png', 'animated.webp', 'pages.tif'):
        save(name, image, save_all=True, append_images=[Image.fromarray(colours(seed=1))])
    os.mkfifo(folder / 'pipe.png')
    (folder / 'dangling.png').symlink_to('nowhere.png')
    save('clear.jpg', rgba, format='PNG')
    for name in SKIPPED:
        (folder / name).write_text('left alone\n')


def exif(*, orientation):
    tags = Image.Exif()
    tags[274], tags[271], tags[306] = orientation, 'Kamera & Söhne'.encode(), '2024:05:06 07:08:09'
    tags.get_ifd(0x8769)[33434] = 0.5  # ExposureTime
    tags.get_ifd(0x8825)[1] = 'N'  # GPSLatitudeRef
    return tags


def png16(pixels: np.ndarray) -> bytes:
    return cv2.imencode('.png', pixels[..., ::-1])[1].tobytes()


def with_exif(png: bytes, tags: Image.Exif) -> bytes:
    """A PNG with an eXIf chunk after its header."""
    content = b'eXIf' + tags.tobytes()[6:]
    chunk = struct.pack('>I', len(content) - 4) + content + struct.pack('>I', zlib.crc32(content))
    return png[:33] + chunk + png[33:]


def cut(source: Path, target: Path) -> None:
    content = source.read_bytes()
    target.write_bytes(content[: len(content) * 2 // 3])


def pixels_of(path: Path) -> np.ndarray:
    """What is in a file: by OpenCV, but what it does not tell apart by Pillow."""
    with Image.open(path) as image:
        image.load()
        mode = image.mode
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels.dtype == np.uint16:
        return pixels
    with Image.open(path) as image:
        return np.asarray(image.convert({'P': 'RGB', '1': 'L'}.get(mode, mode)))


def kind_of(path: Path) -> str:
    """'RGBA16' and so on."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    with Image.open(path) as image:
        if pixels.dtype == np.uint16:
            return {1: 'L', 3: 'RGB', 4: 'RGBA'}[pixels.size // pixels[..., :1].size if pixels.ndim == 3 else 1] + '16'
        return image.mode


def described(picture: Image.Image, **options) -> bytes:
    """A PNG with texts, gamma and resolution."""
    info = PngInfo()
    info.add_text('Title', 'a title')
    info.add_itxt('Author', '名前')
    info.add(b'gAMA', struct.pack('>I', 45455))
    stream = io.BytesIO()
    picture.save(stream, 'PNG', pnginfo=info, dpi=(300, 150), **options)
    return stream.getvalue()
