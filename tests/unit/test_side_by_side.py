"""How many things are done at once in one process, in which order their results come, and what one that breaks costs."""

import asyncio
import random

import pytest

from lanes.side_by_side import all_side_by_side, side_by_side


async def doubled_somewhen(number: int) -> int:
    await asyncio.sleep(random.uniform(0, 0.002))
    return 2 * number


class TestAll:
    @pytest.mark.parametrize("width", [1, 3, 100])
    async def test_come_in_the_order_of_the_items(self, width: int) -> None:
        assert await all_side_by_side(range(40), doubled_somewhen, width=width) == [2 * number for number in range(40)]

    async def test_of_no_item_are_none(self) -> None:
        assert await all_side_by_side([], doubled_somewhen, width=4) == []

    async def test_results_need_no_order_of_their_own(self) -> None:
        async def same(item: object) -> object:
            return item

        items = [{"b": 1}, None, {"a": 1}, None]
        assert await all_side_by_side(items, same, width=2) == items


class TestOneThatBreaks:
    async def test_is_raised_once_those_beside_it_have_ended(self) -> None:
        ended: list[str] = []

        async def work(name: str) -> str:
            if name == "bad":
                await asyncio.sleep(0)
                raise ZeroDivisionError
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(name)
            return name

        with pytest.raises(ZeroDivisionError):
            await all_side_by_side(["a", "bad", "b", "never begun"], work, width=3)
        assert sorted(ended) == ["a", "b"]

    async def test_beside_another_that_breaks_leaves_no_error_that_nobody_has_seen(self) -> None:
        unseen: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))

        async def work(name: str) -> str:
            raise ValueError(name)

        with pytest.raises(ValueError, match=r"[abc]"):
            await all_side_by_side(["a", "b", "c"], work, width=3)
        await asyncio.sleep(0)
        assert unseen == []


async def test_an_item_that_is_none_is_an_item() -> None:
    async def told(item: int | None) -> str:
        return str(item)

    assert sorted([found async for found in side_by_side([1, None, 2], told, width=2)]) == ["1", "2", "None"]
