"""What must stay as it is, whatever becomes of the code behind it, and how it is written down.

    frames        messages, field by field, and their bytes on the wire
    outcomes      what seeded simulations and surveys come to
    surfaces      names that people and their programs rely on: settings, options, files, columns

Each is a file in `tests/golden`, which the tests there hold against the present code and `tools/renew_golden.py` writes
anew.
"""
