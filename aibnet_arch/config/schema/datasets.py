"""`datasets.<phase>:`, one class for each dataset of BasicSR and of this package."""

from typing import Annotated, Any, Literal, Optional

from .kinds import (
    OURS,
    TOP,
    TRAINING,
    Counts,
    ExactCount,
    ExactCountOrZero,
    FileName,
    Numbers,
    Positive,
    Range,
    Section,
    Share,
    Switch,
    Text,
    Texts,
    Told,
    needed,
    optional,
)


class Storage(Section):
    """`io_backend:`, how the pictures are stored."""

    type: Annotated[Literal['disk', 'lmdb', 'memcached'], Told('{type: lmdb} or {type: disk}')] = needed(
        'disk: files in a folder; lmdb: a folder `*.lmdb`'
    )
    readonly: Optional[Switch] = optional('of an LMDB', True)
    lock: Optional[Switch] = optional('of an LMDB', False)
    readahead: Optional[Switch] = optional('of an LMDB', False)
    map_size: Any = optional('of an LMDB, bytes')
    max_readers: Any = optional('of an LMDB')
    server_list_cfg: Optional[Text] = optional('of memcached')
    client_cfg: Optional[Text] = optional('of memcached')
    sys_path: Optional[Text] = optional('of memcached')


class Loading(Section):
    """What the pipelines read of every dataset."""

    name: FileName = needed('in logs and tables, and of folders')
    type: Text = needed('the class of the dataset')
    phase: Optional[Text] = optional('set by the command: the key of the dataset')
    scale: Optional[ExactCount] = optional('set by the command: that of the top level')
    batch_size_per_gpu: Optional[ExactCount] = needed('pictures of an iteration, for each GPU', when=TRAINING)
    num_worker_per_gpu: Optional[ExactCountOrZero] = needed('processes that load, for each GPU', when=TRAINING)
    dataset_enlarge_ratio: Positive = optional('how often each picture stands in an epoch', 1)
    fixed_crops: Optional[ExactCount] = optional(
        'so many samples in all, in place of dataset_enlarge_ratio, each cropped and flipped alike in every epoch',
        whose=OURS,
    )
    prefetch_mode: Annotated[Optional[Literal['cpu', 'cuda']], Told('~, cpu or cuda')] = optional(
        'load ahead: cpu in a thread; cuda on a stream of the GPU, with pin_memory'
    )
    num_prefetch_queue: ExactCount = optional('batches that wait, with prefetch_mode: cpu', 1)
    pin_memory: Optional[Switch] = optional('of the data loader; ~: with a GPU')
    persistent_workers: Optional[Switch] = optional('workers live as long as the run; ~: if there are any')
    iters: Optional[Counts] = optional('iterations of each phase of a schedule of patches', whose=OURS)
    gt_sizes: Optional[Counts] = optional('size of the patches in each phase, up to gt_size', whose=OURS)
    mini_batch_sizes: Optional[Counts] = optional('pictures in each phase, up to batch_size_per_gpu', whose=OURS)


class Truth(Section):
    """Sharp pictures, augmented."""

    dataroot_gt: Text = needed('folder of the sharp pictures')
    io_backend: Storage = needed('how they are stored')
    use_hflip: Switch = needed('flip horizontally, at random')


class Normalised(Section):
    """Pictures that may be normalised."""

    mean: Optional[Numbers] = optional('of each channel, subtracted')
    std: Optional[Numbers] = optional('of each channel, divided by')


class Pairs(Normalised):
    """Blurred and sharp pictures."""

    dataroot_lq: Text = needed('folder of the blurred pictures')
    dataroot_gt: Text = needed('folder of the sharp pictures')
    io_backend: Storage = needed('how both are stored')
    scale: Optional[ExactCount] = needed('set by the command: that of the top level', when=TOP)
    filename_tmpl: Text = optional('name of a blurred picture, {} is that of the sharp one', '{}')
    gt_size: Optional[ExactCount] = needed('side of the random crops of gt', when=TRAINING)
    use_hflip: Optional[Switch] = needed('flip horizontally, at random', when=TRAINING)
    use_rot: Optional[Switch] = needed('flip vertically and transpose, at random', when=TRAINING)


class Paired(Pairs):
    """PairedImageDataset"""

    meta_info_file: Optional[Text] = optional('list of the pictures; ~: all of the folder')
    color: Optional[Text] = optional('y: the luma alone')


class Flipped(Section):
    """PairedFlipDataset, beside what PairedImageDataset reads"""

    use_vflip: Optional[Switch] = needed('flip vertically, at random', when=TRAINING, whose=OURS)


class RealESRGANPaired(Pairs):
    """RealESRGANPairedDataset"""

    meta_info: Optional[Text] = optional('list of pairs; ~: all of the folder')


class Single(Normalised):
    """SingleImageDataset, pictures to restore without a truth"""

    dataroot_lq: Text = needed('folder of the pictures')
    io_backend: Storage = needed('how they are stored')
    meta_info_file: Text = optional('list of the pictures; left out: all of the folder')
    color: Optional[Text] = optional('y: the luma alone')


class FFHQ(Truth):
    """FFHQDataset"""

    mean: Numbers = needed('of each channel, subtracted')
    std: Numbers = needed('of each channel, divided by')


class RealESRGAN(Truth):
    """RealESRGANDataset, which blurs sharp pictures itself, twice; keys that end in 2 are of the second time"""

    meta_info: Text = optional('list of the pictures; needed unless they are in an LMDB')
    use_rot: Switch = needed('flip vertically and transpose, at random')
    blur_kernel_size: ExactCount = needed('of the kernels')
    kernel_list: Texts = needed('kinds of kernels')
    kernel_prob: Numbers = needed('probability of each kind')
    blur_sigma: Range = needed('from, to')
    betag_range: Range = needed('of generalised Gaussian kernels: from, to')
    betap_range: Range = needed('of plateau kernels: from, to')
    sinc_prob: Share = needed('probability of a sinc filter')
    blur_kernel_size2: ExactCount = needed('of the kernels')
    kernel_list2: Texts = needed('kinds of kernels')
    kernel_prob2: Numbers = needed('probability of each kind')
    blur_sigma2: Range = needed('from, to')
    betag_range2: Range = needed('of generalised Gaussian kernels: from, to')
    betap_range2: Range = needed('of plateau kernels: from, to')
    sinc_prob2: Share = needed('probability of a sinc filter')
    final_sinc_prob: Share = needed('probability of a sinc filter at the end')


class Sequences(Section):
    """Blurred and sharp sequences for training."""

    dataroot_lq: Text = needed('folder of the blurred sequences')
    dataroot_gt: Text = needed('folder of the sharp sequences')
    io_backend: Storage = needed('how both are stored')
    meta_info_file: Text = needed('list of the sequences')
    scale: Optional[ExactCount] = needed('set by the command: that of the top level', when=TOP)
    num_frame: ExactCount = needed('pictures of a sample')
    gt_size: ExactCount = needed('side of the random crops of gt')
    use_hflip: Switch = needed('flip horizontally, at random')
    use_rot: Switch = needed('flip vertically and transpose, at random')


class REDS(Sequences):
    """REDSDataset"""

    dataroot_flow: Optional[Text] = needed('folder of optical flows; ~: none')
    val_partition: Text = needed('REDS4 or official: what is kept for validation')
    interval_list: Counts = needed('steps between the pictures of a sample, one is drawn')
    random_reverse: Switch = needed('run backwards, at random')


class REDSRecurrent(Sequences):
    """REDSRecurrentDataset"""

    val_partition: Text = needed('REDS4 or official: what is kept for validation')
    test_mode: Switch = needed('train on the validation part alone')
    interval_list: Counts = optional('steps between the pictures of a sample, one is drawn', [1])
    random_reverse: Switch = optional('run backwards, at random', False)
    dataroot_flow: Optional[Text] = optional('folder of optical flows')


class Vimeo90K(Sequences):
    """Vimeo90KDataset"""

    random_reverse: Switch = needed('run backwards, at random')


class Vimeo90KRecurrent(Section):
    """Vimeo90KRecurrentDataset, beside what Vimeo90KDataset reads"""

    flip_sequence: Switch = needed('append the sequence backwards')


class VideoTest(Section):
    """VideoTestDataset and VideoRecurrentTestDataset"""

    dataroot_lq: Text = needed('folder of the blurred sequences')
    dataroot_gt: Text = needed('folder of the sharp sequences')
    io_backend: Storage = needed('how they are stored: {type: disk}')
    cache_data: Switch = needed('keep all pictures in memory')
    meta_info_file: Text = optional('list of the sequences; left out: all of the folder')
    num_frame: Optional[ExactCount] = optional('pictures of a sample; VideoRecurrentTestDataset needs none')
    padding: Optional[Text] = optional('at the ends: replicate, reflection, reflection_circle or circle')


class VideoTestVimeo90K(Section):
    """VideoTestVimeo90KDataset"""

    dataroot_lq: Text = needed('folder of the blurred sequences')
    dataroot_gt: Text = needed('folder of the sharp sequences')
    io_backend: Storage = needed('how they are stored: {type: disk}')
    cache_data: Switch = needed('must be false')
    meta_info_file: Text = needed('list of the sequences')
    num_frame: ExactCount = needed('pictures of a sample')


class VideoTestDUF(Section):
    """VideoTestDUFDataset, beside what VideoTestDataset reads"""

    scale: Optional[ExactCount] = needed('set by the command: that of the top level', when=TOP)
    use_duf_downsampling: Switch = needed("blur and shrink as DUF's authors did")


# What each class reads beside what its bases read.
OF_DATASETS: dict[str, type[Section]] = {
    'PairedImageDataset': Paired,
    'PairedFlipDataset': Flipped,
    'SingleImageDataset': Single,
    'FFHQDataset': FFHQ,
    'RealESRGANDataset': RealESRGAN,
    'RealESRGANPairedDataset': RealESRGANPaired,
    'REDSDataset': REDS,
    'REDSRecurrentDataset': REDSRecurrent,
    'Vimeo90KDataset': Vimeo90K,
    'Vimeo90KRecurrentDataset': Vimeo90KRecurrent,
    'VideoTestDataset': VideoTest,
    'VideoTestVimeo90KDataset': VideoTestVimeo90K,
    'VideoTestDUFDataset': VideoTestDUF,
    'VideoRecurrentTestDataset': Section,
}
