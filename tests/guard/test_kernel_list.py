from stormpetrel.control.guard_messages import GuardList
from stormpetrel.guard.drop_table import DropTable, NftFailed
from stormpetrel.guard.kernel_list import KernelList
from stormpetrel.guard.limits import MAX_ENTRIES, ListLimits

A, B = "45.90.1.10", "45.90.1.11"


class Kernel:
    """Records the commands, and fails if `problem` is set. `at_s` is the time."""

    def __init__(self):
        self.commands = []
        self.problem = ""
        self.at_s = 0.0
        self.list = KernelList(DropTable((80,), self.nft), ListLimits(()), clock_s=lambda: self.at_s)

    def nft(self, text):
        if self.problem:
            raise NftFailed(self.problem)
        self.commands.append(text)
        return ""

    def take(self, *listed, **more):
        self.commands.clear()
        return self.list.take(GuardList(listed, **more))


def test_entries_are_added_once_and_end_in_time():
    kernel = Kernel()
    assert kernel.take((A, 30), (A, 60)).listed == 1
    assert "".join(kernel.commands).count("timeout") == 1
    kernel.at_s = 29.0
    assert kernel.take((B, 60)).listed == 2
    kernel.at_s = 30.0
    assert kernel.take().listed == 1
    assert kernel.take((A, 60)).listed == 2


def test_the_whole_list_replaces_the_one_before():
    kernel = Kernel()
    kernel.take((A, 30))
    assert kernel.take((B, 30), is_all=True).listed == 1
    text = "".join(kernel.commands)
    assert "delete table inet stormpetrel_guard" in text
    assert B in text
    assert A not in text


def test_an_entry_that_is_withdrawn_leaves_and_one_that_is_not_there_is_nothing():
    kernel = Kernel()
    kernel.take((A, 30))
    assert kernel.take(dropped=(A, B, "nonsense")).listed == 0
    assert f"delete element inet stormpetrel_guard ipv4_32 {{ {A} }}" in "".join(kernel.commands)
    assert B not in "".join(kernel.commands)


def test_more_than_the_limit_is_refused_and_counted_and_room_comes_back_with_time():
    kernel = Kernel()
    many = [(f"46.{n >> 16}.{n >> 8 & 255}.{n & 255}", 30) for n in range(MAX_ENTRIES + 5)]
    report = kernel.take(*many)
    assert (report.listed, report.refused) == (MAX_ENTRIES, 5)
    kernel.at_s = 31.0
    assert kernel.take((A, 30)).listed == 1


def test_after_a_failure_the_table_is_made_again_with_all_entries():
    kernel = Kernel()
    kernel.take((A, 60))
    kernel.problem = "no such table"
    assert kernel.take((B, 60)).problem == "no such table"
    kernel.problem, kernel.at_s = "", 10.5
    assert kernel.take().problem == ""
    text = "".join(kernel.commands)
    assert f"{A} timeout 50s" in text
    assert f"{B} timeout 50s" in text


def test_without_the_watch_the_list_is_empty():
    kernel = Kernel()
    kernel.list.start()
    kernel.take((A, 30))
    kernel.list.clear()
    assert len(kernel.list) == 0
    kernel.list.end()
    assert kernel.commands[-1] == "add table inet stormpetrel_guard\ndelete table inet stormpetrel_guard\n"
