#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: compare_json.py NAME NVME-CLI OURS. Every field that nvme-cli shows is ours too, and the same."""
import json
import sys


def plain(v):
    """Numbers of any spelling, strings without blanks around."""
    if isinstance(v, str):
        v = v.strip()
        return int(v) if v.isdigit() else v
    return int(v) if isinstance(v, float) and v == int(v) else v


def differences(theirs, ours, at=''):
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key, value in theirs.items():
            if key not in ours:
                yield f'{at}{key}: missing'
            else:
                yield from differences(value, ours[key], f'{at}{key}.')
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield f'{at} has {len(theirs)} entries, and {len(ours)}'
        for i, (a, b) in enumerate(zip(theirs, ours)):
            yield from differences(a, b, f'{at}{i}.')
    elif plain(theirs) != plain(ours):
        yield f'{at} is {theirs!r}, and {ours!r}'


name, theirs, ours = sys.argv[1], *(json.load(open(p)) for p in sys.argv[2:4])
if name == 'fw-log':  # by the device's name
    theirs, ours = list(theirs.values())[0], list(ours.values())[0]
found = list(differences(theirs, ours))
print(name, len(theirs), 'fields', *found, sep='\n\t')
sys.exit(1 if found or not theirs else 0)
