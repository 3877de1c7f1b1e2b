"""The data of the weights in the box, from a package that the tests make, and what their lists say."""

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from datasets_prep import box
from datasets_prep.box import box_pictures, make
from datasets_prep.demo import TRAIN_PICTURES, VAL_PICTURES
from datasets_prep.errors import PrepError
from datasets_prep.shake_settings import ShakeSettings
from datasets_prep.small import Picture, licences, listed_pictures
from tests.prep_packages import photograph, write_deb
from tests.prep_trees import read_lmdb


@pytest.fixture(autouse=True)
def few_exposures(monkeypatch):
    # 400 x 330 pixels become 320 x 264 in both sets, but 200 x 165 where the largest side says so.
    monkeypatch.setattr(
        box,
        'SETTINGS',
        {'train': ShakeSettings(exposures=2), 'test': ShakeSettings(exposures=4, sharp=0.25, largest_side=200)},
    )


@pytest.fixture
def debs(tmp_path):
    """A package with two pictures; gives the folder and the list."""
    folder = tmp_path / 'debs'
    folder.mkdir()
    contents = {f'usr/share/p{n}.png': photograph(n, height=330, width=400) for n in range(2)}
    write_deb(folder / 'one_1.0-1_all.deb', contents)
    pictures = [
        Picture(
            ('test', 'train')[n], f'p{n}', 'one', path, f'author {n}', 'CC0', hashlib.sha256(contents[path]).hexdigest()
        )
        for n, path in enumerate(contents)
    ]
    return folder, pictures


def picture(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_the_lists_have_each_picture_once_with_a_licence():
    pictures = box_pictures()
    assert pictures[: len(listed_pictures())] == listed_pictures()
    count = {name: sum(picture.set == name for picture in pictures) for name in ('train', 'test')}
    assert count['train'] >= 75
    assert count['test'] >= 16
    assert len(pictures) == count['train'] + count['test']
    for attribute in ('name', 'path', 'sha256'):
        assert len({getattr(picture, attribute) for picture in pictures}) == len(pictures)
    assert all(len(picture.sha256) == 64 and picture.author and picture.licence for picture in pictures)


def test_what_the_demo_tests_is_not_trained_on_and_the_reverse():
    file_names = {
        name: {p.path.rsplit('/', 1)[1] for p in box_pictures() if p.set == name} for name in ('train', 'test')
    }
    assert not file_names['train'] & set(VAL_PICTURES)
    assert not file_names['test'] & set(TRAIN_PICTURES)


def test_it_makes_both_sets_and_the_licences_and_again_the_same(debs, tmp_path):
    folder, pictures = debs
    out = tmp_path / 'box'
    make(out, debs=folder, pictures=pictures, workers=1)
    make(tmp_path / 'again', debs=folder, pictures=list(reversed(pictures)), workers=1)
    found = {}
    for name in ('train/blur_crops', 'train/sharp_crops', 'test/input', 'test/target', 'sharp/input', 'sharp/target'):
        found[name], again = (read_lmdb(folder / f'{name}.lmdb') for folder in (out, tmp_path / 'again'))
        assert found[name] == again
    # 320 x 264 gives four crops of 256; the settings of training leave none of two exposures sharp.
    assert [len(entries) for entries in found.values()] == [8, 8, 3, 3, 1, 1]
    assert picture(next(iter(found['test/target'].values()))).shape == (165, 200, 3)
    assert not set(found['test/input'].items()) & set(found['test/target'].items())
    assert found['sharp/input'] == found['sharp/target']
    assert not set(found['sharp/input']) & set(found['test/input'])
    assert (out / 'LICENCES.md').read_text() == licences(pictures)
    assert (out / 'photographs/test/p0.png').read_bytes() == photograph(0, height=330, width=400)
    make(out, debs=folder, pictures=pictures, workers=1)  # finished sets are left alone


def test_sets_of_an_older_generator_are_refused_and_made_anew_when_asked(debs, tmp_path, monkeypatch):
    folder, pictures = debs
    out = tmp_path / 'box'
    with monkeypatch.context() as older:
        older.setattr(box, 'GENERATOR', box.GENERATOR - 1)
        make(out, debs=folder, pictures=pictures, workers=1)
    with pytest.raises(PrepError, match='was prepared with other options') as refused:
        make(out, debs=folder, pictures=pictures, workers=1)
    assert '--overwrite' in str(refused.value)
    make(out, debs=folder, pictures=pictures, workers=1, overwrite=True)
    make(out, debs=folder, pictures=pictures, workers=1)


def test_a_picture_that_no_list_has_is_told_with_both(debs, tmp_path):
    folder, pictures = debs
    changed = [replace(pictures[0], sha256='0' * 64), pictures[1]]
    with pytest.raises(PrepError, match=r'is not the picture that small_pictures\.csv or box_pictures\.csv lists'):
        make(tmp_path / 'box', debs=folder, pictures=changed, workers=1)
    assert not (tmp_path / 'box').exists()
