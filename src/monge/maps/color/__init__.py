"""Colour transfer: the colours of one picture moved onto those of another by optimal transport."""

from monge.maps.color.by_palette import ColorTransfer, transfer_colors
from monge.maps.color.color_map import ColorMap
from monge.maps.color.palettes import palette
from monge.maps.color.transfer import color_transfer

__all__ = ["ColorMap", "ColorTransfer", "color_transfer", "palette", "transfer_colors"]
