"""The top level of an option file, `dist_params:`, `path:` and `logger:`."""

from typing import Annotated, Literal, Optional, Union

from pydantic import Field, Strict

from .kinds import (
    OURS,
    TESTING,
    TRAINING,
    Count,
    ExactCount,
    FileName,
    Keys,
    OneOf,
    Section,
    Seed,
    Switch,
    Text,
    Texts,
    Told,
    needed,
    optional,
)

SAVES = 'save'
NumGpu = Annotated[
    Union[Literal['auto'], Annotated[int, Strict(), Field(ge=0)]],
    Told('auto, or a whole number from 0 (the CPU) up'),
]


KEEP = 3  # newest checkpoints


class DistParams(Section):
    """`dist_params:`, what distributed training under slurm starts with."""

    backend: Optional[Text] = optional('of torch.distributed', 'nccl')
    port: Optional[ExactCount] = optional('at which the processes meet', 29500)


class Run(Section):
    """The top level."""

    name: FileName = needed('of the experiment, and of its folder')
    model_type: Text = needed('the model class, e.g. AIBNetModel or SRModel')
    num_gpu: NumGpu = needed('GPUs of a process; auto takes what is there, 0 is the CPU')
    scale: Optional[ExactCount] = optional('size of gt over size of lq; most datasets need it')
    manual_seed: Optional[Seed] = optional('of all random numbers; ~ draws one')
    find_unused_parameters: Optional[Switch] = optional('of DistributedDataParallel', False)
    datasets: Keys = needed('`train` and `val`, `val_1`, ... to train; `test`, `test_1`, `val`, ... to test')
    network_g: Keys = needed('the network, see [networks](#networks)')
    path: Optional[Keys] = optional('files and folders')
    train: Optional[Keys] = needed('the training', when=TRAINING)
    val: Optional[Keys] = needed('validation and test; without it a training validates nothing', when=TESTING)
    logger: Optional[Keys] = needed('what is logged and kept', when=TRAINING)
    dist_params: Optional[DistParams] = optional('distributed training under slurm')


class Path(Section):
    """`path:`"""

    pretrain_network_g: Optional[Text] = optional('weights to start from')
    param_key_g: Optional[Text] = optional(
        'entry of that file that holds them; ~: the file is the state dict', 'params'
    )
    strict_load_g: Switch = optional('false: what does not fit is left as it is', True)
    resume_state: Optional[Text] = optional('a `.state` file: go on with its run; or start with --auto_resume')
    ignore_resume_networks: Optional[Texts] = optional('networks that do not take the weights of the resumed run')
    experiments_root: Optional[Text] = optional('folder of the experiments', 'experiments', whose=OURS)
    results_root: Optional[Text] = optional('folder of the tests', 'results', whose=OURS)


class Wandb(Section):
    """`logger.wandb:`"""

    project: Optional[Text] = optional('log to this project of Weights & Biases, too')
    resume_id: Optional[Text] = optional('go on with this run of it')


class Logger(Section):
    """`logger:`"""

    print_freq: Count = needed('iterations between two lines of the log')
    save_checkpoint_freq: Count = needed('iterations between two checkpoints')
    use_tb_logger: Switch = needed('log to TensorBoard')
    keep_checkpoints: Optional[ExactCount] = optional(
        "so many of the newest; the best and each stage's last one stay always; ~: all", KEEP, whose=OURS
    )
    on_usr1: Optional[Annotated[str, OneOf(('stop', SAVES))]] = optional(
        'at SIGUSR1 save and stop (exit code 75), or save and go on', 'stop', whose=OURS
    )
    diagnostics: Switch = optional(
        'at each validation look whether the parts of an AIBNet are awake (docs/diagnostics.md)', True, whose=OURS
    )
    wandb: Optional[Wandb] = optional('Weights & Biases; needs use_tb_logger')
