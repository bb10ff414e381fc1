"""Boot files that differ in one byte and boot all the same."""


def padded(data):
    return data + b"\0" * (-len(data) % 4)


def cpio_with(name, content):
    """An archive of one file, as it may follow an initramfs image's own."""
    def entry(path, body, mode):
        fields = (1, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(path) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + path + b"\0"
        return padded(head) + padded(body)
    return entry(name, content, 0o100644) + entry(b"TRAILER!!!", b"", 0)


def with_other_version_text(kernel):
    """A bzImage with one byte changed of the text that tells its version, which nobody obeys (Linux
    x86 boot protocol, kernel_version)."""
    data = bytearray(kernel)
    at = 0x200 + int.from_bytes(data[0x20e:0x210], "little")
    if not data[at:at + 1].isdigit():
        raise ValueError(f"no version text at {at:#x} of the kernel")
    data[at] ^= 1
    return bytes(data)
