"""A stand-in for LPIPS' ImageNet weights: a small network that learned on drawn scenes how bad a distortion is.

It never saw a photograph, nor any of the five kinds of distortion that it is judged by, only relatives of them.

    python -m mic2e_bench.workshop.perceptual train    trains it anew (minutes on one core), resumable
    python -m mic2e_bench.workshop.perceptual agree    its correlation with FLIP, SSIM and PSNR over stored pictures
    python -m mic2e_bench.workshop.perceptual rank     compares it with untrained networks, SSIM ... on photographs
"""
