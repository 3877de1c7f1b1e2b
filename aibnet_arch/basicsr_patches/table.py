"""Every replacement at run time: what of BasicSR, by what, and why. Nothing else of it is changed; see docs/basicsr.md.

BasicSR's files stay as they are. Faults are those of PyPI's 1.4.2 and of git master 8d56e3a alike, unless it is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any


@dataclass(frozen=True)
class Replacement:
    """One name of BasicSR, or of torch and torchvision below it, that means something of ours.

    Attributes:
        target: 'module:name' that is replaced.
        by: 'module:name' below `aibnet_arch`. Of a class, what an instance of it has.
    """

    target: str
    by: str
    fault: str
    serves: str
    until: str

    def owner(self) -> tuple[Any, str]:
        """What has the name as an attribute, and the attribute."""
        module, _, path = self.target.partition(':')
        *outer, name = path.split('.')
        owner = import_module(module)
        return (attrgetter('.'.join(outer))(owner) if outer else owner), name

    def stand_in(self, instance: Any = None) -> Any:
        """What takes the place: a function, or a method of the instance."""
        module, _, path = self.by.partition(':')
        first, _, method = path.partition('.')
        return getattr(instance, method) if method else getattr(import_module(f'aibnet_arch.{module}'), first)


def _in_the_place_of(owner: str, ours: str, **reasons: tuple[str, str, str]) -> tuple[Replacement, ...]:
    """Those of one owner, by what has the same name here. Reasons: fault, promise, until when."""
    return tuple(Replacement(f'{owner}{name}', f'{ours}{name}', *why) for name, why in reasons.items())


TO_IMPORT = Replacement(
    'torchvision.transforms.functional_tensor:rgb_to_grayscale',
    'basicsr_patches.functional_tensor:provide_functional_tensor',
    'data/degradations.py of 1.4.2 imports a module that torchvision 0.17 and later have no more',
    'BasicSR can be imported, also in spawned workers',
    'a release on PyPI with the fix of git master',
)
WHILE_A_COMMAND_RUNS = (
    *_in_the_place_of(
        'basicsr.utils.registry:Registry.',
        'basicsr_patches.registry:',
        _do_register=(
            'of two owners of a name an assertion names neither, and under `python -O` the second one wins silently',
            'plugins beside each other',
            'upstream names both, always',
        ),
    ),
    *_in_the_place_of(
        'torch:',
        'basicsr_patches.torch_load:',
        load=(
            'before 2.6 it executes what a file says; old tar archives also with weights_only',
            'nothing executes from data',
            'torch 2.6 is the oldest that is supported',
        ),
    ),
)
WHILE_TRAINING = _in_the_place_of(
    'basicsr.train:',
    'basicsr_patches.train_pipeline:TrainPipeline.',
    parse_options=(
        'option files execute code, misspelled keys pass, errors come after the old run was archived',
        'everything is checked before anything is created',
        'upstream reads options safely and checks them',
    ),
    load_resume_state=(
        'needs a GPU, looks below the current directory alone, takes the newest file whether whole or not',
        'a killed run goes on',
        'upstream maps to the CPU, reads opt["path"] and verifies',
    ),
    copy_opt_file=(
        'every process writes the same file, while the first may still be making its folder',
        'several processes',
        'upstream lets one process write while the others wait',
    ),
    get_root_logger=(
        'none: what it logs goes to its file, and a line of progress to the terminal (--verbose: all)',
        'a person can read the terminal',
        'upstream tells the terminal less than the log file',
    ),
    init_wandb_logger=(
        'asks wandb for a name that its releases of today have no more (wandb.util.generate_id)',
        'curves beside the log',
        'upstream leaves the id to wandb',
    ),
    init_tb_loggers=(
        'none: its writer is remembered for the validation that a kill prevented',
        'a killed run goes on, with all its validations',
        'upstream validates what a resumed run owes',
    ),
    create_train_val_dataloader=(
        'counts epochs with ceil while its loader drops the last batch, starts a resumed epoch again, reseeds workers '
        'identically each epoch, hangs with `prefetch_mode: cpu`, names no broken sample, validates on one process',
        'exactly total_iter iterations, bit-equal resuming, validation on all processes',
        'upstream counts what its loader yields, seeds samples, and splits validation',
    ),
    build_model=(
        'none: the loop is given training/iteration.py, around a model of the class below',
        'checkpoints at a signal, no steps that are not finite, bit-equal resuming',
        'the loop of upstream has places to hang on',
    ),
)
WHILE_TESTING = _in_the_place_of(
    'basicsr.test:',
    'basicsr_patches.test_pipeline:Testing.',
    parse_options=(
        'as in training; a third test of one name within a second dies, as two archives would have one name',
        'everything is checked before anything is created',
        'upstream reads options safely and checks them',
    ),
    get_root_logger=(
        'as in training',
        'a person can read the terminal',
        'as in training',
    ),
    build_dataloader=(
        'knows no share of a process, and names no broken sample',
        'testing on all processes',
        'upstream splits validation',
    ),
    build_model=(
        'none: the model is of the class below; and the other processes wait until the first has made the folders',
        'a figure for every picture',
        'upstream writes them',
    ),
)
# Methods that the models of `build_model` inherit in the place of these: BasicSR's own classes are not touched.
INHERITED = (
    *_in_the_place_of(
        'basicsr.models.base_model:BaseModel.',
        'basicsr_patches.model_methods:SafeModel.',
        save_network=(
            'writes in place, ignores failures, writes what is not finite',
            'checkpoints are whole or not there',
            'upstream writes to a temporary file and stops when it cannot',
        ),
        save_training_state=(
            'as save_network; random states and more are not saved',
            'checkpoints are whole or not there, bit-equal resuming',
            'as save_network',
        ),
        load_network=(
            'executes what a file says (torch before 2.6), dies without a word of what does not fit',
            'nothing executes from data',
            'upstream reads weights only, and tells',
        ),
        get_optimizer=(
            '1.4.2 knows Adam alone; NAFNet and Restormer train with AdamW',
            'other networks train beside AIBNet',
            'a release on PyPI with what git master has',
        ),
        model_to_device=(
            'several processes need GPUs, and a network without gradients dies',
            'several processes on CPUs, stages',
            'upstream knows both',
        ),
    ),
    *_in_the_place_of(
        'basicsr.models.sr_model:SRModel.',
        'basicsr_patches.model_methods:SafeSRModel.',
        nondist_validation=(
            'tells means alone, hands `better` to metrics that do not know it',
            'a figure for every picture',
            'upstream writes them',
        ),
        dist_validation=(
            'one process of many does it all',
            'validation on all processes',
            'upstream spreads the pictures',
        ),
    ),
)


def replace(replacements: Sequence[Replacement], instance: Any = None) -> Mapping[str, Any]:
    """Put them in their places; doing it again changes nothing. Returns what was there by the attribute's name."""
    originals = {}
    for each in replacements:
        owner, name = each.owner()
        originals[name] = getattr(owner, name)
        setattr(owner, name, each.stand_in(instance))
    return originals


@contextmanager
def replaced(replacements: Sequence[Replacement], instance: Any = None) -> Iterator[Mapping[str, Any]]:
    """The same for a while.

    Args:
        instance: whose methods they are, if `by` names a class.
    """
    originals = replace(replacements, instance)
    try:
        yield originals
    finally:
        for each in replacements:
            owner, name = each.owner()
            setattr(owner, name, originals[name])
