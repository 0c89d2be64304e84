"""What a millimetre and a millivolt are: pulses, print, rows."""
