#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each static probe of the library is described by a note, which points at a nop.

usage: test_notes.py LIBRARY"""
import re
import struct
import sys

from elftools.elf.elffile import ELFFile

ARGUMENTS = {'submit': 6, 'complete': 4, 'doorbell': 2, 'state': 3, 'reset': 1, 'reset_end': 2,
             'sleep': 2, 'awake': 1}
NOP = {'EM_X86_64': b'\x90', 'EM_AARCH64': b'\x1f\x20\x03\xd5'}


def notes(elf):
    """(provider, name, arguments, address) of each."""
    base = elf.get_section_by_name('.stapsdt.base')['sh_addr']
    for note in elf.get_section_by_name('.note.stapsdt').iter_notes():
        desc = note['n_descdata']
        pc, linked_at, semaphore = struct.unpack('<3Q', desc[:24])
        provider, name, args = (s.decode() for s in desc[24:].split(b'\0')[:3])
        assert semaphore == 0, f'{name}: has a semaphore'
        yield provider, name, args.split(), pc + base - linked_at


def main():
    with open(sys.argv[1], 'rb') as f:
        elf = ELFFile(f)
        text, nop = elf.get_section_by_name('.text'), NOP.get(elf['e_machine'])
        code, found = text.data(), {}
        for provider, name, args, at in notes(elf):
            assert provider == 'pollux', provider
            assert name in ARGUMENTS, f'{name} is not in doc/guides/observability.rst'
            assert len(args) == ARGUMENTS[name], f'{name} has {args}'
            # 8@%rdi -4@4(%rax) 1@$0: a size, and a register, memory or constant
            assert all(re.fullmatch(r'-?[1248]@\S+', a) for a in args), f'{name} has {args}'
            off = at - text['sh_addr']
            assert nop is None or code[off:off + len(nop)] == nop, f'{name}: no nop at {at:#x}'
            found[name] = found.get(name, 0) + 1
    missing = set(ARGUMENTS) - set(found)
    assert not missing, f'no note of {missing}'
    print(', '.join(f'{name} in {n} places' for name, n in sorted(found.items())))


main()
