"""Flows: one implementation, two drivers, and no event loop where none is needed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from textgym import hooks
from textgym.hooks import adrive, drive, flow, in_background, settle


async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def total(*values: object) -> int:
    return sum([await settle(value) for value in values])


def test_plain_values_touch_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks._background, "run", pytest.fail)
    assert drive(total(1, 2, 3)) == 6


def test_both_drivers_settle_awaitables() -> None:
    assert drive(total(1, later(2), 3)) == 6
    assert asyncio.run(adrive(total(1, later(2), 3))) == 6


def test_drive_inside_a_running_loop() -> None:
    async def main() -> int:
        return drive(total(later(4)))

    assert asyncio.run(main()) == 4


def test_marked_flows_run_in_place_and_can_be_awaited() -> None:
    class Thing:
        @flow
        async def part(self, value: object) -> int:
            return 10 + int(await settle(value))

        async def user(self) -> int:
            return await self.part(later(5))

    async def whole() -> list[int]:
        return [await settle(Thing().part(1)), await settle(Thing().part(later(2)))]

    assert drive(whole()) == [11, 12]
    assert asyncio.run(adrive(whole())) == [11, 12]
    assert asyncio.run(Thing().user()) == 15
    assert drive(total(Thing().user())) == 15


def test_errors_of_hooks_arrive_in_the_flow() -> None:
    async def broken() -> None:
        raise KeyError("hook")

    async def caught() -> str:
        try:
            await settle(broken())
        except KeyError as error:
            return str(error)
        return "nothing"

    assert drive(caught()) == asyncio.run(adrive(caught())) == "'hook'"
    with pytest.raises(KeyError):
        drive(total(broken()))


def test_awaiting_directly_is_refused() -> None:
    async def wrong() -> None:
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="await settle"):
        drive(wrong())


def test_waiting_for_oneself_is_refused() -> None:
    async def inner() -> int:
        return drive(total(later(1)))

    with pytest.raises(RuntimeError, match="astep"):
        drive(total(inner()))


def test_cancelling_reaches_the_hook() -> None:
    seen = []

    async def patient() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        task = asyncio.create_task(adrive(total(patient())))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["cancelled"]


def test_one_background_thread() -> None:
    for _ in range(3):
        drive(total(later(1)))
    assert sum(thread.name == "textgym-hooks" for thread in threading.enumerate()) == 1


def test_what_is_begun_in_the_background_outlives_the_callers_loop() -> None:
    async def begin() -> tuple[asyncio.Event, asyncio.Future[int]]:
        event = await asyncio.wrap_future(in_background(made()))
        return event, in_background(waited(event))

    async def made() -> asyncio.Event:
        return asyncio.Event()

    async def waited(event: asyncio.Event) -> int:
        await event.wait()
        return 7

    async def release(event: asyncio.Event) -> None:
        event.set()

    event, waiting = asyncio.run(begin())
    assert not waiting.done()
    in_background(release(event)).result()
    assert waiting.result() == 7


def test_cancelling_the_caller_cancels_what_is_in_the_background() -> None:
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def main() -> None:
        task = asyncio.ensure_future(asyncio.wrap_future(in_background(forever())))
        await asyncio.wrap_future(in_background(later(1)))
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert ended.wait(30)
