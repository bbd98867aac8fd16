"""Pages as images."""

import io

import numpy as np
from PIL import Image

# Centimetres on both sides of a page of A4 that nothing may be in, and the lengths of its sides.
MARGIN, SHORT, LONG = 1.6, 21.0, 29.7


def margins(page: bytes) -> np.ndarray:
    """Pixels on both sides of what is said."""
    picture = np.asarray(Image.open(io.BytesIO(page)).convert("L"))
    height, width = picture.shape
    free = int(width * MARGIN / (SHORT if width < height else LONG))
    return np.concatenate([picture[:, :free], picture[:, -free:]], axis=1)
