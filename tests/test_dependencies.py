"""What dependencies allow, where we wait for it."""

from importlib.metadata import requires

from packaging.requirements import Requirement


def test_tensorflow_allows_no_h5py_with_a_newer_hdf5():
    wanted = [Requirement(line) for line in requires("tensorflow")]
    h5py = next(each for each in wanted if each.name == "h5py")
    assert "3.15" not in h5py.specifier, "raise ours, see SECURITY.md"
