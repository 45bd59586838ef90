"""What a process reads: calls and bytes asked of h5py, and bytes the kernel gave."""

import h5py


class ReadCounter:
    """Counts the reads of h5py datasets while it is entered.

    Attributes:
        calls: number of reads. bytes: of the arrays they returned, decompressed.
    """

    def __init__(self):
        self.calls = self.bytes = 0

    def __enter__(self):
        self._get, self._direct = h5py.Dataset.__getitem__, h5py.Dataset.read_direct
        counter, get, direct = self, self._get, self._direct

        def counted_get(dataset, *arguments, **settings):
            found = get(dataset, *arguments, **settings)
            counter._count(found)
            return found

        def counted_direct(dataset, target, *arguments, **settings):
            direct(dataset, target, *arguments, **settings)
            counter._count(target)

        h5py.Dataset.__getitem__ = counted_get
        h5py.Dataset.read_direct = counted_direct
        return self

    def __exit__(self, *error):
        h5py.Dataset.__getitem__, h5py.Dataset.read_direct = self._get, self._direct

    def _count(self, array):
        self.calls += 1
        self.bytes += getattr(array, "nbytes", 0)


def bytes_read():
    """Bytes that this process read by system calls so far, from a cache or not."""
    with open("/proc/self/io", encoding="ascii") as file:
        return int(file.readline().removeprefix("rchar:"))
