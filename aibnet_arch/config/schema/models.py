"""What each model class of BasicSR reads beside what its bases read; AIBNetModel's part is in `aibnet`."""

from typing import Optional

from .kinds import (
    TRAINING,
    Count,
    CountOrZero,
    ExactCount,
    ExactCountOrZero,
    Keys,
    NotNegative,
    Numbers,
    Range,
    Section,
    Share,
    Switch,
    Text,
    needed,
    optional,
)
from .run import Logger, Path, Run
from .train import Loss, Losses, Optimizer, Train
from .val import Val


class Adversarial(Section):
    """The top level with a discriminator."""

    network_d: Optional[Keys] = needed('the discriminator', when=TRAINING)


class AdversarialPath(Section):
    """`path:` with a discriminator."""

    pretrain_network_d: Optional[Text] = optional('weights of the discriminator to start from')
    param_key_d: Optional[Text] = optional('entry of that file that holds them', 'params')
    strict_load_d: Switch = optional('false: what does not fit is left as it is', True)


class AdversarialTrain(Section):
    """`train:` with a discriminator."""

    optim_d: Optional[Optimizer] = needed('the optimizer of network_d', when=TRAINING)
    gan_opt: Optional[Loss] = optional('the adversarial loss, e.g. {type: GANLoss, gan_type: vanilla}')
    net_d_iters: Optional[Count] = optional('iterations of network_d to one of network_g', 1)
    net_d_init_iters: Optional[CountOrZero] = optional('iterations of network_d alone at the start', 0)


class SRGANTrain(AdversarialTrain):
    """`train:` of SRGANModel."""

    ldl_opt: Optional[Loss] = optional('loss of artefacts')


class HiFaceGANTrain(AdversarialTrain):
    """`train:` of HiFaceGANModel."""

    feature_matching_opt: Optional[Loss] = optional("loss of the discriminator's features")


class EDVRTrain(Section):
    """`train:` of EDVRModel."""

    tsa_iter: Optional[CountOrZero] = optional('iterations in which only the TSA module trains')
    dcn_lr_mul: Optional[NotNegative] = optional('learning rate of the deformable convolutions, times optim_g.lr', 1)


class RecurrentTrain(Section):
    """`train:` of VideoRecurrentModel."""

    fix_flow: Optional[CountOrZero] = optional('iterations in which the optical flow does not train')
    flow_lr_mul: Optional[NotNegative] = optional('learning rate of the optical flow, times optim_g.lr', 1)


class RecurrentGANTrain(AdversarialTrain):
    """`train:` of VideoRecurrentGANModel."""

    lr_flow: Optional[NotNegative] = optional('learning rate of the optical flow, with fix_flow')


class RecurrentVal(Section):
    """`val:` of VideoRecurrentModel."""

    flip_seq: Optional[Switch] = optional('restore the sequence backwards, too, and take the mean', False)
    center_frame_only: Optional[Switch] = optional('measure the picture in the middle alone', False)


class Degradations(Section):
    """The top level of RealESRNetModel and RealESRGANModel; keys that end in 2 are of the second degradation."""

    queue_size: Optional[ExactCount] = optional('pictures from which pairs are drawn', 180)
    high_order_degradation: Optional[Switch] = optional('degrade the pictures; false: the dataset gives lq', True)
    gt_size: Optional[ExactCount] = optional('side of the crops of gt')
    gt_usm: Optional[Switch] = optional('RealESRNetModel: sharpen gt')
    l1_gt_usm: Optional[Switch] = optional('RealESRGANModel: sharpen gt for pixel_opt')
    percep_gt_usm: Optional[Switch] = optional('RealESRGANModel: sharpen gt for perceptual_opt')
    gan_gt_usm: Optional[Switch] = optional('RealESRGANModel: sharpen gt for gan_opt')
    resize_prob: Optional[Numbers] = optional('probability of up, down, keep')
    resize_range: Optional[Range] = optional('from, to')
    gaussian_noise_prob: Optional[Share] = optional('probability of Gaussian noise, else Poisson noise')
    noise_range: Optional[Range] = optional('of Gaussian noise: from, to')
    poisson_scale_range: Optional[Range] = optional('of Poisson noise: from, to')
    gray_noise_prob: Optional[Share] = optional('probability of noise without colour')
    jpeg_range: Optional[Range] = optional('quality: from, to')
    second_blur_prob: Optional[Share] = optional('probability of a second blur')
    resize_prob2: Optional[Numbers] = optional('probability of up, down, keep')
    resize_range2: Optional[Range] = optional('from, to')
    gaussian_noise_prob2: Optional[Share] = optional('probability of Gaussian noise, else Poisson noise')
    noise_range2: Optional[Range] = optional('of Gaussian noise: from, to')
    poisson_scale_range2: Optional[Range] = optional('of Poisson noise: from, to')
    gray_noise_prob2: Optional[Share] = optional('probability of noise without colour')
    jpeg_range2: Optional[Range] = optional('quality: from, to')


class StyleGAN2Train(Section):
    """`train:` of StyleGAN2Model."""

    optim_d: Optional[Optimizer] = needed('the optimizer of network_d', when=TRAINING)
    gan_opt: Optional[Loss] = needed('the adversarial loss', when=TRAINING)
    r1_reg_weight: Optional[NotNegative] = needed('of the regularisation of network_d', when=TRAINING)
    path_reg_weight: Optional[NotNegative] = needed('of the regularisation of path lengths', when=TRAINING)
    path_batch_shrink: Optional[ExactCount] = needed('the batch over that of path lengths', when=TRAINING)
    net_g_reg_every: Optional[ExactCount] = needed('iterations between two regularisations', when=TRAINING)
    net_d_reg_every: Optional[ExactCount] = needed('iterations between two regularisations', when=TRAINING)
    mixing_prob: Optional[Share] = needed('probability of mixed styles', when=TRAINING)


class StyleGAN2Val(Section):
    """`val:` of StyleGAN2Model."""

    num_val_samples: Optional[ExactCountOrZero] = optional('pictures that are drawn', 16)


# Section ('' is the top level) to its keys.
_ADVERSARIAL: dict[str, type[Section]] = {'': Adversarial, 'path': AdversarialPath}
OF_MODELS: dict[str, dict[str, type[Section]]] = {
    'BaseModel': {'': Run, 'train': Train, 'val': Val, 'path': Path, 'logger': Logger},
    'SRModel': {'train': Losses},
    'SRGANModel': {**_ADVERSARIAL, 'train': SRGANTrain},
    'ESRGANModel': {},
    'HiFaceGANModel': {**_ADVERSARIAL, 'train': HiFaceGANTrain},
    'VideoBaseModel': {},
    'EDVRModel': {'train': EDVRTrain},
    'VideoGANModel': {},
    'VideoRecurrentModel': {'train': RecurrentTrain, 'val': RecurrentVal},
    'VideoRecurrentGANModel': {**_ADVERSARIAL, 'train': RecurrentGANTrain},
    'SwinIRModel': {},
    'RealESRNetModel': {'': Degradations},
    'RealESRGANModel': {'': Degradations},
    'StyleGAN2Model': {**_ADVERSARIAL, 'train': StyleGAN2Train, 'val': StyleGAN2Val},
}
