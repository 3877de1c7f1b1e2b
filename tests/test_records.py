"""Records of checkpoints whose checksum is right and whose content is not, and files without a record."""

import pytest
import torch

from aibnet_arch.checkpoints.folder import CheckpointFolder, sealed
from aibnet_arch.errors import CheckpointError

ENTRY = {'better': 'higher', 'val': 30.5, 'iter': 9}
WHOLE = {'iteration': 9, 'sha256': {'9.state': 'a'}, 'best_metrics': {'val': {'psnr': ENTRY}}}


@pytest.fixture
def folder(tmp_path):
    for name in ('models', 'states'):
        (tmp_path / name).mkdir()
    return CheckpointFolder(models=tmp_path / 'models', states=tmp_path / 'states')


@pytest.mark.parametrize('best', [None, {}, WHOLE['best_metrics'], {'val': {'psnr': {**ENTRY, 'better': 'lower'}}}])
def test_a_whole_record_is_given(folder, best):
    record = {**WHOLE, 'best_metrics': best}
    folder.record_path(9).write_bytes(sealed(record))
    assert folder.record(9) == record


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'iteration': '9'}, 'it is of no iteration'),
        ({'iteration': True}, 'it is of no iteration'),
        ({'sha256': None}, 'it names no files'),
        ({'sha256': ['9.state']}, 'it names no files'),
        ({'sha256': {'../9.state': 'a'}}, 'it names no files'),
        ({'sha256': {'9.state': 1}}, 'it names no files'),
        ({'best_metrics': []}, 'its best metrics are none'),
        ({'best_metrics': {'val': 30.5}}, 'its best metrics are none'),
        ({'best_metrics': {'val': {'psnr': 30.5}}}, 'its best metrics are none'),
        *(
            ({'best_metrics': {'val': {'psnr': {**ENTRY, key: value}}}}, 'its best metrics are none')
            for key, value in (('better', 'more'), ('val', '30.5'), ('val', True), ('iter', None))
        ),
    ],
)
def test_a_crafted_record_is_refused(folder, change, told):
    folder.record_path(9).write_bytes(sealed({**WHOLE, **change}))
    with pytest.raises(CheckpointError, match=f'9.json is damaged: {told}'):
        folder.record(9)


def test_without_a_record_each_file_is_verified(folder):
    torch.save({'iter': 9}, folder.state_path(9))
    with pytest.raises(CheckpointError, match=r'net_\*_9\.pth is missing'):
        folder.read(9)
    network = folder.models / 'net_g_9.pth'
    torch.save({'params': {'w': torch.arange(256.0)}}, network)
    assert folder.read(9)['iter'] == 9
    whole = network.read_bytes()
    place = whole.index(torch.arange(256.0).numpy().tobytes())
    network.write_bytes(whole[: place + 9] + bytes([whole[place + 9] ^ 1]) + whole[place + 10 :])
    with pytest.raises(CheckpointError, match=r'net_g_9\.pth is damaged in .*data'):
        folder.read(9)
