"""Which sub-decoder trains at which iteration, and which plans are refused."""

import pytest

from aibnet_arch.training.stage_plan import StagePlan


def plan(count=2, **train):
    return StagePlan.from_options({'network_g': {'num_sub_decoders': count}, 'train': train})


def test_iterations_are_counted_from_one_and_stages_end_with_their_last():
    stages = plan(stage_iter=[3, 2], total_iter=5)
    assert [stages.locate(i) for i in range(1, 6)] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    assert [stages.stage_at(i) for i in range(1, 6)] == [1, 1, 1, 2, 2]
    assert [i for i in range(1, 6) if stages.ends_stage(i)] == [3, 5]
    with pytest.raises(ValueError, match='behind the end'):
        stages.locate(6)


def test_stages_trained_before_have_no_iterations():
    stages = plan(count=3, stage_iter=[0, 0, 4], total_iter=4)
    assert stages.trained_before == 2
    assert stages.locate(1) == (2, 1)
    assert stages.stage_at(4) == 3
    assert stages.ends_stage(4)


def test_direct_training_has_one_stage():
    stages = plan(strategy='direct', total_iter=4)
    assert stages.stage_at(1) is None
    assert stages.locate(4) == (0, 4)
    assert [stages.ends_stage(i) for i in (3, 4)] == [False, True]


def test_the_last_checkpoint_of_each_stage_is_told():
    stages = plan(stage_iter=[3, 2], total_iter=5)
    assert stages.last_of_stages([4, 1, 2, 5, 6, 7]) == {2, 5}
    assert stages.last_of_stages([3, 1]) == {3}
    assert stages.last_of_stages([]) == set()


def test_one_sub_decoder_needs_no_stage_iter():
    assert plan(count=1, total_iter=4).lengths == (4,)


@pytest.mark.parametrize(
    ('train', 'message'),
    [
        ({'total_iter': 5}, 'stage_iter: None: give the iterations of each of the 2 stages'),
        ({'total_iter': 5, 'stage_iter': 5}, 'stage_iter: 5'),
        ({'total_iter': 5, 'stage_iter': '55'}, "stage_iter: '55'"),
        ({'total_iter': 5, 'stage_iter': [5]}, '2 stages'),
        ({'total_iter': 5, 'stage_iter': [2, 2]}, 'adds up to 4, total_iter is 5'),
        ({'total_iter': 5, 'stage_iter': [2.5, 2.5]}, 'whole numbers'),
        ({'total_iter': 5, 'stage_iter': [True, 4]}, 'whole numbers'),
        ({'total_iter': 5, 'stage_iter': [-1, 6]}, 'whole numbers'),
        ({'total_iter': 5, 'stage_iter': [5, 0]}, 'only the first stages may be 0'),
        ({'total_iter': 0, 'stage_iter': [0, 0]}, 'the last may not'),
        ({'total_iter': 5, 'strategy': 'directly'}, "'directly' is neither"),
        ({'total_iter': 5, 'strategy': 'direct', 'stage_iter': [2, 3]}, 'no meaning'),
    ],
)
def test_a_plan_that_makes_no_sense_names_the_option(train, message):
    with pytest.raises(ValueError, match=message):
        plan(**train)
