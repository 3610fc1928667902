"""What a removal is compared with: doing nothing, a blurred fill, OpenCV's classical inpainting."""

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter


def blurred(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mask filled with a wide blur of what is around it; float pictures in [0, 1]."""
    weight = (~mask).astype(np.float32)
    sigma = 0.05 * min(mask.shape)
    blur = gaussian_filter(image * weight[..., None], (sigma, sigma, 0))
    around = blur / (gaussian_filter(weight, sigma) + 1e-4)[..., None]
    return np.where(mask[..., None], around, image)


def opencv(image: np.ndarray, mask: np.ndarray, method: str) -> np.ndarray:
    """cv2.inpaint, radius 5, by "telea" or "navier-stokes"."""
    import cv2

    flag = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}[method]
    bytes_ = (image * 255 + 0.5).astype(np.uint8)
    return cv2.inpaint(bytes_, mask.astype(np.uint8), 5, flag).astype(np.float32) / 255


def fills(image: np.ndarray, mask: np.ndarray, shadow: np.ndarray) -> dict[str, np.ndarray]:
    """Every comparison by name. They get the object's mask, 3 pixels grown; the "told" ones the shadow's as well."""
    own, told = (binary_dilation(m, iterations=3) for m in (mask, mask | shadow))
    return {
        "untouched": image,
        "blurred fill": blurred(image, own),
        "opencv telea": opencv(image, own, "telea"),
        "opencv navier-stokes": opencv(image, own, "navier-stokes"),
        "opencv telea, told the shadow": opencv(image, told, "telea"),
    }
