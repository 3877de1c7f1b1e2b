"""Packaging of AIBNet for BasicSR."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name='aibnet-basicsr',
    version=re.search(r"__version__ = '(.+)'", (HERE / 'aibnet_arch/__init__.py').read_text()).group(1),
    description='AIBNet (Adaptive Identification of Blurred Regions for Accurate Image Deblurring) for BasicSR',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['aibnet_arch*', 'datasets_prep*']),
    package_data={
        'aibnet_arch': ['py.typed'],
        'aibnet_arch.basicsr_patches': ['*.csv'],
        'aibnet_arch.dropin': ['template/*'],
        'aibnet_arch.evaluation': ['*.csv'],
        'aibnet_arch.page': ['template/*'],
        'aibnet_arch.weights': ['shipped/*', 'template/*'],
        'datasets_prep': ['*.csv', 'py.typed'],
    },
    python_requires='>=3.9',
    # BasicSR itself is not listed: users bring a checkout of it, and PyPI's release needs torch to build.
    install_requires=[
        'einops',
        'lmdb',
        'numpy',
        'opencv-python',
        'pillow>=11',
        'psutil',
        'pydantic>=2.5',
        'pyyaml',
        'safetensors',
        'torch>=2.1',
        'tqdm',
    ],
    extras_require={
        'app': ['gradio>=6; python_version >= "3.10"'],
        'demo': ['scikit-image>=0.22'],
        'compare': ['spandrel', 'spandrel-extra-arches'],
        'files': ['av', 'pillow-heif'],
        'hub': ['huggingface-hub'],
        'metrics': ['DISTS-pytorch', 'lpips'],
        'onnx': ['onnx', 'onnxruntime'],
        'slurm': ['submitit'],
        'study': ['matplotlib', 'scipy', 'spandrel', 'spandrel-extra-arches'],
        'test': [
            'DISTS-pytorch',
            'av',
            'gradio>=6; python_version >= "3.10"',
            'huggingface-hub',
            'jsonschema',
            'lpips',
            'matplotlib',
            'mypy',
            'onnx',
            'onnxruntime',
            'pillow-heif',
            'playwright',
            'pytest',
            'pytest-xdist',
            'ruff',
            'scikit-image>=0.22',
            'scipy',
            'spandrel',
            'spandrel-extra-arches',
            'submitit',
            'types-jsonschema',
            'types-psutil',
            'types-PyYAML',
            'types-tqdm',
        ],
    },
    entry_points={
        'console_scripts': ['basicsr = aibnet_arch.commands.main:main'],
        'basicsr.plugins': ['aibnet = aibnet_arch.register:register'],
    },
)
