"""Programs about the package, run from a clone as ``python -m tools.NAME``.

==========================  ========================================================  ===================
``kill_trial``              kills trainings at random moments, and goes on             docs/training.md
``torchrun_trial``          the same with torchrun, its ranks and their groups        docs/training.md
``preparation_benchmark``   time of datasets_prep against BasicSR's two steps          docs/data.md
``speed_table``             time and memory beside others' and older checkouts         docs/speed.md
``metric_benchmark``        time of SSIM against BasicSR's                             docs/evaluation.md
``tiled_study``             a study's networks tested in tiles                         docs/ablations.md
``box_weights`` and others  the weights in the box, their figures and picture         docs/weights.md
``blurmap_study``           do SFEM and HFSBlock see blur? the figures, from nothing   docs/blurmap.md
==========================  ========================================================  ===================

``option_reference`` and ``basicsr_page`` write what docs/options.md, options/schema.json and docs/basicsr.md hold;
``install_basicsr`` is a script (README). ``tiny_training`` is what trials and tests train on.
"""
