"""Work on all cores: in order, a little ahead, and stopped by the first error."""

import itertools

import pytest

from vae import parallel
from vae.parallel import cut_evenly, map_ordered


def test_results_come_in_the_order_of_the_items():
    assert list(map_ordered(lambda x: x * x, range(500))) == [x * x for x in range(500)]
    assert list(map_ordered(str, [])) == []


def test_no_more_is_done_ahead_than_a_few_items():
    taken = itertools.count()
    results = map_ordered(lambda x: x, (next(taken) for _ in itertools.repeat(None)))
    assert [next(results) for _ in range(100)] == list(range(100))
    ahead = next(taken) - 100
    results.close()
    assert ahead <= parallel.AHEAD * parallel.count_cores() + 1


def test_an_error_ends_an_endless_list():
    done = []

    def work(item):
        if item == 40:
            raise ValueError("forty")
        return item

    with pytest.raises(ValueError, match="forty"):
        for result in map_ordered(work, itertools.count()):
            done.append(result)
    assert done == list(range(40))


@pytest.mark.parametrize("count, most", [(0, 3), (1, 3), (3, 3), (10, 8), (100, 7)])
def test_parts_are_even_and_cover_all(count, most):
    parts = cut_evenly(count, most)
    lengths = [part.stop - part.start for part in parts]
    assert [index for part in parts for index in range(count)[part]] == [*range(count)]
    assert len(parts) == -(-count // most)
    assert not parts or max(lengths) <= most and max(lengths) - min(lengths) <= 1
