#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""examples/embed_dataplane and graph_node serve a disk to a client in another network namespace,
while the first leaves Pollux and joins it again, and both are killed. What the client reads is
what is on the device."""
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import Exporter, run, skip  # noqa: E402

EMBED, EXPORT, TESTBLK = sys.argv[1:4]
REJOIN = '--no-rejoin' not in sys.argv  # examples/graph_node doesn't
SECTORS = 4096
CLONE_NEWNET = 0x40000000
MAGIC = 0x42584c50


def fail(why):
    print('FAIL', why, flush=True)
    sys.exit(1)


def ip(*args):
    p = subprocess.run(['ip', *args], capture_output=True, text=True)
    if p.returncode != 0:
        skip(f'ip {" ".join(args)}: {p.stderr.strip()}')


class Client:
    """An AoE initiator on a raw socket: a window of requests, each sent again until answered."""
    WINDOW = 32
    FIRST_TAG = 1

    def __init__(self, iface):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88a2))
        self.sock.bind((iface, 0x88a2))
        self.mac = self.sock.getsockname()[4]
        self.tag = self.FIRST_TAG
        self.resent = 0

    def frame(self, tag, command, body, payload=b''):
        return (b'\xff' * 6 + self.mac + struct.pack('>HBBHBBI', 0x88a2, 0x10, 0, 1, 0, command, tag)
                + body + payload).ljust(60, b'\0')

    def ata(self, cmd, lba, count, payload=b''):
        aflags = 0x40 | (1 if payload else 0)
        return struct.pack('>BBBB', aflags, 0, count, cmd) + lba.to_bytes(6, 'little') + b'\0\0', payload

    def receive(self):
        pkt = self.sock.recv(2048)
        flags, error, _, _, command, tag = struct.unpack('>BBHBBI', pkt[14:24])
        return (tag, error, command, pkt) if flags & 8 else None

    def run(self, jobs, on_turn=lambda done: None):
        """jobs: (key, command, body, payload). Yields (key, packet), each once, in any order."""
        jobs = iter(jobs)
        flying = {}
        done = 0
        self.sock.settimeout(0.25)
        while True:
            while len(flying) < self.WINDOW:
                job = next(jobs, None)
                if job is None:
                    break
                key, command, body, payload = job
                self.tag += 1
                flying[self.tag] = (key, self.frame(self.tag, command, body, payload))
                self.sock.send(flying[self.tag][1])
            if not flying:
                return
            try:
                got = self.receive()
            except TimeoutError:
                for _, frame in flying.values():
                    self.sock.send(frame)
                self.resent += len(flying)
                on_turn(done)
                continue
            if got is None or got[0] not in flying:
                continue  # our own frames, answers that came twice
            key, _ = flying.pop(got[0])
            done += 1
            on_turn(done)
            yield key, got[3]

    def config(self):
        (_, pkt), = self.run([(0, 1, struct.pack('>HHBBH', 0, 0, 0, 0, 0), b'')])
        return struct.unpack('>HHBBH', pkt[24:32])

    def identify(self):
        body, _ = self.ata(0xec, 0, 1)
        (_, pkt), = self.run([(0, 0, body, b'')])
        return struct.unpack('<256H', pkt[36:548])

    def read(self, on_turn=lambda done: None):
        """All sectors of the disk."""
        data = {}
        jobs = ((lba, 0, *self.ata(0x24, lba, 2)) for lba in range(0, SECTORS, 2))
        for lba, pkt in self.run(jobs, on_turn):
            if pkt[27] & 1:
                fail(f'read of sector {lba}: ATA error {pkt[25]:#x}')
            data[lba], data[lba + 1] = pkt[36:548], pkt[548:1060]
        return [data[lba] for lba in range(SECTORS)]

    def write(self, sectors, on_turn=lambda done: None):
        jobs = ((lba, 0, *self.ata(0x34, lba, 2, sectors[lba] + sectors[lba + 1]))
                for lba in range(0, SECTORS, 2))
        for lba, pkt in self.run(jobs, on_turn):
            if pkt[27] & 1:
                fail(f'write of sector {lba}: ATA error {pkt[25]:#x}')

    def error_of(self, cmd, lba, count):
        body, _ = self.ata(cmd, lba, count)
        (_, pkt), = self.run([(0, 0, body, b'')])
        return pkt[27] & 1


def client(iface, control):
    """In its own namespace. control: where to ask the other side for signals."""
    c = Client(iface)
    if c.config()[:3] != (64, 1, 2):
        fail('config')
    words = c.identify()
    if words[100] | words[101] << 16 != SECTORS:
        fail(f'identify: {words[100]} sectors')
    if not (c.error_of(0x24, SECTORS - 1, 2) and c.error_of(0x24, 0, 3) and c.error_of(0xef, 0, 1)):
        fail('a bad command was not refused')
    first = c.read()
    for lba, sector in enumerate(first):
        magic, _, tagged = struct.unpack('<IIQ', sector[:16])
        if (magic, tagged) != (MAGIC, lba):
            fail(f'sector {lba} has tag {magic:#x} of {tagged}')

    def order(what, when):
        """Once `when` requests are done."""
        asked = []

        def on_turn(done):
            if done >= when and not asked:
                asked.append(1)
                control.send(what)
        return on_turn

    zeroes = [bytes(512)] * SECTORS
    c.write(zeroes, order(b'h', 300))
    if c.read(order(b'h', 700)) != zeroes:
        fail('what was read is not what was written')
    c.write(first, order(b'k', 900))
    if c.read(order(b'h', 100)) != first:
        fail('after all of it, other data')
    print(f'{c.tag - c.FIRST_TAG} requests, {c.resent} sent again', flush=True)


def in_namespace(control):
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        skip(f'no network namespaces: {os.strerror(ctypes.get_errno())}')
    control.send(b'n')
    control.recv(1)
    subprocess.run(['ip', 'link', 'set', 'plx1', 'up'], check=True)
    client('plx1', control)


def start_embed(dev):
    p = subprocess.Popen([EMBED, '-l', '0', '--no-huge', '-m', '64', '--no-pci', '--no-shconf',
                          '--no-telemetry', '--log-level=lib.eal:error',
                          '--vdev=net_af_packet0,iface=plx0', '--', dev],
                         stdout=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    if not line.startswith('serving'):
        fail(f'the example did not start: {line!r}')
    return p


def joined_again(out, times):
    if REJOIN and out.count('joined again') != times:
        fail(f'it should have joined {times} times more: {out}')


def end_embed(p, rejoined):
    p.send_signal(signal.SIGTERM)
    out, _ = p.communicate(timeout=30)
    if p.returncode != 0 or '0 payloads copied' not in out:
        fail(f'the example: exit code {p.returncode}: {out}')
    joined_again(out, rejoined)
    print(out.strip().splitlines()[-1], flush=True)


def serve(control, dev):
    """Do what the client asks for until it ends."""
    p = None
    try:
        while True:
            what = control.recv(1)
            if what == b'n':
                ip('link', 'set', 'plx1', 'netns', str(CHILD))
                ip('link', 'set', 'plx0', 'up')
                p = start_embed(dev)
                control.send(b'g')
            elif what == b'h':
                if REJOIN:
                    p.send_signal(signal.SIGHUP)
            elif what == b'k':
                p.kill()
                joined_again(p.communicate()[0], 2)
                p = start_embed(dev)
            else:
                break
        end_embed(p, 1)
        p = None
    finally:
        if p is not None and p.poll() is None:
            p.kill()
            p.communicate()


def testblk(dev, mode):
    rc, out, err = run(TESTBLK, '--dev', dev, '--rw', mode, '--size', str(SECTORS * 512), '--bs', '4k',
                       '--verify', 'crc32c', '--allow-write')
    if rc != 0:
        fail(f'plx-testblk {mode}: {out} {err}')


def main():
    global CHILD
    if os.geteuid() != 0:
        skip('network namespaces of its own need root')
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        skip(f'no network namespaces: {os.strerror(ctypes.get_errno())}')
    ip('link', 'add', 'plx0', 'type', 'veth', 'peer', 'name', 'plx1')
    tmp = tempfile.mkdtemp()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    export = Exporter(EXPORT, tmp, f'ram:size={SECTORS * 512}')
    CHILD = 0
    try:
        testblk(export.name, 'write')
        CHILD = os.fork()
        if CHILD == 0:
            ours.close()
            try:
                in_namespace(theirs)
                os._exit(0)
            except SystemExit as e:
                os._exit(e.code)
            except BaseException as e:
                print('FAIL client:', repr(e), flush=True)
                os._exit(1)
        theirs.close()
        serve(ours, export.name)
        _, status = os.waitpid(CHILD, 0)
        CHILD = 0
        rc = os.waitstatus_to_exitcode(status)
        if rc == 0:
            testblk(export.name, 'read')
        return rc
    finally:
        if CHILD:
            os.kill(CHILD, signal.SIGKILL)
            os.waitpid(CHILD, 0)
        export.end()
        shutil.rmtree(tmp, ignore_errors=True)


sys.exit(main())
