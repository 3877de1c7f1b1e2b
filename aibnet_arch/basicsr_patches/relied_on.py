"""The functions and classes of BasicSR that are relied on, by the promise that hangs on them.

Each with the fingerprint of those that were tested, two where 1.4.2 and git master differ.
`python -m tools.basicsr_page FOLDER` prints them for the package in a checkout.
"""

VERSION = '1.4.2'  # both say so
TESTED = "PyPI's 1.4.2 and git master 8d56e3a"
RELIED_ON = {
    'the order of a run and of an iteration': {
        'basicsr.train:train_pipeline': 'e03104c7',
        'basicsr.train:create_train_val_dataloader': 'a6f4420f',
        'basicsr.train:load_resume_state': '89145591',
        'basicsr.test:test_pipeline': '140b338a',
        'basicsr.models:build_model': '4222fb60',
        'basicsr.data:build_dataloader': '3a82b0f5',
        'basicsr.data.prefetch_dataloader:CPUPrefetcher': '346f7d76',
        'basicsr.data.prefetch_dataloader:CUDAPrefetcher': '9fb4290b',
    },
    'what option files mean': {
        'basicsr.utils.options:parse_options': 'e5dd9bfe 6a4fe77e',
        'basicsr.data:build_dataset': '89dd1a41',
        'basicsr.data.paired_image_dataset:PairedImageDataset': 'ee899aae',
        'basicsr.models.base_model:BaseModel.__init__': '255e7dd2',
        'basicsr.models.base_model:BaseModel.setup_schedulers': 'cec2fd0a',
        'basicsr.models.base_model:BaseModel.get_optimizer': 'bc608641 e8f74092',
        'basicsr.models.lr_scheduler:CosineAnnealingRestartLR': '83925393',
        'basicsr.models.lr_scheduler:MultiStepRestartLR': '3663115f',
        'basicsr.models.sr_model:SRModel.__init__': 'bdd4d2c3',
        'basicsr.models.sr_model:SRModel.init_training_settings': 'ce33afa4',
        'basicsr.models.sr_model:SRModel.setup_optimizers': 'b20695fb',
    },
    'folders and logs': {
        'basicsr.train:init_tb_loggers': '87542ce7',
        'basicsr.utils.misc:make_exp_dirs': 'bbf892b5',
        'basicsr.utils.misc:mkdir_and_rename': '9db9b781',
        'basicsr.utils.options:copy_opt_file': 'ef798f0c',
        'basicsr.utils.logger:MessageLogger': '8f27ca1c',
        'basicsr.utils.logger:get_root_logger': '12f0d1e4',
        'basicsr.utils.logger:init_wandb_logger': '12f6fda0',
    },
    'checkpoints that are whole, and bit-equal resuming': {
        'basicsr.utils.misc:check_resume': 'cb1a1d7c',
        'basicsr.models.base_model:BaseModel.get_bare_model': 'e3288c91',
        'basicsr.models.base_model:BaseModel.load_network': '0693cdc4',
        'basicsr.models.base_model:BaseModel.resume_training': '05dfa05e',
        'basicsr.models.base_model:BaseModel.save_network': 'd1588379',
        'basicsr.models.base_model:BaseModel.save_training_state': '85eb70ba',
        'basicsr.models.base_model:BaseModel.update_learning_rate': '7d9d7204',
        'basicsr.models.sr_model:SRModel.save': '942a0cf9',
    },
    'no steps that are not finite': {
        'basicsr.models.base_model:BaseModel.model_ema': '29bb4d86',
        'basicsr.models.base_model:BaseModel.reduce_loss_dict': '494275a6',
        'basicsr.models.sr_model:SRModel.feed_data': '4ee0584e',
        'basicsr.models.sr_model:SRModel.optimize_parameters': '477dbbeb',
    },
    'a figure for every picture': {
        'basicsr.metrics:calculate_metric': '90c6ae0b',
        'basicsr.models.base_model:BaseModel._initialize_best_metric_results': 'c2934ecd',
        'basicsr.models.base_model:BaseModel._update_best_metric_result': '75ef1df4',
        'basicsr.models.base_model:BaseModel.validation': 'b56f5eaf',
        'basicsr.models.sr_model:SRModel._log_validation_metric_values': 'ecbb8436',
        'basicsr.models.sr_model:SRModel.dist_validation': '897b0fcf',
        'basicsr.models.sr_model:SRModel.get_current_visuals': 'cc18cb74',
        'basicsr.models.sr_model:SRModel.nondist_validation': '279744af',
        'basicsr.models.sr_model:SRModel.test': '41dfd527',
    },
    'several processes': {
        'basicsr.models.base_model:BaseModel.model_to_device': '278ccb90',
        'basicsr.utils.dist_util:get_dist_info': 'f2673f4d',
        'basicsr.utils.dist_util:init_dist': '731c738f',
        'basicsr.utils.dist_util:master_only': 'b525da08',
    },
    'plugins beside each other': {
        'basicsr.utils.registry:Registry': '1a3bacb6',
    },
}
